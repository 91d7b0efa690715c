// SPDX-License-Identifier: Apache-2.0
// Export and byok-export: what may leave, in which form, and what never does.
#include "kms/operations/export_key.h"

#include <gmock/gmock.h>

#include <map>

#include "kms/operations/byok_export.h"
#include "kms/operations/configure_key.h"
#include "tests/kms/operations/transfer_world.h"

namespace kms {
namespace {

using testing::HasError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::NameOf;
using ::testing::StartsWith;
using testing::TestKey;
using testing::TestKeyPkcs8;
using testing::TransferWorld;
using enum ErrorCode;

using Exported = std::map<KeyVersionNumber, std::string>;

Result<Exported> Export(const Key& key, ExportType type, std::string_view version = {},
                        KeyFormat format = KeyFormat::kDefault) {
  Exported exported;
  KMS_TRY(ExportKey(key, {.type = type, .version = version, .format = format},
                    [&](KeyVersionNumber number, ByteView text) {
                      exported.emplace(number, AsText(text));
                      return Ok();
                    }));
  return exported;
}

// An exportable AES key of three versions, the first of which no longer decrypts.
KeyHandle ThreeVersions(TransferWorld& world) {
  EXPECT_THAT(world.ImportBytes("aes", KeyType::kAes256Gcm96, Bytes(32, 1), true), IsOk());
  EXPECT_THAT(world.ImportVersionBytes("aes", Bytes(32, 2)), IsOk());
  EXPECT_THAT(world.ImportVersionBytes("aes", Bytes(32, 3)), IsOk());
  KeyConfigChange change;
  change.min_decryption_version = 2;
  EXPECT_THAT(ConfigureKey(world.environment(), NameOf("aes"), change), IsOk());
  return world.Find("aes");
}

TEST(ExportKey, ExportsTheWorkingSetAndNoMore) {
  TransferWorld world;
  const KeyHandle key = ThreeVersions(world);
  const std::string second = Base64Encode(Bytes(32, 2));
  const std::string third = Base64Encode(Bytes(32, 3));
  EXPECT_EQ(Export(*key, ExportType::kEncryptionKey).value(), (Exported{{2, second}, {3, third}}));
  for (const char* version : {"3", "v3", "latest"}) {
    EXPECT_EQ(Export(*key, ExportType::kEncryptionKey, version).value(), (Exported{{3, third}}));
  }
  const std::pair<const char*, const char*> refusals[] = {
      {"1", "version for export is below minimum decryption version"},
      {"0", "version for export is below minimum decryption version"},
      {"-1", "version for export is below minimum decryption version"},
      {"4", "version does not exist or cannot be found"},
      {"4294967298", "version does not exist or cannot be found"},
      {"x", "invalid key version"},
      {"v", "invalid key version"},
      {"3x", "invalid key version"},
      {"vv3", "invalid key version"},
  };
  for (const auto& [version, text] : refusals) {
    EXPECT_THAT(Export(*key, ExportType::kEncryptionKey, version), HasError(kInvalidArgument, text))
        << version;
  }
}

TEST(ExportKey, RefusesWhatTheTypeCannotByTheTextsOfTheReference) {
  TransferWorld world;
  const KeyHandle aes = ThreeVersions(world);
  const KeyHandle ec = world
                           .ImportBytes("ec", KeyType::kEcdsaP256,
                                        TestKeyPkcs8(AsymmetricAlgorithm::kEcdsaP256), true)
                           .value();
  const KeyHandle hmac = world.ImportBytes("hmac", KeyType::kHmac, Bytes(32, 4), true).value();
  const struct {
    KeyHandle key;
    ExportType type;
    KeyFormat format;
    std::string text;
  } refusals[] = {
      {ec, ExportType::kEncryptionKey, KeyFormat::kDefault, "encryption not supported for the key"},
      {aes, ExportType::kSigningKey, KeyFormat::kDefault, "signing not supported for the key"},
      {hmac, ExportType::kEncryptionKey, KeyFormat::kDefault,
       "encryption not supported for the key"},
      {aes, ExportType::kCertificateChain, KeyFormat::kDefault,
       "certificate chain not supported for keys that do not support signing"},
      {ec, ExportType::kCertificateChain, KeyFormat::kDefault,
       "selected key version does not have a certificate chain imported"},
      {aes, ExportType::kPublicKey, KeyFormat::kDefault,
       "unknown key type aes256-gcm96 for export type public-key"},
      {ec, ExportType::kSigningKey, KeyFormat::kRaw,
       "unknown key format for ec key; supported values are ``, `der`, or `pem`"},
      {ec, ExportType::kPublicKey, KeyFormat::kRaw,
       "unknown key format for ec key; supported values are ``, `der`, or `pem`"},
      {aes, ExportType::kHmacKey, KeyFormat::kPem,
       "unknown format for HMAC key; supported values are `` or `raw`"},
      {aes, ExportType::kEncryptionKey, KeyFormat::kDer,
       "unknown format for HMAC key; supported values are `` or `raw`"},
  };
  for (const auto& [key, type, format, text] : refusals) {
    EXPECT_THAT(Export(*key, type, {}, format), HasError(kInvalidArgument, text)) << text;
  }
}

TEST(ExportKey, HmacKeysOfEveryType) {
  TransferWorld world;
  const KeyHandle aes = ThreeVersions(world);
  EXPECT_EQ(Export(*aes, ExportType::kHmacKey, "3").value().at(3),
            Base64Encode(aes->FindVersion(3)->hmac_key.View()));
  const KeyHandle hmac = world.ImportBytes("hmac", KeyType::kHmac, Bytes(64, 4), true).value();
  EXPECT_EQ(Export(*hmac, ExportType::kHmacKey).value().at(1), Base64Encode(Bytes(64, 4)));
}

TEST(ExportKey, ThePrivateTextOfAPublicOnlyVersionIsEmpty) {
  TransferWorld world;
  const std::string pem = testing::PemOf(TestKey(AsymmetricAlgorithm::kRsa2048));
  const KeyHandle key =
      world
          .Import("k",
                  {.type = KeyType::kRsa2048, .source = {.public_key = pem}, .exportable = true})
          .value();
  EXPECT_THAT(Export(*key, ExportType::kSigningKey).value().at(1), IsEmpty());
  EXPECT_THAT(Export(*key, ExportType::kPublicKey).value().at(1),
              StartsWith("-----BEGIN PUBLIC KEY-----\n"));
}

TEST(ExportKey, C15_OnlyPublicHalvesLeaveAKeyThatIsNotExportable) {
  TransferWorld world;
  const KeyHandle key =
      world.ImportBytes("ec", KeyType::kEcdsaP256, TestKeyPkcs8(AsymmetricAlgorithm::kEcdsaP256))
          .value();
  for (const ExportType type :
       {ExportType::kSigningKey, ExportType::kEncryptionKey, ExportType::kHmacKey}) {
    for (const KeyFormat format :
         {KeyFormat::kDefault, KeyFormat::kRaw, KeyFormat::kDer, KeyFormat::kPem}) {
      EXPECT_THAT(Export(*key, type, {}, format),
                  HasError(kInvalidArgument, "private key material is not exportable"));
    }
  }
  EXPECT_THAT(Export(*key, ExportType::kPublicKey), IsOk());
}

class ByokExports : public ::testing::Test {
 protected:
  Result<Exported> Run(std::string_view destination, std::string_view source,
                       const ByokExportRequest& request = {}) {
    Exported exported;
    KMS_TRY(ByokExport(world_.environment(), NameOf(destination), NameOf(source), request,
                       [&](KeyVersionNumber number, ByteView text) {
                         exported.emplace(number, AsText(text));
                         return Ok();
                       }));
    return exported;
  }
  // The wrapping key of `other`, as a key of this environment.
  void ImportDestination(TransferWorld& other) {
    EXPECT_THAT(
        world_.ImportPublic("there", KeyType::kRsa4096, other.WrappingKeyOf(other.environment())),
        IsOk());
  }

  TransferWorld world_;
};

TEST_F(ByokExports, MovesAKeyToAnotherServiceVersionByVersion) {
  TransferWorld other;
  ImportDestination(other);
  const KeyHandle source = ThreeVersions(world_);
  for (const HashAlgorithm hash : {HashAlgorithm::kSha2_256, HashAlgorithm::kSha1}) {
    KMS_ASSERT_OK_AND_ASSIGN(const Exported blobs,
                             Run("there", "aes", {.hash = hash, .version = {}}));
    ASSERT_EQ(blobs.size(), 2U);
    const std::string name = hash == HashAlgorithm::kSha1 ? "sha1" : "sha256";
    ASSERT_THAT(other.Import(name, {.source = {.ciphertext = blobs.at(3), .hash_function = name}}),
                IsOk());
    EXPECT_EQ(other.Find(name)->FindVersion(1)->material, source->FindVersion(3)->material);
  }
}

TEST_F(ByokExports, MovesPairsAsPkcs8) {
  TransferWorld other;
  ImportDestination(other);
  for (const AsymmetricAlgorithm algorithm :
       {AsymmetricAlgorithm::kEd25519, AsymmetricAlgorithm::kEcdsaP521,
        AsymmetricAlgorithm::kRsa2048}) {
    for (const KeyTypeTraits& traits : AllKeyTypes()) {
      if (!traits.is_asymmetric() || traits.asymmetric != algorithm) {
        continue;
      }
      const std::string name(traits.name);
      ASSERT_THAT(world_.ImportBytes(name, traits.type, TestKeyPkcs8(algorithm), true), IsOk());
      KMS_ASSERT_OK_AND_ASSIGN(const Exported blobs, Run("there", name));
      ASSERT_THAT(other.Import(name, {.type = traits.type, .source = {.ciphertext = blobs.at(1)}}),
                  IsOk());
      EXPECT_TRUE(other.Find(name)->FindAsymmetric(1)->SamePublicKey(TestKey(algorithm)));
    }
  }
}

TEST_F(ByokExports, C15_AnAttackersPublicKeyGetsNothingThatIsNotExportable) {
  const AsymmetricKey attacker = TestKey(AsymmetricAlgorithm::kRsa2048);
  ASSERT_THAT(world_.ImportPublic("attacker", KeyType::kRsa2048, attacker), IsOk());
  ASSERT_THAT(world_.world().MakeKey("dev", "secret"), IsOk());
  EXPECT_THAT(Run("attacker", "secret"), HasError(kInvalidArgument, "key is not exportable"));
  EXPECT_THAT(Run("secret", "secret"), HasError(kInvalidArgument, "key is not exportable"));
}

TEST_F(ByokExports, C15_TheWrappingKeyIsNoKeyOfTheEnvironment) {
  world_.Blob(Bytes(32, 1));  // makes it
  ThreeVersions(world_);
  for (const char* name : {"import", "wrapping-key", "wrapping_key"}) {
    EXPECT_EQ(world_.Find(name), nullptr) << name;
    EXPECT_THAT(Run(name, "aes"),
                HasError(kInvalidArgument, "no such destination key to export to"));
  }
}

TEST_F(ByokExports, RefusesByTheTextsOfTheReference) {
  TransferWorld other;
  ImportDestination(other);
  ThreeVersions(world_);
  EXPECT_THAT(Run("none", "aes"),
              HasError(kInvalidArgument, "no such destination key to export to"));
  EXPECT_THAT(Run("there", "none"), HasError(kInvalidArgument, "no such source key for export"));
  EXPECT_THAT(Run("aes", "aes"),
              HasError(kInvalidArgument, "unsupported key type in use; must be a rsa key"));
  EXPECT_THAT(Run("there", "aes", {.hash = HashAlgorithm::kSha2_256, .version = "1"}),
              HasError(kInvalidArgument, "version for export is below minimum decryption version"));
  const std::string pem = testing::PemOf(TestKey(AsymmetricAlgorithm::kEcdsaP256));
  ASSERT_THAT(
      world_.Import(
          "half", {.type = KeyType::kEcdsaP256, .source = {.public_key = pem}, .exportable = true}),
      IsOk());
  EXPECT_THAT(Run("there", "half"),
              HasError(kInvalidArgument, HasSubstr("does not have a private counterpart")));
}

}  // namespace
}  // namespace kms
