// SPDX-License-Identifier: Apache-2.0
#include "kms/base/record_codec.h"

#include <gtest/gtest.h>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using kms::testing::IsOkAndHolds;
using ::testing::StrEq;

std::string WhatIsWrongWith(const Bytes& record) {
  RecordReader reader(record);
  const Result<std::uint8_t> format = ReadHead(reader, 'X', 2, "record of a test");
  return format ? "nothing" : format.error().public_message;
}

TEST(RecordHead, IsTheKindAndTheFormat) {
  EXPECT_EQ(RecordWriter('X', 2).Take(), (Bytes{0x58, 0x02}));
}

TEST(RecordHead, HasAnyFormatUpToTheNewest) {
  for (const std::uint8_t written : {std::uint8_t{1}, std::uint8_t{2}}) {
    const Bytes record = RecordWriter('X', written).Take();
    RecordReader reader(record);
    EXPECT_THAT(ReadHead(reader, 'X', 2, "record of a test"), IsOkAndHolds(written));
    EXPECT_TRUE(reader.Finished());
  }
}

TEST(RecordHead, OfAnotherKindIsNotOurs) {
  EXPECT_THAT(WhatIsWrongWith(RecordWriter('Y', 1).Take()),
              StrEq("damaged record of a test: not one of ours"));
  EXPECT_THAT(WhatIsWrongWith({}), StrEq("damaged record of a test: not one of ours"));
}

TEST(RecordHead, OfAFormatThatIsNotKnownIsRefused) {
  EXPECT_THAT(
      WhatIsWrongWith(RecordWriter('X', 3).Take()),
      StrEq("damaged record of a test: format 3 is unknown, this release reads 2; it may be of "
            "a newer release"));
  EXPECT_THAT(
      WhatIsWrongWith(RecordWriter('X', 0).Take()),
      StrEq("damaged record of a test: format 0 is unknown, this release reads 2; it may be of "
            "a newer release"));
  EXPECT_THAT(
      WhatIsWrongWith({'X'}),
      StrEq("damaged record of a test: format 0 is unknown, this release reads 2; it may be of "
            "a newer release"));
}

TEST(RecordHead, FailsTheReaderWhenItIsAnother) {
  for (const Bytes& record : {Bytes{'Y', 1}, Bytes{'X', 2}, Bytes{'X', 0}, Bytes{'X'}, Bytes{}}) {
    RecordReader reader(record);
    reader.GetHead('X', 1);
    EXPECT_TRUE(reader.failed());
    EXPECT_FALSE(reader.Finished());
  }
}

TEST(RecordHead, LeavesTheReaderBehindItself) {
  const Bytes record = {'X', 1, 1};
  RecordReader reader(record);
  reader.GetHead('X', 1);
  EXPECT_TRUE(reader.GetFlag());
  EXPECT_TRUE(reader.Finished());
}

TEST(RecordHead, DoesNotMendAReaderThatFailed) {
  const Bytes record = {'X', 1};
  RecordReader reader(record);
  reader.Fail();
  reader.GetHead('X', 1);
  EXPECT_TRUE(reader.failed());
}

}  // namespace
}  // namespace kms
