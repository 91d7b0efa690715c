// SPDX-License-Identifier: Apache-2.0
// Import: every type, every refusal with its text, and nothing half done when store or HSM fail.
#include "kms/operations/import_key.h"

#include <gmock/gmock.h>

#include "kms/crypto/key_wrap.h"
#include "kms/crypto/rsa_encryption.h"
#include "kms/operations/decrypt.h"
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

Bytes Counting(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::uint8_t>(i + 1);
  }
  return bytes;
}

// What an import of the type carries.
Bytes TargetOf(const KeyTypeTraits& traits) {
  if (traits.is_asymmetric()) {
    return TestKeyPkcs8(traits.asymmetric);
  }
  return Counting(traits.family == KeyFamily::kHmac ? 64 : traits.key_bytes);
}

TEST(ImportKey, TakesEveryType) {
  TransferWorld world;
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    SCOPED_TRACE(traits.name);
    const std::string name(traits.name);
    KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key,
                             world.ImportBytes(name, traits.type, TargetOf(traits)));
    EXPECT_TRUE(key->policy().imported);
    EXPECT_FALSE(key->policy().imported_allow_rotation);
    EXPECT_FALSE(key->policy().exportable);
    EXPECT_EQ(key->policy().latest_version, 1U);
    if (traits.is_asymmetric()) {
      EXPECT_TRUE(key->FindAsymmetric(1)->SamePublicKey(TestKey(traits.asymmetric)));
      EXPECT_TRUE(key->FindAsymmetric(1)->has_private());
    } else {
      EXPECT_EQ(CopyOf(key->FindVersion(1)->material.View()), TargetOf(traits));
    }
    world.ExpectArchived(name);
    world.Restart();
    EXPECT_EQ(world.Find(name)->policy().type, traits.type);
  }
}

TEST(ImportKey, KeepsEverySetting) {
  TransferWorld world;
  const std::string blob = world.Blob(Counting(32));
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key,
                           world.Import("k", {.type = KeyType::kAes256Gcm96,
                                              .source = {.ciphertext = blob},
                                              .derived = true,
                                              .exportable = true,
                                              .allow_plaintext_backup = true,
                                              .allow_rotation = true,
                                              .auto_rotate_period_seconds = 3600}));
  EXPECT_TRUE(key->policy().derived);
  EXPECT_TRUE(key->policy().exportable);
  EXPECT_TRUE(key->policy().allow_plaintext_backup);
  EXPECT_TRUE(key->policy().imported_allow_rotation);
  EXPECT_EQ(key->policy().auto_rotate_period_seconds, 3600);
}

TEST(ImportKey, TakesThePublicHalfAlone) {
  TransferWorld world;
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    if (!traits.is_asymmetric()) {
      continue;
    }
    SCOPED_TRACE(traits.name);
    const AsymmetricKey pair = TestKey(traits.asymmetric);
    const std::string name(traits.name);
    KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key, world.ImportPublic(name, traits.type, pair));
    EXPECT_FALSE(key->FindAsymmetric(1)->has_private());
    EXPECT_TRUE(key->FindAsymmetric(1)->SamePublicKey(pair));
    world.ExpectArchived(name);
  }
}

TEST(ImportKey, OpensBlobsOfEveryHashFunctionInAnyCase) {
  TransferWorld world;
  int number = 0;
  for (const auto& [name, hash] : {std::pair{"SHA1", HashAlgorithm::kSha1},
                                   {"sha224", HashAlgorithm::kSha2_224},
                                   {"Sha256", HashAlgorithm::kSha2_256},
                                   {"SHA384", HashAlgorithm::kSha2_384},
                                   {"sha512", HashAlgorithm::kSha2_512}}) {
    const std::string blob = world.Blob(Counting(32), hash);
    EXPECT_THAT(world.Import("k" + std::to_string(++number),
                             {.source = {.ciphertext = blob, .hash_function = name}}),
                IsOk())
        << name;
  }
  const std::string blob = world.Blob(Counting(32), HashAlgorithm::kSha2_512);
  EXPECT_THAT(world.Import("k", {.source = {.ciphertext = blob}}),
              HasError(kInvalidArgument, "crypto/rsa: decryption error"));
}

TEST(ImportKey, DecryptsWhatTheSameKeyEncryptedElsewhere) {
  TransferWorld here;
  TransferWorld there;
  ASSERT_THAT(there.ImportBytes("k", KeyType::kAes256Gcm96, Counting(32)), IsOk());
  const std::string ciphertext = there.EncryptUnder("k", "moved");
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle ours,
                           here.ImportBytes("k", KeyType::kAes256Gcm96, Counting(32)));
  PlaintextBuffer plaintext;
  ASSERT_THAT(Decrypt(*ours, {.ciphertext = ciphertext, .associated_data = {}}, plaintext), IsOk());
  EXPECT_EQ(AsText(plaintext.View()), "moved");
}

TEST(ImportKey, U4_ABlobForOneEnvironmentIsRefusedByAnother) {
  TransferWorld world;
  const std::shared_ptr<Environment> other = world.world().Make("other");
  const std::string blob = world.BlobFor(*other, Counting(32));
  world.Blob(Counting(32));  // this environment has a wrapping key of its own
  EXPECT_THAT(world.Import("k", {.source = {.ciphertext = blob}}),
              HasError(kInvalidArgument, "crypto/rsa: decryption error"));
  EXPECT_EQ(world.Find("k"), nullptr);
}

struct Refusal {
  std::string text;
  ImportKeyRequest request;
};

TEST(ImportKey, RefusesByTheTextsOfTheReference) {
  TransferWorld world;
  const AsymmetricKey pair = TestKey(AsymmetricAlgorithm::kEcdsaP256);
  const std::string pem = PemOf(pair);
  const std::string good = world.Blob(Counting(32));
  const std::string short_blob = Base64Encode(Bytes(511, 1));
  const std::string noise = Base64Encode(Bytes(552, 1));
  const std::string small = world.Blob(Counting(31));
  const std::string zeros = world.Blob(Bytes(32, 0));
  const std::string p256 = world.Blob(TestKeyPkcs8(AsymmetricAlgorithm::kEcdsaP256));
  const std::string p384 = world.Blob(TestKeyPkcs8(AsymmetricAlgorithm::kEcdsaP384));
  const std::string rsa = world.Blob(TestKeyPkcs8(AsymmetricAlgorithm::kRsa2048));
  const std::string short_hmac = world.Blob(Counting(31));
  const std::string long_hmac = world.Blob(Counting(513));
  using enum KeyType;
  const std::vector<Refusal> refusals = {
      {"only one of the following fields, ciphertext and public_key, can be set",
       {.type = kEcdsaP256, .source = {.ciphertext = p256, .public_key = pem}}},
      {"provided type does not support public_key import",
       {.type = kAes256Gcm96, .source = {.public_key = pem}}},
      {"provided type does not support public_key import", {.type = kHmac, .source = {}}},
      {"error importing key: error parsing public key: not in PEM format",
       {.type = kEcdsaP256, .source = {}}},
      {"unknown hash function: MD5", {.source = {.ciphertext = good, .hash_function = "MD5"}}},
      {"allow_rotation must be set to true if auto-rotation is enabled",
       {.source = {.ciphertext = good}, .auto_rotate_period_seconds = 7200}},
      {"auto rotate period must be 0 to disable or at least an hour",
       {.source = {.ciphertext = good},
        .allow_rotation = true,
        .auto_rotate_period_seconds = 3599}},
      {"key derivation and convergent encryption not supported for keys of type ecdsa-p256",
       {.type = kEcdsaP256, .source = {.ciphertext = p256}, .derived = true}},
      {"illegal base64 data at input byte 0", {.source = {.ciphertext = "*"}}},
      {"provided ciphertext is too short", {.source = {.ciphertext = ""}}},
      {"provided ciphertext is too short", {.source = {.ciphertext = short_blob}}},
      {"crypto/rsa: decryption error", {.source = {.ciphertext = noise}}},
      {"error importing key: invalid key size 31 bytes for key type aes256-gcm96",
       {.source = {.ciphertext = small}}},
      {"error importing key: invalid key size 32 bytes for key type aes128-gcm96",
       {.type = kAes128Gcm96, .source = {.ciphertext = good}}},
      {"error importing key: invalid key size 31 bytes for key type hmac",
       {.type = kHmac, .source = {.ciphertext = short_hmac}}},
      {"error importing key: invalid key size 513 bytes for key type hmac",
       {.type = kHmac, .source = {.ciphertext = long_hmac}}},
      {"error importing key: invalid key type: expected ed25519, got ",
       {.type = kEd25519, .source = {.ciphertext = p256}}},
      {"error importing key: invalid curve: expected P-256, got P-384",
       {.type = kEcdsaP256, .source = {.ciphertext = p384}}},
      {"error importing key: invalid key size: expected ",
       {.type = kRsa4096, .source = {.ciphertext = rsa}}},
      {"error importing key: error parsing asymmetric key: ",
       {.type = kEcdsaP256, .source = {.ciphertext = good}}},
      {"error importing key: ", {.source = {.ciphertext = zeros}}},
  };
  for (const Refusal& refusal : refusals) {
    EXPECT_THAT(world.Import("k", refusal.request),
                HasError(kInvalidArgument, HasSubstr(refusal.text)))
        << refusal.text;
    EXPECT_EQ(world.Find("k"), nullptr) << refusal.text;
  }
}

TEST(ImportKey, RefusesADerivedKeyWithoutItsPrivateHalf) {
  TransferWorld world;
  const std::string pem = PemOf(TestKey(AsymmetricAlgorithm::kEd25519));
  EXPECT_THAT(world.Import(
                  "k", {.type = KeyType::kEd25519, .source = {.public_key = pem}, .derived = true}),
              HasError(kInvalidArgument, HasSubstr("public half alone")));
}

TEST(ImportKey, ADamagedTargetIsRefusedWithoutAReason) {
  TransferWorld world;
  Bytes blob = Base64Decode(world.Blob(Counting(32))).value();
  for (const std::size_t at : {std::size_t{512}, blob.size() - 1}) {
    Bytes damaged = blob;
    damaged[at] ^= 1U;
    const std::string text = Base64Encode(damaged);
    EXPECT_THAT(world.Import("k", {.source = {.ciphertext = text}}), HasError(kDecryptionFailed));
  }
}

TEST(ImportKey, AnEphemeralKeyOfAnotherSizeIsRefused) {
  TransferWorld world;
  const AsymmetricKey wrapping_key = world.WrappingKeyOf(world.environment());
  Bytes blob = OaepEncrypt(wrapping_key, HashAlgorithm::kSha2_256, Bytes(16, 7)).value();
  const Bytes wrapped = WrapKeyPadded(Bytes(16, 7), Counting(32)).value();
  blob.insert(blob.end(), wrapped.begin(), wrapped.end());
  const std::string text = Base64Encode(blob);
  EXPECT_THAT(world.Import("k", {.source = {.ciphertext = text}}),
              HasError(kInvalidArgument, "expected ephemeral AES key to be 256-bit"));
}

TEST(ImportKey, NeverReplacesAKey) {
  TransferWorld world;
  ASSERT_THAT(world.world().MakeKey("dev", "k"), IsOk());
  const SecretBytes before = world.Find("k")->FindVersion(1)->material.Clone().value();
  EXPECT_THAT(world.ImportBytes("k", KeyType::kAes256Gcm96, Counting(32)),
              HasError(kAlreadyExists,
                       "the import path cannot be used with an existing key; use import-version "
                       "to rotate an existing imported key"));
  EXPECT_EQ(world.Find("k")->FindVersion(1)->material, before);
}

// What must hold after a failure: the key is there as a whole or not at all, also after a restart.
void ExpectWholeOrNothing(TransferWorld& world, const Status& outcome) {
  world.store().Heal();
  world.Restart();
  const KeyHandle key = world.Find("k");
  EXPECT_TRUE(key != nullptr || !outcome.has_value());
  if (key == nullptr) {
    EXPECT_THAT(world.ImportBytes("k", KeyType::kAes256Gcm96, Counting(32)), IsOk());
  }
  EXPECT_EQ(CopyOf(world.Find("k")->FindVersion(1)->material.View()), Counting(32));
  world.ExpectArchived("k");
}

TEST(ImportKey, D2_EachStoreCallMayFail) {
  std::unique_ptr<TransferWorld> world;
  std::string blob;
  FailEachCall({.arrange =
                    [&](int n) {
                      world = std::make_unique<TransferWorld>();
                      blob = world->Blob(Counting(32));
                      world->store().FailCall(n);
                    },
                .run = [&]() -> Status {
                  KMS_TRY(world->Import("k", {.source = {.ciphertext = blob}}));
                  return Ok();
                },
                .check = [&](const Status& outcome) { ExpectWholeOrNothing(*world, outcome); }});
}

TEST(ImportKey, H6_EachHsmCallMayFail) {
  std::unique_ptr<TransferWorld> world;
  std::string blob;
  FailEachCall({.arrange =
                    [&](int n) {
                      world = std::make_unique<TransferWorld>();
                      blob = world->Blob(Counting(32));
                      world->device().FailCall(static_cast<std::uint64_t>(n),
                                               Unavailable("the HSM is away"));
                    },
                .run = [&]() -> Status {
                  KMS_TRY(world->Import("k", {.source = {.ciphertext = blob}}));
                  return Ok();
                },
                .check = [&](const Status& outcome) { ExpectWholeOrNothing(*world, outcome); }});
}

TEST(ImportKey, D19_TheCommitsAnswerMayBeLost) {
  TransferWorld world;
  const std::string blob = world.Blob(Counting(32));
  world.store().LoseNextCommitAnswer();
  EXPECT_THAT(world.Import("k", {.source = {.ciphertext = blob}}), IsOk());
  ExpectWholeOrNothing(world, Ok());
}

}  // namespace
}  // namespace kms
