// SPDX-License-Identifier: Apache-2.0
// kms-bench's measurements of slow and failing HSMs against a scripted server.
#include <gmock/gmock.h>

#include <atomic>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

ScriptedReply Data(const json& data) { return {200, json{{"data", data}}.dump()}; }

// Transit whose ciphertext is the plaintext behind the prefix, and one token that has been called
// 7 times.
ScriptedReply Answer(const ScriptedRequest& request) {
  if (request.target == "/v1/sys/hsm") {
    return Data({{"hsms", {{{"name", "default"}, {"calls", 7}}}}});
  }
  if (request.method == "GET") {
    return {200, "{}"};
  }
  const json body = json::parse(request.body, nullptr, false);
  if (request.target.find("/decrypt/") != std::string::npos) {
    return Data({{"plaintext", body.value("ciphertext", "vault:v1:").substr(9)}});
  }
  return Data({{"ciphertext", "vault:v1:" + body.value("plaintext", "")}});
}

class HsmBench : public ::testing::Test {
 protected:
  static ToolRun RunBench(const ScriptedHttpServer& server, std::vector<std::string> arguments) {
    std::vector<std::string> line = {KMS_BINARY_DIR "/kms-bench",
                                     "--address",
                                     server.url(),
                                     "--connections",
                                     "2",
                                     "--warmup",
                                     "0",
                                     "--json"};
    line.insert(line.end(), arguments.begin(), arguments.end());
    return ToolProcess(line, {{"KMS_TOKEN", "hvs.bench"}}, {}).Finish();
  }
  static std::vector<std::string> Targets(const ScriptedHttpServer& server) {
    std::vector<std::string> targets;
    for (const ScriptedRequest& request : server.requests()) {
      targets.push_back(request.target);
    }
    return targets;
  }
  TemporaryDirectory directory_;
  const std::string rules_ = directory_.path() + "/rules";
};

TEST_F(HsmBench, MakesEachColdKeyAndUsesItOnce) {
  ScriptedHttpServer made(Answer);
  EXPECT_EQ(RunBench(made, {"--make-keys", "2"}).status, 0);
  EXPECT_THAT(Targets(made),
              ::testing::ElementsAre("/v1/dev/keys/bench-0", "/v1/dev/keys/bench-1"));

  ScriptedHttpServer used(Answer);
  const ToolRun run = RunBench(used, {"--cold-keys", "2"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(Targets(used), ::testing::ElementsAre("/v1/sys/hsm", "/v1/dev/encrypt/bench-0",
                                                    "/v1/dev/encrypt/bench-1", "/v1/sys/hsm"));
  const json report = json::parse(run.out);
  EXPECT_EQ(report["cold_keys"], 2);
  EXPECT_EQ(report["hsm_calls_after"]["default"], 7);
}

TEST_F(HsmBench, AColdKeyThatIsNotServedFailsTheRun) {
  ScriptedHttpServer server([](const ScriptedRequest& request) {
    return request.method == "GET" ? Answer(request) : ScriptedReply{503, "{\"errors\":[]}"};
  });
  const ToolRun run = RunBench(server, {"--cold-keys", "2"});
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.err, HasSubstr("HTTP 503 to POST /v1/dev/encrypt/bench-0"));
}

TEST_F(HsmBench, RulesAreThereDuringTheDisturbanceAndGoneAfterIt) {
  std::atomic<bool> seen = false;
  ScriptedHttpServer server([&](const ScriptedRequest& request) {
    seen = seen || ReadFile(rules_).find("* hang\n") != std::string::npos;
    return Answer(request);
  });
  const ToolRun run =
      RunBench(server, {"--duration", "100ms", "--rate", "200", "--hsm-rules-file", rules_,
                        "--hsm-delay", "2ms", "--hsm-rate", "500", "--hsm-disturb", "* hang"});
  ASSERT_EQ(run.status, 0) << run.err << run.out;
  EXPECT_TRUE(seen);
  EXPECT_THAT(ReadFile(rules_), HasSubstr("* delay=2\n* limit=500\n"));
  EXPECT_THAT(ReadFile(rules_), ::testing::Not(HasSubstr("hang")));
  EXPECT_GT(json::parse(run.out)["p99_ratio"], 0);
}

TEST_F(HsmBench, LoadGoesOnUntilEachTaskIsDone) {
  std::atomic<int> asked = 0;
  ScriptedHttpServer server([&](const ScriptedRequest& request) {
    if (request.target == "/v1/sys/environments/e-0/rotate-master" ||
        request.target == "/v1/sys/environments/e-1/rotate-master") {
      return Data({{"task", request.target.substr(21, 3)}});
    }
    if (request.target.find("/v1/sys/tasks/") == 0) {
      return Data({{"state", ++asked > 2 ? "done" : "running"}, {"entries", 10}});
    }
    return Answer(request);
  });
  const ToolRun run =
      RunBench(server, {"--duration", "100ms", "--rate", "200", "--during", "rotate-master",
                        "--during-env", "e", "--during-environments", "2"});
  ASSERT_EQ(run.status, 0) << run.err << run.out;
  EXPECT_EQ(json::parse(run.out)["tasks"], 2);
  EXPECT_EQ(json::parse(run.out)["task_entries"], 20);
  EXPECT_THAT(Targets(server), ::testing::IsSupersetOf({std::string("/v1/sys/mounts/e-0"),
                                                        std::string("/v1/sys/mounts/e-1")}));
}

TEST_F(HsmBench, ATaskThatFailsIsNamedWithItsReason) {
  ScriptedHttpServer server([](const ScriptedRequest& request) {
    if (request.target == "/v1/sys/environments/dev/rotate-key") {
      return Data({{"task", "t1"}});
    }
    if (request.target == "/v1/sys/tasks/t1") {
      return Data({{"state", "failed"}, {"error", "the disk is full"}});
    }
    return Answer(request);
  });
  const ToolRun run =
      RunBench(server, {"--duration", "100ms", "--rate", "200", "--during", "rotate-key"});
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.err, HasSubstr("task t1 is failed: the disk is full"));
}

TEST_F(HsmBench, ADelayNeedsTheFileOfTheShim) {
  ScriptedHttpServer server(Answer);
  EXPECT_EQ(RunBench(server, {"--hsm-delay", "2ms"}).status, 2);
  EXPECT_EQ(RunBench(server, {"--hsm-rules-file", directory_.path() + "/no/rules"}).status, 2);
}

}  // namespace
}  // namespace kms::testing
