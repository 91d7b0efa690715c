// SPDX-License-Identifier: Apache-2.0
// kmsctl hsm remove --lost, hsm lost; what kmsctl status says of environments without holders.
#include <gmock/gmock.h>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

nlohmann::json Environments() {
  return {
      {"environments",
       {{{"name", "sys"}, {"recovery_holders", 0}}, {{"name", "prod"}, {"recovery_holders", 3}}}}};
}

class LostHsmCommands : public KmsctlTest {
 protected:
  std::vector<std::string> Requests() {
    std::vector<std::string> lines;
    for (const ScriptedRequest& request : server_.requests()) {
      lines.push_back(request.method + " " + request.target);
    }
    return lines;
  }
};

TEST_F(LostHsmCommands, AllPassesOverEnvironmentsThatItHoldsNothingOf) {
  ReplyData(Environments());
  ReplyError(404, "HSM burnt holds nothing of environment sys");
  ReplyRaw(204, "");
  const ToolRun run =
      Run({"hsm", "remove", "burnt", "--all", "--lost", "--reason", "fire & water", "--yes"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "HSM burnt is lost to prod\n");
  EXPECT_EQ(Requests(),
            (std::vector<std::string>{
                "GET /v1/sys/environments/status",
                "DELETE /v1/sys/environments/sys/hsms/burnt?lost=true&reason=fire%20%26"
                "%20water",
                "DELETE /v1/sys/environments/prod/hsms/burnt?lost=true&reason=fire%20%26"
                "%20water"}));
}

TEST_F(LostHsmCommands, JsonNamesTheEnvironments) {
  ReplyRaw(204, "");
  const ToolRun run = Run({"hsm", "remove", "burnt", "--env", "prod", "--lost", "--yes", "--json"});
  EXPECT_EQ(Json(run.out),
            (nlohmann::json{{"hsm", "burnt"}, {"environments", {"prod"}}, {"lost", true}}));
}

TEST_F(LostHsmCommands, ARefusalIsTheServersReason) {
  ReplyError(400, "HSM a is the last that opens key 1 of environment prod");
  const ToolRun run = Run({"hsm", "remove", "a", "--env", "prod", "--lost", "--yes"});
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, HasSubstr("is the last that opens"));
}

TEST_F(LostHsmCommands, WhatHoldsNothingAnywhereIsNotFound) {
  ReplyData(Environments());
  ReplyError(404, "nothing");
  ReplyError(404, "nothing");
  EXPECT_EQ(Run({"hsm", "remove", "a", "--all", "--lost", "--yes"}).status, 3);
}

TEST_F(LostHsmCommands, NothingIsSentForALineThatMakesNoSense) {
  for (const std::vector<std::string>& line :
       {std::vector<std::string>{"hsm", "remove", "a", "--lost", "--yes"},
        {"hsm", "remove", "a", "--env", "prod", "--lost"},
        {"hsm", "remove", "a", "--env", "prod", "--lost", "--destroy", "--yes"},
        {"hsm", "remove", "a", "--env", "prod", "--reason", "x", "--yes"}}) {
    EXPECT_EQ(Run(line).status, 2) << line.back();
  }
  EXPECT_TRUE(server_.requests().empty());
}

nlohmann::json Declaration() {
  return {{"hsm", "burnt"},
          {"declared", "2026-01-01T00:00:00Z"},
          {"declared_by", "root"},
          {"reason", "fire"},
          {"master_keys", {{{"version", 1}}, {{"version", 2}}}}};
}

TEST_F(LostHsmCommands, LostIsATableOfDeclarations) {
  ReplyData({{"members", nlohmann::json::array()}, {"lost", {Declaration()}}});
  const ToolRun run = Run({"hsm", "lost", "--env", "prod"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("UNDESTROYED"), HasSubstr("burnt"), HasSubstr("1, 2"),
                             HasSubstr("fire")));
  const nlohmann::json all = Json(Run({"hsm", "lost", "--env", "prod", "--json"}).out);
  EXPECT_EQ(all["lost"][0]["environment"], "prod");
}

TEST_F(LostHsmCommands, NoLossIsSaidInWords) {
  ReplyData({{"members", nlohmann::json::array()}, {"lost", nlohmann::json::array()}});
  EXPECT_EQ(Run({"hsm", "lost", "--env", "prod"}).out, "no HSM was declared lost\n");
}

// What was just found to be lost is left alone by its breaker for a moment.
TEST_F(LostHsmCommands, AddWaitsForABreakerThatIsOpen) {
  ReplyData({{"added", nlohmann::json::array()}});
  ReplyData({{"state", "ready"}, {"breaker", "open"}, {"retry_in_ms", 300}});
  ReplyData({{"state", "ready"}, {"breaker", "open"}, {"retry_in_ms", 0}});
  ReplyData({{"hsm", "vault-2"}, {"state", "ready"}});
  const ToolRun run = Run({"hsm", "add", "vault-2", "--env", "prod"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(Requests().size(), 4U);
}

TEST_F(LostHsmCommands, StatusNotesEnvironmentsWithoutRecoveryHolders) {
  ReplyRaw(200, R"({"initialized":true,"sealed":false})");
  ReplyData(Environments());
  const ToolRun run = Run({"status"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.err, AllOf(HasSubstr("no recovery holders: sys"), Not(HasSubstr("prod"))));
}

TEST_F(LostHsmCommands, StatusSaysNothingOfRecoveryToWhoeverMayNotKnow) {
  ReplyRaw(200, R"({"initialized":true,"sealed":false})");
  ReplyError(403, "permission denied");
  const ToolRun run = Run({"status", "--json"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_FALSE(Json(run.out).contains("without_recovery_holders"));
}

}  // namespace
}  // namespace kms::testing
