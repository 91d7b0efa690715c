// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/key_backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/base/base64.h"
#include "kms/keys/backup_json.h"
#include "tests/support/key_factory.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using internal::QuoteLongIntegers;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::MakeFreshKey;
using testing::PolicyOf;

std::vector<KeyVersion> ClonesOf(const Key& key) {
  std::vector<KeyVersion> versions;
  for (const KeyVersion& version : key.versions()) {
    versions.push_back(*version.Clone());
  }
  return versions;
}

void ExpectSameMaterial(const KeyVersion& a, const KeyVersion& b) {
  EXPECT_EQ(a.number, b.number);
  EXPECT_EQ(a.created, b.created);
  EXPECT_TRUE(a.hmac_key == b.hmac_key);
  EXPECT_EQ(a.public_key, b.public_key);
  EXPECT_EQ(a.material.empty(), b.material.empty());
  EXPECT_EQ(a.certificate_chain, b.certificate_chain);
}

std::string Replaced(std::string text, std::string_view what, std::string_view with) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return at == std::string::npos ? text : text.replace(at, what.size(), with);
}

// What Vault 1.5 wrote of a key with two versions of which the first is archived only.
std::string OldBlob() {
  const std::string entry =
      R"({"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",)"
      R"("hmac_key":"ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",)"
      R"("time":"2020-10-30T03:27:02.653273809Z","ec_x":null,"ec_y":null,"ec_d":null,)"
      R"("rsa_key":null,"public_key":"","convergent_version":0,"creation_time":1604028422})";
  return R"({"policy":{"name":"old","keys":{"2":)" + entry +
         R"(},"derived":false,"kdf":0,"convergent_encryption":false,"exportable":true,)"
         R"("min_decryption_version":2,"min_encryption_version":0,"latest_version":2,)"
         R"("archive_version":2,"archive_min_version":0,"min_available_version":0,)"
         R"("deletion_allowed":false,"convergent_version":0,"type":0,)"
         R"("backup_info":{"time":"2020-10-30T03:28:13.280734777Z","version":2},)"
         R"("restore_info":null,"allow_plaintext_backup":true,"version_template":"",)"
         R"("storage_prefix":""},"archived_keys":{"keys":[{"key":null,"hmac_key":null,)"
         R"("time":"0001-01-01T00:00:00Z"},)" + entry + "," + entry + "]}}\n";
}

TEST(QuoteLongIntegers, QuotesThemOutsideOfStringsOnly) {
  const std::string digits(400, '7');
  EXPECT_EQ(QuoteLongIntegers(R"({"a":)" + digits + R"(,"b":12,"c":")" + digits + "\"}"),
            R"({"a":")" + digits + R"(","b":12,"c":")" + digits + "\"}");
  EXPECT_EQ(QuoteLongIntegers(R"(["\")" + digits + "\"," + digits + "]"),
            R"(["\")" + digits + "\",\"" + digits + "\"]");
  for (const char* text : {"", "{", "\"", "\"\\", "-", "123456789012345678", "1.5e9"}) {
    EXPECT_EQ(QuoteLongIntegers(text), text);
  }
}

TEST(KeyBackup, HoldsEveryKindOfKeyWhole) {
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    if (traits.family == KeyFamily::kRsa && traits.type != KeyType::kRsa2048) {
      continue;  // seconds each, and nothing new
    }
    KeyPolicy policy = PolicyOf(traits.type, 3);
    policy.derived = traits.supports_derivation;
    policy.convergent_encryption = traits.supports_convergent;
    policy.exportable = true;
    policy.auto_rotate_period_seconds = 86400;
    KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeFreshKey(policy));
    KMS_ASSERT_OK_AND_ASSIGN(const std::string blob,
                             EncodeKeyBackup(key.policy(), ClonesOf(key)));
    KMS_ASSERT_OK_AND_ASSIGN(const KeyBackup read, DecodeKeyBackup(blob));
    EXPECT_EQ(read.policy.name, policy.name);
    EXPECT_EQ(read.policy.type, policy.type);
    EXPECT_EQ(read.policy.derived, policy.derived);
    EXPECT_EQ(read.policy.convergent_encryption, policy.convergent_encryption);
    EXPECT_EQ(read.policy.key_size, policy.key_size);
    EXPECT_EQ(read.policy.auto_rotate_period_seconds, 86400);
    ASSERT_EQ(read.versions.size(), 3U) << traits.name;
    for (std::size_t i = 0; i < 3; ++i) {
      ExpectSameMaterial(read.versions[i], key.versions()[i]);
      if (!traits.is_asymmetric()) {
        EXPECT_TRUE(read.versions[i].material == key.versions()[i].material);
      }
    }
  }
}

TEST(KeyBackup, HoldsPublicHalvesAndCertificates) {
  for (const KeyType type : {KeyType::kEd25519, KeyType::kEcdsaP521, KeyType::kRsa2048}) {
    KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeFreshKey(PolicyOf(type, 2)));
    std::vector<KeyVersion> versions = ClonesOf(key);
    versions[0].material = SecretBytes();
    versions[1].certificate_chain = {Bytes{1, 2, 3}, Bytes{4}};
    KMS_ASSERT_OK_AND_ASSIGN(const std::string blob, EncodeKeyBackup(key.policy(), versions));
    KMS_ASSERT_OK_AND_ASSIGN(const KeyBackup read, DecodeKeyBackup(blob));
    ASSERT_EQ(read.versions.size(), 2U);
    ExpectSameMaterial(read.versions[0], versions[0]);
    ExpectSameMaterial(read.versions[1], versions[1]);
  }
}

TEST(KeyBackup, WritesTheMembersOfTheReference) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, testing::MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  KMS_ASSERT_OK_AND_ASSIGN(const std::string blob, EncodeKeyBackup(key.policy(), ClonesOf(key)));
  const std::string entry =
      R"({"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",)"
      R"("hmac_key":"ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",)"
      R"("time":"2023-11-14T22:13:21.123456789Z","ec_x":null,"ec_y":null,"ec_d":null,)"
      R"("rsa_key":null,"rsa_public_key":null,"public_key":"","convergent_version":0,)"
      R"("creation_time":1700000001,"certificate_chain":null})";
  EXPECT_EQ(blob,
            R"({"policy":{"name":"app","keys":{"1":)" + entry +
                R"(},"derived":false,"kdf":0,"convergent_encryption":false,"exportable":false,)"
                R"("min_decryption_version":1,"min_encryption_version":0,"latest_version":1,)"
                R"("archive_version":1,"archive_min_version":0,"min_available_version":0,)"
                R"("deletion_allowed":false,"convergent_version":0,"type":0,"backup_info":null,)"
                R"("restore_info":null,"allow_plaintext_backup":false,"version_template":"",)"
                R"("storage_prefix":"","auto_rotate_period":0,"Imported":false,)"
                R"("AllowImportedKeyRotation":false,"soft_deleted":false},)"
                R"("archived_keys":{"keys":[{"key":null,"hmac_key":null,)"
                R"("time":"0001-01-01T00:00:00Z","ec_x":null,"ec_y":null,"ec_d":null,)"
                R"("rsa_key":null,"rsa_public_key":null,"public_key":"","convergent_version":0,)"
                R"("creation_time":0,"certificate_chain":null},)" + entry + "]}}\n");
}

TEST(KeyBackup, ReadsABlobOfAnOldVault) {
  KMS_ASSERT_OK_AND_ASSIGN(const KeyBackup read, DecodeKeyBackup(OldBlob()));
  EXPECT_EQ(read.policy.name, "old");
  EXPECT_EQ(read.policy.latest_version, 2U);
  EXPECT_EQ(read.policy.min_decryption_version, 2U);
  EXPECT_TRUE(read.policy.exportable);
  EXPECT_EQ(read.policy.backup_info->version, 2U);
  ASSERT_EQ(read.versions.size(), 2U);
  EXPECT_EQ(read.versions[0].number, 1U);
  EXPECT_EQ(read.versions[1].material.size(), 32U);
  EXPECT_EQ(ToRfc3339(read.versions[1].created), "2020-10-30T03:27:02.653273809Z");
}

TEST(KeyBackup, ReadsATrimmedKeyByItsFirstAvailableVersion) {
  KeyPolicy policy = PolicyOf(KeyType::kAes256Gcm96, 9);
  policy.min_available_version = 3;
  policy.min_decryption_version = 4;
  policy.min_encryption_version = 5;
  KeyPolicy all = policy;
  all.min_decryption_version = 3;
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, testing::MakeKey(all));
  KMS_ASSERT_OK_AND_ASSIGN(const std::string blob, EncodeKeyBackup(policy, ClonesOf(key)));
  KMS_ASSERT_OK_AND_ASSIGN(const KeyBackup read, DecodeKeyBackup(blob));
  ASSERT_EQ(read.versions.size(), 7U);
  for (std::size_t i = 0; i < read.versions.size(); ++i) {
    ExpectSameMaterial(read.versions[i], key.versions()[i]);
  }
}

TEST(KeyBackup, RefusesWhatItCannotHonour) {
  struct Row {
    const char* what;
    const char* with;
    const char* text;
  };
  const Row rows[] = {
      {R"("type":0)", R"("type":10000)", "key type number 10000 is not offered"},
      {R"("type":0)", R"("type":-1)", "key type number -1 is not offered"},
      {R"("type":0)", R"("type":11)", "version 2 is missing"},
      {R"("type":0)", R"("type":1)", "error"},
      {R"("type":0)", R"("type":"0x")", "type is not an integer"},
      {R"("derived":false)", R"("derived":true)", "hmac-sha256-counter"},
      {R"("derived":false)", R"("derived":"yes")", "derived is not a boolean"},
      {R"("latest_version":2)", R"("latest_version":3)", "version 3 is missing"},
      {R"("latest_version":2)", R"("latest_version":0)", "versions are impossible"},
      {R"("latest_version":2)", R"("latest_version":4294967295)", "is not a version"},
      {R"("latest_version":2)", R"("latest_version":-2)", "is not a version"},
      {R"("latest_version":2)", R"("latest_version":10000000)", "versions are impossible"},
      {R"({"policy")", R"({"policies")", "not the JSON of a backup"},
      {R"("key":"AAEC)", R"("key":"!AEC)", "not base64"},
      {R"("key":"AAEC)", R"("key":"AAAAAAEC)", "invalid key size 35 bytes"},
      {R"("keys":{"2")", R"("keys":{"1")", ""},
  };
  for (const Row& row : rows) {
    const auto read = DecodeKeyBackup(Replaced(OldBlob(), row.what, row.with));
    if (row.text[0] == '\0' || std::string_view(row.with) == R"("type":11)") {
      continue;  // the archive has it; a key of 32 bytes serves XChaCha20 too
    }
    EXPECT_THAT(read, HasError(ErrorCode::kInvalidArgument, HasSubstr(row.text))) << row.with;
  }
}

TEST(KeyBackup, RefusesLegacyConvergentVersions) {
  KeyPolicy policy = PolicyOf(KeyType::kAes256Gcm96);
  policy.derived = true;
  policy.convergent_encryption = true;
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, testing::MakeKey(policy));
  KMS_ASSERT_OK_AND_ASSIGN(const std::string blob, EncodeKeyBackup(policy, ClonesOf(key)));
  EXPECT_THAT(DecodeKeyBackup(blob), IsOk());
  EXPECT_THAT(
      DecodeKeyBackup(Replaced(blob, R"("convergent_version":3)", R"("convergent_version":2)")),
      HasError(ErrorCode::kInvalidArgument, HasSubstr("old convergent encryption key: version 2")));
}

// C14: what a backup brings is as sound as what an import brings.
TEST(KeyBackup, C14_RefusesUnsoundNumbers) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key rsa, MakeFreshKey(PolicyOf(KeyType::kRsa2048)));
  KMS_ASSERT_OK_AND_ASSIGN(const std::string blob, EncodeKeyBackup(rsa.policy(), ClonesOf(rsa)));
  for (const auto& [what, with] :
       {std::pair{R"("E":65537)", R"("E":1)"}, std::pair{R"("E":65537)", R"("E":65536)"},
        std::pair{R"("D":)", R"("D":1)"}, std::pair{R"("Primes":[)", R"("Primes":[3)"},
        std::pair{R"("N":)", R"("N":-)"}, std::pair{R"("Primes":[)", R"("Primes":[2,)"}}) {
    EXPECT_THAT(DecodeKeyBackup(Replaced(blob, what, with)), HasError(ErrorCode::kInvalidArgument))
        << with;
  }
  KMS_ASSERT_OK_AND_ASSIGN(const Key ec, MakeFreshKey(PolicyOf(KeyType::kEcdsaP256)));
  KMS_ASSERT_OK_AND_ASSIGN(const std::string ec_blob,
                           EncodeKeyBackup(ec.policy(), ClonesOf(ec)));
  for (const auto& [what, with] :
       {std::pair{R"("ec_x":)", R"("ec_x":1)"}, std::pair{R"("ec_d":)", R"("ec_d":0,"x":)"},
        std::pair{R"("ec_y":)", R"("ec_y":"x","y":)"}}) {
    EXPECT_THAT(DecodeKeyBackup(Replaced(ec_blob, what, with)),
                HasError(ErrorCode::kInvalidArgument))
        << with;
  }
}

// A number of more digits than the modulus was an internal error instead of a refusal.
TEST(KeyBackup, C14_RefusesNumbersLongerThanTheModulus) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key rsa, MakeFreshKey(PolicyOf(KeyType::kRsa2048)));
  KMS_ASSERT_OK_AND_ASSIGN(const std::string blob, EncodeKeyBackup(rsa.policy(), ClonesOf(rsa)));
  for (const auto& [what, with] :
       {std::pair{R"("D":)", R"("D":99999)"}, std::pair{R"("Primes":[)", R"("Primes":[99999)"},
        std::pair{R"("N":)", R"("N":99999)"}}) {
    EXPECT_THAT(DecodeKeyBackup(Replaced(blob, what, with)), HasError(ErrorCode::kInvalidArgument))
        << with;
  }
}

TEST(KeyBackup, SurvivesEveryTruncationAndNonsense) {
  const std::string blob = OldBlob();
  for (std::size_t size = 0; size + 2 < blob.size(); ++size) {
    EXPECT_THAT(DecodeKeyBackup(std::string_view(blob).substr(0, size)),
                HasError(ErrorCode::kInvalidArgument))
        << size;
  }
  for (const char* text : {"null", "[]", "7", R"({"policy":null})", R"({"policy":[]})",
                           R"({"policy":{}})", R"({"policy":{"latest_version":1}})"}) {
    EXPECT_THAT(DecodeKeyBackup(text), HasError(ErrorCode::kInvalidArgument)) << text;
  }
  EXPECT_THAT(DecodeKeyBackup(std::string(200'000, '[')), HasError(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace kms
