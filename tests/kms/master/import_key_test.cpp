// SPDX-License-Identifier: Apache-2.0
// The stored form of import-key records: exact, frozen, and strict.
#include "kms/master/import_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOkAndHolds;
using ::testing::HasSubstr;

constexpr std::size_t kPlacesAt = 1 + 1 + 16 + 8;

ImportKeyRecord SampleRecord() {
  return {.id = Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11").value_or(Uuid()),
          .label = "kms/prod/import",
          .token_label = "kms",
          .token_serial = "0123456789abcdef",
          .module_description = "Implementation of PKCS11 2.6",
          .public_key = {0x30, 0x03, 0x02, 0x01, 0x07},
          .places = {OaepPlace::kToken, OaepPlace::kWorker, OaepPlace::kWorker, OaepPlace::kNowhere,
                     OaepPlace::kWorker},
          .created_unix_seconds = 1'790'000'001};
}

TEST(ImportKeyRecord, DecodesToWhatWasEncoded) {
  EXPECT_THAT(ImportKeyRecord::Decode(SampleRecord().Encode()), IsOkAndHolds(SampleRecord()));
}

TEST(ImportKeyRecord, EncodesAsTheFrozenVectorOfFormat1) {
  std::ifstream file(KMS_SOURCE_DIR "/tests/vectors/import_key_record_v1.hex");
  std::string frozen;
  std::getline(file, frozen);
  EXPECT_EQ(HexEncode(SampleRecord().Encode()), frozen);
}

TEST(ImportKeyRecord, RefusesEveryTruncationAndTrailingBytes) {
  Bytes whole = SampleRecord().Encode();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(ImportKeyRecord::Decode(ByteView(whole).first(size)),
                HasError(ErrorCode::kCorrupted))
        << size;
  }
  whole.push_back(0);
  EXPECT_THAT(ImportKeyRecord::Decode(whole), HasError(ErrorCode::kCorrupted));
}

TEST(ImportKeyRecord, C17_NamesAnUnknownFormatAndPlace) {
  Bytes newer = SampleRecord().Encode();
  newer[1] = 2;
  EXPECT_THAT(ImportKeyRecord::Decode(newer),
              HasError(ErrorCode::kCorrupted, HasSubstr("format 2")));
  newer[1] = 1;
  newer[kPlacesAt] = 3;
  EXPECT_THAT(ImportKeyRecord::Decode(newer),
              HasError(ErrorCode::kCorrupted, HasSubstr("place of the padding 3")));
}

TEST(ImportKeyRecord, IsNoMasterKeyRecord) {
  Bytes other = SampleRecord().Encode();
  other[0] = 'M';
  EXPECT_THAT(ImportKeyRecord::Decode(other),
              HasError(ErrorCode::kCorrupted, HasSubstr("not one of ours")));
}

TEST(ImportKeyRecord, SaysOfEveryHashWhereItIsOpened) {
  const ImportKeyRecord record = SampleRecord();
  EXPECT_EQ(record.PlaceOf(HashAlgorithm::kSha1), OaepPlace::kToken);
  EXPECT_EQ(record.PlaceOf(HashAlgorithm::kSha2_256), OaepPlace::kWorker);
  EXPECT_EQ(record.PlaceOf(HashAlgorithm::kSha2_384), OaepPlace::kNowhere);
  EXPECT_EQ(record.PlaceOf(HashAlgorithm::kSha3_256), OaepPlace::kNowhere);
}

}  // namespace
}  // namespace kms
