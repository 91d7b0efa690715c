// SPDX-License-Identifier: Apache-2.0
// Who may be a holder, how that is stored and what is split for them.
#include "kms/recovery/recipients.h"

#include <gmock/gmock.h>

#include "kms/crypto/shamir.h"
#include "kms/keys/split_key.h"
#include "tests/kms/recovery/recovery_world.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using ::kms::testing::FromHex;
using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::kProd;
using ::kms::testing::RandomKey;
using ::kms::testing::RecoveryWorld;
using ::testing::HasSubstr;

TEST(RecoveryRecipients, AcceptTwoOfThreeAndOneOfOne) {
  const RecoveryWorld world;
  EXPECT_THAT(world.Recipients(2, {"alice", "bob", "carol"}).Check(), IsOk());
  EXPECT_THAT(world.Recipients(3, {"alice", "bob", "carol"}).Check(), IsOk());
  EXPECT_THAT(world.Recipients(1, {"alice"}).Check(), IsOk());
}

TEST(RecoveryRecipients, RefuseThresholdsThatProtectNothingOrCannotBeMet) {
  const RecoveryWorld world;
  EXPECT_THAT(world.Recipients(1, {"alice", "bob"}).Check(),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("alone")));
  EXPECT_THAT(world.Recipients(0, {"alice"}).Check(), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(world.Recipients(3, {"alice", "bob"}).Check(),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("which is 2")));
  EXPECT_THAT(world.Recipients(0, {}).Check(), HasError(ErrorCode::kInvalidArgument));
}

TEST(RecoveryRecipients, RefuseNamesAndKeysThatAreGivenTwice) {
  const RecoveryWorld world;
  RecoveryRecipients twice = world.Recipients(2, {"alice", "alice"});
  EXPECT_THAT(twice.Check(), HasError(ErrorCode::kInvalidArgument, HasSubstr("named twice")));
  twice.recipients[1].name = "bob";
  EXPECT_THAT(twice.Check(), HasError(ErrorCode::kInvalidArgument, HasSubstr("key of another")));
}

TEST(RecoveryRecipients, RefuseNamesAndKeysThatAreNone) {
  const RecoveryWorld world;
  for (const std::string& name : {std::string(), std::string("a b"), std::string("a\nb"),
                                  std::string(65, 'a'), std::string("a/b")}) {
    RecoveryRecipients bad = world.Recipients(1, {"alice"});
    bad.recipients[0].name = name;
    EXPECT_THAT(bad.Check(), HasError(ErrorCode::kInvalidArgument)) << name;
  }
  RecoveryRecipients bad = world.Recipients(1, {"alice"});
  bad.recipients[0].public_key.pop_back();
  EXPECT_THAT(bad.Check(), HasError(ErrorCode::kInvalidArgument, HasSubstr("alice")));
}

TEST(RecoveryRecipients, RefuseThirtyThree) {
  RecoveryRecipients many{.threshold = 2, .recipients = {}};
  for (int index = 0; index < 33; ++index) {
    many.recipients.push_back({.name = "holder" + std::to_string(index),
                               .public_key = HolderPrivateKey::Generate().value().public_key()});
  }
  EXPECT_THAT(many.Check(), HasError(ErrorCode::kInvalidArgument, HasSubstr("32")));
}

TEST(RecoveryRecipients, ComeBackFromTheirStoredForm) {
  const RecoveryWorld world;
  const RecoveryRecipients recipients = world.Recipients(2, {"alice", "bob", "carol"});
  const auto decoded = RecoveryRecipients::Decode(recipients.Encode());
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(*decoded, recipients);
}

// 1 of 1, holder "ops", an X25519 key.
constexpr std::string_view kFrozen =
    "5201010100000003"
    "6f7073"
    "0000002c302a300506032b656e03210085"
    "20f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";

TEST(RecoveryRecipients, OpenTheirFrozenSample) {
  const Bytes frozen = FromHex(kFrozen);
  const auto decoded = RecoveryRecipients::Decode(frozen);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->threshold, 1);
  ASSERT_EQ(decoded->recipients.size(), 1U);
  EXPECT_EQ(decoded->recipients[0].name, "ops");
  EXPECT_EQ(decoded->Encode(), frozen);
}

TEST(RecoveryRecipients, RefuseEveryOtherLengthAndFormat) {
  const Bytes good = FromHex(kFrozen);
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(RecoveryRecipients::Decode(ByteView(good).first(size)),
                HasError(ErrorCode::kCorrupted));
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_THAT(RecoveryRecipients::Decode(longer), HasError(ErrorCode::kCorrupted));
  Bytes newer = good;
  newer[1] = 2;
  EXPECT_THAT(RecoveryRecipients::Decode(newer),
              HasError(ErrorCode::kCorrupted, HasSubstr("format 2 is unknown")));
}

TEST(ReadRecipients, FindsWhatWasStoredAndNothingElse) {
  RecoveryWorld world;
  EnvironmentKeyring keyring;
  ASSERT_THAT(keyring.Add(1, RandomKey()), IsOk());
  SealedStore sys(world.store, keyring, Uuid::Random());
  EXPECT_EQ(ReadRecipients(sys, kProd).value(), std::nullopt);
  const RecoveryRecipients recipients = world.Recipients(2, {"alice", "bob"});
  std::vector<SealedMutation> entries;
  entries.push_back(StoreRecipients(kProd, recipients).value());
  ASSERT_THAT(sys.Commit(std::move(entries)), IsOk());
  EXPECT_EQ(ReadRecipients(sys, kProd).value(), recipients);
  EXPECT_EQ(ReadRecipients(sys, Uuid::Random()).value(), std::nullopt);
}

// Whoever writes into the store adds himself and waits for the next key.
TEST(ReadRecipients, RefusesRecipientsThatSomebodyElseWrote) {
  RecoveryWorld world;
  EnvironmentKeyring keyring;
  ASSERT_THAT(keyring.Add(1, RandomKey()), IsOk());
  SealedStore sys(world.store, keyring, Uuid::Random());
  const Bytes forged = world.Recipients(1, {"carol"}).Encode();
  world.store.Tamper(sys.prefix() + RecipientsPath(kProd), forged);
  EXPECT_THAT(ReadRecipients(sys, kProd), HasError(ErrorCode::kCorrupted));
}

TEST(SplitForRecovery, StoresSharesThatOpenForTheirHoldersAlone) {
  const RecoveryWorld world;
  const SecretBytes key = RandomKey();
  const RecoveryRecipients recipients = world.Recipients(2, {"alice", "bob", "carol"});
  const auto mutation = SplitForRecovery(
      {.environment_id = kProd, .environment = "prod", .version = 7}, key, recipients);
  ASSERT_THAT(mutation, IsOk());
  EXPECT_EQ(mutation->path, "recovery/" + kProd.ToString() + "/0000000007");
  const SplitKey split = SplitKey::Decode(*mutation->value).value();
  EXPECT_EQ(split.threshold, 2);
  std::vector<SecretShare> shares;
  for (const EncryptedShare& share : split.shares) {
    const Bytes context = ShareContext(split, share.number, share.holder);
    auto value = world.holders.at(share.holder).Open(share.encrypted, context);
    ASSERT_THAT(value, IsOk());
    EXPECT_FALSE(*value == key);
    for (const auto& [name, holder] : world.holders) {
      EXPECT_EQ(holder.Open(share.encrypted, context).has_value(), name == share.holder);
    }
    shares.push_back({.number = share.number, .value = *std::move(value)});
  }
  EXPECT_TRUE(CombineShares(shares).value() == key);
}

TEST(SplitForRecovery, BindsEveryShareToAllThatItOpens) {
  const RecoveryWorld world;
  const auto mutation =
      SplitForRecovery({.environment_id = kProd, .environment = "prod", .version = 7}, RandomKey(),
                       world.Recipients(2, {"alice", "bob", "carol"}));
  const SplitKey split = SplitKey::Decode(*mutation->value).value();
  const EncryptedShare& share = split.shares[0];
  const HolderPrivateKey& alice = world.holders.at("alice");
  const auto opens = [&](const SplitKey& said, std::uint8_t number, std::string_view holder) {
    return alice.Open(share.encrypted, ShareContext(said, number, holder)).has_value();
  };
  EXPECT_TRUE(opens(split, 1, "alice"));
  EXPECT_FALSE(opens(split, 2, "alice"));
  EXPECT_FALSE(opens(split, 1, "bob"));
  SplitKey other = split;
  other.environment = "dev";
  EXPECT_FALSE(opens(other, 1, "alice"));
  other = split;
  other.version = 8;
  EXPECT_FALSE(opens(other, 1, "alice"));
  other = split;
  other.threshold = 1;
  EXPECT_FALSE(opens(other, 1, "alice"));
  other = split;
  other.environment_id = Uuid::Random();
  EXPECT_FALSE(opens(other, 1, "alice"));
}

TEST(SplitForRecovery, RefusesWhatIsNoKeyAndRecipientsThatCannotBe) {
  const RecoveryWorld world;
  const RecoverySubject subject{.environment_id = kProd, .environment = "prod", .version = 1};
  EXPECT_THAT(SplitForRecovery(subject, SecretBytes::OfSize(16).value(),
                               world.Recipients(2, {"alice", "bob"})),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(SplitForRecovery(subject, RandomKey(), world.Recipients(3, {"alice", "bob"})),
              HasError(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace kms
