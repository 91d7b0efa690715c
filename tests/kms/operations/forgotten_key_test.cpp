// SPDX-License-Identifier: Apache-2.0
// An environment key that was forgotten stays forgotten when a wrap of it, from an old copy of the
// store, is put back.
#include <gmock/gmock.h>

#include "kms/master/oldest_key.h"
#include "kms/recovery/recipients.h"
#include "tests/kms/operations/group_world.h"

namespace kms::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ForgottenKeyTest : public ::testing::Test {
 protected:
  // The key of prod was rotated to version 2, and version 1 is known to somebody.
  void SetUp() override {
    leaked_ = Prod().keyring().Find(1).value();
    Rotate();
    world_.alarms.clear();
  }
  void Rotate() {
    const EnvironmentKeyVersion next = world_.StatusOf("prod").environment_key_version + 1;
    Keep();
    ASSERT_THAT(world_.environments().AddEnvironmentKey("prod", next), IsOk());
    ASSERT_THAT(world_.environments().ResealEntries("prod", {}, 1000), IsOk());
    ASSERT_THAT(world_.environments().ForgetEnvironmentKeys("prod", next), IsOk());
  }
  // A copy of the wraps and of the group, as somebody makes one.
  void Keep() {
    for (const auto& [path, stored] : world_.store.Contents()) {
      if (path.starts_with(WrappedPrefix(Id()))) {
        kept_.insert_or_assign(path, stored.value);
      }
    }
  }
  void PutBack() {
    for (const auto& [path, value] : kept_) {
      world_.store.Tamper(path, value);
    }
  }
  // An entry that whoever knows version 1 seals under it.
  void Forge(const std::string& path, const std::string& value) {
    EnvironmentKeyring keyring;
    ASSERT_THAT(keyring.Add(1, leaked_.Clone().value()), IsOk());
    std::vector<SealedMutation> entry;
    entry.push_back({.path = path,
                     .value = SecretBytes::CopyOf(AsBytes(value)).value(),
                     .expected_revision = std::nullopt});
    ASSERT_THAT(SealedStore(world_.store, keyring, Id()).Commit(std::move(entry)), IsOk());
  }
  void ExpectOnlyTheSecondKey() {
    EXPECT_FALSE(world_.Sealed()) << world_.StatusOf("prod").reason;
    EXPECT_THAT(world_.StatusOf("prod").environment_key_versions, ElementsAre(2U));
    EXPECT_THAT(Prod().keyring().Find(1), HasError(ErrorCode::kCorrupted));
    EXPECT_THAT(world_.FindKey("prod", "app"), IsOk());
  }
  Environment& Prod() { return *world_.environments().Find("prod"); }
  Uuid Id() { return Prod().identity().id; }
  std::string RecordPath() { return Prod().store().prefix() + std::string(kOldestKeyPath); }

  GroupWorld world_;
  SecretBytes leaked_;
  std::map<std::string, Bytes> kept_;
};

TEST_F(ForgottenKeyTest, D10_AWrapThatIsPutBackIsNotUsedAndToldOf) {
  PutBack();
  world_.Start();
  ExpectOnlyTheSecondKey();
  EXPECT_EQ(world_.Events("key-refused"), 1);
  ASSERT_THAT(world_.alarms, SizeIs(1));
  EXPECT_THAT(world_.alarms[0],
              AllOf(HasSubstr("environment prod"), HasSubstr("version 1"),
                    HasSubstr("was forgotten"), HasSubstr("kmsctl env rotate-key --env prod")));
  EXPECT_THAT(world_.Stored().refused, ElementsAre(1U));
}

TEST_F(ForgottenKeyTest, D10_EntriesThatAreForgedUnderItDoNotOpen) {
  PutBack();
  Forge("keys/mine", "x");
  world_.Start();
  ExpectOnlyTheSecondKey();
  EXPECT_THAT(world_.FindKey("prod", "mine"), HasError(ErrorCode::kCorrupted));
}

TEST_F(ForgottenKeyTest, WorkOnTheKeysGoesOnWithoutIt) {
  PutBack();
  world_.RoundsFor(30s);
  ASSERT_THAT(world_.Join("c"), IsOk());
  EXPECT_EQ(world_.Stored().Find("c")->FindWrap(1), nullptr);
  EXPECT_EQ(world_.Events("key-refused"), 1) << "told once, although the service was running";
  world_.ExpectOpensAlone("c");
  ExpectOnlyTheSecondKey();
}

TEST_F(ForgottenKeyTest, TheNextRotationDeletesWhatWasPutBack) {
  PutBack();
  world_.store.Tamper(RecoveryPath(Id(), 1), Bytes{1});
  world_.Start();
  Rotate();
  const auto stored = world_.store.Contents();
  EXPECT_FALSE(stored.contains(RecoveryPath(Id(), 1)));
  for (const auto& [path, value] : stored) {
    EXPECT_FALSE(path.starts_with(WrappedPrefix(Id())) && path < WrappedPath(Id(), 3, {}, 0))
        << path;
  }
  world_.alarms.clear();
  world_.Start();
  EXPECT_THAT(world_.alarms, IsEmpty());
  EXPECT_THAT(world_.StatusOf("prod").environment_key_versions, ElementsAre(3U));
}

TEST_F(ForgottenKeyTest, ARotationUnderWayKeepsBothKeysAndRefusesOlderOnes) {
  Keep();
  ASSERT_THAT(world_.environments().AddEnvironmentKey("prod", 3), IsOk());
  world_.Start();
  EXPECT_THAT(world_.StatusOf("prod").environment_key_versions, ElementsAre(2U, 3U));
  EXPECT_THAT(world_.alarms, IsEmpty());
  PutBack();
  world_.Start();
  EXPECT_THAT(world_.StatusOf("prod").environment_key_versions, ElementsAre(2U, 3U));
  EXPECT_THAT(world_.alarms, SizeIs(1));
}

TEST_F(ForgottenKeyTest, SysForgetsLikewise) {
  Environments& environments = world_.environments();
  ASSERT_THAT(environments.AddEnvironmentKey("sys", 2), IsOk());
  const Uuid sys = environments.sys()->identity().id;
  const std::string path = WrappedPath(sys, 1, kDefaultHsm, 1);
  const Bytes wrap = world_.store.Contents().at(path).value;
  ASSERT_THAT(environments.ResealEntries("sys", {}, 1000), IsOk());
  ASSERT_THAT(environments.ForgetEnvironmentKeys("sys", 2), IsOk());
  world_.store.Tamper(path, wrap);
  world_.Start();
  EXPECT_THAT(world_.StatusOf("sys").environment_key_versions, ElementsAre(2U));
  EXPECT_THAT(world_.alarms, SizeIs(1));
}

// ---- the record ---------------------------------------------------------------------------------

TEST_F(ForgottenKeyTest, ARecordThatIsForgedUnderTheForgottenKeyIsNotBelieved) {
  PutBack();
  const auto forged = RecordOldestKey(world_.store, Id(), 1, 1, leaked_);
  ASSERT_THAT(forged, IsOk());
  world_.store.Tamper(RecordPath(), *forged->value);
  world_.Start();
  ASSERT_THAT(world_.alarms, SizeIs(1));
  EXPECT_THAT(world_.alarms[0], HasSubstr("nothing says which of its 2 keys are valid"));
}

TEST_F(ForgottenKeyTest, WithoutARecordSeveralKeysAreToldOf) {
  PutBack();
  world_.store.TamperDelete(RecordPath());
  world_.Start();
  EXPECT_FALSE(world_.Sealed()) << "as stores of earlier releases are";
  ASSERT_THAT(world_.alarms, SizeIs(1));
  EXPECT_THAT(world_.alarms[0], HasSubstr("an old one was put back"));
  world_.RoundsFor(30s);
  EXPECT_THAT(world_.alarms, SizeIs(1));
}

TEST_F(ForgottenKeyTest, OneKeyWithoutARecordIsNothingToTellOf) {
  world_.store.TamperDelete(RecordPath());
  world_.Start();
  ExpectOnlyTheSecondKey();
  EXPECT_THAT(world_.alarms, IsEmpty());
}

TEST_F(ForgottenKeyTest, ADamagedRecordDoesNotKeepTheEnvironmentSealed) {
  Bytes record = world_.store.Contents().at(RecordPath()).value;
  record.back() ^= 1U;
  world_.store.Tamper(RecordPath(), record);
  world_.Start();
  ExpectOnlyTheSecondKey();
}

TEST_F(ForgottenKeyTest, AStoreThatFailsKeepsItSealedAndNothingElse) {
  PutBack();
  world_.Start();
  ASSERT_THAT(world_.environments().Seal("prod", "maintenance"), IsOk());
  for (int call = 1;; ++call) {
    ASSERT_LT(call, 100);
    world_.store.FailCall(call);
    const Status opened = world_.environments().Unseal("prod");
    world_.store.Heal();
    if (opened.has_value()) {
      break;
    }
    EXPECT_TRUE(world_.Sealed());
    EXPECT_THAT(opened, HasError(ErrorCode::kUnavailable));
  }
  ExpectOnlyTheSecondKey();
}

// Killed at any store call of it, or with the answer of the commit lost.
TEST_F(ForgottenKeyTest, D2_ARotationThatIsInterruptedAnywhereForgetsAtTheSecondAttempt) {
  for (int call = 1;; ++call) {
    ASSERT_LT(call, 200);
    const EnvironmentKeyVersion next = world_.StatusOf("prod").environment_key_version + 1;
    if (call % 2 == 0) {
      world_.store.FailCall(call / 2);
    } else {
      world_.store.LoseCommitAnswer((call + 1) / 2);
    }
    const auto rotate = [&]() -> Status {
      KMS_TRY(world_.environments().AddEnvironmentKey("prod", next));
      KMS_TRY(world_.environments().ResealEntries("prod", {}, 1000));
      return world_.environments().ForgetEnvironmentKeys("prod", next);
    };
    const Status first = rotate();
    world_.store.Heal();
    world_.Start();
    EXPECT_THAT(world_.alarms, IsEmpty()) << call;
    if (first.has_value() && call % 2 == 0) {
      break;
    }
    ASSERT_THAT(rotate(), IsOk()) << call;
    world_.Start();
    EXPECT_THAT(world_.StatusOf("prod").environment_key_versions, ElementsAre(next));
    EXPECT_THAT(world_.FindKey("prod", "app"), IsOk());
  }
}

TEST(OldestKey, TheFirstRecordEverWrittenIsRead) {
  MemoryStore store;
  const Uuid id = Uuid::Random();
  std::map<EnvironmentKeyVersion, SecretBytes> keys;
  keys.emplace(7, SecretBytes::OfSize(kEnvironmentKeyBytes).value());
  EnvironmentKeyring keyring;
  ASSERT_THAT(keyring.Add(7, keys.at(7).Clone().value()), IsOk());
  SealedStore sealed(store, keyring, id);
  const struct {
    Bytes record;
    std::optional<EnvironmentKeyVersion> oldest;
  } kRows[] = {{{0x4f, 1, 0, 0, 0, 5}, 5},
               {{0x4f, 1, 0, 0, 0, 7}, 7},
               {{0x4f, 1, 0, 0, 0, 8}, std::nullopt},  // newer than the latest
               {{0x4f, 1, 0, 0, 0, 0}, std::nullopt},
               {{0x4f, 2, 0, 0, 0, 5}, std::nullopt},
               {{0x4e, 1, 0, 0, 0, 5}, std::nullopt},
               {{0x4f, 1, 0, 0, 0}, std::nullopt},
               {{0x4f, 1, 0, 0, 0, 5, 0}, std::nullopt}};
  for (const auto& row : kRows) {
    std::vector<SealedMutation> entry;
    entry.push_back({.path = std::string(kOldestKeyPath),
                     .value = SecretBytes::CopyOf(row.record).value(),
                     .expected_revision = std::nullopt});
    ASSERT_THAT(sealed.Commit(std::move(entry)), IsOk());
    EXPECT_EQ(ReadOldestKey(store, id, keys).value(), row.oldest) << HexEncode(row.record);
  }
  EXPECT_EQ(ReadOldestKey(store, id, {}).value(), std::nullopt);
}

}  // namespace
}  // namespace kms::testing
