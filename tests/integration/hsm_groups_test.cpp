// SPDX-License-Identifier: Apache-2.0
// The real kmsd on two real SoftHSM tokens: one joins, one is replaced, one is gone at a start, and
// the configuration is read again.
#include <gmock/gmock.h>
#include <signal.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class HsmGroups : public ::testing::Test {
 protected:
  // The state directory with two tokens, served by `kmsd dev`; hsm-2 opens every environment too.
  void StartWithBoth() {
    ASSERT_TRUE(kmsd_.Start({"--hsms", "2"})) << kmsd_.Log();
    client_ = kmsd_.NewClient();
    for (const std::string& environment : EnvironmentNames()) {
      const HttpReply joined =
          client_->Post("/v1/sys/environments/" + environment + "/hsms", R"({"hsm":"hsm-2"})");
      ASSERT_EQ(joined.status, 200) << environment << joined.body;
    }
    const HttpReply reply = client_->Post("/v1/dev/encrypt/app", R"({"plaintext":"aGVsbG8="})");
    ASSERT_EQ(reply.status, 200) << reply.body;
    ciphertext_ = Data(reply)["ciphertext"];
  }

  static json Data(const HttpReply& reply) {
    const json body = json::parse(reply.body, nullptr, false);
    return body.is_object() && body.contains("data") ? body["data"] : json::object();
  }
  std::vector<std::string> EnvironmentNames() {
    const json data = Data(client_->Get("/v1/sys/environments/status"));
    std::vector<std::string> names;
    for (const json& environment : data.at("environments")) {
      names.push_back(environment.at("name"));
    }
    EXPECT_EQ(names.size(), 5U);
    return names;
  }
  std::string Decrypted() {
    const HttpReply reply =
        client_->Post("/v1/dev/decrypt/app", json{{"ciphertext", ciphertext_}}.dump());
    return reply.status == 200 ? Data(reply)["plaintext"].get<std::string>() : reply.body;
  }
  std::string StateOf(const std::string& hsm) {
    return Data(client_->Get("/v1/sys/hsm/" + hsm)).value("state", "");
  }

  // The configuration of this state directory with the sections `left_out` taken out.
  void WriteConfig(const std::vector<std::string>& left_out) {
    std::string text;
    ASSERT_EQ(RunProgram({KMS_BINARY_DIR "/kmsd", "dev", "--print-config", "--hsms", "2",
                          "--listen", "127.0.0.1:0", "--state-dir", state_},
                         &text),
              0);
    json config = json::parse(text, nullptr, /*allow_exceptions=*/false, /*ignore_comments=*/true);
    ASSERT_TRUE(config.is_object()) << text;
    for (const std::string& section : left_out) {
      config.erase(section);
    }
    WriteFile(config_, config.dump(2));
  }
  void Serve() {
    ASSERT_TRUE(kmsd_.Serve(config_)) << kmsd_.Log();
    client_ = kmsd_.NewClient();
  }

  TemporaryDirectory directory_;
  std::string state_ = directory_.path() + "/state";
  std::string config_ = directory_.path() + "/kms.json";
  KmsdProcess kmsd_{KMS_BINARY_DIR, state_};
  std::unique_ptr<HttpClient> client_;
  std::string ciphertext_;
};

TEST_F(HsmGroups, ATokenIsReplacedOnlineAndTheServiceStartsOnTheNewOneAlone) {
  StartWithBoth();
  for (const std::string& environment : EnvironmentNames()) {
    const HttpReply left =
        client_->Send("DELETE", "/v1/sys/environments/" + environment + "/hsms/default");
    EXPECT_EQ(left.status, 204) << environment << left.body;
    const HttpReply last =
        client_->Send("DELETE", "/v1/sys/environments/" + environment + "/hsms/hsm-2");
    EXPECT_EQ(last.status, 400);
    EXPECT_THAT(last.body, HasSubstr("is the last that opens"));
  }
  EXPECT_EQ(Decrypted(), "aGVsbG8=");
  EXPECT_EQ(kmsd_.Terminate(), 0) << kmsd_.Log();

  WriteConfig({"hsm"});
  Serve();
  EXPECT_EQ(kmsd_.workers().size(), 1U);
  EXPECT_EQ(Decrypted(), "aGVsbG8=");
  EXPECT_EQ(client_->Get("/v1/sys/hsm/default").status, 404);
  EXPECT_EQ(client_->Post("/v1/dev/keys/another").status, 200);
}

// A start needs one token of sys, not all; the other heals without a restart.
TEST_F(HsmGroups, H9_AWrongPinOfOneTokenDoesNotStopTheService) {
  StartWithBoth();
  EXPECT_EQ(kmsd_.Terminate(), 0) << kmsd_.Log();
  const std::string pin = ReadFile(state_ + "/pin");
  WriteFile(state_ + "/pin", "00000000\n");
  WriteConfig({});
  Serve();
  EXPECT_EQ(Decrypted(), "aGVsbG8=");
  EXPECT_TRUE(Eventually([&] { return StateOf("default") == "locked_out"; }));
  EXPECT_EQ(StateOf("hsm-2"), "ready");
  WriteFile(state_ + "/pin", pin);
  EXPECT_TRUE(Eventually([&] { return StateOf("default") == "ready"; })) << kmsd_.Log();
  EXPECT_TRUE(Eventually([&] {
    const json lease = Data(client_->Get("/v1/sys/environments/dev/lease"));
    return lease["members"][0]["state"] == "ready" && lease["members"][1]["state"] == "ready";
  })) << client_->Get("/v1/sys/environments/dev/lease").body;
}

TEST_F(HsmGroups, HangupAndReloadStartAndEndWorkers) {
  ASSERT_TRUE(kmsd_.Start({"--hsms", "2"})) << kmsd_.Log();
  EXPECT_EQ(kmsd_.Terminate(), 0);
  WriteConfig({"hsms"});
  Serve();
  EXPECT_EQ(kmsd_.workers().size(), 1U);

  WriteConfig({});
  ::kill(kmsd_.pid(), SIGHUP);
  EXPECT_TRUE(Eventually([&] { return StateOf("hsm-2") == "ready"; })) << kmsd_.Log();
  EXPECT_EQ(kmsd_.workers().size(), 2U);
  ASSERT_EQ(client_->Post("/v1/sys/environments/dev/hsms", R"({"hsm":"hsm-2"})").status, 200);

  WriteConfig({"hsms"});
  const HttpReply refused = client_->Post("/v1/sys/hsm/reload");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("HSM hsm-2 still serves dev"));
  EXPECT_EQ(kmsd_.workers().size(), 2U);

  ASSERT_EQ(client_->Send("DELETE", "/v1/sys/environments/dev/hsms/hsm-2").status, 204);
  const HttpReply planned = client_->Post("/v1/sys/hsm/reload", R"({"dry_run":true})");
  EXPECT_EQ(Data(planned)["removed"], json({"hsm-2"}));
  EXPECT_EQ(kmsd_.workers().size(), 2U);
  EXPECT_EQ(client_->Post("/v1/sys/hsm/reload").status, 200);
  EXPECT_TRUE(Eventually([&] { return kmsd_.workers().size() == 1; }));
  EXPECT_EQ(client_->Get("/v1/sys/hsm/hsm-2").status, 404);
}

TEST_F(HsmGroups, AConfigurationThatIsNotValidChangesNothing) {
  ASSERT_TRUE(kmsd_.Start({"--hsms", "2"})) << kmsd_.Log();
  EXPECT_EQ(kmsd_.Terminate(), 0);
  WriteConfig({});
  Serve();
  WriteFile(config_, R"({"hsm": {"modul": "/m"}})");
  const HttpReply reply = client_->Post("/v1/sys/hsm/reload");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("did you mean hsm.module?"));
  ::kill(kmsd_.pid(), SIGHUP);
  EXPECT_TRUE(Eventually(
      [&] { return kmsd_.Log().find("the HSM tokens were not reloaded") != std::string::npos; }));
  EXPECT_EQ(kmsd_.workers().size(), 2U);
  EXPECT_EQ(StateOf("default"), "ready");
}

TEST_F(HsmGroups, KmsctlAddsWaitsListsAndRemoves) {
  ASSERT_TRUE(kmsd_.Start({"--hsms", "2"})) << kmsd_.Log();
  const std::string address = "http://127.0.0.1:" + std::to_string(kmsd_.port());
  const auto kmsctl = [&](std::vector<std::string> arguments, std::string* output) {
    arguments.insert(arguments.begin(), KMS_BINARY_DIR "/kmsctl");
    arguments.insert(arguments.end(),
                     {"--address", address, "--token-file", state_ + "/root-token"});
    return RunProgram(arguments, output);
  };
  std::string output;
  EXPECT_EQ(kmsctl({"hsm", "add", "hsm-2", "--all", "--wait"}, &output), 0) << output;
  EXPECT_THAT(output, HasSubstr("HSM hsm-2 opens prod"));
  EXPECT_EQ(kmsctl({"hsm", "list"}, &output), 0) << output;
  EXPECT_THAT(output, HasSubstr("hsm-2    ready  ok"));
  EXPECT_EQ(kmsctl({"env", "lease", "prod"}, &output), 0) << output;
  EXPECT_THAT(output, HasSubstr("hsm-2"));
  EXPECT_EQ(kmsctl({"hsm", "remove", "default", "--all", "--yes"}, &output), 0) << output;
  EXPECT_EQ(kmsctl({"hsm", "remove", "hsm-2", "--env", "prod", "--yes"}, &output), 5) << output;
}

}  // namespace
}  // namespace kms::testing
