// SPDX-License-Identifier: Apache-2.0
// The stored forms of wrapped keys and master-key records: exact, frozen, and strict.
#include "kms/master/wrapped_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOkAndHolds;
using ::testing::HasSubstr;

Uuid SampleId() { return Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11").value_or(Uuid()); }

WrappedKey SampleWrappedKey() {
  return {.mechanism = WrapMechanism::kGcmEncrypt,
          .master_key_id = SampleId(),
          .master_key_version = 3,
          .token_label = "kms",
          .token_serial = "0123456789abcdef",
          .nonce_origin = NonceOrigin::kCaller,
          .nonce = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
          .tag_bytes = 16,
          .key_bytes = 32,
          .blob = Bytes(48, 0xA5),
          .created_unix_seconds = 1'790'000'000};
}

MasterKeyRecord SampleRecord() {
  return {.id = SampleId(),
          .version = 3,
          .label = "prod master 3",
          .mechanism = WrapMechanism::kKwpWrap,
          .gcm_layout = GcmParameterLayout::kWithoutIvBits,
          .unwrap_needs_value_length = true,
          .token_label = "kms",
          .token_serial = "0123456789abcdef",
          .module_description = "Implementation of PKCS11 2.6",
          .public_key = {0x30, 0x00},
          .sentinel = SampleWrappedKey(),
          .created_unix_seconds = 1'790'000'001};
}

std::string FrozenHex(const std::string& name) {
  std::ifstream file(std::string(KMS_SOURCE_DIR) + "/tests/vectors/" + name);
  std::string line;
  std::getline(file, line);
  return line;
}

TEST(WrappedKey, DecodesToWhatWasEncoded) {
  EXPECT_THAT(WrappedKey::Decode(SampleWrappedKey().Encode()), IsOkAndHolds(SampleWrappedKey()));
}

TEST(WrappedKey, EncodesAsTheFrozenVectorOfFormat1) {
  EXPECT_EQ(HexEncode(SampleWrappedKey().Encode()), FrozenHex("wrapped_key_v1.hex"));
}

WrappedKey SampleSignedKey() {
  WrappedKey key = SampleWrappedKey();
  key.mechanism = WrapMechanism::kOaepSha256Raw;
  key.nonce_origin = NonceOrigin::kNone;
  key.nonce.clear();
  key.tag_bytes = 0;
  key.signature = Bytes(70, 0x5A);
  return key;
}

TEST(WrappedKey, EncodesAsTheFrozenVectorOfFormat2WhenItIsSigned) {
  EXPECT_EQ(HexEncode(SampleSignedKey().Encode()), FrozenHex("wrapped_key_v2.hex"));
  EXPECT_THAT(WrappedKey::Decode(SampleSignedKey().Encode()), IsOkAndHolds(SampleSignedKey()));
}

TEST(WrappedKey, RefusesASignedFormWithoutASignatureOrCutShort) {
  Bytes whole = SampleSignedKey().Encode();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(WrappedKey::Decode(ByteView(whole).first(size)), HasError(ErrorCode::kCorrupted))
        << size;
  }
  Bytes empty = SampleWrappedKey().Encode();
  empty[1] = 2;
  empty.insert(empty.end(), 4, 0);
  EXPECT_THAT(WrappedKey::Decode(empty), HasError(ErrorCode::kCorrupted));
}

TEST(WrapStatement, IsFrozen) {
  WrappedKey key = SampleSignedKey();
  key.blob = {0xB1, 0x0B};
  EXPECT_EQ(HexEncode(WrapStatement(key, Bytes{0xC0, 0x17})),
            "0000000b6b6d732d777261702d7631"
            "07"
            "0020"
            "6f0c8d6a6f0e4f1c9b1e0a4f1d0f8f11"
            "00000003"
            "00000002c017"
            "00000002b10b");
}

TEST(WrapStatement, SaysEverythingThatTheSignatureIsFor) {
  const WrappedKey key = SampleSignedKey();
  const Bytes statement = WrapStatement(key, Bytes{1});
  std::vector<WrappedKey> others(5, key);
  others[0].mechanism = WrapMechanism::kOaepSha256;
  others[1].key_bytes = 31;
  others[2].master_key_id = Uuid::Random();
  others[3].master_key_version = 4;
  others[4].blob.back() ^= 1U;
  for (const WrappedKey& other : others) EXPECT_NE(WrapStatement(other, Bytes{1}), statement);
  EXPECT_NE(WrapStatement(key, Bytes{2}), statement);
}

TEST(WrappedKey, RefusesEveryTruncation) {
  const Bytes whole = SampleWrappedKey().Encode();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(WrappedKey::Decode(ByteView(whole).first(size)), HasError(ErrorCode::kCorrupted))
        << size;
  }
}

TEST(WrappedKey, RefusesTrailingBytes) {
  Bytes longer = SampleWrappedKey().Encode();
  longer.push_back(0);
  EXPECT_THAT(WrappedKey::Decode(longer), HasError(ErrorCode::kCorrupted));
}

TEST(WrappedKey, C17_NamesAnUnknownFormat) {
  Bytes newer = SampleWrappedKey().Encode();
  newer[1] = 9;
  EXPECT_THAT(WrappedKey::Decode(newer), HasError(ErrorCode::kCorrupted, HasSubstr("format 9")));
}

TEST(WrappedKey, C17_NamesAnUnknownMechanism) {
  Bytes newer = SampleWrappedKey().Encode();
  for (const std::uint8_t number : Bytes{0, 8, 255}) {
    newer[2] = number;
    EXPECT_THAT(WrappedKey::Decode(newer),
                HasError(ErrorCode::kCorrupted,
                         HasSubstr("mechanism " + std::to_string(number))));
  }
}

TEST(WrappedKey, RefusesAnUnknownNonceOrigin) {
  Bytes damaged = SampleWrappedKey().Encode();
  damaged[3] = 4;
  EXPECT_THAT(WrappedKey::Decode(damaged), HasError(ErrorCode::kCorrupted));
}

TEST(WrappedKey, RefusesAMasterKeyRecord) {
  EXPECT_THAT(WrappedKey::Decode(SampleRecord().Encode()), HasError(ErrorCode::kCorrupted));
}

TEST(WrappedKey, RefusesALengthThatReachesPastTheEnd) {
  Bytes damaged = SampleWrappedKey().Encode();
  const std::size_t token_label_length = 1 + 1 + 1 + 1 + 1 + 2 + 16 + 4 + 8;
  damaged[token_label_length] = 0xFF;
  EXPECT_THAT(WrappedKey::Decode(damaged), HasError(ErrorCode::kCorrupted));
}

// Every byte matters: whatever still decodes after a change is another value, never the same one.
TEST(WrappedKey, NeverDecodesAChangedFormToTheSameKey) {
  const Bytes whole = SampleWrappedKey().Encode();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    Bytes changed = whole;
    changed[i] ^= 0x01;
    const auto decoded = WrappedKey::Decode(changed);
    if (decoded.has_value()) {
      EXPECT_NE(*decoded, SampleWrappedKey()) << i;
      EXPECT_EQ(decoded->Encode(), changed) << i;
    }
  }
}

TEST(MasterKeyRecord, DecodesToWhatWasEncoded) {
  EXPECT_THAT(MasterKeyRecord::Decode(SampleRecord().Encode()), IsOkAndHolds(SampleRecord()));
}

TEST(MasterKeyRecord, EncodesAsTheFrozenVectorOfFormat1) {
  EXPECT_EQ(HexEncode(SampleRecord().Encode()), FrozenHex("master_key_record_v1.hex"));
}

TEST(MasterKeyRecord, RefusesEveryTruncation) {
  const Bytes whole = SampleRecord().Encode();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(MasterKeyRecord::Decode(ByteView(whole).first(size)),
                HasError(ErrorCode::kCorrupted))
        << size;
  }
}

TEST(MasterKeyRecord, RefusesTrailingBytes) {
  Bytes longer = SampleRecord().Encode();
  longer.push_back(0);
  EXPECT_THAT(MasterKeyRecord::Decode(longer), HasError(ErrorCode::kCorrupted));
}

TEST(MasterKeyRecord, C17_NamesAnUnknownFormat) {
  Bytes newer = SampleRecord().Encode();
  newer[1] = 2;
  EXPECT_THAT(MasterKeyRecord::Decode(newer),
              HasError(ErrorCode::kCorrupted, HasSubstr("format 2")));
}

TEST(MasterKeyRecord, RefusesUnknownMechanismParameters) {
  for (const std::size_t offset : {3U, 4U}) {
    Bytes damaged = SampleRecord().Encode();
    damaged[offset] = 41;
    EXPECT_THAT(MasterKeyRecord::Decode(damaged), HasError(ErrorCode::kCorrupted)) << offset;
  }
}

TEST(Sentinel, DiffersForEveryMasterKey) {
  const Uuid other = Uuid::Random();
  EXPECT_EQ(SentinelValue(SampleId()).size(), 32U);
  EXPECT_EQ(SentinelValue(SampleId()), SentinelValue(SampleId()));
  EXPECT_NE(SentinelValue(SampleId()), SentinelValue(other));
  EXPECT_NE(SentinelContext(SampleId()), SentinelContext(other));
}

// Records in stores were made with these bytes: they never change.
TEST(Sentinel, IsFrozen) {
  EXPECT_EQ(HexEncode(SentinelValue(SampleId())) + "\n" + HexEncode(SentinelContext(SampleId())),
            FrozenHex("sentinel_value_v1.hex") + "\n" + FrozenHex("sentinel_context_v1.hex"));
}

}  // namespace
}  // namespace kms
