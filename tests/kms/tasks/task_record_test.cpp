// SPDX-License-Identifier: Apache-2.0
#include "kms/tasks/task_record.h"

#include <string>

#include "kms/tasks/destruction_statement.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using ::testing::HasSubstr;

const Uuid kId = Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11").value();
const Uuid kOther = Uuid::Parse("00112233-4455-6677-8899-aabbccddeeff").value();

TaskRecord SampleTask() {
  return {.id = kId,
          .kind = TaskKind::kRotateMasterKey,
          .state = TaskState::kFailed,
          .environment = "prod",
          .environment_id = kOther,
          .parameters = {{"to_hsm", "b"}, {"version", "2"}},
          .step = "s",
          .done = 3,
          .total = 4,
          .cursor = "c",
          .entries = 5,
          .rate_limit = 6,
          .notes = {"n"},
          .created_unix_seconds = 7,
          .started_unix_seconds = 8,
          .finished_unix_seconds = 9,
          .error = "e",
          .asked_by = "a",
          .accessor = "x"};
}

DestructionStatement SampleStatement() {
  return {.id = kId,
          .environment = "prod",
          .environment_id = kOther,
          .version = 1,
          .objects = {{.hsm = "a",
                       .token_label = "t",
                       .token_serial = "01",
                       .id = kOther,
                       .label = "kms/prod/1",
                       .made_unix_seconds = 1767225600}},
          .asked_by = "root",
          .text = "{}",
          .signature = {0x30},
          .public_key = {0x31}};
}

TEST(TaskRecord, IsTheFrozenFormat1) {
  EXPECT_EQ(HexEncode(SampleTask().Encode()),
            "5401"
            "02"
            "03"
            "6f0c8d6a6f0e4f1c9b1e0a4f1d0f8f11"
            "00000004"
            "70726f64"
            "00112233445566778899aabbccddeeff"
            "00000002"
            "00000006"
            "746f5f68736d"
            "00000001"
            "62"
            "00000007"
            "76657273696f6e"
            "00000001"
            "32"
            "00000001"
            "73"
            "0000000000000003"
            "0000000000000004"
            "00000001"
            "63"
            "0000000000000005"
            "00000006"
            "00000001"
            "00000001"
            "6e"
            "0000000000000007"
            "0000000000000008"
            "0000000000000009"
            "00000001"
            "65"
            "00000001"
            "61"
            "00000001"
            "78");
}

TEST(TaskRecord, SurvivesEncoding) {
  KMS_ASSERT_OK_AND_ASSIGN(const TaskRecord decoded, TaskRecord::Decode(SampleTask().Encode()));
  EXPECT_EQ(decoded, SampleTask());
  EXPECT_EQ(decoded.VersionParameter("version"), 2U);
  EXPECT_EQ(decoded.VersionParameter("to_hsm"), 0U);
  EXPECT_EQ(decoded.Parameter("none"), nullptr);
}

TEST(DestructionStatement, IsTheFrozenFormat1) {
  EXPECT_EQ(HexEncode(SampleStatement().Encode()),
            "4401"
            "6f0c8d6a6f0e4f1c9b1e0a4f1d0f8f11"
            "00000004"
            "70726f64"
            "00112233445566778899aabbccddeeff"
            "00000001"
            "00000001"
            "00000001"
            "61"
            "00000001"
            "74"
            "00000002"
            "3031"
            "00112233445566778899aabbccddeeff"
            "0000000a"
            "6b6d732f70726f642f31"
            "000000006955b900"
            "00000004"
            "726f6f74"
            "00000002"
            "7b7d"
            "00000001"
            "30"
            "00000001"
            "31");
  KMS_ASSERT_OK_AND_ASSIGN(const DestructionStatement decoded,
                           DestructionStatement::Decode(SampleStatement().Encode()));
  EXPECT_EQ(decoded, SampleStatement());
}

DestructionStatement SampleWithLost() {
  DestructionStatement statement = SampleStatement();
  statement.not_destroyed = {{.object = {.hsm = "b",
                                         .token_label = "u",
                                         .token_serial = "02",
                                         .id = kId,
                                         .label = "kms/prod/1",
                                         .made_unix_seconds = 1767225600},
                              .declared_unix_seconds = 1767225601,
                              .declared_by = "root",
                              .reason = "fire"}};
  return statement;
}

TEST(DestructionStatement, WithLostObjectsIsTheFrozenFormat2) {
  std::string expected = HexEncode(SampleStatement().Encode());
  expected[3] = '2';
  expected +=
      "00000001"
      "00000001"
      "62"
      "00000001"
      "75"
      "00000002"
      "3032"
      "6f0c8d6a6f0e4f1c9b1e0a4f1d0f8f11"
      "0000000a"
      "6b6d732f70726f642f31"
      "000000006955b900"
      "000000006955b901"
      "00000004"
      "726f6f74"
      "00000004"
      "66697265";
  const Bytes encoded = SampleWithLost().Encode();
  EXPECT_EQ(HexEncode(encoded), expected);
  KMS_ASSERT_OK_AND_ASSIGN(const DestructionStatement decoded,
                           DestructionStatement::Decode(encoded));
  EXPECT_EQ(decoded, SampleWithLost());
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_FALSE(DestructionStatement::Decode(ByteView{encoded}.first(size)).has_value()) << size;
  }
}

TEST(DestructionStatement, SaysWhatCouldNotBeDestroyedInItsFrozenText) {
  EXPECT_EQ(SampleWithLost().Render(WallTime(std::chrono::seconds(1767225600)), "ab"),
            R"({"statement":"kms master key destruction v2",)"
            R"("id":"6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11","environment":"prod",)"
            R"("environment_id":"00112233-4455-6677-8899-aabbccddeeff","master_key_version":1,)"
            R"("objects":[{"hsm":"a","token_label":"t","token_serial":"01",)"
            R"("cka_id":"00112233-4455-6677-8899-aabbccddeeff","cka_label":"kms/prod/1",)"
            R"("made":"2026-01-01T00:00:00.000000000Z"}],)"
            R"("not_destroyed":[{"hsm":"b","token_label":"u","token_serial":"02",)"
            R"("cka_id":"6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11","cka_label":"kms/prod/1",)"
            R"("made":"2026-01-01T00:00:00.000000000Z",)"
            R"("declared_lost":"2026-01-01T00:00:01.000000000Z","declared_by":"root",)"
            R"("reason":"fire"}],"asked_by":"root",)"
            R"("destroyed":"2026-01-01T00:00:00.000000000Z","audit_head":"ab"})");
}

TEST(DestructionStatement, SaysWhatWasDestroyedInItsFrozenText) {
  EXPECT_EQ(SampleStatement().Render(WallTime(std::chrono::seconds(1767225600)), "ab"),
            R"({"statement":"kms master key destruction v1",)"
            R"("id":"6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11","environment":"prod",)"
            R"("environment_id":"00112233-4455-6677-8899-aabbccddeeff","master_key_version":1,)"
            R"("objects":[{"hsm":"a","token_label":"t","token_serial":"01",)"
            R"("cka_id":"00112233-4455-6677-8899-aabbccddeeff","cka_label":"kms/prod/1",)"
            R"("made":"2026-01-01T00:00:00.000000000Z"}],"asked_by":"root",)"
            R"("destroyed":"2026-01-01T00:00:00.000000000Z","audit_head":"ab"})");
}

// Every record, cut at every length, lengthened, and of another kind or release.
template <typename Record>
void ExpectOnlyItself(const Bytes& good) {
  for (std::size_t size = 0; size < good.size(); ++size) {
    const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THAT(Record::Decode(cut), HasError(ErrorCode::kCorrupted)) << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_THAT(Record::Decode(longer), HasError(ErrorCode::kCorrupted));
  Bytes newer = good;
  newer[1] = 9;
  EXPECT_THAT(Record::Decode(newer), HasError(ErrorCode::kCorrupted, HasSubstr("format 9")));
  Bytes other = good;
  other[0] = 'Z';
  EXPECT_THAT(Record::Decode(other), HasError(ErrorCode::kCorrupted, HasSubstr("not one of ours")));
}

TEST(TaskRecord, RefusesWhatIsNotOne) {
  const Bytes good = SampleTask().Encode();
  ExpectOnlyItself<TaskRecord>(good);
  for (const std::size_t field : {2U, 3U}) {
    for (const int unknown : {0, 9, 255}) {
      Bytes bad = good;
      bad[field] = static_cast<std::uint8_t>(unknown);
      EXPECT_THAT(TaskRecord::Decode(bad), HasError(ErrorCode::kCorrupted));
    }
  }
}

TEST(DestructionStatement, RefusesWhatIsNotOne) {
  ExpectOnlyItself<DestructionStatement>(SampleStatement().Encode());
}

}  // namespace
}  // namespace kms
