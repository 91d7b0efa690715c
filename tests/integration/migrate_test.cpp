// SPDX-License-Identifier: Apache-2.0
// kmsctl migrate vault between two real servers: keys of every kind come with names and versions.
#include <gmock/gmock.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kKmsctl = std::string{KMS_BINARY_DIR} + "/kmsctl";

class MigrateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(source_.Start()) << source_.Log();
    ASSERT_TRUE(destination_.Start()) << destination_.Log();
    ::setenv("KMS_ADDR", UrlOf(destination_).c_str(), 1);
    ::setenv("KMS_TOKEN", destination_.token().c_str(), 1);
    ::setenv("VAULT_TOKEN", source_.token().c_str(), 1);
  }
  void TearDown() override {
    for (const char* const name : {"KMS_ADDR", "KMS_TOKEN", "VAULT_TOKEN"}) {
      ::unsetenv(name);
    }
  }

  static std::string UrlOf(const KmsdProcess& kmsd) {
    return "http://127.0.0.1:" + std::to_string(kmsd.port());
  }

  std::string Migrate(std::vector<std::string> more, int expected_status) {
    std::vector<std::string> line = {kKmsctl, "migrate", "vault", "--from", UrlOf(source_),
                                     "--env", "prod"};
    line.insert(line.end(), more.begin(), more.end());
    std::string output;
    EXPECT_EQ(RunProgram(line, &output), expected_status) << output;
    return output;
  }

  // A key at the source with three versions, the second of which is the oldest that decrypts.
  void MakeKey(const std::string& name, const std::string& body) {
    const auto client = source_.NewClient();
    ASSERT_EQ(client->Post("/v1/transit/keys/" + name, body).status, 200) << name;
    for (int i = 0; i < 2; ++i) {
      ASSERT_EQ(client->Post("/v1/transit/keys/" + name + "/rotate", "{}").status, 200);
    }
    ASSERT_EQ(client
                  ->Post("/v1/transit/keys/" + name + "/config",
                         R"({"min_decryption_version":2})")
                  .status,
              200);
  }

  json KeyAt(KmsdProcess& kmsd, const std::string& path) {
    return json::parse(kmsd.NewClient()->Get("/v1/" + path).body, nullptr, false)["data"];
  }

  TemporaryDirectory directory_;
  KmsdProcess source_{KMS_BINARY_DIR, directory_.path() + "/source"};
  KmsdProcess destination_{KMS_BINARY_DIR, directory_.path() + "/destination"};
};

TEST_F(MigrateTest, KeysOfEveryKindComeWithTheirVersions) {
  const std::vector<std::pair<std::string, std::string>> keys = {
      {"aes", R"("type":"aes256-gcm96")"},
      {"derived", R"("type":"chacha20-poly1305","derived":true)"},
      {"convergent", R"("type":"aes128-gcm96","derived":true,"convergent_encryption":true)"},
      {"ed", R"("type":"ed25519")"},
      {"ec", R"("type":"ecdsa-p384")"},
      {"rsa", R"("type":"rsa-2048")"},
      {"mac", R"("type":"hmac","key_size":64)"}};
  for (const auto& [name, type] : keys) {
    MakeKey(name + "-b", "{" + type + R"(,"exportable":true,"allow_plaintext_backup":true})");
    MakeKey(name + "-e", "{" + type + R"(,"exportable":true})");
  }
  const json told = json::parse(Migrate({"--json"}, 0), nullptr, false);
  ASSERT_EQ(told["keys"].size(), 2 * keys.size()) << told.dump(1);
  for (const json& row : told["keys"]) {
    const std::string name = row["name"];
    EXPECT_EQ(row["outcome"], name.ends_with("-b") ? "moved by backup" : "moved by export");
    EXPECT_EQ(row["samples_proven"], 2) << name;
    const json from = KeyAt(source_, "transit/keys/" + name);
    const json to = KeyAt(destination_, "prod/keys/" + name);
    for (const char* const same : {"type", "latest_version", "min_decryption_version", "keys",
                                   "derived", "exportable", "allow_plaintext_backup"}) {
      EXPECT_EQ(from[same], to[same]) << name << " " << same;
    }
  }
}

TEST_F(MigrateTest, CanBeRunAgainAndSaysWhatCannotMove) {
  MakeKey("open", R"({"exportable":true})");
  MakeKey("closed", "{}");
  EXPECT_THAT(Migrate({"--dry-run"}, 5),
              ::testing::AllOf(HasSubstr("would move by export"), HasSubstr("not exportable")));
  EXPECT_EQ(destination_.NewClient()->Get("/v1/prod/keys/open").status, 404);
  const std::string first = Migrate({}, 5);
  EXPECT_THAT(first, HasSubstr("moved by export"));
  EXPECT_THAT(first, HasSubstr("1 of 2 keys did not move"));
  const std::string again = Migrate({"--key", "open"}, 0);
  EXPECT_THAT(again, HasSubstr("there already"));
  EXPECT_THAT(again, HasSubstr("2 samples"));
}

TEST_F(MigrateTest, AnotherKeyOfThatNameIsNeverTakenForTheSame) {
  MakeKey("app", R"({"exportable":true})");
  ASSERT_EQ(destination_.NewClient()->Post("/v1/prod/keys/app", "{}").status, 200);
  EXPECT_THAT(Migrate({}, 5), HasSubstr("another key than at the source"));
}

TEST_F(MigrateTest, NoKeyMaterialIsPrintedOrLogged) {
  MakeKey("app", R"({"exportable":true})");
  const json exported =
      json::parse(source_.NewClient()->Get("/v1/transit/export/encryption-key/app/3").body, nullptr,
                  false);
  const std::string secret = exported["data"]["keys"]["3"];
  EXPECT_THAT(Migrate({}, 0), Not(HasSubstr(secret)));
  EXPECT_THAT(destination_.Log(), Not(HasSubstr(secret)));
  EXPECT_THAT(ReadFile(directory_.path() + "/destination/audit.log"), Not(HasSubstr(secret)));
}

TEST_F(MigrateTest, AWrongSourceIsNamed) {
  ::setenv("VAULT_TOKEN", "wrong", 1);
  Migrate({}, 4);
  ::setenv("VAULT_TOKEN", source_.token().c_str(), 1);
  Migrate({"--mount", "nothing"}, 3);
}

}  // namespace
}  // namespace kms::testing
