// SPDX-License-Identifier: Apache-2.0
// The key object: which members it has, and the shape of `keys`, for every type (transit-api 4.4).
#include "api/handlers/key_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "kms/base/base64.h"
#include "tests/support/asymmetric_keys.h"
#include "tests/support/key_factory.h"
#include "tests/support/matchers.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using nlohmann::json;

// Version N was made N seconds after this; 2023-11-14T22:13:20.123456789Z.
const WallTime kStart{std::chrono::nanoseconds(1'700'000'000'123'456'789)};

Key MakeKeyOf(KeyPolicy policy) {
  const KeyTypeTraits& traits = TraitsOf(policy.type);
  std::vector<KeyVersion> versions;
  for (KeyVersionNumber number = policy.min_decryption_version; number <= policy.latest_version;
       ++number) {
    if (traits.is_asymmetric()) {
      versions.push_back(KeyVersion::FromAsymmetricKey(number, kStart + std::chrono::seconds(number),
                                                       TestKey(traits.asymmetric))
                             .value());
    } else {
      versions.push_back(KnownVersion(policy.type, number));
    }
  }
  return Key::Create(std::move(policy), std::move(versions)).value();
}

json Render(const Key& key, std::string_view context = {}) {
  const Result<std::string> text = api::RenderKeyInfo(key, AsBytes(context));
  EXPECT_THAT(text, IsOk());
  json parsed = json::parse(text.value_or(""), nullptr, false);
  EXPECT_FALSE(parsed.is_discarded());
  return parsed;
}

json Render(KeyPolicy policy) { return Render(MakeKeyOf(std::move(policy))); }

TEST(KeyInfo, HasItsMembersForEveryType) {
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    json info = Render(PolicyOf(traits.type));
    info.erase("keys");
    info.erase("usage");
    json expected = {{"name", "app"},
                     {"type", traits.name},
                     {"derived", false},
                     {"deletion_allowed", false},
                     {"exportable", false},
                     {"allow_plaintext_backup", false},
                     {"min_available_version", 0},
                     {"min_decryption_version", 1},
                     {"min_encryption_version", 0},
                     {"latest_version", 1},
                     {"supports_encryption", traits.supports_encryption},
                     {"supports_decryption", traits.supports_decryption},
                     {"supports_signing", traits.supports_signing},
                     {"supports_derivation", traits.supports_derivation},
                     {"auto_rotate_period", 0},
                     {"imported_key", false},
                     {"soft_deleted", false}};
    if (traits.type == KeyType::kHmac) {
      expected["key_size"] = 32;
    }
    EXPECT_EQ(info, expected);
  }
}

TEST(KeyInfo, ShowsSymmetricVersionsBySecondsAndOnlyTheWorkingSet) {
  for (const KeyType type : {KeyType::kAes256Gcm96, KeyType::kXChaCha20Poly1305, KeyType::kHmac}) {
    KeyPolicy policy = PolicyOf(type, 3);
    policy.min_decryption_version = 2;
    EXPECT_EQ(Render(std::move(policy))["keys"],
              (json{{"2", 1'700'000'002}, {"3", 1'700'000'003}}));
  }
}

TEST(KeyInfo, ShowsAPemThatEndsWithANewlineForEcAndRsa) {
  const std::pair<KeyType, const char*> rows[] = {
      {KeyType::kEcdsaP256, "P-256"},   {KeyType::kEcdsaP384, "P-384"},
      {KeyType::kEcdsaP521, "P-521"},   {KeyType::kRsa2048, "rsa-2048"},
      {KeyType::kRsa3072, "rsa-3072"},  {KeyType::kRsa4096, "rsa-4096"}};
  for (const auto& [type, name] : rows) {
    json version = Render(PolicyOf(type))["keys"]["1"];
    const std::string pem = version["public_key"];
    EXPECT_THAT(pem, AllOf(StartsWith("-----BEGIN PUBLIC KEY-----\n"),
                           EndsWith("\n-----END PUBLIC KEY-----\n")));
    EXPECT_EQ(pem.find('\n', 27) - 27, 64U) << "64 columns";
    version.erase("public_key");
    EXPECT_EQ(version, (json{{"name", name},
                             {"certificate_chain", ""},
                             {"creation_time", "2023-11-14T22:13:21.123456789Z"}}));
  }
}

TEST(KeyInfo, ShowsTheBytesOfEd25519) {
  std::vector<KeyVersion> versions;
  versions.push_back(KnownVersion(KeyType::kEd25519, 1));
  KMS_ASSERT_OK_AND_ASSIGN(const Key key,
                           Key::Create(PolicyOf(KeyType::kEd25519), std::move(versions)));
  EXPECT_EQ(Render(key)["keys"]["1"],
            (json{{"name", "ed25519"},
                  {"public_key", "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="},
                  {"certificate_chain", ""},
                  {"creation_time", "2023-11-14T22:13:21.123456789Z"}}));
}

// The vector of transit-api 16.
TEST(KeyInfo, ShowsADerivedPublicKeyOnlyForAContext) {
  KeyPolicy policy = PolicyOf(KeyType::kEd25519);
  policy.derived = true;
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(policy));
  EXPECT_EQ(Render(key)["keys"]["1"]["public_key"], "");
  const json shown = Render(key, "tenant-42");
  EXPECT_EQ(shown["keys"]["1"]["public_key"], "4YBpm7poMhl+FmgvMdm3RI0TbIK/GHII4plJP+729ek=");
  EXPECT_EQ(shown["kdf"], "hkdf_sha256");
  EXPECT_EQ(shown["convergent_encryption"], false);
  EXPECT_FALSE(shown.contains("convergent_encryption_version"));
}

TEST(KeyInfo, ADerivedPublicHalfShowsNothingAndFailsNothing) {
  KeyPolicy policy = PolicyOf(KeyType::kEd25519);
  policy.derived = true;
  std::vector<KeyVersion> versions;
  versions.push_back(KnownVersion(KeyType::kEd25519, 1));
  versions.back().material = SecretBytes();
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, Key::Create(policy, std::move(versions)));
  EXPECT_EQ(Render(key, "tenant-42")["keys"]["1"]["public_key"], "");
}

TEST(KeyInfo, AContextDoesNotMatterToOtherKeys) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kEd25519)));
  EXPECT_EQ(Render(key, "tenant-42"), Render(key));
}

TEST(KeyInfo, ThePublicHalfAloneIsShownLikeAPair) {
  std::vector<KeyVersion> versions;
  versions.push_back(KeyVersion::FromAsymmetricKey(
                         1, kStart, PublicHalf(TestKey(AsymmetricAlgorithm::kEcdsaP256)))
                         .value());
  KMS_ASSERT_OK_AND_ASSIGN(const Key half,
                           Key::Create(PolicyOf(KeyType::kEcdsaP256), std::move(versions)));
  EXPECT_EQ(Render(half)["keys"]["1"]["public_key"],
            Render(PolicyOf(KeyType::kEcdsaP256))["keys"]["1"]["public_key"]);
}

TEST(KeyInfo, JoinsTheCertificatesOfAVersion) {
  std::vector<KeyVersion> versions;
  versions.push_back(KeyVersion::FromAsymmetricKey(
                         1, kStart, TestKey(AsymmetricAlgorithm::kEcdsaP256))
                         .value());
  versions.back().certificate_chain = {Bytes{1, 2, 3}, Bytes{4, 5, 6}};
  KMS_ASSERT_OK_AND_ASSIGN(const Key key,
                           Key::Create(PolicyOf(KeyType::kEcdsaP256), std::move(versions)));
  EXPECT_EQ(Render(key)["keys"]["1"]["certificate_chain"],
            "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n"
            "-----BEGIN CERTIFICATE-----\nBAUG\n-----END CERTIFICATE-----");
}

TEST(KeyInfo, TellsImportBackupAndRestore) {
  KeyPolicy policy = PolicyOf(KeyType::kAes256Gcm96);
  policy.imported = true;
  policy.backup_info = TransferStamp{.time = kStart, .version = 1};
  policy.restore_info = TransferStamp{.time = kStart + std::chrono::seconds(1), .version = 3};
  json info = Render(policy);
  EXPECT_EQ(info["imported_key"], true);
  EXPECT_EQ(info["imported_key_allow_rotation"], false);
  EXPECT_EQ(info["backup_info"],
            (json{{"time", "2023-11-14T22:13:20.123456789Z"}, {"version", 1}}));
  EXPECT_EQ(info["restore_info"],
            (json{{"time", "2023-11-14T22:13:21.123456789Z"}, {"version", 3}}));
  policy.imported_allow_rotation = true;
  policy.soft_deleted = true;
  info = Render(policy);
  EXPECT_EQ(info["imported_key_allow_rotation"], true);
  EXPECT_EQ(info["soft_deleted"], true);
}

TEST(KeyInfo, NothingOfTheMaterialIsInIt) {
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    const Key key = MakeKeyOf(PolicyOf(traits.type));
    const std::string text = api::RenderKeyInfo(key).value();
    for (const SecretBytes* secret : {&key.versions()[0].material, &key.versions()[0].hmac_key}) {
      EXPECT_EQ(text.find(Base64Encode(secret->View()).substr(0, 32)), std::string::npos)
          << traits.name;
      EXPECT_EQ(text.find(HexEncode(secret->View()).substr(0, 32)), std::string::npos)
          << traits.name;
    }
  }
}

}  // namespace
}  // namespace kms::testing
