// SPDX-License-Identifier: Apache-2.0
#include "kms/base/bytes.h"

#include <gtest/gtest.h>

#include "kms/base/digest.h"
#include "kms/base/ids.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOkAndHolds;

TEST(HexEncode, UsesLowerCaseDigits) {
  EXPECT_EQ(HexEncode(Bytes{0x00, 0x9a, 0xff}), "009aff");
  EXPECT_EQ(HexEncode({}), "");
}

TEST(EqualInConstantTime, ComparesLengthAndContents) {
  EXPECT_TRUE(EqualInConstantTime(AsBytes("same"), AsBytes("same")));
  EXPECT_FALSE(EqualInConstantTime(AsBytes("same"), AsBytes("sane")));
  EXPECT_FALSE(EqualInConstantTime(AsBytes("same"), AsBytes("samey")));
  EXPECT_TRUE(EqualInConstantTime({}, {}));
}

// FIPS 180-4 example messages.
TEST(Sha256, MatchesPublishedDigests) {
  EXPECT_EQ(HexEncode(Sha256(AsBytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(HexEncode(Sha256(AsBytes(""))),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(HexEncode(Sha256({AsBytes("a"), AsBytes(""), AsBytes("bc")})),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Uuid, RoundTripsItsText) {
  const Uuid uuid = Uuid::Random();
  EXPECT_THAT(Uuid::Parse(uuid.ToString()), IsOkAndHolds(uuid));
  EXPECT_EQ(uuid.ToString().size(), 36U);
  EXPECT_EQ(uuid.ToString()[14], '4');
  EXPECT_NE(uuid, Uuid::Random());
}

TEST(Uuid, RefusesOtherTexts) {
  for (const char* text : {"", "6f0c8d6a", "6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f1",
                           "6f0c8d6a+6f0e-4f1c-9b1e-0a4f1d0f8f11",
                           "6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8fzz"}) {
    EXPECT_THAT(Uuid::Parse(text), HasError(ErrorCode::kInvalidArgument)) << text;
  }
}

}  // namespace
}  // namespace kms
