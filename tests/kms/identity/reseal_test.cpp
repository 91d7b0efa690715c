// SPDX-License-Identifier: Apache-2.0
// Identity while the environment key of `sys` is rotated: entries are sealed again under the hands
// of those who change them, and nobody notices.
#include <atomic>
#include <thread>

#include "tests/kms/identity/token_world.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;

class ResealTest : public testing::TokenWorld {
 protected:
  void SealAllAgain() {
    ++version_;
    ASSERT_THAT(
        keys_.Add(version_,
                  SecretBytes::CopyOf(Bytes(32, static_cast<std::uint8_t>(version_))).value()),
        IsOk());
    ASSERT_THAT(sys_.Reseal(Paths("")), IsOk());
  }

  EnvironmentKeyVersion version_ = 0x11;
};

TEST_F(ResealTest, D2_ATokenHasAsManyUsesAsGranted) {
  TokenGrant grant = Grant(Root());
  grant.num_uses = 200;
  const std::string token = Issue(grant);
  const PrincipalHandle principal = Who(token);
  std::atomic<bool> stop = false;
  std::thread rotation([&] {
    while (!stop) {
      SealAllAgain();
    }
  });
  for (int use = 0; use < 200; ++use) {
    EXPECT_THAT(tokens().SpendUse(*principal), IsOk()) << use;
  }
  stop = true;
  rotation.join();
  EXPECT_THAT(tokens().SpendUse(*principal), HasError(ErrorCode::kPermissionDenied));
}

TEST_F(ResealTest, D2_TokensAreMadeRenewedAndRevokedMeanwhile) {
  std::atomic<bool> stop = false;
  std::thread rotation([&] {
    while (!stop) {
      SealAllAgain();
    }
  });
  for (int round = 0; round < 50; ++round) {
    const std::string parent = Issue();
    const std::string child = Issue(Grant(Who(parent)));
    EXPECT_TRUE(IsGood(child));
    EXPECT_THAT(tokens().Revoke(*Who(parent)), IsOk());
    EXPECT_FALSE(IsGood(parent));
    EXPECT_FALSE(IsGood(child));
  }
  stop = true;
  rotation.join();
  Reopen();
  ExpectNoTokensLeft();
}

}  // namespace
}  // namespace kms
