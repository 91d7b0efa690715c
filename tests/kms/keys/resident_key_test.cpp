// SPDX-License-Identifier: Apache-2.0
// Keys whose versions live in an HSM token: invariants and stored form.
#include "kms/keys/resident_key.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "kms/keys/key.h"
#include "tests/support/key_factory.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using testing::CountingBytes;
using testing::FromHex;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::MakeKey;
using testing::PolicyOf;
using testing::ReadVectors;

// A point of P-256 (the base point), as SubjectPublicKeyInfo.
Bytes KnownEcPublicKey() {
  return FromHex(
      "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
      "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
      "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
}

KeyVersion ResidentVersionOf(KeyType type, KeyVersionNumber number, bool external = false) {
  ResidentVersion where{.hsm = "default", .reference = external ? "app-signing" : "", .record = {}};
  where.record = {.id = CountingBytes(16, static_cast<std::uint8_t>(number)),
                  .label = "kms/dev/keys/app/" + std::to_string(number),
                  .type = *ResidentTypeOf(type),
                  .token_label = "token",
                  .token_serial = "0017",
                  .public_key = {},
                  .nonce_bytes = 0};
  if (TraitsOf(type).is_asymmetric()) {
    where.record.public_key = KnownEcPublicKey();
  } else {
    where.record.nonce_bytes = 12;
  }
  const WallTime created(std::chrono::nanoseconds(1'700'000'000'123'456'789) +
                         std::chrono::seconds(number));
  return KeyVersion::FromResident(number, created, std::move(where));
}

KeyPolicy ResidentPolicyOf(KeyType type, KeyProtection protection = KeyProtection::kHsm) {
  KeyPolicy policy = PolicyOf(type, 2);
  policy.protection = protection;
  return policy;
}

Result<Key> MakeResident(KeyPolicy policy) {
  const bool external = policy.protection == KeyProtection::kExternal;
  std::vector<KeyVersion> versions;
  versions.push_back(ResidentVersionOf(policy.type, 1, external));
  versions.push_back(ResidentVersionOf(policy.type, 2, external));
  return Key::Create(std::move(policy), std::move(versions));
}

// The frozen keys of format 3, in the order of tests/vectors/key_v3.hex.
std::vector<Key> KeysOfFormat3() {
  std::vector<Key> keys;
  keys.push_back(*MakeResident(ResidentPolicyOf(KeyType::kAes256Gcm96)));
  keys.push_back(*MakeResident(ResidentPolicyOf(KeyType::kEcdsaP256)));
  keys.push_back(*MakeResident(ResidentPolicyOf(KeyType::kEcdsaP256, KeyProtection::kExternal)));
  return keys;
}

Bytes Encoded(const Key& key) { return CopyOf(key.Encode()->View()); }

void ExpectSame(const Key& a, const Key& b) {
  EXPECT_EQ(a.policy().protection, b.policy().protection);
  EXPECT_EQ(a.policy().type, b.policy().type);
  ASSERT_EQ(a.versions().size(), b.versions().size());
  for (std::size_t index = 0; index < a.versions().size(); ++index) {
    EXPECT_EQ(a.versions()[index].resident, b.versions()[index].resident);
    EXPECT_EQ(a.versions()[index].public_key, b.versions()[index].public_key);
    EXPECT_EQ(a.versions()[index].created, b.versions()[index].created);
  }
}

TEST(ResidentKeyType, IsNamedAsOnTheWire) {
  EXPECT_EQ(ResidentKeyTypeName(ResidentKeyType::kAes256Gcm), "aes256-gcm96");
  EXPECT_EQ(ResidentKeyTypeName(ResidentKeyType::kEcdsaP521), "ecdsa-p521");
  EXPECT_EQ(AsymmetricAlgorithmOf(ResidentKeyType::kAes256Gcm), std::nullopt);
  EXPECT_EQ(AsymmetricAlgorithmOf(ResidentKeyType::kRsa3072), AsymmetricAlgorithm::kRsa3072);
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    if (const auto type = ResidentTypeOf(traits.type)) {
      EXPECT_EQ(KeyTypeOf(*type), traits.type);
    }
  }
  EXPECT_EQ(ResidentTypeOf(KeyType::kHmac), std::nullopt);
  EXPECT_EQ(ResidentTypeOf(KeyType::kEd25519), std::nullopt);
}

TEST(ResidentKeyForm, ReadsWhatItWrote) {
  for (const Key& key : KeysOfFormat3()) {
    const Result<Key> again = Key::Decode(Encoded(key));
    ASSERT_THAT(again, IsOk());
    ExpectSame(*again, key);
    EXPECT_EQ(Encoded(*again), Encoded(key));
  }
}

TEST(ResidentKeyForm, D24_FrozenKeysOpenForEver) {
  const auto rows = ReadVectors("key_v3.hex");
  const std::vector<Key> keys = KeysOfFormat3();
  ASSERT_EQ(rows.size(), keys.size());
  for (std::size_t index = 0; index < rows.size(); ++index) {
    EXPECT_EQ(HexEncode(Encoded(keys[index])), rows[index].at(0)) << index;
    const Result<Key> key = Key::Decode(FromHex(rows[index].at(0)));
    ASSERT_THAT(key, IsOk());
    ExpectSame(*key, keys[index]);
  }
}

TEST(ResidentKeyForm, D24_FrozenArchivedVersionsOpenForEver) {
  const auto rows = ReadVectors("archived_version_v3.hex");
  ASSERT_EQ(rows.size(), 1U);
  const KeyVersion version = ResidentVersionOf(KeyType::kEcdsaP256, 7);
  EXPECT_EQ(HexEncode(EncodeArchivedVersion(version)->View()), rows.front().at(0));
  const Result<KeyVersion> read = DecodeArchivedVersion(FromHex(rows.front().at(0)));
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->resident, version.resident);
  EXPECT_EQ(read->number, 7U);
}

TEST(ResidentKeyForm, KeysInSoftwareKeepTheirFormat) {
  const Result<Key> key = MakeKey(PolicyOf(KeyType::kAes256Gcm96));
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(Encoded(*key).front(), 2);
  EXPECT_EQ(Encoded(KeysOfFormat3().front()).front(), 3);
}

TEST(ResidentKeyForm, RefusesEveryShortenedKey) {
  const Bytes whole = Encoded(KeysOfFormat3().back());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(Key::Decode(ByteView(whole).first(size)), HasError(ErrorCode::kCorrupted)) << size;
  }
  Bytes longer = whole;
  longer.push_back(0);
  EXPECT_THAT(Key::Decode(longer), HasError(ErrorCode::kCorrupted));
}

TEST(ResidentKeyForm, RefusesAnotherProtectionAndType) {
  const Bytes whole = Encoded(KeysOfFormat3().front());
  // After format, type, flags, name "app", incarnation, period, five numbers and two stamps.
  constexpr std::size_t kProtection = 1 + 1 + 1 + 1 + 3 + 16 + 8 + 5 * 4 + 2;
  ASSERT_EQ(whole[kProtection], 1);
  for (const int number : {0, 2, 3}) {
    Bytes other = whole;
    other[kProtection] = static_cast<std::uint8_t>(number);
    EXPECT_THAT(Key::Decode(other), HasError(ErrorCode::kCorrupted)) << number;
  }
}

TEST(ResidentKeyInvariants, MaterialIsInTheTokenAlone) {
  const auto refused = [](KeyPolicy policy, KeyVersion version) {
    policy.latest_version = 1;
    std::vector<KeyVersion> versions;
    versions.push_back(std::move(version));
    EXPECT_THAT(Key::Create(std::move(policy), std::move(versions)),
                HasError(ErrorCode::kCorrupted));
  };
  const KeyPolicy policy = ResidentPolicyOf(KeyType::kAes256Gcm96);
  refused(policy, testing::KnownVersion(KeyType::kAes256Gcm96, 1));
  refused(PolicyOf(KeyType::kAes256Gcm96), ResidentVersionOf(KeyType::kAes256Gcm96, 1));
  KeyVersion with_material = ResidentVersionOf(KeyType::kAes256Gcm96, 1);
  with_material.material = *SecretBytes::CopyOf(Bytes(32, 1));
  refused(policy, std::move(with_material));
  KeyVersion with_hmac_key = ResidentVersionOf(KeyType::kAes256Gcm96, 1);
  with_hmac_key.hmac_key = *SecretBytes::CopyOf(Bytes(32, 1));
  refused(policy, std::move(with_hmac_key));
  refused(policy, ResidentVersionOf(KeyType::kEcdsaP256, 1));
  refused(policy, ResidentVersionOf(KeyType::kAes256Gcm96, 1, /*external=*/true));
  KeyVersion nowhere = ResidentVersionOf(KeyType::kAes256Gcm96, 1);
  nowhere.resident->hsm.clear();
  refused(policy, std::move(nowhere));
}

TEST(ResidentKeyInvariants, PolicyIsThatOfAKeyThatCannotLeave) {
  for (const auto& change : std::vector<void (*)(KeyPolicy&)>{
           [](KeyPolicy& policy) { policy.derived = true; },
           [](KeyPolicy& policy) { policy.exportable = true; },
           [](KeyPolicy& policy) { policy.allow_plaintext_backup = true; },
           [](KeyPolicy& policy) { policy.imported = true; }}) {
    KeyPolicy policy = ResidentPolicyOf(KeyType::kAes256Gcm96);
    change(policy);
    EXPECT_THAT(MakeResident(policy), HasError(ErrorCode::kCorrupted));
  }
  KeyPolicy external = ResidentPolicyOf(KeyType::kEcdsaP256, KeyProtection::kExternal);
  external.auto_rotate_period_seconds = 3600;
  EXPECT_THAT(MakeResident(external), HasError(ErrorCode::kCorrupted));
}

TEST(ResidentKeyInvariants, HasAPublicHalfAndNoCipher) {
  const Result<Key> signer = MakeResident(ResidentPolicyOf(KeyType::kEcdsaP256));
  ASSERT_THAT(signer, IsOk());
  ASSERT_NE(signer->FindAsymmetric(1), nullptr);
  EXPECT_FALSE(signer->FindAsymmetric(1)->has_private());
  EXPECT_TRUE(signer->versions().front().has_private()) << "in its token";
  const Result<Key> cipher = MakeResident(ResidentPolicyOf(KeyType::kAes256Gcm96));
  ASSERT_THAT(cipher, IsOk());
  EXPECT_EQ(cipher->FindAead(1), nullptr);
}

}  // namespace
}  // namespace kms
