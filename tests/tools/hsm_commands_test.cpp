// SPDX-License-Identifier: Apache-2.0
// kmsctl hsm list|show|add|remove|reload, env lease: requests, waiting and rendering.
#include <gmock/gmock.h>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

nlohmann::json Part(const char* key, const std::string& name, const std::string& state) {
  return {{key, name},
          {"order", 0},
          {"weight", 1},
          {"state", state},
          {"reason", state == "ready" ? "" : "why not"},
          {"proof_age_ms", 1200},
          {"master_key_versions", {1, 2}},
          {"master_key_label", "kms/" + name + "/2"},
          {"missing_wraps", state == "ready" ? 0 : 3}};
}

nlohmann::json Token(const std::string& name, const std::string& state) {
  return {{"name", name},
          {"state", state},
          {"reason", state == "ready" ? "" : "no such token"},
          {"calls", 10},
          {"failed_calls", 1},
          {"abandoned_calls", 2},
          {"refused_calls", 3},
          {"reconnects", 4},
          {"worker_restarts", 5},
          {"worker_replacements", 1},
          {"worker_memory_bytes", 12345},
          {"sessions_open", 4},
          {"sessions_in_use", 1},
          {"calls_in_flight", 2},
          {"calls_waiting", 7},
          {"breaker", "closed"},
          {"retry_in_ms", nullptr},
          {"breaker_opened", 6},
          {"latency", {{"calls", 9}, {"p50_us", 480}, {"p95_us", 2100}, {"p99_us", 1300000}}},
          {"token_label", "kms-" + name},
          {"token_serial", "abc"},
          {"module_path", "/m.so"},
          {"usable_mechanisms", {"gcm-encrypt"}},
          {"environments", {Part("name", "sys", "ready"), Part("name", "prod", "healing")}}};
}

nlohmann::json Lease(const std::string& state) {
  return {{"name", "prod"},
          {"sealed", false},
          {"reason", ""},
          {"interval_ms", 5000},
          {"grace_ms", 60000},
          {"age_ms", 1200},
          {"last_seal", nullptr},
          {"members", {Part("hsm", "default", "ready"), Part("hsm", "vault-2", state)}}};
}

class HsmCommands : public KmsctlTest {
 protected:
  std::vector<std::string> Requests() {
    std::vector<std::string> lines;
    for (const ScriptedRequest& request : server_.requests()) {
      lines.push_back(request.method + " " + request.target);
    }
    return lines;
  }
};

TEST_F(HsmCommands, ListIsATableOfEveryToken) {
  ReplyData(
      {{"hsms",
        {Token("default", "ready"),
         {{"name", "old"}, {"state", "absent"}, {"environments", nlohmann::json::array()}}}}});
  const ToolRun run = Run({"hsm", "list"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/hsm");
  EXPECT_EQ(run.out,
            "NAME     STATE   HEALTH     BREAKER  SESSIONS  QUEUE  P50    P95    P99   LEASE AGE  "
            "MASTER KEYS  ENVIRONMENTS\n"
            "default  ready   healing 1  closed   1/4       2+7    480us  2.1ms  1.3s  1.2s       "
            "1,2          sys, prod\n"
            "old      absent  -          -        -         -      -      -      -     -          "
            "-            -\n");
}

TEST_F(HsmCommands, ShowSaysEverythingOfOneToken) {
  ReplyData(Token("vault-2", "ready"));
  const ToolRun run = Run({"hsm", "show", "vault-2"});
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/hsm/vault-2");
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("token:         kms-vault-2 (serial abc)\n"),
                    HasSubstr("calls:         10, 1 failed, 2 abandoned, 3 refused\n"),
                    HasSubstr("breaker:       closed, opened 6 times\n"),
                    HasSubstr("\nENVIRONMENT  ORDER  WEIGHT  STATE"), HasSubstr("why not")));
}

TEST_F(HsmCommands, JsonIsTheServersData) {
  ReplyData(Token("vault-2", "ready"));
  EXPECT_EQ(Json(Run({"hsm", "show", "vault-2", "--json"}).out), Token("vault-2", "ready"));
  EXPECT_EQ(Json(Run({"hsm", "list", "--json"}).out), Token("vault-2", "ready"));
}

TEST_F(HsmCommands, ReloadNamesWhatChanged) {
  ReplyData({{"added", {"vault-2", "vault-3"}},
             {"removed", nlohmann::json::array()},
             {"changed", {"default"}}});
  const ToolRun run = Run({"hsm", "reload"});
  EXPECT_EQ(run.out, "added: vault-2, vault-3\nchanged: default\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/hsm/reload");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"dry_run", false}}));
}

TEST_F(HsmCommands, ReloadThatIsRefusedSaysWhy) {
  ReplyError(400, "HSM old still serves prod and cannot be taken out of the configuration");
  const ToolRun run = Run({"hsm", "reload", "--dry-run"});
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, HasSubstr("still serves prod"));
}

TEST_F(HsmCommands, AddReloadsJoinsAndWaitsUntilHealed) {
  ReplyData({{"added", {"vault-2"}}});
  ReplyData(Token("vault-2", "down"));
  ReplyData(Token("vault-2", "ready"));
  ReplyData(Part("hsm", "vault-2", "healing"));
  ReplyData(Lease("healing"));
  ReplyData(Lease("ready"));
  const ToolRun run =
      Run({"hsm", "add", "vault-2", "--env", "prod", "--order", "1", "--weight", "3", "--wait"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "HSM vault-2 opens prod\n");
  EXPECT_THAT(run.err, AllOf(HasSubstr("HSM vault-2 is down (no such token): waiting"),
                             HasSubstr("prod: HSM vault-2 is healing, 3 wraps missing"),
                             HasSubstr("prod: HSM vault-2 is ready")));
  EXPECT_EQ(Requests(),
            (std::vector<std::string>{
                "POST /v1/sys/hsm/reload", "GET /v1/sys/hsm/vault-2", "GET /v1/sys/hsm/vault-2",
                "POST /v1/sys/environments/prod/hsms", "GET /v1/sys/environments/prod/lease",
                "GET /v1/sys/environments/prod/lease"}));
  EXPECT_EQ(Json(server_.requests()[3].body),
            (nlohmann::json{{"hsm", "vault-2"}, {"order", 1}, {"weight", 3}}));
}

TEST_F(HsmCommands, AddOfATokenThatTheConfigurationLacksIsNotFound) {
  ReplyData({{"added", nlohmann::json::array()}});
  ReplyError(404, "no such HSM: the configuration names the tokens, see sys/hsm");
  const ToolRun run = Run({"hsm", "add", "vault-9", "--env", "prod"});
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.err, AllOf(HasSubstr("kmsctl hsm list"), Not(HasSubstr("key list"))));
}

TEST_F(HsmCommands, AddOfATokenThatWaitingDoesNotHelpEndsAtOnce) {
  ReplyData({{"added", {"vault-2"}}});
  ReplyData(Token("vault-2", "locked_out"));
  const ToolRun run = Run({"hsm", "add", "vault-2", "--env", "prod", "--wait"});
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, HasSubstr("an operator must act"));
  EXPECT_EQ(Requests().size(), 2U);
}

TEST_F(HsmCommands, AddThatIsRefusedByTheTokenSaysSo) {
  ReplyData({{"added", nlohmann::json::array()}});
  ReplyData(Token("vault-2", "ready"));
  ReplyData(Part("hsm", "vault-2", "unknown"));
  ReplyData(Lease("refused"));
  const ToolRun run = Run({"hsm", "add", "vault-2", "--env", "prod", "--wait"});
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, HasSubstr("why not"));
}

TEST_F(HsmCommands, AddThatDoesNotHealInTimeIsUnavailable) {
  ReplyData({{"added", nlohmann::json::array()}});
  ReplyData(Token("vault-2", "ready"));
  ReplyData(Part("hsm", "vault-2", "unknown"));
  ReplyData(Lease("healing"));
  EXPECT_EQ(Run({"hsm", "add", "vault-2", "--env", "prod", "--wait", "--wait-timeout", "0"}).status,
            6);
}

TEST_F(HsmCommands, AddToAllAsksWhichThereAre) {
  ReplyData({{"added", nlohmann::json::array()}});
  ReplyData(Token("vault-2", "ready"));
  ReplyData({{"environments", {{{"name", "sys"}}, {{"name", "team/prod"}}}}});
  ReplyData(Part("hsm", "vault-2", "ready"));
  const ToolRun run = Run({"hsm", "add", "vault-2", "--all", "--json"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(Json(run.out)["environments"][1],
            (nlohmann::json{{"name", "team/prod"}, {"state", "ready"}}));
  EXPECT_EQ(Requests().back(), "POST /v1/sys/environments/team/prod/hsms");
}

TEST_F(HsmCommands, RemoveTakesItOutOfEachEnvironmentItServes) {
  ReplyData(Token("old", "ready"));
  ReplyRaw(204, "");
  const ToolRun run = Run({"hsm", "remove", "old", "--all", "--destroy", "--yes"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(Requests(),
            (std::vector<std::string>{"GET /v1/sys/hsm/old",
                                      "DELETE /v1/sys/environments/sys/hsms/old?destroy=true",
                                      "DELETE /v1/sys/environments/prod/hsms/old?destroy=true"}));
  EXPECT_EQ(run.out, "HSM old no longer opens sys\nHSM old no longer opens prod\n");
}

TEST_F(HsmCommands, ALossGoesOnWithTheOtherEnvironmentsWhenOneRefuses) {
  ReplyData({{"environments", {{{"name", "sys"}}, {{"name", "prod"}}, {{"name", "dev"}}}}});
  ReplyRaw(204, "");
  ReplyError(400, "environment prod is sealed");
  ReplyRaw(204, "");
  const ToolRun run = Run({"hsm", "remove", "old", "--all", "--lost", "--yes"});
  EXPECT_EQ(run.status, 5);
  EXPECT_EQ(run.out, "HSM old is lost to sys\nHSM old is lost to dev\n");
  EXPECT_THAT(run.err, HasSubstr("HSM old is not declared lost to prod: "));
}

TEST_F(HsmCommands, RemoveOfTheLastOneIsRefusedWithTheServersReason) {
  ReplyError(400, "HSM old is the only one that opens version 2 of the key of prod");
  const ToolRun run = Run({"hsm", "remove", "old", "--env", "prod", "--yes"});
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, HasSubstr("is the only one that opens version 2"));
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/environments/prod/hsms/old");
}

TEST_F(HsmCommands, RemoveFromWhereItIsNotSaysWhereToLook) {
  ReplyError(404, "HSM old does not open environment prod");
  const ToolRun run = Run({"hsm", "remove", "old", "--env", "prod", "--yes"});
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.err, HasSubstr("`kmsctl hsm list` shows what each HSM opens"));
}

TEST_F(HsmCommands, WhatCanBeTakenBackIsNotCalledFinal) {
  for (const std::vector<std::string>& line :
       {std::vector<std::string>{"hsm", "remove", "old", "--env", "prod"},
        {"env", "seal", "prod"}}) {
    const ToolRun run = Run(line);
    EXPECT_EQ(run.status, 2) << line[1];
    EXPECT_THAT(run.err, AllOf(HasSubstr("add --yes"), Not(HasSubstr("undone")))) << line[1];
  }
  const ToolRun destroying = Run({"hsm", "remove", "old", "--env", "prod", "--destroy"});
  EXPECT_EQ(destroying.status, 2);
  EXPECT_THAT(destroying.err, HasSubstr("cannot be undone"));
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(HsmCommands, NeedToBeToldWhere) {
  for (const std::vector<std::string>& line : {std::vector<std::string>{"hsm", "add", "a"},
                                               {"hsm", "remove", "a", "--yes"},
                                               {"hsm", "add", "a", "--all", "--env", "prod"},
                                               {"hsm", "remove", "a", "--env", "prod"}}) {
    EXPECT_EQ(Run(line).status, 2) << line[1];
  }
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(HsmCommands, OddShapesOfDataNeverCrashAView) {
  for (const char* body :
       {R"({"data":{"hsms":5}})", R"({"data":{"hsms":[1,{},{"environments":[2,{}]}]}})",
        R"({"data":{"environments":{"a":1},"latency":[],"members":[null,3]}})",
        R"({"data":null})"}) {
    ReplyRaw(200, body);
    Run({"status"});  // the reply before is used up
    for (const std::vector<std::string>& line : {std::vector<std::string>{"hsm", "list"},
                                                 {"hsm", "show", "a"},
                                                 {"env", "lease", "a"},
                                                 {"hsm", "reload"},
                                                 {"hsm", "status"}}) {
      EXPECT_EQ(Run(line).status, 0) << body << " " << line[1];
    }
  }
}

class LeaseCommand : public KmsctlTest {};

TEST_F(LeaseCommand, ShowsHowLongKeysStayAndWhoProvesThem) {
  ReplyData(Lease("healing"));
  const ToolRun run = Run({"env", "lease", "prod"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/environments/prod/lease");
  EXPECT_THAT(
      run.out,
      AllOf(HasSubstr("proved:       1.2s ago\n"), HasSubstr("grace:        1m00s\n"),
            HasSubstr("vault-2  0      1       healing"), Not(HasSubstr("availability mode"))));
}

TEST_F(LeaseCommand, SaysThatNoHsmProvedItYet) {
  nlohmann::json lease = Lease("away");
  lease["age_ms"] = nullptr;
  ReplyData(lease);
  EXPECT_THAT(Run({"env", "lease", "prod"}).out,
              HasSubstr("proved:       never since the start\n"));
}

TEST_F(LeaseCommand, NamesAvailabilityModeAsWhatItIs) {
  nlohmann::json lease = Lease("ready");
  lease["grace_ms"] = nullptr;
  lease["last_seal"] = {
      {"time", 1767225600}, {"reason", "no HSM proved it"}, {"unproven_ms", 65000}};
  ReplyData(lease);
  const ToolRun run = Run({"env", "lease", "prod"});
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("forever: availability mode"),
                    HasSubstr("2026-01-01 00:00:00 UTC: no HSM proved it, unproven for 1m05s")));
}

TEST_F(LeaseCommand, OptionsOfTheLeaseAreMountOptions) {
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"env", "create", "prod", "--hsms", "a,b", "--lease-interval", "5s"}).status, 0);
  EXPECT_EQ(Json(OnlyRequest().body)["options"],
            (nlohmann::json{{"hsms", "a,b"}, {"lease_interval", "5s"}}));
}

TEST_F(LeaseCommand, GraceIsTuned) {
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"env", "config", "prod", "--lease-grace", "forever"}).status, 0);
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/mounts/prod/tune");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"options", {{"lease_grace", "forever"}}}}));
}

}  // namespace
}  // namespace kms::testing
