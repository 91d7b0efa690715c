// SPDX-License-Identifier: Apache-2.0
// The real kmsd moves from SoftHSM to another vendor's module, online: the same path as from any
// HSM to another one; then the scrub looks at everything.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/kmsd_process.h"
#include "tests/support/nss_fixture.h"

namespace kms::testing {
namespace {

using nlohmann::json;

class VendorChange : public ::testing::Test {
 protected:
  static json Data(const HttpReply& reply) {
    const json body = json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
    return body.is_object() && body.contains("data") ? body["data"] : json::object();
  }

  // What `kmsd dev` runs, with the other vendor's token besides; `default` is left out in the end.
  void WriteConfig(const NssToken& nss, bool with_default) {
    std::string text;
    ASSERT_EQ(RunProgram({KMS_BINARY_DIR "/kmsd", "dev", "--print-config", "--listen",
                          "127.0.0.1:0", "--state-dir", state_},
                         &text),
              0);
    json config = json::parse(text, nullptr, /*allow_exceptions=*/false, /*ignore_comments=*/true);
    ASSERT_TRUE(config.is_object()) << text;
    config["hsms"]["nss"] = {{"module", nss.options().module_path},
                             {"module_init", nss.options().module_init},
                             {"token_label", nss.options().token_label},
                             {"pin", "file:" + nss.options().pin.value}};
    if (!with_default) {
      config.erase("hsm");
    }
    WriteFile(config_, config.dump(2));
  }
  void Serve() {
    ASSERT_TRUE(kmsd_.Serve(config_)) << kmsd_.Log();
    client_ = kmsd_.NewClient();
  }
  std::vector<std::string> EnvironmentNames() {
    std::vector<std::string> names;
    const json status = Data(client_->Get("/v1/sys/environments/status"));
    for (const json& one : status.at("environments")) {
      names.push_back(one.at("name"));
    }
    EXPECT_EQ(names.size(), 5U);
    return names;
  }
  // From everywhere: first the new one joins, then the old one leaves and is wiped.
  void Move() {
    for (const std::string& name : EnvironmentNames()) {
      const std::string members = "/v1/sys/environments/" + name + "/hsms";
      HttpReply reply;
      EXPECT_TRUE(Eventually([&] {
        reply = client_->Post(members, R"({"hsm":"nss"})");
        return reply.status == 200;
      })) << reply.body;
      EXPECT_TRUE(Eventually([&] {
        reply = client_->Send("DELETE", members + "/default?destroy=true");
        return reply.status == 204;
      })) << reply.body;
    }
  }
  std::string Decrypted(const std::string& key, const std::string& ciphertext) {
    const HttpReply reply =
        client_->Post("/v1/dev/decrypt/" + key, json{{"ciphertext", ciphertext}}.dump());
    return reply.status == 200 ? Data(reply)["plaintext"].get<std::string>() : reply.body;
  }
  std::string Encrypted(const std::string& key) {
    const HttpReply reply = client_->Post("/v1/dev/encrypt/" + key, R"({"plaintext":"aGVsbG8="})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    return Data(reply).value("ciphertext", "");
  }

  TemporaryDirectory directory_;
  std::string state_ = directory_.path() + "/state";
  std::string config_ = directory_.path() + "/kms.json";
  KmsdProcess kmsd_{KMS_BINARY_DIR, state_};
  std::unique_ptr<HttpClient> client_;
};

TEST_F(VendorChange, SoftHsmIsReplacedByAnotherModuleOnlineAndTheScrubFindsNothing) {
  if (!NssToken::IsInstalled()) {
    GTEST_SKIP() << "NSS is not installed";
  }
  const NssToken nss;
  ASSERT_TRUE(nss.ok());
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  ASSERT_EQ(kmsd_.Terminate(), 0) << kmsd_.Log();
  ASSERT_NO_FATAL_FAILURE(WriteConfig(nss, /*with_default=*/true));
  ASSERT_NO_FATAL_FAILURE(Serve());
  const std::string before = Encrypted("app");
  Move();
  const std::string after = Encrypted("app");
  EXPECT_EQ(Decrypted("app", before), "aGVsbG8=");
  EXPECT_EQ(kmsd_.Terminate(), 0) << kmsd_.Log();

  ASSERT_NO_FATAL_FAILURE(WriteConfig(nss, /*with_default=*/false));
  ASSERT_NO_FATAL_FAILURE(Serve());
  EXPECT_EQ(kmsd_.workers().size(), 1U);
  EXPECT_EQ(Decrypted("app", before), "aGVsbG8=");
  EXPECT_EQ(Decrypted("app", after), "aGVsbG8=");
  EXPECT_EQ(client_->Post("/v1/dev/keys/another").status, 200);

  ASSERT_EQ(client_->Post("/v1/sys/scrub").status, 204);
  json scrub;
  EXPECT_TRUE(Eventually([&] {
    scrub = Data(client_->Get("/v1/sys/scrub"));
    return scrub.value("passes", 0) > 0 && !scrub.value("under_way", true);
  }));
  EXPECT_TRUE(scrub["findings"].empty()) << scrub;
  EXPECT_GE(scrub["previous"]["wraps"].get<int>(), 5) << scrub;
}

}  // namespace
}  // namespace kms::testing
