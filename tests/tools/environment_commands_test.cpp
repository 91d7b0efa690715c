// SPDX-License-Identifier: Apache-2.0
// kmsctl env …, status, hsm status: requests and rendering.
#include <gmock/gmock.h>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class EnvironmentCommands : public KmsctlTest {};

TEST_F(EnvironmentCommands, CreateMakesATransitMountWithItsOptions) {
  ReplyRaw(204, "");
  const ToolRun run = Run({"env", "create", "prod", "--protected", "--disable-upsert",
                           "--description", "the real one"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().method, "POST");
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/mounts/prod");
  EXPECT_EQ(Json(OnlyRequest().body),
            (nlohmann::json{{"type", "transit"},
                            {"description", "the real one"},
                            {"options", {{"protected", "true"}, {"disable_upsert", "true"}}}}));
}

TEST_F(EnvironmentCommands, CreateOfAnExistingOneIsRefused) {
  ReplyError(400, "path is already in use at dev/");
  const ToolRun run = Run({"env", "create", "dev"});
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, HasSubstr("kmsctl env show"));
}

TEST_F(EnvironmentCommands, ListShowsTransitMountsOnly) {
  ReplyData({{"dev/", {{"type", "transit"}, {"description", "playground"}, {"accessor", "t_1"}}},
             {"prod/", {{"type", "transit"}, {"options", {{"protected", "true"}}}}},
             {"sys/", {{"type", "system"}}}});
  const ToolRun run = Run({"env", "list"});
  EXPECT_EQ(OnlyRequest().method, "GET");
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/mounts");
  EXPECT_EQ(run.out,
            "NAME  PROTECTED  ACCESSOR  DESCRIPTION\n"
            "dev   -          t_1       playground\n"
            "prod  true       -         -\n");
}

TEST_F(EnvironmentCommands, ShowOfAMissingOneIsNotFound) {
  ReplyError(400, "No secret engine mount at x/");
  EXPECT_EQ(Run({"env", "show", "x"}).status, 3);
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/mounts/x");
}

TEST_F(EnvironmentCommands, ConfigTunesAndSetsUpsertSeparately) {
  ReplyRaw(204, "");
  EXPECT_EQ(
      Run({"env", "config", "prod", "--protected", "false", "--disable-upsert", "true"}).status, 0);
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].target, "/v1/sys/mounts/prod/tune");
  EXPECT_EQ(Json(requests[0].body), (nlohmann::json{{"options", {{"protected", "false"}}}}));
  EXPECT_EQ(requests[1].target, "/v1/prod/config/keys");
  EXPECT_EQ(Json(requests[1].body), (nlohmann::json{{"disable_upsert", true}}));
}

TEST_F(EnvironmentCommands, DeleteSendsDelete) {
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"env", "delete", "scratch", "--yes"}).status, 0);
  EXPECT_EQ(OnlyRequest().method, "DELETE");
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/mounts/scratch");
}

TEST_F(EnvironmentCommands, DeleteOfAProtectedOneSaysHowToLiftIt) {
  ReplyError(400, "environment prod is protected");
  const ToolRun run = Run({"env", "delete", "prod", "--yes"});
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, HasSubstr("kmsctl env config NAME --protected false"));
}

TEST_F(EnvironmentCommands, JsonOfEachVerbParses) {
  ReplyRaw(204, "");
  EXPECT_EQ(Json(Run({"env", "create", "a", "--json"}).out),
            (nlohmann::json{{"name", "a"}, {"created", true}}));
  EXPECT_EQ(Json(Run({"env", "delete", "a", "--yes", "--json"}).out),
            (nlohmann::json{{"name", "a"}, {"deleted", true}}));
  EXPECT_EQ(Json(Run({"--json", "env", "config", "a", "--description", "b"}).out),
            (nlohmann::json{{"name", "a"}, {"changed", true}}));
}

class StatusCommand : public KmsctlTest {
 protected:
  static nlohmann::json Health(bool sealed) {
    return {{"initialized", true},
            {"sealed", sealed},
            {"standby", false},
            {"version", "0.1.0"},
            {"server_time_utc", 1767225600}};
  }
};

TEST_F(StatusCommand, ShowsHealth) {
  Reply(200, Health(false));
  const ToolRun run = Run({"status"});
  EXPECT_EQ(run.status, 0);
  EXPECT_EQ(server_.requests().front().target, "/v1/sys/health");
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("address:              " + server_.url()),
                    HasSubstr("sealed:               no\n"),
                    HasSubstr("server time:          2026-01-01 00:00:00 UTC\n")));
}

TEST_F(StatusCommand, SealedEnvironmentsAreNamed) {
  const nlohmann::json environments = {{{"name", "sys"}, {"sealed", false}},
                                       {{"name", "prod"}, {"sealed", true}},
                                       {{"name", "dev"}, {"sealed", true}}};
  for (int run = 1; run <= 2; ++run) {
    Reply(200, Health(false));
    ReplyData({{"environments", environments}});
  }
  const ToolRun run = Run({"status"});
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.out, HasSubstr("sealed environments:  prod, dev\n"));
  EXPECT_THAT(run.err, HasSubstr("kmsctl hsm status"));
  const ToolRun json = Run({"status", "--json"});
  EXPECT_EQ(json.status, 0) << json.err;
  EXPECT_EQ(Json(json.out)["sealed_environments"], (nlohmann::json{"prod", "dev"}));
}

TEST_F(StatusCommand, ASealedServiceIsShownAndIsUnavailable) {
  Reply(503, Health(true));
  const ToolRun run = Run({"status", "--json"});
  EXPECT_EQ(run.status, 6);
  EXPECT_EQ(Json(run.out)["sealed"], true);
  EXPECT_EQ(Json(run.err)["error"]["status"], "unavailable");
}

TEST_F(StatusCommand, AnotherKindOfServerIsNoticed) {
  Reply(200, {{"hello", "world"}});
  const ToolRun run = Run({"status"});
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.err, HasSubstr("is this the address of a key service?"));
}

class HsmStatus : public KmsctlTest {
 protected:
  static nlohmann::json Data() {
    return {{"environments",
             {{{"name", "dev"},
               {"sealed", false},
               {"reason", ""},
               {"master_key_label", "kms-master-dev"},
               {"master_key_version", 1},
               {"environment_key_version", 3},
               {"wrap_mechanism", "CKM_AES_GCM"},
               {"lease_age_ms", 1200}},
              {{"name", "prod"},
               {"sealed", true},
               {"reason", "token is away"},
               {"master_key_label", "kms-master-prod"},
               {"master_key_version", 2},
               {"environment_key_version", 1},
               {"wrap_mechanism", "CKM_AES_GCM"},
               {"lease_age_ms", nullptr}}}},
            {"device",
             {{"state", "ready"},
              {"reason", ""},
              {"token_label", "kms-dev"},
              {"token_serial", "abc123"},
              {"module_path", "/usr/lib/softhsm.so"},
              {"module_description", "SoftHSM"},
              {"usable_mechanisms", {"CKM_AES_GCM", "CKM_AES_CBC_PAD"}},
              {"calls", 10},
              {"failed_calls", 1},
              {"abandoned_calls", 0},
              {"reconnects", 2},
              {"worker_restarts", 1},
              {"sessions_open", 4},
              {"sessions_in_use", 1},
              {"requests_waiting", 0}}}};
  }
};

TEST_F(HsmStatus, ShowsDeviceAndEnvironments) {
  ReplyData(Data());
  const ToolRun run = Run({"hsm", "status"});
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/hsm/status");
  EXPECT_THAT(run.out, AllOf(HasSubstr("token:            kms-dev (serial abc123)\n"),
                             HasSubstr("mechanisms:       CKM_AES_GCM, CKM_AES_CBC_PAD\n"),
                             HasSubstr("calls:            10, 1 failed, 0 abandoned\n"),
                             HasSubstr("sessions:         4 open, 1 in use, 0 requests waiting\n"),
                             HasSubstr("dev          unsealed  kms-master-dev   1"),
                             HasSubstr("1200 ms ago"), HasSubstr("token is away")));
}

TEST_F(HsmStatus, JsonIsTheServersData) {
  ReplyData(Data());
  EXPECT_EQ(Json(Run({"hsm", "status", "--json"}).out), Data());
}

}  // namespace
}  // namespace kms::testing
