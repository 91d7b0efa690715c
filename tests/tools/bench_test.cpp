// SPDX-License-Identifier: Apache-2.0
// kms-bench against a scripted server: counts, errors, wrong answers, the ceiling.
#include <gmock/gmock.h>

#include <atomic>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;

// A server whose ciphertext is the plaintext behind the prefix.
ScriptedReply AnswerTransit(const ScriptedRequest& request) {
  if (request.method == "GET") {
    return {200, "{\"sealed\":false}"};
  }
  const nlohmann::json body = nlohmann::json::parse(request.body);
  nlohmann::json data;
  if (request.target.find("/encrypt/") != std::string::npos) {
    data["ciphertext"] = "vault:v1:" + body["plaintext"].get<std::string>();
  } else if (request.target.find("/decrypt/") != std::string::npos) {
    data["plaintext"] = body["ciphertext"].get<std::string>().substr(9);
  } else {
    data["ciphertext"] = body.value("ciphertext", "vault:v1:");
  }
  return {200, nlohmann::json{{"data", data}}.dump()};
}

class Bench : public ::testing::Test {
 protected:
  static ToolRun RunBench(const ScriptedHttpServer& server, std::vector<std::string> arguments) {
    std::vector<std::string> line = {KMS_BINARY_DIR "/kms-bench",
                                     "--address",
                                     server.url(),
                                     "--connections",
                                     "4",
                                     "--warmup",
                                     "0",
                                     "--json"};
    line.insert(line.end(), arguments.begin(), arguments.end());
    return ToolProcess(line, {{"KMS_TOKEN", "hvs.bench"}}, {}).Finish();
  }
};

TEST_F(Bench, CountsAnswersAndVerifiesASample) {
  ScriptedHttpServer server(AnswerTransit);
  const ToolRun run = RunBench(server, {"--duration", "200ms", "--mount", "prod", "--key", "k"});
  ASSERT_EQ(run.status, 0) << run.err << run.out;
  const nlohmann::json report = nlohmann::json::parse(run.out);
  EXPECT_GT(report["requests"], 0);
  EXPECT_EQ(report["requests"], report["statuses"]["200"]);
  EXPECT_EQ(report["requests"], report["verbs"]["encrypt"]);
  EXPECT_EQ(report["errors"], 0);
  EXPECT_GT(report["samples_verified"], 0);
  EXPECT_EQ(report["samples_wrong"], 0);
  EXPECT_EQ(server.requests()[0].target, "/v1/prod/keys/k");
  EXPECT_EQ(server.requests()[0].Header("X-Vault-Token"), "hvs.bench");
}

TEST_F(Bench, MixSendsEveryVerb) {
  ScriptedHttpServer server(AnswerTransit);
  const ToolRun run =
      RunBench(server, {"--duration", "300ms", "--mix", "encrypt=1,decrypt=1,rewrap=1,datakey=1"});
  ASSERT_EQ(run.status, 0) << run.err << run.out;
  const nlohmann::json verbs = nlohmann::json::parse(run.out)["verbs"];
  for (const char* verb : {"encrypt", "decrypt", "rewrap", "datakey"}) {
    EXPECT_GT(verbs.value(verb, 0), 0) << verb;
  }
}

TEST_F(Bench, BatchPutsItemsIntoEachRequest) {
  ScriptedHttpServer server([](const ScriptedRequest& request) {
    const nlohmann::json body = nlohmann::json::parse(request.body, nullptr, false);
    if (!body.contains("batch_input")) {
      return AnswerTransit(request);
    }
    nlohmann::json results = nlohmann::json::array();
    for (const nlohmann::json& item : body["batch_input"]) {
      const bool decrypts = item.contains("ciphertext");
      results.push_back(decrypts ? nlohmann::json{{"plaintext", item["ciphertext"]}}
                                 : nlohmann::json{{"ciphertext", item["plaintext"]}});
    }
    return ScriptedReply{200, nlohmann::json{{"data", {{"batch_results", results}}}}.dump()};
  });
  const ToolRun run = RunBench(server, {"--duration", "100ms", "--batch", "7"});
  ASSERT_EQ(run.status, 0) << run.err << run.out;
  EXPECT_EQ(nlohmann::json::parse(server.requests().back().body)["batch_input"].size(), 7U);
}

TEST_F(Bench, ReportsErrorsByStatusAndFails) {
  std::atomic<int> count = 0;
  ScriptedHttpServer server([&count](const ScriptedRequest& request) {
    return ++count > 100 ? ScriptedReply{503, "{\"errors\":[]}"} : AnswerTransit(request);
  });
  const ToolRun run = RunBench(server, {"--duration", "100ms"});
  EXPECT_EQ(run.status, 1);
  const nlohmann::json report = nlohmann::json::parse(run.out);
  EXPECT_GT(report["errors"], 0);
  EXPECT_EQ(report["errors"], report["statuses"]["503"]);
}

TEST_F(Bench, NoticesCiphertextsThatDoNotDecrypt) {
  ScriptedHttpServer server([](const ScriptedRequest& request) {
    if (request.target.find("/decrypt/") != std::string::npos) {
      return ScriptedReply{200, "{\"data\":{\"plaintext\":\"AAAA\"}}"};
    }
    return AnswerTransit(request);
  });
  const ToolRun run = RunBench(server, {"--duration", "100ms"});
  EXPECT_EQ(run.status, 1);
  EXPECT_GT(nlohmann::json::parse(run.out)["samples_wrong"], 0);
}

TEST_F(Bench, CountsBrokenConnectionsAndGoesOn) {
  std::atomic<int> count = 0;
  ScriptedHttpServer server([&count](const ScriptedRequest& request) {
    return ++count == 100 ? ScriptedReply{0, ""} : AnswerTransit(request);
  });
  const ToolRun run = RunBench(server, {"--duration", "300ms"});
  EXPECT_EQ(run.status, 1);
  const nlohmann::json report = nlohmann::json::parse(run.out);
  EXPECT_EQ(report["broken_connections"], 1);
  EXPECT_GT(report["requests"], 100);
}

TEST_F(Bench, OpenLoopKeepsItsRate) {
  ScriptedHttpServer server(AnswerTransit);
  const ToolRun run = RunBench(server, {"--duration", "2s", "--rate", "300"});
  ASSERT_EQ(run.status, 0) << run.err << run.out;
  // Poisson with a mean of 600: five standard deviations are 122.
  EXPECT_NEAR(nlohmann::json::parse(run.out)["requests"].get<double>(), 600, 125);
}

TEST_F(Bench, OpenLoopCountsTheTimeSpentWaitingForAStalledServer) {
  std::atomic<int> count = 0;
  ScriptedHttpServer server([&count](const ScriptedRequest& request) {
    if (++count > 200 && count <= 204) {
      // All four connections stall once; a closed loop would see four slow answers only.
      const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
      while (std::chrono::steady_clock::now() < until) {
        std::this_thread::yield();
      }
    }
    return AnswerTransit(request);
  });
  const ToolRun run = RunBench(server, {"--duration", "1s", "--rate", "400"});
  ASSERT_EQ(run.status, 0) << run.err << run.out;
  const nlohmann::json report = nlohmann::json::parse(run.out);
  EXPECT_GT(report["longest_queue"], 20);
  EXPECT_GT(report["latency_us"]["p90"], 50000.0);
}

TEST_F(Bench, CeilingReportsRatiosWithIntervals) {
  ScriptedHttpServer server(AnswerTransit);
  const ToolRun run =
      RunBench(server, {"--duration", "100ms", "--ceiling", "--pid", std::to_string(::getpid())});
  ASSERT_EQ(run.status, 0) << run.err << run.out;
  const nlohmann::json report = nlohmann::json::parse(run.out);
  EXPECT_EQ(report["rounds"], 3);
  for (const char* name : {"throughput_ratio", "cpu_ratio"}) {
    EXPECT_GT(report[name]["median"], 0) << name;
    EXPECT_LE(report[name]["low"], report[name]["median"]) << name;
    EXPECT_GE(report[name]["high"], report[name]["median"]) << name;
  }
  EXPECT_GT(report["mix"]["server"]["resident_bytes"], 0);
  EXPECT_GT(report["ceiling"]["verbs"]["ceiling"], 0);
}

TEST_F(Bench, RefusesAWrongMixAndAWrongDuration) {
  ScriptedHttpServer server(AnswerTransit);
  for (const std::vector<std::string>& line : {std::vector<std::string>{"--mix", "sing=1"},
                                               {"--mix", "encrypt=0"},
                                               {"--mix", ""},
                                               {"--mix", "encrypt=x"},
                                               {"--duration", "5 parsecs"},
                                               {"--duration", "-1s"},
                                               {"--pid", "999999999"}}) {
    const ToolRun run = RunBench(server, line);
    EXPECT_EQ(run.status, 2) << line[1] << run.err;
  }
}

TEST_F(Bench, SaysWhatTheServerAnsweredWhenTheKeyCannotBeMade) {
  ScriptedHttpServer server([](const ScriptedRequest&) {
    return ScriptedReply{403, "{\"errors\":[\"permission denied\"]}"};
  });
  const ToolRun run = RunBench(server, {});
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.err, HasSubstr("HTTP 403"));
  EXPECT_THAT(run.err, HasSubstr("permission denied"));
}

TEST_F(Bench, ReportsWhatANoisyNeighbourDoesToTheLatencyOfAQuietOne) {
  TemporaryDirectory directory;
  WriteFile(directory.path() + "/noisy", "hvs.noisy\n");
  ScriptedHttpServer server([](const ScriptedRequest& request) {
    return request.Header("X-Vault-Token") == "hvs.noisy"
               ? ScriptedReply{429, R"({"errors":["rate limit quota exceeded"]})"}
               : AnswerTransit(request);
  });
  const ToolRun run =
      RunBench(server, {"--duration", "600ms", "--rate", "100", "--noise", "2",
                        "--noise-token-file", directory.path() + "/noisy"});
  ASSERT_EQ(run.status, 0) << run.err << run.out;  // what the noisy one is refused is no error
  const nlohmann::json report = nlohmann::json::parse(run.out);
  EXPECT_EQ(report["rounds"], 3);
  EXPECT_GT(report["quiet"]["requests"], 0);
  EXPECT_GT(report["disturbed"]["requests"], 0);
  EXPECT_EQ(report["quiet"]["errors"], 0);
  EXPECT_EQ(report["disturbed"]["errors"], 0);
  EXPECT_GT(report["noise"]["statuses"]["429"], 0);
  EXPECT_FALSE(report["noise"]["statuses"].contains("200"));
  EXPECT_GT(report["p99_ratio"]["median"], 0);
}

TEST_F(Bench, NoiseNeedsARateAndATokenOfItsOwn) {
  ScriptedHttpServer server(AnswerTransit);
  EXPECT_EQ(RunBench(server, {"--noise", "2", "--rate", "10"}).status, 2);
  EXPECT_EQ(RunBench(server, {"--noise", "2", "--noise-token-file", "x"}).status, 2);
  EXPECT_EQ(RunBench(server, {"--noise", "2", "--rate", "10", "--noise-token-file", "x",
                              "--ceiling"})
                .status,
            2);
  EXPECT_TRUE(server.requests().empty());
}

}  // namespace
}  // namespace kms::testing
