// SPDX-License-Identifier: Apache-2.0
// The ceremony from package to keys: enough holders open, fewer are told how many are missing, and
// whoever cheats is named.
#include "kms/recovery/ceremony.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/kms/recovery/recovery_world.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::kProd;
using ::kms::testing::kStaging;
using ::kms::testing::RandomKey;
using ::kms::testing::RecoveryWorld;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class CeremonyTest : public ::testing::Test, public RecoveryWorld {
 protected:
  CeremonyTest() {
    const RecoveryRecipients three = Recipients(2, {"alice", "bob", "carol"});
    AddKey(kProd, "prod", 1, three);
    AddKey(kProd, "prod", 2, three);
    AddKey(kStaging, "staging", 1, Recipients(2, {"alice", "bob"}));
  }

  RecoveryPackage Begin() {
    return MakePackage(ListRecoverable(store).value(), ceremony, 1'767'225'600);
  }

  std::vector<OpenedEnvironment> Open(const RecoveryPackage& package,
                                      const std::vector<RecoveryAnswer>& answers) {
    return OpenAnswers(ListRecoverable(store).value(), package, ceremony, answers).value();
  }

  std::vector<RecoveryAnswer> Answers(const RecoveryPackage& package,
                                      const std::vector<std::string>& names) {
    std::vector<RecoveryAnswer> answers;
    for (const std::string& name : names) {
      answers.push_back(AnswerOf(package, name));
    }
    return answers;
  }
};

TEST_F(CeremonyTest, O3_TwoOfThreeOpenEveryKeyWithoutAnyHsm) {
  const RecoveryPackage package = Begin();
  const auto opened = Open(package, Answers(package, {"alice", "bob"}));
  ASSERT_EQ(opened.size(), 2U);
  for (const OpenedEnvironment& environment : opened) {
    EXPECT_EQ(environment.refusal, "");
    EXPECT_THAT(environment.holders, ElementsAre("alice", "bob"));
    const auto& wanted = keys.at(environment.id);
    ASSERT_EQ(environment.keys.size(), wanted.size());
    for (const auto& [version, key] : wanted) {
      EXPECT_TRUE(environment.keys.at(version) == key);
    }
    const auto proof = ProveKeys(store, environment, 10);
    ASSERT_THAT(proof, IsOk());
    EXPECT_EQ(proof->opened, wanted.size());
  }
}

TEST_F(CeremonyTest, O4_WorksWithoutOneHolderAndSaysWhoIsMissingWithoutTwo) {
  const RecoveryPackage package = Begin();
  const auto without_bob = Open(package, Answers(package, {"alice", "carol"}));
  EXPECT_EQ(without_bob[0].name, "prod");
  EXPECT_EQ(without_bob[0].refusal, "");
  EXPECT_THAT(
      without_bob[1].refusal,
      HasSubstr("needs 2 of 2 holders, 1 gave a good share (alice); still to be asked: bob"));
  const auto alone = Open(package, Answers(package, {"carol"}));
  EXPECT_THAT(alone[0].refusal, HasSubstr("needs 2 of 3 holders, 1 gave a good share (carol); "
                                          "still to be asked: alice, bob"));
  EXPECT_TRUE(alone[0].keys.empty());
  EXPECT_THAT(Open(package, {})[0].refusal, HasSubstr("0 gave a good share"));
}

TEST_F(CeremonyTest, SurvivesItsFiles) {
  const RecoveryPackage made = Begin();
  const auto package = RecoveryPackage::Parse(made.ToJson());
  ASSERT_THAT(package, IsOk());
  EXPECT_EQ(package->keys, made.keys);
  std::vector<RecoveryAnswer> answers;
  for (const char* name : {"alice", "bob"}) {
    auto answer = RecoveryAnswer::Parse(AnswerOf(*package, name).ToJson());
    ASSERT_THAT(answer, IsOk());
    answers.push_back(*std::move(answer));
  }
  EXPECT_EQ(Open(*package, answers)[0].refusal, "");
}

TEST_F(CeremonyTest, NamesWhoseShareIsWrongAndGoesOnWithTheOthers) {
  const RecoveryPackage package = Begin();
  std::vector<RecoveryAnswer> answers = Answers(package, {"alice", "bob", "carol"});
  for (AnsweredShare& share : answers[1].shares) {  // bob sends something else
    const SplitKey* split = nullptr;
    for (const SplitKey& key : package.keys) {
      split = key.split_id == share.split_id ? &key : split;
    }
    share.encrypted =
        EncryptToHolder(package.public_key, RandomKey(),
                        AnswerContext(package.ceremony, *split, share.number, share.holder))
            .value();
  }
  const auto opened = Open(package, answers);
  EXPECT_EQ(opened[0].refusal, "");
  EXPECT_THAT(opened[0].wrong, ElementsAre("bob", "bob"));
  EXPECT_THAT(opened[1].refusal, HasSubstr("wrong: bob"));
}

TEST_F(CeremonyTest, NamesAnAnswerThatDoesNotOpen) {
  const RecoveryPackage package = Begin();
  std::vector<RecoveryAnswer> answers = Answers(package, {"alice", "bob"});
  answers[0].shares[0].encrypted.back() ^= 1;
  EXPECT_THAT(Open(package, answers)[0].refusal, HasSubstr("wrong: alice"));
}

TEST_F(CeremonyTest, TakesTheSameAnswerTwiceForOne) {
  const RecoveryPackage package = Begin();
  EXPECT_THAT(Open(package, Answers(package, {"alice", "alice"}))[0].refusal,
              HasSubstr("1 gave a good share (alice)"));
}

TEST_F(CeremonyTest, TakesNoShareOfAnotherNumberOrEnvironment) {
  const RecoveryPackage package = Begin();
  std::vector<RecoveryAnswer> answers = Answers(package, {"alice"});
  const std::vector<AnsweredShare> own = answers[0].shares;
  for (AnsweredShare share : own) {  // alice answers for bob too
    share.number = 2;
    share.holder = "bob";
    answers[0].shares.push_back(share);
  }
  const auto opened = Open(package, answers);
  EXPECT_THAT(opened[0].refusal, HasSubstr("wrong: bob"));
}

TEST_F(CeremonyTest, RefusesAnswersOfAnotherCeremonyAndAnotherKey) {
  const RecoveryPackage package = Begin();
  const RecoveryPackage other = Begin();
  const auto environments = ListRecoverable(store).value();
  EXPECT_THAT(OpenAnswers(environments, package, ceremony, Answers(other, {"alice"})),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("another ceremony")));
  EXPECT_THAT(OpenAnswers(environments, package, HolderPrivateKey::Generate().value(), {}),
              HasError(ErrorCode::kInvalidArgument));
}

TEST_F(CeremonyTest, RefusesAnAnswerThatWasMovedToAnotherCeremony) {
  const RecoveryPackage package = Begin();
  const RecoveryPackage other = Begin();
  std::vector<RecoveryAnswer> answers = Answers(other, {"alice", "bob"});
  for (RecoveryAnswer& answer : answers) {
    answer.ceremony = package.ceremony;
  }
  EXPECT_THAT(Open(package, answers)[0].refusal, HasSubstr("wrong: alice, bob"));
}

TEST_F(CeremonyTest, RefusesKeysThatWereSplitAnewMeanwhile) {
  const RecoveryPackage package = Begin();
  const auto answers = Answers(package, {"alice", "bob"});
  SplitAgain(kProd, "prod", 1, Recipients(2, {"bob", "carol"}));
  EXPECT_THAT(Open(package, answers)[0].refusal, HasSubstr("begin again"));
}

// A holder leaves: what he kept must not help those who stay.
TEST_F(CeremonyTest, SharesOfAHolderWhoLeftDoNotCombineWithNewOnes) {
  const RecoveryPackage before = Begin();
  const RecoveryAnswer old_alice = AnswerOf(before, "alice");
  for (const EnvironmentKeyVersion version : {1U, 2U}) {
    SplitAgain(kProd, "prod", version, Recipients(2, {"bob", "carol"}));
  }
  const RecoveryPackage package = Begin();
  EXPECT_EQ(SharesOf(package, holders.at("alice").public_key(),
                     [](const SplitKey& key) { return key.environment == "prod"; })
                .size(),
            0U);
  std::vector<RecoveryAnswer> answers = Answers(package, {"bob"});
  for (AnsweredShare share : old_alice.shares) {  // presented as one of the new split
    for (const SplitKey& key : package.keys) {
      if (key.environment_id == share.environment_id && key.version == share.version) {
        share.split_id = key.split_id;
        answers[0].shares.push_back(share);
      }
    }
  }
  const auto opened = Open(package, answers);
  EXPECT_THAT(opened[0].refusal, HasSubstr("needs 2 of 2"));
  EXPECT_TRUE(opened[0].keys.empty());
}

TEST_F(CeremonyTest, SaysWhichEnvironmentsHaveNoHolders) {
  const Uuid dev = Uuid::Random();
  AddOldRecords(dev, 1);
  const auto environments = ListRecoverable(store).value();
  ASSERT_EQ(environments.size(), 3U);
  for (const RecoverableEnvironment& environment : environments) {
    EXPECT_EQ(environment.recoverable(), environment.id != dev);
  }
  const RecoveryPackage package = Begin();
  for (const OpenedEnvironment& opened : Open(package, Answers(package, {"alice", "bob"}))) {
    EXPECT_EQ(opened.refusal, opened.id == dev ? "it has no recovery holders" : "");
  }
}

TEST_F(CeremonyTest, LeavesOutAnEnvironmentOfWhichOneKeyWasNotSplit) {
  AddOldRecords(kProd, 3);
  EXPECT_FALSE(ListRecoverable(store).value()[0].recoverable());
  const RecoveryPackage package = Begin();
  EXPECT_THAT(Open(package, Answers(package, {"alice", "bob"}))[0].refusal,
              HasSubstr("key version 3 was never split"));
}

TEST_F(CeremonyTest, ReadsTheWrapsOfEarlierReleases) {
  const Uuid old = Uuid::Random();
  Put("wrapped/" + old.ToString() + "/1", {1});
  const auto environments = ListRecoverable(store).value();
  for (const RecoverableEnvironment& environment : environments) {
    if (environment.id == old) {
      EXPECT_THAT(environment.versions, ElementsAre(1U));
    }
  }
}

TEST_F(CeremonyTest, TreatsADamagedSplitAsNone) {
  store.Tamper(RecoveryPath(kProd, 1), Bytes{1, 2, 3});
  EXPECT_FALSE(ListRecoverable(store).value()[0].recoverable());
  // Nor does a record count that was put in another's place.
  store.Tamper(RecoveryPath(kProd, 1), store.Contents().at(RecoveryPath(kProd, 2)).value);
  EXPECT_FALSE(ListRecoverable(store).value()[0].recoverable());
}

TEST_F(CeremonyTest, FailsAsTheStoreDoes) {
  for (int call = 1; call <= 5; ++call) {
    store.FailCall(call);
    EXPECT_THAT(ListRecoverable(store), HasError(ErrorCode::kUnavailable)) << call;
    store.Heal();
  }
}

TEST_F(CeremonyTest, RefusesKeysThatOpenNoEntry) {
  const RecoveryPackage package = Begin();
  auto opened = Open(package, Answers(package, {"alice", "bob"}));
  opened[0].keys.insert_or_assign(2, RandomKey());
  EXPECT_THAT(ProveKeys(store, opened[0], 10), HasError(ErrorCode::kCorrupted, HasSubstr("prod")));
}

TEST_F(CeremonyTest, GoesOnWhenOneEntryIsDamaged) {
  const RecoveryPackage package = Begin();
  const auto opened = Open(package, Answers(package, {"alice", "bob"}));
  Bytes damaged = store.Contents().at("e/" + kProd.ToString() + "/keys/app1").value;
  damaged.back() ^= 1;
  store.Tamper("e/" + kProd.ToString() + "/a", damaged);
  const auto proof = ProveKeys(store, opened[0], 10);
  ASSERT_THAT(proof, IsOk());
  EXPECT_EQ(proof->damaged, 1U);
  EXPECT_EQ(proof->opened, 2U);
}

TEST_F(CeremonyTest, RefusesEntriesUnderAKeyThatNobodyOpened) {
  const RecoveryPackage package = Begin();
  auto opened = Open(package, Answers(package, {"alice", "bob"}));
  opened[0].keys.erase(2);
  EXPECT_THAT(ProveKeys(store, opened[0], 10),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("key version 2")));
}

// Somebody who can write to the store adds a split of a key of his own and bytes for its wrap.
TEST_F(CeremonyTest, DropsAKeyThatNoEntryProves) {
  AddOldRecords(kProd, 3);
  Split(kProd, "prod", 3, RandomKey(), Recipients(2, {"alice", "bob", "carol"}));
  const RecoveryPackage package = Begin();
  auto opened = Open(package, Answers(package, {"alice", "bob"}));
  ASSERT_EQ(opened[0].refusal, "");
  ASSERT_TRUE(opened[0].keys.contains(3));
  KMS_ASSERT_OK_AND_ASSIGN(const KeyProof proof, ProveKeys(store, opened[0], 10));
  EXPECT_THAT(proof.unproven, ElementsAre(3U));
  ASSERT_THAT(DropUnproven(proof, opened[0]), IsOk());
  EXPECT_EQ(opened[0].keys.size(), 2U);
  EXPECT_FALSE(opened[0].keys.contains(3));
  KMS_ASSERT_OK_AND_ASSIGN(const KeyProof again, ProveKeys(store, opened[0], 10));
  EXPECT_TRUE(again.unproven.empty());
}

TEST_F(CeremonyTest, RefusesAnEnvironmentThatNothingProves) {
  const Uuid empty = Uuid::Parse("33333333-3333-4333-8333-333333333333").value();
  AddOldRecords(empty, 1);
  Split(empty, "new", 1, RandomKey(), Recipients(1, {"alice"}));
  const RecoveryPackage package = Begin();
  auto opened = Open(package, Answers(package, {"alice", "bob"}));
  ASSERT_EQ(opened.size(), 3U);
  KMS_ASSERT_OK_AND_ASSIGN(const KeyProof proof, ProveKeys(store, opened[2], 10));
  EXPECT_THAT(proof.unproven, ElementsAre(1U));
  EXPECT_THAT(DropUnproven(proof, opened[2]),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("nothing is stored in environment new")));
}

// ---- the files ----------------------------------------------------------------------------------

TEST_F(CeremonyTest, HoldersAnswerOnlyWhatTheyWantTo) {
  const RecoveryPackage package = Begin();
  const auto answer = AnswerPackage(package, holders.at("alice"), [](const SplitKey& key) {
    return key.environment == "staging";
  });
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->shares.size(), 1U);
  EXPECT_THAT(AnswerPackage(package, HolderPrivateKey::Generate().value(), nullptr),
              HasError(ErrorCode::kNotFound));
}

// Somebody shows alice a package that opens "prod" under the name "staging".
TEST_F(CeremonyTest, AHolderIsNotMadeToOpenOneEnvironmentForAnother) {
  RecoveryPackage package = Begin();
  for (SplitKey& key : package.keys) {
    key.environment = "staging";
  }
  EXPECT_THAT(AnswerPackage(package, holders.at("alice"), nullptr),
              HasError(ErrorCode::kDecryptionFailed, HasSubstr("was changed")));
}

TEST(RecoveryFiles, RefuseWhatTheyAreNot) {
  for (
      const char* text :
      {"", "[]", "{}", "{\"format\":1}", R"({"format":"kms-recovery-answer/1"})",
       R"({"format":"kms-recovery-package/1"})", R"({"format":"kms-recovery-package/2"})",
       R"({"format":"kms-recovery-package/1","ceremony":"x","created":1,"public_key":"","keys":[]})",
       R"({"format":"kms-recovery-package/1","ceremony":"11111111-1111-4111-8111-111111111111",)"
       R"("created":1,"public_key":"AAAA","keys":[]})"}) {
    EXPECT_THAT(RecoveryPackage::Parse(text), HasError(ErrorCode::kInvalidArgument)) << text;
  }
  for (const char* text :
       {"", "{}", R"({"format":"kms-recovery-answer/1"})",
        R"({"format":"kms-recovery-answer/1","ceremony":"11111111-1111-4111-8111-111111111111",)"
        R"("shares":[1]})",
        R"({"format":"kms-recovery-answer/1","ceremony":"11111111-1111-4111-8111-111111111111",)"
        R"("shares":[{"environment_id":"11111111-1111-4111-8111-111111111111","version":0}]})"}) {
    EXPECT_THAT(RecoveryAnswer::Parse(text), HasError(ErrorCode::kInvalidArgument)) << text;
  }
}

TEST_F(CeremonyTest, PackageHoldsNoKeyAndNoShareInTheClear) {
  const RecoveryPackage package = Begin();
  const std::string text = package.ToJson();
  for (const auto& [id, versions] : keys) {
    for (const auto& [version, key] : versions) {
      EXPECT_THAT(text, Not(HasSubstr(HexEncode(key.View()))));
    }
  }
  EXPECT_THAT(text, HasSubstr(HolderKeyFingerprint(ceremony.public_key())));
}

}  // namespace
}  // namespace kms
