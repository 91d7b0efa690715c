// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/environment_record.h"

#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using ::testing::HasSubstr;
using testing::HasError;

const Uuid kId = Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11").value();
const Uuid kOther = Uuid::Parse("00112233-4455-4677-8899-aabbccddeeff").value();

EnvironmentRecord Sample() {
  EnvironmentRecord record;
  record.identity = {.id = kId,
                     .name = "prod",
                     .accessor = "transit_01020304",
                     .created_unix_seconds = 1767225600};
  record.settings = {.description = "d",
                     .is_protected = true,
                     .disable_upsert = false,
                     .default_lease_ttl_seconds = 1,
                     .max_lease_ttl_seconds = -1,
                     .options = {{"k", "v"}}};
  return record;
}

TEST(EnvironmentRecord, IsTheFrozenFormat1) {
  EXPECT_EQ(HexEncode(Sample().Encode()),
            "4501" "01" "6f0c8d6a6f0e4f1c9b1e0a4f1d0f8f11"
            "00000004" "70726f64"
            "00000010" "7472616e7369745f3031303230333034"
            "000000006955b900"
            "00000001" "64" "01" "00"
            "0000000000000001" "ffffffffffffffff"
            "00000001" "00000001" "6b" "00000001" "76");
}

TEST(EnvironmentRecord, SurvivesEncoding) {
  EnvironmentRecord record = Sample();
  record.stage = EnvironmentStage::kDeleting;

  KMS_ASSERT_OK_AND_ASSIGN(const EnvironmentRecord decoded,
                           EnvironmentRecord::Decode(record.Encode()));

  EXPECT_EQ(decoded.stage, EnvironmentStage::kDeleting);
  EXPECT_EQ(decoded.identity.id, kId);
  EXPECT_EQ(decoded.settings.max_lease_ttl_seconds, -1);
  EXPECT_EQ(decoded.Encode(), record.Encode());
}

TEST(PendingEnvironment, IsTheFrozenFormat2) {
  const PendingEnvironment pending{
      .environment_id = kId, .master_key_id = kOther, .hsms = {"a", "b2"}};

  EXPECT_EQ(HexEncode(pending.Encode()),
            "5002" "6f0c8d6a6f0e4f1c9b1e0a4f1d0f8f11" "00112233445546778899aabbccddeeff"
            "00000002" "00000001" "61" "00000002" "6232");
  KMS_ASSERT_OK_AND_ASSIGN(const auto decoded, PendingEnvironment::Decode(pending.Encode()));
  EXPECT_EQ(decoded.master_key_id, kOther);
  EXPECT_EQ(decoded.hsms, pending.hsms);
}

TEST(PendingEnvironment, ReadsTheFrozenFormat1) {
  const Bytes stored = testing::FromHex("5001" "6f0c8d6a6f0e4f1c9b1e0a4f1d0f8f11"
                                        "00112233445546778899aabbccddeeff");
  KMS_ASSERT_OK_AND_ASSIGN(const auto decoded, PendingEnvironment::Decode(stored));
  EXPECT_EQ(decoded.environment_id, kId);
  EXPECT_EQ(decoded.hsms, std::vector<std::string>{"default"});
}

TEST(RootRecord, IsTheFrozenFormat1) {
  const RootRecord root{
      .stage = RootStage::kInitialised, .sys_id = kId, .sys_master_key_id = kOther};

  EXPECT_EQ(HexEncode(root.Encode()),
            "5201" "02" "6f0c8d6a6f0e4f1c9b1e0a4f1d0f8f11" "00112233445546778899aabbccddeeff");
  KMS_ASSERT_OK_AND_ASSIGN(const auto decoded, RootRecord::Decode(root.Encode()));
  EXPECT_EQ(decoded.stage, RootStage::kInitialised);
  EXPECT_EQ(decoded.sys_id, kId);
}

// Every record, cut at every length, lengthened, and of another kind or release.
template <typename Record>
void ExpectStrict(const Record& record) {
  const Bytes good = record.Encode();
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(Record::Decode(ByteView{good}.first(size)), HasError(ErrorCode::kCorrupted))
        << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_THAT(Record::Decode(longer), HasError(ErrorCode::kCorrupted));
  Bytes kind = good;
  kind[0] ^= 1U;
  EXPECT_THAT(Record::Decode(kind), HasError(ErrorCode::kCorrupted, HasSubstr("not one of ours")));
  Bytes newer = good;
  newer[1] = 9;
  EXPECT_THAT(Record::Decode(newer), HasError(ErrorCode::kCorrupted, HasSubstr("format 9")));
}

TEST(Records, D24_RefuseWhatTheyDidNotWrite) {
  ExpectStrict(Sample());
  ExpectStrict(
      PendingEnvironment{.environment_id = kId, .master_key_id = kOther, .hsms = {"default"}});
  ExpectStrict(
      RootRecord{.stage = RootStage::kCreating, .sys_id = kId, .sys_master_key_id = kOther});
}

TEST(EnvironmentRecord, RefusesOptionsOutOfOrder) {
  EnvironmentRecord record = Sample();
  record.settings.options = {{"a", "1"}, {"b", "2"}};
  Bytes encoded = record.Encode();
  // Two options of two texts of one character each: four times 4 + 1 bytes end the record.
  const std::size_t first_key = encoded.size() - 16;
  ASSERT_EQ(encoded[first_key], 'a');
  encoded[first_key] = 'b';

  EXPECT_THAT(EnvironmentRecord::Decode(encoded), HasError(ErrorCode::kCorrupted));
}

TEST(Records, RefuseUnknownStages) {
  Bytes record = Sample().Encode();
  record[2] = 3;
  EXPECT_THAT(EnvironmentRecord::Decode(record), HasError(ErrorCode::kCorrupted));
  Bytes root = RootRecord{}.Encode();
  root[2] = 0;
  EXPECT_THAT(RootRecord::Decode(root), HasError(ErrorCode::kCorrupted));
}

}  // namespace
}  // namespace kms
