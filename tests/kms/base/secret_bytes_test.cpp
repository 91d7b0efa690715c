// SPDX-License-Identifier: Apache-2.0
#include "kms/base/secret_bytes.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <type_traits>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;

static_assert(!std::is_copy_constructible_v<SecretBytes>);
static_assert(std::is_nothrow_move_constructible_v<SecretBytes>);

TEST(SecretBytes, LivesInLockedMemory) {
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::CopyOf(AsBytes("secret")));
  EXPECT_EQ(CRYPTO_secure_allocated(secret.View().data()), 1);
  EXPECT_EQ(AsText(secret.View()), "secret");
}

TEST(SecretBytes, MovingLeavesNothingBehind) {
  KMS_ASSERT_OK_AND_ASSIGN(SecretBytes source, SecretBytes::CopyOf(AsBytes("secret")));
  const SecretBytes target = std::move(source);
  EXPECT_TRUE(source.empty());  // NOLINT: the moved-from state is what is tested
  EXPECT_EQ(target.size(), 6U);
}

TEST(SecretBytes, ReportsAFullArena) {
  EXPECT_THAT(SecretBytes::OfSize(std::size_t{1} << 30U), HasError(ErrorCode::kUnavailable));
}

TEST(SecretBytes, ComparesByContent) {
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes a, SecretBytes::CopyOf(AsBytes("one")));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes b, a.Clone());
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes c, SecretBytes::CopyOf(AsBytes("two")));
  EXPECT_TRUE(a == b);
  EXPECT_FALSE(a == c);
}

TEST(PlaintextBuffer, WipesWhatItHeldBeforeReuse) {
  PlaintextBuffer buffer;
  MutableByteView bytes = buffer.Reset(8);
  std::fill(bytes.begin(), bytes.end(), std::uint8_t{0xAA});
  const std::uint8_t* memory = bytes.data();
  buffer.Truncate(4);
  EXPECT_EQ(memory[4], 0);
  buffer.Wipe();
  EXPECT_EQ(memory[0], 0);
  EXPECT_EQ(buffer.size(), 0U);
}

}  // namespace
}  // namespace kms
