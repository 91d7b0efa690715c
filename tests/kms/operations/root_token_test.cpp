// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/root_token.h"

#include "tests/kms/operations/world.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;
using testing::World;

constexpr std::string_view kToken = "root-token-of-the-test";

class RootTokenTest : public ::testing::Test {
 protected:
  RootTokenTest() { world_.Start(); }
  Environment& sys() { return *world_.environments().sys(); }
  std::unique_ptr<TokenRegistry> Load(std::string_view token) {
    return LoadRootToken(sys(), token).value();
  }

  World world_;
};

TEST_F(RootTokenTest, KeepsItsCreationTimeOverRestarts) {
  const auto created = (*Load(kToken)->Authenticate(kToken))->created_unix_seconds;
  world_.clock.Advance(std::chrono::hours(5));
  world_.Start();

  const auto registry = Load(kToken);
  KMS_ASSERT_OK_AND_ASSIGN(const PrincipalHandle root, registry->Authenticate(kToken));
  EXPECT_EQ(root->created_unix_seconds, created);
}

TEST_F(RootTokenTest, StaysRevokedOverRestarts) {
  const auto registry = Load(kToken);
  ASSERT_THAT(RevokeRootToken(sys(), *registry), IsOk());
  EXPECT_THAT(registry->Authenticate(kToken), HasError(ErrorCode::kPermissionDenied));
  EXPECT_THAT(RevokeRootToken(sys(), *registry), IsOk());
  world_.Start();

  EXPECT_THAT(Load(kToken)->Authenticate(kToken), HasError(ErrorCode::kPermissionDenied));
}

TEST_F(RootTokenTest, ANewTokenReplacesTheOldOne) {
  ASSERT_THAT(RevokeRootToken(sys(), *Load(kToken)), IsOk());

  const auto registry = Load("another token");

  EXPECT_THAT(registry->Authenticate("another token"), IsOk());
  EXPECT_THAT(registry->Authenticate(kToken), HasError(ErrorCode::kPermissionDenied));
}

TEST_F(RootTokenTest, StaysGoodWhenItsRevocationCannotBeStored) {
  const auto registry = Load(kToken);
  world_.store.FailCommit(1);
  EXPECT_THAT(RevokeRootToken(sys(), *registry), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(registry->Authenticate(kToken), IsOk());

  world_.store.FailCommit(1, ErrorCode::kOutcomeUnknown);
  EXPECT_THAT(RevokeRootToken(sys(), *registry), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(registry->Authenticate(kToken), IsOk());

  world_.store.LoseNextCommitAnswer();
  EXPECT_THAT(RevokeRootToken(sys(), *registry), IsOk());
  EXPECT_THAT(registry->Authenticate(kToken), HasError(ErrorCode::kPermissionDenied));
}

TEST_F(RootTokenTest, RefusesAnEmptyToken) {
  EXPECT_THAT(LoadRootToken(sys(), ""), HasError(ErrorCode::kInvalidArgument));
}

TEST_F(RootTokenTest, D10_AnAlteredRecordIsNotBelieved) {
  const auto registry = Load(kToken);
  const std::string path = "e/" + sys().identity().id.ToString() + "/tokens/root";
  Bytes altered = world_.store.Contents().at(path).value;
  altered.back() ^= 1U;
  world_.store.Tamper(path, altered);

  EXPECT_THAT(LoadRootToken(sys(), kToken), HasError(ErrorCode::kCorrupted, "damaged entry"));
}

TEST_F(RootTokenTest, D32_IsNotInTheStore) {
  const auto registry = Load(kToken);

  for (const auto& [path, stored] : world_.store.Contents()) {
    EXPECT_EQ(AsText(stored.value).find(kToken), std::string_view::npos) << path;
  }
}

}  // namespace
}  // namespace kms
