// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/root_token.h"

#include "tests/fakes/manual_clock.h"
#include "tests/fakes/memory_store.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;
using testing::ManualClock;
using testing::MemoryStore;

constexpr std::string_view kToken = "root-token-of-the-test";

class RootTokenTest : public ::testing::Test {
 protected:
  RootTokenTest() {
    EXPECT_THAT(keys_.Add(1, SecretBytes::CopyOf(Bytes(32, 0x11)).value()), IsOk());
  }
  RootToken Load(std::string_view token) { return RecordRootToken(sys_, clock_, token).value(); }

  MemoryStore store_;
  ManualClock clock_;
  EnvironmentKeyring keys_;
  SealedStore sys_{store_, keys_, Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11").value()};
};

TEST_F(RootTokenTest, KeepsItsCreationTimeOverRestarts) {
  const auto created = Load(kToken).created_unix_seconds;
  clock_.Advance(std::chrono::hours(5));

  EXPECT_EQ(Load(kToken).created_unix_seconds, created);
}

TEST_F(RootTokenTest, StaysRevokedOverRestarts) {
  const RootToken root = Load(kToken);
  ASSERT_THAT(RecordRootRevocation(sys_, root.digest), IsOk());
  EXPECT_THAT(RecordRootRevocation(sys_, root.digest), IsOk());

  EXPECT_TRUE(Load(kToken).revoked);
}

TEST_F(RootTokenTest, ANewTokenReplacesTheOldOne) {
  ASSERT_THAT(RecordRootRevocation(sys_, Load(kToken).digest), IsOk());

  EXPECT_FALSE(Load("another token").revoked);
}

TEST_F(RootTokenTest, StaysGoodWhenItsRevocationCannotBeStored) {
  const RootToken root = Load(kToken);
  store_.FailCommit(1);
  EXPECT_THAT(RecordRootRevocation(sys_, root.digest), HasError(ErrorCode::kUnavailable));
  EXPECT_FALSE(Load(kToken).revoked);

  store_.FailCommit(1, ErrorCode::kOutcomeUnknown);
  EXPECT_THAT(RecordRootRevocation(sys_, root.digest), HasError(ErrorCode::kUnavailable));
  EXPECT_FALSE(Load(kToken).revoked);

  store_.LoseNextCommitAnswer();
  EXPECT_THAT(RecordRootRevocation(sys_, root.digest), IsOk());
  EXPECT_TRUE(Load(kToken).revoked);
}

TEST_F(RootTokenTest, RefusesAnEmptyToken) {
  EXPECT_THAT(RecordRootToken(sys_, clock_, ""), HasError(ErrorCode::kInvalidArgument));
}

TEST_F(RootTokenTest, AccessorIsStableAndTellsNothingOfTheToken) {
  const Sha256Digest digest = RootTokenDigest(kToken);
  EXPECT_EQ(RootTokenAccessor(digest), RootTokenAccessor(RootTokenDigest(kToken)));
  EXPECT_NE(RootTokenAccessor(digest), RootTokenAccessor(RootTokenDigest("another")));
  EXPECT_EQ(HexEncode(digest).find(RootTokenAccessor(digest)), std::string::npos);
}

TEST_F(RootTokenTest, OpensTheRecordOfTheFirstRelease) {
  Bytes record{'T', 1, 1, 0, 0, 0, 0, 0, 0, 0, 17};
  const Sha256Digest digest = RootTokenDigest(kToken);
  record.insert(record.end(), digest.begin(), digest.end());
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = "tokens/root", .value = SecretBytes::CopyOf(record).value()});
  ASSERT_THAT(sys_.Commit(std::move(mutations)), IsOk());

  const RootToken root = Load(kToken);
  EXPECT_TRUE(root.revoked);
  EXPECT_EQ(root.created_unix_seconds, 17);
}

TEST_F(RootTokenTest, D10_AnAlteredRecordIsNotBelieved) {
  Load(kToken);
  const std::string path = sys_.prefix() + "tokens/root";
  Bytes altered = store_.Contents().at(path).value;
  altered.back() ^= 1U;
  store_.Tamper(path, altered);

  EXPECT_THAT(RecordRootToken(sys_, clock_, kToken),
              HasError(ErrorCode::kCorrupted, "damaged entry"));
}

TEST_F(RootTokenTest, D32_IsNotInTheStore) {
  Load(kToken);

  for (const auto& [path, stored] : store_.Contents()) {
    EXPECT_EQ(AsText(stored.value).find(kToken), std::string_view::npos) << path;
  }
}

}  // namespace
}  // namespace kms
