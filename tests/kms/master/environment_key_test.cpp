// SPDX-License-Identifier: Apache-2.0
#include "kms/master/environment_key.h"

#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;
using testing::IsOkAndHolds;

SecretBytes KeyOf(std::uint8_t byte, std::size_t size = kEnvironmentKeyBytes) {
  return SecretBytes::CopyOf(Bytes(size, byte)).value();
}

TEST(EnvironmentKeyContext, IsTheFrozenEncoding) {
  const Uuid id = Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11").value();

  EXPECT_EQ(HexEncode(EnvironmentKeyContext(id, 0x01020304)),
            "00000016" "6b6d7320656e7669726f6e6d656e74206b6579207631"
            "00000010" "6f0c8d6a6f0e4f1c9b1e0a4f1d0f8f11"
            "00000004" "01020304");
}

TEST(EnvironmentKeyring, IsSealedUntilAKeyIsAdded) {
  EnvironmentKeyring keyring;

  EXPECT_TRUE(keyring.sealed());
  EXPECT_THAT(keyring.Latest(), HasError(ErrorCode::kUnavailable, "environment is sealed"));
  EXPECT_THAT(keyring.Find(1), HasError(ErrorCode::kUnavailable, "environment is sealed"));
}

TEST(EnvironmentKeyring, SealsUnderTheHighestVersion) {
  EnvironmentKeyring keyring;
  ASSERT_THAT(keyring.Add(2, KeyOf(2)), IsOk());
  ASSERT_THAT(keyring.Add(1, KeyOf(1)), IsOk());

  EXPECT_THAT(keyring.Latest(), IsOkAndHolds(2U));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes found, keyring.Find(1));
  EXPECT_EQ(found, KeyOf(1));
}

TEST(EnvironmentKeyring, RefusesAnotherKeyUnderAKnownVersion) {
  EnvironmentKeyring keyring;
  ASSERT_THAT(keyring.Add(1, KeyOf(1)), IsOk());

  EXPECT_THAT(keyring.Add(1, KeyOf(1)), IsOk());
  EXPECT_THAT(keyring.Add(1, KeyOf(9)), HasError(ErrorCode::kInvalidArgument));
  EXPECT_TRUE(keyring.Holds(1, KeyOf(1)));
  EXPECT_FALSE(keyring.Holds(1, KeyOf(9)));
  EXPECT_FALSE(keyring.Holds(2, KeyOf(1)));
}

TEST(EnvironmentKeyring, RefusesWrongSizes) {
  EnvironmentKeyring keyring;

  EXPECT_THAT(keyring.Add(1, KeyOf(1, 31)), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(keyring.Add(1, SecretBytes{}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(keyring.Replace({}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_TRUE(keyring.sealed());
}

TEST(EnvironmentKeyring, NamesAnUnknownVersionDamage) {
  EnvironmentKeyring keyring;
  ASSERT_THAT(keyring.Add(1, KeyOf(1)), IsOk());

  EXPECT_THAT(keyring.Find(2), HasError(ErrorCode::kCorrupted));
}

TEST(EnvironmentKeyring, WipeSealsAgain) {
  EnvironmentKeyring keyring;
  ASSERT_THAT(keyring.Add(1, KeyOf(1)), IsOk());

  keyring.Wipe();

  EXPECT_TRUE(keyring.sealed());
  EXPECT_THAT(keyring.Find(1), HasError(ErrorCode::kUnavailable));
}

}  // namespace
}  // namespace kms
