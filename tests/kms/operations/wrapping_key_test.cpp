// SPDX-License-Identifier: Apache-2.0
// The wrapping key of an environment: made once, in the HSM where it can be, kept, found again and
// destroyed with its environment, whatever is interrupted.
#include "kms/operations/wrapping_key.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/rsa_encryption.h"
#include "tests/fakes/fault_plan.h"
#include "tests/kms/operations/world.h"

namespace kms {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StrEq;
using testing::EnvName;
using testing::FailEachCall;
using testing::HasError;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::World;

constexpr HashAlgorithm kHash = HashAlgorithm::kSha2_256;
constexpr const char* kDoesNotOpen = "crypto/rsa: decryption error";
constexpr const char* kEntry = "import/wrapping-key";

Bytes EncryptTo(const Bytes& public_key, HashAlgorithm hash = kHash) {
  const AsymmetricKey key =
      AsymmetricKey::FromPublicKey(AsymmetricAlgorithm::kRsa4096, public_key).value();
  return OaepEncrypt(key, hash, Bytes(32, 7)).value();
}

class WrappingKeys : public ::testing::Test {
 protected:
  void SetUp() override {
    world_.Start();
    prod_ = world_.Make("prod");
  }
  void Restart() {
    world_.Start();
    prod_ = world_.environments().Find("prod");
    ASSERT_NE(prod_, nullptr);
  }
  Result<Bytes> PublicKey() { return WrappingPublicKey(*prod_, world_.device); }
  Result<SecretBytes> Decrypt(ByteView ciphertext, HashAlgorithm hash = kHash) {
    return DecryptUnderWrappingKey(*prod_, world_.device, hash, ciphertext);
  }
  void ExpectOpens(const Bytes& public_key) {
    for (const HashAlgorithm hash : kImportHashes) {
      KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                               Decrypt(EncryptTo(public_key, hash), hash));
      EXPECT_TRUE(EqualInConstantTime(opened.View(), Bytes(32, 7))) << TraitsOf(hash).name;
    }
  }
  void StoreEntry(ByteView entry) {
    std::vector<SealedMutation> mutations;
    mutations.push_back({.path = kEntry,
                         .value = SecretBytes::CopyOf(entry).value(),
                         .expected_revision = std::nullopt});
    ASSERT_THAT(prod_->store().Commit(std::move(mutations)), IsOk());
  }

  World world_;
  std::shared_ptr<Environment> prod_;
};

TEST_F(WrappingKeys, OneIsMadeInTheHsmAndKept) {
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes first, PublicKey());
  EXPECT_THAT(world_.device.import_key_ids(), ElementsAre(WrappingKeyId(prod_->identity().id)));
  EXPECT_THAT(PublicKey(), IsOkAndHolds(first));
  ExpectOpens(first);
  Restart();
  EXPECT_THAT(PublicKey(), IsOkAndHolds(first));
  ExpectOpens(first);
  EXPECT_THAT(FindWrappingKeyPlace(*prod_), IsOkAndHolds(WrappingKeyPlace::kHsm));
}

TEST_F(WrappingKeys, OneIsSealedInTheStoreWhereTheTokenCannotMakeIt) {
  world_.device.SetMakesImportKeys(false);
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes first, PublicKey());
  EXPECT_THAT(world_.device.import_key_ids(), IsEmpty());
  EXPECT_THAT(FindWrappingKeyPlace(*prod_), IsOkAndHolds(WrappingKeyPlace::kSealedStore));
  world_.device.SetMakesImportKeys(true);
  Restart();
  EXPECT_THAT(PublicKey(), IsOkAndHolds(first)) << "callers hold what was handed out";
  ExpectOpens(first);
  Bytes damaged = EncryptTo(first);
  damaged.back() ^= 1U;
  EXPECT_THAT(Decrypt(damaged), HasError(ErrorCode::kInvalidArgument, StrEq(kDoesNotOpen)));
  EXPECT_THAT(Decrypt({}), HasError(ErrorCode::kInvalidArgument, StrEq(kDoesNotOpen)));
}

TEST_F(WrappingKeys, C15_WhateverDoesNotOpenHasOneText) {
  EXPECT_THAT(Decrypt(Bytes(512, 1)), HasError(ErrorCode::kInvalidArgument, StrEq(kDoesNotOpen)))
      << "without a key";
  EXPECT_THAT(world_.device.import_key_ids(), IsEmpty());
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes key, PublicKey());
  Bytes damaged = EncryptTo(key);
  damaged.front() ^= 1U;
  for (const Bytes& ciphertext : {Bytes(), Bytes(511, 1), Bytes(512, 0xFF), damaged,
                                  EncryptTo(key, HashAlgorithm::kSha1)}) {
    EXPECT_THAT(Decrypt(ciphertext), HasError(ErrorCode::kInvalidArgument, StrEq(kDoesNotOpen)));
  }
}

TEST_F(WrappingKeys, NoneIsFoundBeforeItIsAskedFor) {
  EXPECT_THAT(FindWrappingKeyPlace(*prod_), IsOkAndHolds(std::nullopt));
}

TEST_F(WrappingKeys, EveryEnvironmentHasItsOwn) {
  const std::shared_ptr<Environment> dev = world_.Make("dev");
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes of_prod, PublicKey());
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes of_dev, WrappingPublicKey(*dev, world_.device));
  EXPECT_NE(of_prod, of_dev);
  EXPECT_THAT(Decrypt(EncryptTo(of_dev)), HasError(ErrorCode::kInvalidArgument));
  EXPECT_NE(WrappingKeyId(prod_->identity().id), WrappingKeyId(dev->identity().id));
}

TEST_F(WrappingKeys, CallersAtOnceGetOneKey) {
  std::vector<Bytes> keys(4);
  std::vector<std::jthread> callers;
  for (Bytes& key : keys) {
    callers.emplace_back([&] { key = PublicKey().value_or(Bytes()); });
  }
  callers.clear();
  EXPECT_FALSE(keys.front().empty());
  EXPECT_EQ(std::ranges::count(keys, keys.front()), 4);
  EXPECT_THAT(world_.device.import_key_ids(), SizeIs(1));
}

TEST_F(WrappingKeys, OfTwoThatAreStoredAtOnceTheFirstIsTheKey) {
  world_.device.SetMakesImportKeys(false);
  world_.store.LoseNextCommitAnswer();
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes key, PublicKey());
  EXPECT_THAT(PublicKey(), IsOkAndHolds(key));
}

TEST_F(WrappingKeys, ASealedEnvironmentAnswersNothingAndMakesNothing) {
  ASSERT_THAT(world_.environments().Seal("prod", "maintenance"), IsOk());
  EXPECT_THAT(PublicKey(), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(Decrypt(Bytes(512)), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(world_.device.import_key_ids(), IsEmpty());
}

TEST_F(WrappingKeys, H3_WhileTheHsmIsAwayNoneIsMadeInItsPlace) {
  world_.device.SetPresent(false);
  EXPECT_THAT(PublicKey(), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(FindWrappingKeyPlace(*prod_), IsOkAndHolds(std::nullopt));
  world_.device.SetState(DeviceState::kFatalConfig, "another token");
  EXPECT_THAT(PublicKey(), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(FindWrappingKeyPlace(*prod_), IsOkAndHolds(std::nullopt));
  world_.device.SetPresent(true);
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes key, PublicKey());
  world_.device.SetPresent(false);
  EXPECT_THAT(PublicKey(), IsOkAndHolds(key)) << "the public half needs no HSM";
  EXPECT_THAT(Decrypt(EncryptTo(key)), HasError(ErrorCode::kUnavailable));
}

TEST_F(WrappingKeys, AnEntryIsAHeadAndTheRecord) {
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes key, PublicKey());
  KMS_ASSERT_OK_AND_ASSIGN(const auto entry, prod_->store().Get(kEntry));
  ASSERT_TRUE(entry.has_value());
  const ByteView stored = entry->value.View();
  EXPECT_THAT(CopyOf(stored.first(3)), ElementsAre('X', 1, 1));
  KMS_ASSERT_OK_AND_ASSIGN(const ImportKeyRecord record,
                           ImportKeyRecord::Decode(stored.subspan(3)));
  EXPECT_EQ(record.public_key, key);
  EXPECT_EQ(record.label, "kms/prod/import");
}

TEST_F(WrappingKeys, C17_RefusesEntriesThatItDidNotMake) {
  const Bytes record = ImportKeyRecord().Encode();
  const auto with_head = [&](std::uint8_t kind, std::uint8_t format, std::uint8_t place) {
    Bytes entry = {kind, format, place};
    entry.insert(entry.end(), record.begin(), record.end());
    return entry;
  };
  for (const Bytes& entry : {Bytes{'X', 1}, with_head('Y', 1, 1), with_head('X', 2, 1),
                             with_head('X', 1, 3), with_head('X', 1, 2), Bytes{'X', 1, 1}}) {
    ASSERT_NO_FATAL_FAILURE(StoreEntry(entry));
    EXPECT_THAT(PublicKey(), HasError(ErrorCode::kCorrupted));
    EXPECT_THAT(Decrypt(Bytes(512)), HasError(ErrorCode::kCorrupted));
  }
  EXPECT_THAT(world_.device.import_key_ids(), IsEmpty());
}

// ---- deletion ----------------------------------------------------------------------------------

TEST_F(WrappingKeys, DeletingAnEnvironmentDestroysItsKeyAndNoOther) {
  const std::shared_ptr<Environment> dev = world_.Make("dev");
  ASSERT_THAT(PublicKey(), IsOk());
  ASSERT_THAT(WrappingPublicKey(*dev, world_.device), IsOk());
  ASSERT_THAT(world_.environments().Delete(EnvName("prod")), IsOk());
  EXPECT_THAT(world_.device.import_key_ids(), ElementsAre(WrappingKeyId(dev->identity().id)));
  EXPECT_THAT(PublicKey(), HasError(ErrorCode::kUnavailable)) << "by one who still holds it";
}

TEST_F(WrappingKeys, DeletionFindsAKeyThatWasNeverRecorded) {
  world_.store.FailEverything();
  EXPECT_FALSE(PublicKey().has_value());
  world_.store.Heal();
  // The answer of the HSM is lost, or the process ends before the entry is stored.
  ASSERT_THAT(world_.device.GenerateImportKey(WrappingKeyId(prod_->identity().id),
                                              WrappingKeyLabel("prod"),
                                              world_.clock.SteadyNow() + std::chrono::seconds(1)),
              IsOk());
  Restart();
  ASSERT_THAT(world_.environments().Delete(EnvName("prod")), IsOk());
  EXPECT_THAT(world_.device.import_key_ids(), IsEmpty());
}

TEST_F(WrappingKeys, DeletionWaitsForAKeyThatIsBeingMade) {
  world_.options.hsm_timeout = std::chrono::milliseconds(20);
  ASSERT_NO_FATAL_FAILURE(Restart());
  {
    const std::unique_lock making(prod_->wrapping_key_mutex());
    EXPECT_THAT(world_.environments().Delete(EnvName("prod")),
                HasError(ErrorCode::kUnavailable, HasSubstr("being made")));
    EXPECT_FALSE(prod_->sealed()) << "nothing was begun";
  }
  EXPECT_THAT(world_.environments().Delete(EnvName("prod")), IsOk());
}

// ---- each call failing in turn -----------------------------------------------------------------

struct Fault {
  std::string name;
  std::function<void(World&, int n)> plan;
};

std::vector<Fault> Faults() {
  const auto n64 = [](int n) { return static_cast<std::uint64_t>(n); };
  return {
      {"StoreCallFails", [](World& world, int n) { world.store.FailCall(n); }},
      {"CommitIsUncertain",
       [](World& world, int n) { world.store.FailCommit(n, ErrorCode::kOutcomeUnknown); }},
      {"HsmCallFails",
       [n64](World& world, int n) { world.device.FailCall(n64(n), Unavailable("away")); }},
      {"HsmAnswerIsLost",
       [n64](World& world, int n) {
         world.device.FailCallAfterActing(n64(n), Unavailable("late"));
       }},
  };
}

class WrappingKeyFaults : public ::testing::TestWithParam<Fault> {
 protected:
  void Arrange() {
    world_ = std::make_unique<World>();
    world_->Start();
    world_->Make("prod");
  }
  void Heal() {
    world_->store.Heal();
    world_->device.ClearFaults();
  }
  Result<Bytes> PublicKey() {
    return WrappingPublicKey(*world_->environments().Find("prod"), world_->device);
  }

  std::unique_ptr<World> world_;
};

TEST_P(WrappingKeyFaults, H25_MakingCanBeRepeatedAndLeavesOneKey) {
  for (const bool restart : {false, true}) {
    Result<Bytes> answered = Bytes();
    FailEachCall({.arrange =
                      [&](int n) {
                        Arrange();
                        GetParam().plan(*world_, n);
                      },
                  .run = [&]() -> Status {
                    answered = PublicKey();
                    return answered.has_value() ? Ok() : Status(answered.error());
                  },
                  .check =
                      [&](const Status& outcome) {
                        Heal();
                        if (restart) {
                          world_->Start();
                        }
                        KMS_ASSERT_OK_AND_ASSIGN(const Bytes key, PublicKey());
                        EXPECT_TRUE(!outcome.has_value() || *answered == key);
                        EXPECT_THAT(world_->device.import_key_ids(), SizeIs(1));
                      }});
  }
}

TEST_P(WrappingKeyFaults, D2_DeletionLeavesNoKeyBehind) {
  for (const bool restart : {false, true}) {
    FailEachCall({.arrange =
                      [&](int n) {
                        Arrange();
                        ASSERT_THAT(PublicKey(), IsOk());
                        GetParam().plan(*world_, n);
                      },
                  .run = [&] { return world_->environments().Delete(EnvName("prod")); },
                  .check =
                      [&](const Status& /*outcome*/) {
                        Heal();
                        if (restart) {
                          world_->Start();
                        }
                        ASSERT_THAT(world_->environments().Delete(EnvName("prod")), IsOk());
                        EXPECT_THAT(world_->device.import_key_ids(), IsEmpty());
                        EXPECT_THAT(world_->device.master_key_ids(), SizeIs(1));
                      }});
  }
}

INSTANTIATE_TEST_SUITE_P(Faults, WrappingKeyFaults, ::testing::ValuesIn(Faults()),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace kms
