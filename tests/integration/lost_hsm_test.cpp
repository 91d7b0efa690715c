// SPDX-License-Identifier: Apache-2.0
// The real kmsd on two real SoftHSM tokens of which one burns: it is declared lost, the master key
// is rotated and retired without it, the signed statement says so, and another token bears its
// name.
#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class LostHsm : public ::testing::Test {
 protected:
  void StartDev() {
    ASSERT_TRUE(kmsd_.Start({"--hsms", "2"})) << kmsd_.Log();
    client_ = kmsd_.NewClient();
  }
  // Both open everything, and something is encrypted.
  void StartWithBoth() {
    StartDev();
    ASSERT_EQ(Kmsctl({"hsm", "add", "hsm-2", "--all", "--wait"}), 0) << output_;
    const HttpReply reply = client_->Post("/v1/dev/encrypt/app", R"({"plaintext":"aGVsbG8="})");
    ASSERT_EQ(reply.status, 200) << reply.body;
    ciphertext_ = Data(reply)["ciphertext"];
  }
  int Kmsctl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), KMS_BINARY_DIR "/kmsctl");
    arguments.insert(arguments.end(),
                     {"--address", "http://127.0.0.1:" + std::to_string(kmsd_.port()),
                      "--token-file", state_ + "/root-token"});
    return RunProgram(arguments, &output_);
  }
  void Burn(const std::string& directory) { std::filesystem::remove_all(state_ + directory); }

  static json Data(const HttpReply& reply) {
    const json body = json::parse(reply.body, nullptr, false);
    return body.is_object() && body.contains("data") ? body["data"] : json::object();
  }
  json MemberOf(const std::string& environment, const std::string& hsm) {
    const json data = Data(client_->Get("/v1/sys/environments/" + environment + "/hsms"));
    for (const json& member : data.value("members", json::array())) {
      if (member.value("hsm", "") == hsm) {
        return member;
      }
    }
    return json::object();
  }
  bool AwaitState(const std::string& hsm, const std::string& state, bool wanted) {
    return Eventually(
        [&] {
          return (MemberOf("dev", hsm).value("state", "") == state) == wanted &&
                 (MemberOf("sys", hsm).value("state", "") == state) == wanted;
        },
        std::chrono::seconds(40));
  }
  std::string Decrypted() {
    const HttpReply reply =
        client_->Post("/v1/dev/decrypt/app", json{{"ciphertext", ciphertext_}}.dump());
    return reply.status == 200 ? Data(reply)["plaintext"].get<std::string>() : reply.body;
  }

  TemporaryDirectory directory_;
  std::string state_ = directory_.path() + "/state";
  KmsdProcess kmsd_{KMS_BINARY_DIR, state_};
  std::unique_ptr<HttpClient> client_;
  std::string ciphertext_;
  std::string output_;
};

TEST_F(LostHsm, ABurntTokenIsDeclaredLostAndTheStatementOfTheRetirementSaysSo) {
  ASSERT_NO_FATAL_FAILURE(StartWithBoth());
  Burn("/hsm-2");
  ASSERT_TRUE(AwaitState("hsm-2", "ready", false)) << MemberOf("dev", "hsm-2");
  EXPECT_EQ(Kmsctl({"hsm", "remove", "default", "--env", "dev", "--lost", "--yes"}), 5) << output_;
  EXPECT_EQ(Kmsctl({"hsm", "remove", "hsm-2", "--all", "--lost"}), 2) << "nobody confirmed it";

  ASSERT_EQ(Kmsctl({"hsm", "remove", "hsm-2", "--all", "--lost", "--reason", "fire", "--yes"}), 0)
      << output_;
  EXPECT_THAT(output_, HasSubstr("HSM hsm-2 is lost to prod"));
  EXPECT_EQ(Kmsctl({"hsm", "remove", "hsm-2", "--all", "--lost", "--yes"}), 3) << "done already";
  EXPECT_EQ(Kmsctl({"hsm", "lost", "--env", "dev"}), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("fire"));

  ASSERT_EQ(Kmsctl({"master", "rotate", "--env", "dev"}), 0) << output_;
  ASSERT_EQ(Kmsctl({"master", "retire", "--env", "dev", "--version", "1", "--yes"}), 0) << output_;
  const json statements = Data(client_->Send("LIST", "/v1/sys/statements"));
  ASSERT_EQ(statements["keys"].size(), 1U) << statements;
  const std::string id = statements["keys"][0];
  const std::string file = directory_.path() + "/statement.json";
  ASSERT_EQ(Kmsctl({"master", "statement", id, "--out", file}), 0) << output_;
  const json text = json::parse(json::parse(ReadFile(file), nullptr, false).value("statement", ""),
                                nullptr, false);
  ASSERT_TRUE(text.is_object()) << ReadFile(file);
  ASSERT_EQ(text["not_destroyed"].size(), 1U) << text;
  EXPECT_EQ(text["not_destroyed"][0]["hsm"], "hsm-2");
  EXPECT_EQ(text["not_destroyed"][0]["declared_by"], "root");
  EXPECT_EQ(text["not_destroyed"][0]["reason"], "fire");
  EXPECT_EQ(text["objects"].size(), 1U);
  EXPECT_EQ(Kmsctl({"master", "verify-statement", file}), 0) << output_;
  EXPECT_EQ(Decrypted(), "aGVsbG8=");
  EXPECT_THAT(ReadFile(state_ + "/audit.log"), HasSubstr("hsm-lost"));
}

TEST_F(LostHsm, ATokenInItsPlaceJoinsUnderItsNameAndOpensEverythingAlone) {
  ASSERT_NO_FATAL_FAILURE(StartWithBoth());
  EXPECT_EQ(kmsd_.Terminate(), 0) << kmsd_.Log();
  Burn("/hsm-2");
  ASSERT_NO_FATAL_FAILURE(StartDev());  // makes another token of that name
  ASSERT_TRUE(AwaitState("hsm-2", "refused", true)) << MemberOf("dev", "hsm-2");
  EXPECT_THAT(MemberOf("dev", "hsm-2").value("reason", ""), HasSubstr("kmsctl hsm remove --lost"));

  ASSERT_EQ(Kmsctl({"hsm", "remove", "hsm-2", "--all", "--lost", "--yes"}), 0) << output_;
  ASSERT_EQ(Kmsctl({"hsm", "add", "hsm-2", "--all", "--wait"}), 0) << output_;
  EXPECT_EQ(Decrypted(), "aGVsbG8=");

  Burn("/tokens");
  Burn("/backup");
  ASSERT_TRUE(AwaitState("default", "ready", false)) << MemberOf("dev", "default");
  EXPECT_EQ(client_->Post("/v1/sys/environments/dev/seal").status, 204);
  EXPECT_EQ(client_->Post("/v1/sys/environments/dev/unseal").status, 204);
  EXPECT_EQ(Decrypted(), "aGVsbG8=");
}

// ---- what the start says ------------------------------------------------------------------------

TEST_F(LostHsm, TheStartAndStatusSayOnceWhatNobodyCouldRecover) {
  ASSERT_NO_FATAL_FAILURE(StartDev());
  const std::string log = kmsd_.Log();
  const std::size_t said = log.find("no recovery holders: sys, dev, prod, staging, transit");
  ASSERT_NE(said, std::string::npos) << log;
  EXPECT_EQ(log.find("no recovery holders", said + 1), std::string::npos);
  EXPECT_EQ(log.rfind("warn", said), std::string::npos) << "kmsd dev says it calmly";
  EXPECT_EQ(Kmsctl({"status"}), 0);
  EXPECT_THAT(output_, HasSubstr("no recovery holders: sys, dev"));
  EXPECT_EQ(Kmsctl({"status", "--json"}), 0);
  EXPECT_THAT(output_, HasSubstr(R"("without_recovery_holders":["sys","dev")"));
}

}  // namespace
}  // namespace kms::testing
