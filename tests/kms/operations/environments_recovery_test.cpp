// SPDX-License-Identifier: Apache-2.0
// Recovery holders of an environment: every key is split for them, nobody can slip in, and what was
// interrupted leaves no share that does not belong.
#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

#include "kms/crypto/share_encryption.h"
#include "kms/recovery/ceremony.h"
#include "tests/kms/operations/world.h"

namespace kms {
namespace {

using ::kms::testing::EnvName;
using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::World;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SetRecoveryTest : public ::testing::Test, public World {
 protected:
  SetRecoveryTest() {
    for (const char* name : {"alice", "bob", "carol"}) {
      holders_.emplace(name, HolderPrivateKey::Generate().value());
    }
    Start();
  }

  RecoveryRecipients Of(std::uint8_t threshold, const std::vector<std::string>& names) {
    RecoveryRecipients recipients{.threshold = threshold, .recipients = {}};
    for (const std::string& name : names) {
      recipients.recipients.push_back({.name = name, .public_key = holders_.at(name).public_key()});
    }
    return recipients;
  }

  // The environments that these holders open from what is stored, each proven by its entries.
  std::vector<std::string> OpenedBy(const std::vector<std::string>& names) {
    const HolderPrivateKey ceremony = HolderPrivateKey::Generate().value();
    const auto listed = ListRecoverable(store).value();
    const RecoveryPackage package = MakePackage(listed, ceremony, 1);
    std::vector<RecoveryAnswer> answers;
    for (const std::string& name : names) {
      auto answer = AnswerPackage(package, holders_.at(name), nullptr);
      if (answer.has_value()) {
        answers.push_back(*std::move(answer));
      }
    }
    std::vector<std::string> opened;
    const auto all = OpenAnswers(listed, package, ceremony, answers).value();
    for (const OpenedEnvironment& environment : all) {
      if (environment.refusal.empty() && ProveKeys(store, environment, 100).has_value()) {
        opened.push_back(environment.name);
      }
    }
    return opened;
  }

  std::vector<std::string> StoredShares(const Uuid& id) {
    std::vector<std::string> paths;
    for (const auto& [path, value] : store.Contents()) {
      if (path.starts_with(RecoveryPrefix(id))) {
        paths.push_back(path);
      }
    }
    return paths;
  }

  std::map<std::string, HolderPrivateKey> holders_;
};

TEST_F(SetRecoveryTest, SplitsTheKeysOfAnEnvironmentAndOfSys) {
  Make("prod");
  ASSERT_THAT(environments().SetRecovery("prod", Of(2, {"alice", "bob", "carol"})), IsOk());
  EXPECT_THAT(OpenedBy({"alice", "carol"}), ElementsAre("prod"));
  EXPECT_THAT(OpenedBy({"bob"}), IsEmpty());
  ASSERT_THAT(environments().SetRecovery("sys", Of(1, {"bob"})), IsOk());
  EXPECT_THAT(OpenedBy({"bob"}), ElementsAre("sys"));
}

TEST_F(SetRecoveryTest, AnEnvironmentIsMadeWithItsHolders) {
  const auto made = environments().Create(
      EnvName("prod"), {.settings = {}, .hsms = {}, .recovery = Of(2, {"alice", "bob"})});
  ASSERT_THAT(made, IsOk());
  EXPECT_THAT(OpenedBy({"alice", "bob"}), ElementsAre("prod"));
  const RecoveryStatus status = environments().ReadRecovery("prod").value();
  EXPECT_EQ(status.recipients, Of(2, {"alice", "bob"}));
  EXPECT_EQ(status.split_versions, status.versions);
}

TEST_F(SetRecoveryTest, NoEnvironmentIsMadeWithHoldersThatCannotBe) {
  EXPECT_THAT(
      environments().Create(EnvName("prod"),
                            {.settings = {}, .hsms = {}, .recovery = Of(3, {"alice", "bob"})}),
      HasError(ErrorCode::kInvalidArgument));
  EXPECT_EQ(environments().Find("prod"), nullptr);
}

TEST_F(SetRecoveryTest, NewHoldersTakeThePlaceOfThoseBefore) {
  const Uuid id = Make("prod")->identity().id;
  ASSERT_THAT(environments().SetRecovery("prod", Of(2, {"alice", "bob"})), IsOk());
  ASSERT_THAT(environments().SetRecovery("prod", Of(2, {"bob", "carol"})), IsOk());
  EXPECT_THAT(OpenedBy({"alice", "bob"}), IsEmpty());
  EXPECT_THAT(OpenedBy({"bob", "carol"}), ElementsAre("prod"));
  EXPECT_EQ(StoredShares(id).size(), 1U);
}

TEST_F(SetRecoveryTest, WithoutHoldersNoShareIsLeft) {
  const Uuid id = Make("prod")->identity().id;
  ASSERT_THAT(environments().SetRecovery("prod", Of(2, {"alice", "bob"})), IsOk());
  ASSERT_THAT(environments().SetRecovery("prod", std::nullopt), IsOk());
  EXPECT_THAT(StoredShares(id), IsEmpty());
  EXPECT_EQ(environments().ReadRecovery("prod").value().recipients, std::nullopt);
  ASSERT_THAT(environments().SetRecovery("prod", std::nullopt), IsOk());
}

TEST_F(SetRecoveryTest, ADeletedEnvironmentLeavesNoShares) {
  const Uuid id = Make("prod")->identity().id;
  ASSERT_THAT(environments().SetRecovery("prod", Of(2, {"alice", "bob"})), IsOk());
  ASSERT_THAT(environments().Delete(EnvName("prod")), IsOk());
  EXPECT_THAT(StoredShares(id), IsEmpty());
  EXPECT_EQ(ReadRecipients(environments().sys()->store(), id).value(), std::nullopt);
}

TEST_F(SetRecoveryTest, LaterKeyVersionsAreSplitToo) {
  const Uuid id = Make("prod")->identity().id;
  ASSERT_THAT(environments().SetRecovery("prod", Of(2, {"alice", "bob"})), IsOk());
  ASSERT_THAT(environments().AddEnvironmentKey("prod", 2), IsOk());
  EXPECT_EQ(StoredShares(id).size(), 2U);
  EXPECT_THAT(OpenedBy({"alice", "bob"}), ElementsAre("prod"));
}

// A store writer who puts his own key among the recipients gets nothing of the next version.
TEST_F(SetRecoveryTest, NoKeyIsSplitForHoldersThatSomebodyElseStored) {
  const Uuid id = Make("prod")->identity().id;
  ASSERT_THAT(environments().SetRecovery("prod", Of(2, {"alice", "bob"})), IsOk());
  store.Tamper(environments().sys()->store().prefix() + RecipientsPath(id),
               Of(1, {"carol"}).Encode());
  EXPECT_THAT(environments().AddEnvironmentKey("prod", 2), HasError(ErrorCode::kCorrupted));
  EXPECT_EQ(StoredShares(id).size(), 1U);
  EXPECT_THAT(OpenedBy({"carol"}), IsEmpty());
}

TEST_F(SetRecoveryTest, RefusesUnknownAndSealedEnvironmentsAndImpossibleHolders) {
  Make("prod");
  EXPECT_THAT(environments().SetRecovery("none", Of(2, {"alice", "bob"})),
              HasError(ErrorCode::kNotFound));
  EXPECT_THAT(environments().ReadRecovery("none"), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(environments().SetRecovery("prod", Of(1, {"alice", "bob"})),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("alone")));
  ASSERT_THAT(environments().Seal("prod", "by a test"), IsOk());
  EXPECT_THAT(environments().SetRecovery("prod", Of(2, {"alice", "bob"})),
              HasError(ErrorCode::kUnavailable));
}

// After each failure: the holders before or the new ones, never a mixture.
TEST_F(SetRecoveryTest, IsAllOrNothingWhateverStoreCallFails) {
  Make("prod");
  ASSERT_THAT(environments().SetRecovery("prod", Of(2, {"alice", "bob"})), IsOk());
  for (int call = 1;; ++call) {
    ASSERT_LT(call, 50);
    store.FailCall(call);
    const Status set = environments().SetRecovery("prod", Of(2, {"bob", "carol"}));
    store.Heal();
    if (set.has_value()) {
      break;
    }
    EXPECT_THAT(OpenedBy({"alice", "bob"}), ElementsAre("prod")) << call;
    EXPECT_EQ(environments().ReadRecovery("prod").value().recipients, Of(2, {"alice", "bob"}));
  }
  EXPECT_THAT(OpenedBy({"alice", "bob"}), IsEmpty());
  EXPECT_THAT(OpenedBy({"bob", "carol"}), ElementsAre("prod"));
}

TEST_F(SetRecoveryTest, SettlesACommitWhoseAnswerWasLost) {
  Make("prod");
  store.LoseNextCommitAnswer();
  ASSERT_THAT(environments().SetRecovery("prod", Of(2, {"alice", "bob"})), IsOk());
  EXPECT_THAT(OpenedBy({"alice", "bob"}), ElementsAre("prod"));
}

}  // namespace
}  // namespace kms
