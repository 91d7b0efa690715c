// SPDX-License-Identifier: Apache-2.0
// kmsctl master …, env rotate-key, task …: requests, waiting and rendering.
#include <gmock/gmock.h>

#include "kms/base/base64.h"
#include "kms/base/digest.h"
#include "kms/crypto/signature.h"
#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kId = "6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11";

class MasterCommands : public KmsctlTest {
 protected:
  static nlohmann::json Task(const std::string& state, const std::string& step, int percent) {
    return {{"task", kId},
            {"kind", "rotate-key"},
            {"environment", "prod"},
            {"state", state},
            {"parameters", {{"version", "2"}}},
            {"step", step},
            {"done", percent},
            {"total", 100},
            {"percent", percent},
            {"entries", 40},
            {"rate", 0},
            {"notes", {"HSM b gets master key version 2 when it returns"}},
            {"created", "2026-01-01T00:00:00.000000000Z"},
            {"error", ""},
            {"asked_by", "root"}};
  }
};

TEST_F(MasterCommands, RotateStartsATaskAndWaitsForIt) {
  ReplyData(Task("running", "waiting for its turn", 0));
  ReplyData(Task("running", "sealing entries", 40));
  ReplyData(Task("done", "", 100));
  const ToolRun run = Run({"env", "rotate-key", "--env", "prod", "--rate", "500"});
  EXPECT_EQ(run.status, 0) << run.err;
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[0].method, "POST");
  EXPECT_EQ(requests[0].target, "/v1/sys/environments/prod/rotate-key");
  EXPECT_EQ(Json(requests[0].body), (nlohmann::json{{"rate", 500}}));
  EXPECT_EQ(requests[1].target, std::string("/v1/sys/tasks/") + kId);
  EXPECT_EQ(run.out, "done: rotate-key of environment prod, 40 entries changed\n");
  EXPECT_THAT(run.err, AllOf(HasSubstr("40% sealing entries (40 of 100)"),
                             HasSubstr("note: HSM b gets master key version 2")));
}

TEST_F(MasterCommands, WaitingOutlivesAServerThatRestarts) {
  ReplyData(Task("running", "sealing entries", 1));
  ReplyError(503, "environment is sealed");
  ReplyData(Task("done", "", 100));
  const ToolRun run = Run({"master", "rotate", "--env", "prod", "--to-token", "new", "--json"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(Json(server_.requests()[0].body), (nlohmann::json{{"to_hsm", "new"}}));
  EXPECT_EQ(Json(run.out)["state"], "done");
}

TEST_F(MasterCommands, AFailedTaskSaysHowItGoesOn) {
  nlohmann::json failed = Task("failed", "sealing entries", 40);
  failed["error"] = "3 entries do not open";
  ReplyData(Task("running", "sealing entries", 1));
  ReplyData(failed);
  const ToolRun run = Run({"env", "rotate-key", "--env", "prod"});
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, AllOf(HasSubstr("3 entries do not open"),
                             HasSubstr(std::string("kmsctl task resume ") + kId)));
}

TEST_F(MasterCommands, DetachDoesNotWait) {
  ReplyData(Task("running", "waiting for its turn", 0));
  const ToolRun run = Run({"master", "rotate", "--env", "prod", "--detach"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr(std::string("kmsctl task watch ") + kId));
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/environments/prod/rotate-master");
}

TEST_F(MasterCommands, DryRunPrintsThePlan) {
  ReplyData({{"dry_run", true},
             {"steps", {"make a key", "switch"}},
             {"warnings", {"HSM b is away"}},
             {"refusals", nlohmann::json::array()}});
  const ToolRun run = Run({"master", "rotate", "--env", "prod", "--dry-run"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"dry_run", true}}));
  EXPECT_EQ(run.out, "1. make a key\n2. switch\n");
  EXPECT_THAT(run.err, HasSubstr("warning: HSM b is away"));
}

TEST_F(MasterCommands, RetireAsksFirst) {
  const ToolRun run = Run({"master", "retire", "--env", "prod", "--version", "1"});
  EXPECT_EQ(run.status, 2);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(MasterCommands, RetireSendsTheVersion) {
  ReplyError(400, "this cannot be done now: it is the current version");
  const ToolRun run = Run({"master", "retire", "--env", "prod", "--version", "1", "--yes"});
  EXPECT_EQ(run.status, 5);
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/environments/prod/retire-master");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"version", 1}}));
  EXPECT_THAT(run.err, HasSubstr("it is the current version"));
}

TEST_F(MasterCommands, ListShowsVersionsByHsm) {
  ReplyData({{"environments",
              {{{"name", "prod"},
                {"master_key_version", 2},
                {"environment_key_version", 3},
                {"members",
                 {{{"hsm", "a"},
                   {"master_key_versions", {1, 2}},
                   {"missing_wraps", 0},
                   {"state", "ready"}},
                  {{"hsm", "b"},
                   {"master_key_versions", {1}},
                   {"missing_wraps", 1},
                   {"state", "away"}}}}}}}});
  EXPECT_EQ(Run({"master", "list"}).out,
            "ENVIRONMENT  CURRENT  ENV KEY  HSM  VERSIONS  MISSING WRAPS  STATE\n"
            "prod         2        3        a    1, 2      0              ready\n"
            "prod         2        3        b    1         1              away\n");
}

TEST_F(MasterCommands, TasksAreListedAndShown) {
  ReplyData({{"keys", {kId}}, {"key_info", {{kId, Task("running", "sealing entries", 40)}}}});
  const ToolRun run = Run({"task", "list"});
  EXPECT_EQ(OnlyRequest().method, "LIST");
  EXPECT_THAT(run.out, AllOf(StartsWith("TASK "), HasSubstr(kId), HasSubstr("40%")));
}

TEST_F(MasterCommands, NoTasksIsNoError) {
  ReplyError(404, "");
  EXPECT_EQ(Run({"task", "list"}).status, 0);
}

TEST_F(MasterCommands, ThrottleSendsTheRate) {
  ReplyData(Task("running", "sealing entries", 40));
  EXPECT_EQ(Run({"task", "throttle", kId, "100"}).status, 0);
  EXPECT_EQ(OnlyRequest().target, std::string("/v1/sys/tasks/") + kId + "/throttle");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"rate", 100}}));
}

TEST_F(MasterCommands, CancelAndResumeShowTheTask) {
  ReplyData(Task("cancelled", "sealing entries", 40));
  EXPECT_THAT(Run({"task", "cancel", kId}).out, HasSubstr("cancelled"));
  EXPECT_THAT(Run({"task", "resume", kId}).out, HasSubstr("rotate-key"));
  EXPECT_EQ(server_.requests()[1].target, std::string("/v1/sys/tasks/") + kId + "/resume");
}

TEST_F(MasterCommands, AStatementIsVerifiedWithoutAServer) {
  const AsymmetricKey key = AsymmetricKey::Generate(AsymmetricAlgorithm::kEcdsaP256).value();
  const std::string text = R"({"statement":"kms master key destruction v1"})";
  const Bytes signature = CreateSignature(key, {}, AsBytes(text)).value();
  const Bytes public_key = key.PublicKey().value();
  nlohmann::json file = {{"statement", text},
                         {"signature", Base64Encode(signature)},
                         {"public_key", Base64Encode(public_key)}};
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/statement.json";
  WriteFile(path, file.dump());
  const ToolRun good = Run({"master", "verify-statement", path});
  EXPECT_EQ(good.status, 0) << good.err;
  EXPECT_THAT(good.out, AllOf(HasSubstr("verified"), HasSubstr(HexEncode(Sha256(public_key)))));

  file["statement"] = text + " ";
  WriteFile(path, file.dump());
  EXPECT_EQ(Run({"master", "verify-statement", path}).status, 5);
  EXPECT_TRUE(server_.requests().empty());
}

}  // namespace
}  // namespace kms::testing
