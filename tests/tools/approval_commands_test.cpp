// SPDX-License-Identifier: Apache-2.0
// kmsctl approve, approvals …, wrap, unwrap, env seal|unseal, and what others say of a 202.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kId = "6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11";

class ApprovalCommands : public KmsctlTest {
 protected:
  void ReplyWaiting() {
    Reply(202, {{"data",
                 {{"request_id", kId},
                  {"action", "trim"},
                  {"expires", "2026-01-02T00:00:00Z"},
                  {"state", "pending"}}}});
  }
};

TEST_F(ApprovalCommands, ACommandThatWaitsSaysSoAndEndsWithItsOwnStatus) {
  ReplyWaiting();
  const ToolRun run = Run({"key", "trim", "orders", "--min-available-version", "2", "--yes"});
  EXPECT_EQ(run.status, 8) << run.err;
  EXPECT_THAT(run.err, AllOf(HasSubstr("nothing was done yet"),
                             HasSubstr(std::string("kmsctl approve ") + kId), HasSubstr("trim")));
  EXPECT_EQ(run.out, "");
}

TEST_F(ApprovalCommands, ACommandThatWaitsSaysSoInJson) {
  ReplyWaiting();
  const ToolRun run = Run({"--json", "key", "delete", "orders", "--yes"});
  EXPECT_EQ(run.status, 8);
  const nlohmann::json error = Json(run.err)["error"];
  EXPECT_EQ(error["status"], "waiting");
  EXPECT_EQ(error["exit_status"], 8);
}

TEST_F(ApprovalCommands, TheStatusIsInTheHelp) {
  EXPECT_THAT(Run({"--help"}).out, HasSubstr("\n  8  nothing was done yet"));
}

TEST_F(ApprovalCommands, ApproveAsksUnlessToldNotTo) {
  ReplyData({{"request_id", kId}, {"state", "pending"}, {"path", "prod/keys/app"}});
  const ToolRun asked = Run({"approve", kId});
  EXPECT_EQ(asked.status, 2);  // nobody can be asked
  EXPECT_EQ(OnlyRequest().method, "GET");
  EXPECT_THAT(asked.err, HasSubstr("prod/keys/app"));
}

TEST_F(ApprovalCommands, ApproveExecutesAndTellsHowItEnded) {
  ReplyData({{"request_id", kId}, {"state", "executed"}, {"status", 204}});
  const ToolRun run = Run({"approve", kId, "--yes"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().method, "POST");
  EXPECT_EQ(OnlyRequest().target, std::string("/v1/sys/approvals/") + kId + "/approve");
  EXPECT_EQ(run.out, "executed: the request was answered with HTTP 204\n");
}

TEST_F(ApprovalCommands, AnExecutionThatFailedIsAFailure) {
  ReplyData({{"request_id", kId}, {"state", "failed"}, {"status", 403}});
  EXPECT_EQ(Run({"approve", kId, "--yes"}).status, 5);
}

TEST_F(ApprovalCommands, ShowHasEveryPart) {
  ReplyData({{"request_id", kId},
             {"state", "pending"},
             {"action", "trim"},
             {"path", "prod/keys/app/trim"},
             {"body", "{\"min_available_version\":2}"},
             {"requester", {{"display_name", "alice"}, {"accessor", "acc"}}},
             {"approver", nullptr}});
  const ToolRun run = Run({"approvals", "show", kId});
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.out, AllOf(HasSubstr("prod/keys/app/trim"), HasSubstr("min_available_version"),
                             HasSubstr("alice (acc)")));
}

TEST_F(ApprovalCommands, ListIsATableAndNothingIsNoFailure) {
  ReplyData({{"keys", {kId}},
             {"key_info", {{kId, {{"state", "pending"}, {"action", "trim"}, {"path", "p"}}}}}});
  EXPECT_THAT(Run({"approvals", "list"}).out,
              AllOf(HasSubstr("REQUEST"), HasSubstr(kId), HasSubstr("pending")));
}

TEST_F(ApprovalCommands, AnEmptyListIsNoFailure) {
  Reply(404, {{"errors", nlohmann::json::array()}});
  const ToolRun run = Run({"approvals", "list"});
  EXPECT_EQ(run.status, 0);
  EXPECT_EQ(run.out, "");
}

TEST_F(ApprovalCommands, CancelWithdraws) {
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"approvals", "cancel", kId}).status, 0);
  EXPECT_EQ(OnlyRequest().method, "DELETE");
}

TEST_F(ApprovalCommands, TheResultGoesToAFileOfItsOwner) {
  ReplyData({{"keys", {{"1", "secret"}}}});
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/key.json";
  const ToolRun run = Run({"approvals", "result", kId, "--out", file});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().target, std::string("/v1/sys/approvals/") + kId + "/result");
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(ReadFile(file), "{\"keys\":{\"1\":\"secret\"}}\n");
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(ApprovalCommands, AFileThatCannotBeWrittenReadsNoResult) {
  ReplyData({{"keys", {{"1", "secret"}}}});
  EXPECT_NE(Run({"approvals", "result", kId, "--out", "/nowhere/key.json"}).status, 0);
  EXPECT_TRUE(server_.requests().empty());
}

// ---- wrapping -----------------------------------------------------------------------------------

TEST_F(ApprovalCommands, WrapSendsTheObjectAndPrintsTheToken) {
  Reply(200, {{"data", nullptr}, {"wrap_info", {{"token", "hvs.wrap"}, {"ttl", 60}}}});
  const ToolRun run = Run({"wrap", "--ttl", "60s"}, R"({"a":"b"})");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/wrapping/wrap");
  EXPECT_EQ(OnlyRequest().body, R"({"a":"b"})");
  EXPECT_EQ(OnlyRequest().Header("X-Vault-Wrap-TTL"), "60s");
  EXPECT_EQ(run.out, "hvs.wrap\n");
}

TEST_F(ApprovalCommands, UnwrapNeedsNoTokenButTheWrappingOne) {
  ReplyData({{"secret_id", "s"}});
  const ToolRun run =
      Run({"unwrap", "--wrapping-token-file", "-"}, "hvs.wrap\n", {{"KMS_TOKEN", ""}});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/wrapping/unwrap");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"token", "hvs.wrap"}}));
  EXPECT_EQ(run.out, "{\"secret_id\":\"s\"}\n");
}

TEST_F(ApprovalCommands, AUsedWrappingTokenIsRefused) {
  ReplyError(400, "wrapping token is not valid or does not exist");
  const ToolRun run = Run({"unwrap", "--wrapping-token-file", "-"}, "hvs.wrap\n");
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, AllOf(HasSubstr("not valid"), Not(HasSubstr("hvs.wrap"))));
}

// ---- environments -------------------------------------------------------------------------------

TEST_F(ApprovalCommands, EnvironmentsAreSealedAndUnsealed) {
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"env", "seal", "prod", "--yes"}).out, "sealed environment prod\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/environments/prod/seal");
  EXPECT_EQ(Run({"env", "unseal", "prod"}).out, "unsealed environment prod\n");
  EXPECT_EQ(server_.requests().back().target, "/v1/sys/environments/prod/unseal");
}

TEST_F(ApprovalCommands, EnvironmentsDemandApproval) {
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"env", "create", "prod", "--require-approval", "delete,trim"}).status, 0);
  EXPECT_EQ(Json(OnlyRequest().body)["options"]["require_approval"], "delete,trim");
  EXPECT_EQ(Run({"env", "config", "prod", "--require-approval", "all"}).status, 0);
  EXPECT_EQ(Json(server_.requests().back().body)["options"]["require_approval"], "all");
}

}  // namespace
}  // namespace kms::testing
