// SPDX-License-Identifier: Apache-2.0
// The stored form of a split key, and the files of a ceremony as earlier releases wrote them.
#include "kms/keys/split_key.h"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <string>

#include "kms/keys/recovery_package.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using ::kms::testing::FromHex;
using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::ReadVectors;
using ::testing::HasSubstr;

Bytes Frozen() { return FromHex(ReadVectors("split_key_v1.hex").at(0).at(0)); }

std::string TextOf(const std::string& name) {
  std::ifstream file(std::string(KMS_SOURCE_DIR) + "/tests/vectors/" + name);
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(SplitKey, OpensItsFrozenSample) {
  const auto split = SplitKey::Decode(Frozen());
  ASSERT_THAT(split, IsOk());
  EXPECT_EQ(split->environment, "prod");
  EXPECT_EQ(split->version, 1U);
  EXPECT_EQ(split->threshold, 2);
  ASSERT_EQ(split->shares.size(), 2U);
  EXPECT_EQ(split->Find(1)->holder, "alice");
  EXPECT_EQ(split->Find(2)->holder, "bob");
  EXPECT_EQ(split->Find(3), nullptr);
  EXPECT_EQ(split->Encode(), Frozen());
}

TEST(SplitKey, RefusesEveryOtherLengthAndFormat) {
  const Bytes good = Frozen();
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(SplitKey::Decode(ByteView(good).first(size)), HasError(ErrorCode::kCorrupted));
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_THAT(SplitKey::Decode(longer), HasError(ErrorCode::kCorrupted));
  Bytes newer = good;
  newer[1] = 2;
  EXPECT_THAT(SplitKey::Decode(newer),
              HasError(ErrorCode::kCorrupted, HasSubstr("format 2 is unknown")));
  Bytes other = good;
  other[0] = 'R';
  EXPECT_THAT(SplitKey::Decode(other), HasError(ErrorCode::kCorrupted));
}

TEST(SplitKey, RefusesNumbersThatCannotBe) {
  const SplitKey good = SplitKey::Decode(Frozen()).value();
  const auto refuses = [](SplitKey bad) {
    EXPECT_THAT(SplitKey::Decode(bad.Encode()), HasError(ErrorCode::kCorrupted));
  };
  SplitKey bad = good;
  bad.threshold = 0;
  refuses(bad);
  bad.threshold = 3;
  refuses(bad);
  bad = good;
  bad.shares[1].number = 1;
  refuses(bad);
  bad.shares[1].number = 0;
  refuses(bad);
  bad.shares[1].number = 33;
  refuses(bad);
  bad = good;
  bad.shares[0].holder = "a\nb";
  refuses(bad);
  bad = good;
  bad.shares.clear();
  refuses(bad);
}

TEST(SplitKey, BindsChecksToWhatTheyAreOf) {
  const SplitKey split = SplitKey::Decode(Frozen()).value();
  const SecretBytes value = SecretBytes::OfSize(32).value();
  EXPECT_EQ(ShareCheck(split, 1, value).value(), ShareCheck(split, 1, value).value());
  EXPECT_NE(ShareCheck(split, 1, value).value(), ShareCheck(split, 2, value).value());
  EXPECT_NE(ShareCheck(split, 1, value).value(), SplitKeyCheck(split, value).value());
  SplitKey other = split;
  other.split_id = Uuid::Random();
  EXPECT_NE(SplitKeyCheck(other, value).value(), SplitKeyCheck(split, value).value());
}

TEST(RecoveryFiles, OpenTheirFrozenSamples) {
  const auto package = RecoveryPackage::Parse(TextOf("recovery_package_v1.json"));
  ASSERT_THAT(package, IsOk());
  EXPECT_EQ(package->created_unix_seconds, 1'767'225'600);
  ASSERT_EQ(package->keys.size(), 1U);
  EXPECT_EQ(package->keys[0].Encode(), Frozen());
  EXPECT_EQ(package->ToJson(), TextOf("recovery_package_v1.json"));
  const auto answer = RecoveryAnswer::Parse(TextOf("recovery_answer_v1.json"));
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->ceremony, package->ceremony);
  ASSERT_EQ(answer->shares.size(), 1U);
  EXPECT_EQ(answer->shares[0].holder, "alice");
  EXPECT_EQ(answer->ToJson(), TextOf("recovery_answer_v1.json"));
}

}  // namespace
}  // namespace kms
