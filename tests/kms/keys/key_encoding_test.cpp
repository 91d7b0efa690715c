// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "kms/keys/key.h"
#include "tests/support/key_factory.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using ::testing::AllOf;
using testing::FromHex;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::KnownVersion;
using testing::MakeKey;
using testing::PolicyOf;
using testing::ReadVectors;

// Every field differs from its default.
KeyPolicy FullPolicy() {
  KeyPolicy policy = PolicyOf(KeyType::kAes128Gcm96, 5);
  policy.name = "orders.eu-1";
  policy.derived = true;
  policy.convergent_encryption = true;
  policy.exportable = true;
  policy.allow_plaintext_backup = true;
  policy.deletion_allowed = true;
  policy.auto_rotate_period_seconds = 86400;
  policy.min_available_version = 2;
  policy.min_decryption_version = 3;
  policy.min_encryption_version = 4;
  return policy;
}

// As above and what format 2 added.
KeyPolicy FullPolicyOfFormat2(KeyType type) {
  KeyPolicy policy = FullPolicy();
  policy.type = type;
  policy.derived = TraitsOf(type).supports_derivation;
  policy.convergent_encryption = TraitsOf(type).supports_convergent;
  policy.key_size = type == KeyType::kHmac ? kMinHmacKeySize : 0;
  policy.imported = true;
  policy.imported_allow_rotation = true;
  policy.soft_deleted = true;
  policy.backup_info = {.time = WallTime(std::chrono::nanoseconds(1'700'000'001'000'000'002)),
                        .version = 4};
  policy.restore_info = {.time = WallTime(std::chrono::nanoseconds(1'700'000'002'000'000'003)),
                         .version = 5};
  return policy;
}

// The frozen keys of format 2, in the order of tests/vectors/key_v2.hex.
std::vector<Key> KeysOfFormat2() {
  std::vector<Key> keys;
  for (const KeyType type : {KeyType::kAes256Gcm96, KeyType::kHmac, KeyType::kXChaCha20Poly1305}) {
    keys.push_back(*MakeKey(FullPolicyOfFormat2(type)));
  }
  std::vector<KeyVersion> versions;
  for (KeyVersionNumber number = 3; number <= 5; ++number) {
    versions.push_back(KnownVersion(KeyType::kEd25519, number));
  }
  versions[1].material = SecretBytes();  // the public half alone
  versions[2].certificate_chain = {Bytes{1, 2, 3}, Bytes{4}};
  keys.push_back(*Key::Create(FullPolicyOfFormat2(KeyType::kEd25519), std::move(versions)));
  return keys;
}

Bytes Encoded(const Result<Key>& key) { return CopyOf(key->Encode()->View()); }

void ExpectSame(const KeyVersion& a, const KeyVersion& b) {
  EXPECT_EQ(a.number, b.number);
  EXPECT_EQ(a.created, b.created);
  EXPECT_TRUE(a.material == b.material);
  EXPECT_TRUE(a.hmac_key == b.hmac_key);
  EXPECT_EQ(a.public_key, b.public_key);
  EXPECT_EQ(a.certificate_chain, b.certificate_chain);
}

void ExpectSame(const KeyPolicy& a, const KeyPolicy& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.incarnation, b.incarnation);
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.derived, b.derived);
  EXPECT_EQ(a.convergent_encryption, b.convergent_encryption);
  EXPECT_EQ(a.exportable, b.exportable);
  EXPECT_EQ(a.allow_plaintext_backup, b.allow_plaintext_backup);
  EXPECT_EQ(a.deletion_allowed, b.deletion_allowed);
  EXPECT_EQ(a.auto_rotate_period_seconds, b.auto_rotate_period_seconds);
  EXPECT_EQ(a.min_available_version, b.min_available_version);
  EXPECT_EQ(a.min_decryption_version, b.min_decryption_version);
  EXPECT_EQ(a.min_encryption_version, b.min_encryption_version);
  EXPECT_EQ(a.latest_version, b.latest_version);
  EXPECT_EQ(a.key_size, b.key_size);
  EXPECT_EQ(a.imported, b.imported);
  EXPECT_EQ(a.imported_allow_rotation, b.imported_allow_rotation);
  EXPECT_EQ(a.soft_deleted, b.soft_deleted);
  EXPECT_EQ(a.backup_info, b.backup_info);
  EXPECT_EQ(a.restore_info, b.restore_info);
}

void ExpectSame(const Key& a, const Key& b) {
  ExpectSame(a.policy(), b.policy());
  ASSERT_EQ(a.versions().size(), b.versions().size());
  for (std::size_t index = 0; index < a.versions().size(); ++index) {
    ExpectSame(a.versions()[index], b.versions()[index]);
  }
}

TEST(KeyEncoding, DecodesWhatItEncoded) {
  for (const KeyPolicy& policy :
       {FullPolicy(), PolicyOf(KeyType::kAes256Gcm96), PolicyOf(KeyType::kChaCha20Poly1305, 40)}) {
    KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(policy));
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes encoded, key.Encode());
    KMS_ASSERT_OK_AND_ASSIGN(const Key decoded, Key::Decode(encoded.View()));
    ExpectSame(key, decoded);
  }
}

TEST(KeyEncoding, FrozenFormat1DecodesForEver) {
  const auto rows = ReadVectors("key_v1.hex");
  ASSERT_EQ(rows.size(), 2U);
  const KeyPolicy policies[] = {PolicyOf(KeyType::kAes256Gcm96), FullPolicy()};
  for (std::size_t index = 0; index < rows.size(); ++index) {
    const Bytes frozen = FromHex(rows[index].at(0));
    KMS_ASSERT_OK_AND_ASSIGN(const Key expected, MakeKey(policies[index]));
    KMS_ASSERT_OK_AND_ASSIGN(const Key decoded, Key::Decode(frozen));
    ExpectSame(decoded, expected);
  }
}

TEST(KeyEncoding, FrozenFormat2DecodesForEver) {
  const auto rows = ReadVectors("key_v2.hex");
  const std::vector<Key> keys = KeysOfFormat2();
  ASSERT_EQ(rows.size(), keys.size());
  for (std::size_t index = 0; index < rows.size(); ++index) {
    KMS_ASSERT_OK_AND_ASSIGN(const Key decoded, Key::Decode(FromHex(rows[index].at(0))));
    ExpectSame(decoded, keys[index]);
    EXPECT_EQ(HexEncode(keys[index].Encode()->View()), rows[index].at(0));
  }
}

TEST(KeyEncoding, RefusesACertificateThatNoLengthCanSay) {
  KeyVersion version = KnownVersion(KeyType::kEd25519, 1);
  version.certificate_chain = {Bytes(0x10000)};
  EXPECT_THAT(EncodeArchivedVersion(version), HasError(ErrorCode::kInvalidArgument));
}

TEST(KeyEncoding, RefusesFlagsThatFormat1DidNotHave) {
  Bytes frozen = FromHex(ReadVectors("key_v1.hex").front().at(0));
  frozen[2] |= 1U << 5U;
  EXPECT_THAT(Key::Decode(frozen), HasError(ErrorCode::kCorrupted));
}

TEST(KeyEncoding, D24_NamesAFormatOfAnotherProgramVersion) {
  Bytes encoded = Encoded(MakeKey(FullPolicy()));
  for (const int format : {0, 4, 77, 255}) {
    encoded[0] = static_cast<std::uint8_t>(format);
    EXPECT_THAT(Key::Decode(encoded),
                HasError(ErrorCode::kCorrupted, AllOf(HasSubstr("format " + std::to_string(format)),
                                                      HasSubstr("reads formats 1 to 3"))));
  }
}

TEST(KeyEncoding, C17_NamesAnUnknownKeyType) {
  Bytes encoded = Encoded(MakeKey(FullPolicy()));
  for (const int type : {12, 16, 100, 255}) {
    encoded[1] = static_cast<std::uint8_t>(type);
    EXPECT_THAT(Key::Decode(encoded),
                HasError(ErrorCode::kCorrupted, HasSubstr("type number " + std::to_string(type))));
  }
}

TEST(KeyEncoding, RefusesEveryTruncation) {
  const Bytes encoded = Encoded(MakeKey(FullPolicy()));
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_THAT(Key::Decode(ByteView(encoded).first(size)), HasError(ErrorCode::kCorrupted))
        << size;
  }
}

TEST(KeyEncoding, RefusesBytesLeftOver) {
  Bytes encoded = Encoded(MakeKey(FullPolicy()));
  const std::size_t record = 4 + 8 + 2 + 16 + 2 + 32 + 2 + 1;
  const Bytes last(encoded.end() - record, encoded.end());
  encoded.push_back(0);
  EXPECT_THAT(Key::Decode(encoded), HasError(ErrorCode::kCorrupted));
  encoded.pop_back();
  encoded.insert(encoded.end(), last.begin(), last.end());
  EXPECT_THAT(Key::Decode(encoded), HasError(ErrorCode::kCorrupted));
}

// A changed bit is either refused or part of a value that comes out changed: no bit is ignored, so
// nothing but one encoding stands for a key.
TEST(KeyEncoding, IgnoresNoBit) {
  const Bytes encoded = Encoded(MakeKey(FullPolicy()));
  int refused = 0;
  for (std::size_t bit = 0; bit < encoded.size() * 8; ++bit) {
    Bytes changed = encoded;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    const Result<Key> decoded = Key::Decode(changed);
    if (!decoded.has_value()) {
      EXPECT_EQ(decoded.error().code, ErrorCode::kCorrupted) << bit;
      ++refused;
      continue;
    }
    EXPECT_EQ(Encoded(decoded), changed) << bit;
  }
  EXPECT_GT(refused, 0);
}

TEST(KeyEncoding, RefusesOtherMaterialSizes) {
  Bytes encoded = Encoded(MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  encoded[1] = static_cast<std::uint8_t>(KeyType::kAes128Gcm96);  // 32 bytes no longer fit
  EXPECT_THAT(Key::Decode(encoded), HasError(ErrorCode::kCorrupted));
}

TEST(ArchivedVersion, DecodesWhatItEncoded) {
  const KeyVersion version = KnownVersion(KeyType::kAes128Gcm96, 3, 9);
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes encoded, EncodeArchivedVersion(version));
  KMS_ASSERT_OK_AND_ASSIGN(const KeyVersion decoded, DecodeArchivedVersion(encoded.View()));
  ExpectSame(version, decoded);
}

TEST(ArchivedVersion, FrozenFormat1DecodesForEver) {
  const auto rows = ReadVectors("archived_version_v1.hex");
  ASSERT_EQ(rows.size(), 1U);
  const KeyVersion expected = KnownVersion(KeyType::kAes256Gcm96, 2, 5);
  KMS_ASSERT_OK_AND_ASSIGN(const KeyVersion decoded, DecodeArchivedVersion(FromHex(rows[0].at(0))));
  ExpectSame(decoded, expected);
}

TEST(ArchivedVersion, FrozenFormat2DecodesForEver) {
  const auto rows = ReadVectors("archived_version_v2.hex");
  ASSERT_EQ(rows.size(), 2U);
  KeyVersion expected[] = {KnownVersion(KeyType::kAes256Gcm96, 2, 5),
                           KnownVersion(KeyType::kEd25519, 2, 5)};
  expected[1].certificate_chain = {Bytes{1, 2, 3}};
  for (std::size_t index = 0; index < rows.size(); ++index) {
    const KeyVersion& version = expected[index];
    KMS_ASSERT_OK_AND_ASSIGN(const KeyVersion decoded,
                             DecodeArchivedVersion(FromHex(rows[index].at(0))));
    ExpectSame(decoded, version);
    EXPECT_EQ(HexEncode(EncodeArchivedVersion(version)->View()), rows[index].at(0));
  }
}

TEST(ArchivedVersion, IsRefusedWhenItsStructureIsDamaged) {
  const Bytes encoded =
      CopyOf(EncodeArchivedVersion(KnownVersion(KeyType::kAes256Gcm96, 1))->View());
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_THAT(DecodeArchivedVersion(ByteView(encoded).first(size)),
                HasError(ErrorCode::kCorrupted))
        << size;
  }
  Bytes changed = encoded;
  changed.push_back(0);
  EXPECT_THAT(DecodeArchivedVersion(changed), HasError(ErrorCode::kCorrupted));
  changed = encoded;
  changed[0] = 4;
  EXPECT_THAT(DecodeArchivedVersion(changed),
              HasError(ErrorCode::kCorrupted, HasSubstr("format 4")));
  changed = encoded;
  changed[4] = 0;  // version number 0
  EXPECT_THAT(DecodeArchivedVersion(changed), HasError(ErrorCode::kCorrupted));
}

TEST(ArchivedVersion, HasADifferentFormThanAKey) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  EXPECT_THAT(DecodeArchivedVersion(key.Encode()->View()), HasError(ErrorCode::kCorrupted));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes archived, EncodeArchivedVersion(key.versions()[0]));
  EXPECT_THAT(Key::Decode(archived.View()), HasError(ErrorCode::kCorrupted));
}

}  // namespace
}  // namespace kms
