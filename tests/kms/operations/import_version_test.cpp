// SPDX-License-Identifier: Apache-2.0
// import_version: appends, completes public-only versions, refuses what is not an imported key's.
#include "kms/operations/import_version.h"

#include <gmock/gmock.h>

#include "tests/fakes/fault_plan.h"
#include "tests/kms/operations/transfer_world.h"

namespace kms {
namespace {

using testing::FailEachCall;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::NameOf;
using testing::PemOf;
using testing::TestKey;
using testing::TestKeyPkcs8;
using testing::TransferWorld;
using enum ErrorCode;

constexpr AsymmetricAlgorithm kEc = AsymmetricAlgorithm::kEcdsaP256;

TEST(ImportVersion, AppendsRawVersions) {
  TransferWorld world;
  ASSERT_THAT(world.ImportBytes("k", KeyType::kAes256Gcm96, Bytes(32, 1)), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const ImportVersionOutcome second,
                           world.ImportVersionBytes("k", Bytes(32, 2)));
  EXPECT_EQ(second.version, 2U);
  world.Restart();
  const KeyHandle key = world.Find("k");
  EXPECT_EQ(key->policy().latest_version, 2U);
  EXPECT_TRUE(key->policy().imported);
  EXPECT_EQ(CopyOf(key->FindVersion(1)->material.View()), Bytes(32, 1));
  EXPECT_EQ(CopyOf(key->FindVersion(2)->material.View()), Bytes(32, 2));
  world.ExpectArchived("k");
}

TEST(ImportVersion, AddsThePrivateHalfToTheLatestVersionWhenItMatches) {
  TransferWorld world;
  ASSERT_THAT(world.ImportPublic("k", KeyType::kEcdsaP256, TestKey(kEc)), IsOk());
  const SecretBytes hmac_key = world.Find("k")->FindVersion(1)->hmac_key.Clone().value();
  KMS_ASSERT_OK_AND_ASSIGN(const ImportVersionOutcome outcome,
                           world.ImportVersionBytes("k", TestKeyPkcs8(kEc)));
  EXPECT_EQ(outcome.version, 1U);
  EXPECT_EQ(outcome.key->policy().latest_version, 1U);
  EXPECT_TRUE(outcome.key->FindAsymmetric(1)->has_private());
  EXPECT_EQ(outcome.key->FindVersion(1)->hmac_key, hmac_key) << "HMACs made before still verify";
  world.ExpectArchived("k");
  world.Restart();
  EXPECT_TRUE(world.Find("k")->FindAsymmetric(1)->has_private());
}

TEST(ImportVersion, AppendsAnotherPairBehindAPublicOnlyVersion) {
  TransferWorld world;
  ASSERT_THAT(world.ImportPublic("k", KeyType::kEcdsaP256, TestKey(kEc, 0)), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const ImportVersionOutcome outcome,
                           world.ImportVersionBytes("k", TestKeyPkcs8(kEc, 1)));
  EXPECT_EQ(outcome.version, 2U);
  EXPECT_FALSE(outcome.key->FindAsymmetric(1)->has_private());
  EXPECT_TRUE(outcome.key->FindAsymmetric(2)->has_private());
  world.ExpectArchived("k");
}

TEST(ImportVersion, AppendsPublicHalves) {
  TransferWorld world;
  ASSERT_THAT(world.ImportBytes("k", KeyType::kEcdsaP256, TestKeyPkcs8(kEc, 0)), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const ImportVersionOutcome outcome,
                           world.ImportVersionPublic("k", TestKey(kEc, 1)));
  EXPECT_EQ(outcome.version, 2U);
  EXPECT_FALSE(outcome.key->FindAsymmetric(2)->has_private());
  KMS_ASSERT_OK_AND_ASSIGN(const ImportVersionOutcome completed,
                           world.ImportVersionBytes("k", TestKeyPkcs8(kEc, 1), 2));
  EXPECT_EQ(completed.version, 2U);
  EXPECT_EQ(completed.key->policy().latest_version, 2U);
  EXPECT_TRUE(completed.key->FindAsymmetric(2)->has_private());
}

TEST(ImportVersion, RefusesByTheTextsOfTheReference) {
  TransferWorld world;
  ASSERT_THAT(world.world().MakeKey("dev", "made-here"), IsOk());
  ASSERT_THAT(world.ImportBytes("aes", KeyType::kAes256Gcm96, Bytes(32, 1)), IsOk());
  ASSERT_THAT(world.ImportPublic("public", KeyType::kEcdsaP256, TestKey(kEc, 0)), IsOk());
  ASSERT_THAT(world.ImportBytes("pair", KeyType::kEcdsaP256, TestKeyPkcs8(kEc, 0)), IsOk());
  const std::string pem = PemOf(TestKey(kEc, 0));
  const std::string own = world.Blob(TestKeyPkcs8(kEc, 0));
  const std::string other = world.Blob(TestKeyPkcs8(kEc, 1));
  const std::string raw = world.Blob(Bytes(32, 2));
  const std::string small = world.Blob(Bytes(16, 2));
  const struct {
    std::string name;
    ImportVersionRequest request;
    std::string text;
  } refusals[] = {
      {"none",
       {.source = {.ciphertext = raw}, .version = {}},
       "no key found with name none; to import a new key, use the import/ endpoint"},
      {"made-here",
       {.source = {.ciphertext = raw}, .version = {}},
       "the import_version endpoint can only be used with an imported key"},
      {"aes",
       {.source = {.ciphertext = raw, .public_key = pem}, .version = {}},
       "only one of the following fields, ciphertext and public_key, can be set"},
      {"aes",
       {.source = {.public_key = pem}, .version = {}},
       "provided type does not support public_key import"},
      {"aes",
       {.source = {.ciphertext = small}, .version = {}},
       "error importing key: invalid key size 16 bytes for key type aes256-gcm96"},
      {"aes",
       {.source = {.ciphertext = raw}, .version = 1},
       "provided type does not support importing key versions"},
      {"public", {.source = {.ciphertext = own}, .version = 0}, "no such key version"},
      {"public", {.source = {.ciphertext = own}, .version = 2}, "no such key version"},
      {"public", {.source = {.ciphertext = own}, .version = -1}, "no such key version"},
      {"public",
       {.source = {.public_key = pem}, .version = 1},
       "cannot add a public key to a key version that already has a public key set"},
      {"public",
       {.source = {.ciphertext = other}, .version = 1},
       "cannot import key, key pair does not match"},
      {"pair",
       {.source = {.ciphertext = own}, .version = 1},
       "private key imported, key version cannot be updated"},
      {"pair",
       {.source = {.public_key = pem}, .version = 1},
       "private key imported, key version cannot be updated"},
  };
  for (const auto& [name, request, text] : refusals) {
    const auto before = world.store().Contents().size();
    EXPECT_THAT(ImportVersion(world.environment(), world.device(), NameOf(name), request),
                HasError(kInvalidArgument, text))
        << name;
    EXPECT_EQ(world.store().Contents().size(), before) << text;
  }
}

TEST(ImportVersion, IsRefusedOnceTheServiceRotatedTheKey) {
  TransferWorld world;
  const std::string blob = world.Blob(Bytes(32, 1));
  ASSERT_THAT(world.Import("k", {.source = {.ciphertext = blob}, .allow_rotation = true}), IsOk());
  ASSERT_THAT(RotateKey(world.environment(), NameOf("k")), IsOk());
  EXPECT_FALSE(world.Find("k")->policy().imported);
  EXPECT_THAT(world.ImportVersionBytes("k", Bytes(32, 2)),
              HasError(kInvalidArgument,
                       "the import_version endpoint can only be used with an imported key"));
}

TEST(ImportVersion, HmacKeysKeepTheirSize) {
  TransferWorld world;
  ASSERT_THAT(world.ImportBytes("k", KeyType::kHmac, Bytes(48, 1)), IsOk());
  EXPECT_THAT(world.ImportVersionBytes("k", Bytes(48, 2)), IsOk());
  EXPECT_THAT(world.ImportVersionBytes("k", Bytes(64, 3)),
              HasError(kInvalidArgument, HasSubstr("invalid key size 64 bytes for key type hmac")));
}

// After a failure the key has its old versions, and one more or the other half, or not.
class ImportVersionFaults : public ::testing::TestWithParam<bool> {
 protected:
  void Arrange() {
    world_ = std::make_unique<TransferWorld>();
    if (GetParam()) {  // a private half is added
      ASSERT_THAT(world_->ImportPublic("k", KeyType::kEcdsaP256, TestKey(kEc)), IsOk());
    } else {
      ASSERT_THAT(world_->ImportBytes("k", KeyType::kEcdsaP256, TestKeyPkcs8(kEc, 1)), IsOk());
    }
    blob_ = world_->Blob(TestKeyPkcs8(kEc));
  }
  Status Run() {
    KMS_TRY(ImportVersion(world_->environment(), world_->device(), NameOf("k"),
                          {.source = {.ciphertext = blob_}, .version = {}}));
    return Ok();
  }
  void Check(const Status& outcome) {
    world_->store().Heal();
    world_->Restart();
    world_->ExpectArchived("k");
    const bool done = world_->Find("k")->versions().back().material.size() != 0 &&
                      world_->Find("k")->FindAsymmetric(LastVersion())->SamePublicKey(TestKey(kEc));
    EXPECT_TRUE(done || !outcome.has_value());
    if (!done) {
      EXPECT_THAT(Run(), IsOk());
      world_->ExpectArchived("k");
    }
    EXPECT_EQ(LastVersion(), GetParam() ? 1U : 2U);
  }
  KeyVersionNumber LastVersion() { return world_->Find("k")->policy().latest_version; }

  std::unique_ptr<TransferWorld> world_;
  std::string blob_;
};

TEST_P(ImportVersionFaults, D2_EachStoreCallMayFail) {
  FailEachCall({.arrange =
                    [&](int n) {
                      Arrange();
                      world_->store().FailCall(n);
                    },
                .run = [&] { return Run(); },
                .check = [&](const Status& outcome) { Check(outcome); }});
}

TEST_P(ImportVersionFaults, H6_EachHsmCallMayFail) {
  FailEachCall({.arrange =
                    [&](int n) {
                      Arrange();
                      world_->device().FailCall(static_cast<std::uint64_t>(n),
                                                Unavailable("the HSM is away"));
                    },
                .run = [&] { return Run(); },
                .check = [&](const Status& outcome) { Check(outcome); }});
}

INSTANTIATE_TEST_SUITE_P(Half, ImportVersionFaults, ::testing::Bool(), [](const auto& parameter) {
  return parameter.param ? "CompletesAVersion" : "AppendsAVersion";
});

}  // namespace
}  // namespace kms
