// SPDX-License-Identifier: Apache-2.0
// The lease on plaintext keys: rounds of proof, grace, sealing and healing.
#include "kms/operations/environments.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "tests/kms/operations/world.h"

namespace kms {
namespace {

using ::testing::HasSubstr;
using testing::EnvName;
using testing::HasError;
using testing::IsOk;
using testing::World;
using namespace std::chrono_literals;

class LeaseTest : public ::testing::Test {
 protected:
  LeaseTest() {
    world_.Start();
    world_.Make("prod");
    EXPECT_THAT(world_.MakeKey("prod", "app"), IsOk());
  }

  // Lease rounds at their interval for `time`.
  void RoundsFor(std::chrono::milliseconds time) {
    for (std::chrono::milliseconds passed{0}; passed < time;
         passed += world_.options.lease_interval) {
      world_.clock.Advance(world_.options.lease_interval);
      world_.ProveLeases();
    }
  }
  bool Sealed(std::string_view name = "prod") { return world_.StatusOf(name).sealed; }

  World world_;
};

TEST_F(LeaseTest, EachRoundRenewsIt) {
  RoundsFor(10min);

  EXPECT_FALSE(Sealed());
  EXPECT_EQ(world_.StatusOf("prod").lease_age_ms, 0);
}

TEST_F(LeaseTest, H3_WarmKeysServeUntilTheGraceIsOverThenNothing) {
  const auto prod = world_.environments().Find("prod");
  world_.device.SetPresent(false);

  RoundsFor(60s);
  EXPECT_FALSE(Sealed());
  EXPECT_NE(prod->WarmKey("app"), nullptr);
  EXPECT_EQ(world_.StatusOf("prod").lease_age_ms, 60'000);

  RoundsFor(5s);
  EXPECT_TRUE(Sealed());
  EXPECT_EQ(prod->WarmKey("app"), nullptr);
  EXPECT_THAT(world_.FindKey("prod", "app"),
              HasError(ErrorCode::kUnavailable, "environment is sealed"));
  EXPECT_THAT(world_.StatusOf("prod").reason, HasSubstr("opens by itself"));
}

// A device that takes all the time it is given before it says that the HSM is silent.
class SilentDevice final : public testing::FakeMasterKeyDevice {
 public:
  explicit SilentDevice(testing::ManualClock& clock)
      : FakeMasterKeyDevice(std::make_shared<testing::FakeToken>(), &clock), clock_(clock) {}

  Result<SecretBytes> Unwrap(const MasterKeyRecord& master, const WrappedKey& wrapped,
                             ByteView context, Deadline deadline) override {
    if (silent) {
      ++silent_calls;
      clock_.Advance(std::chrono::ceil<std::chrono::milliseconds>(deadline - clock_.SteadyNow()));
      return Unavailable("HSM did not answer in time");
    }
    return FakeMasterKeyDevice::Unwrap(master, wrapped, context, deadline);
  }

  bool silent = false;
  int silent_calls = 0;

 private:
  testing::ManualClock& clock_;
};

TEST(Lease, H6_ASilentHsmCostsARoundOneTimeoutAndKeepsNothingOpen) {
  testing::MemoryStore store;
  testing::ManualClock clock;
  SilentDevice device(clock);
  HsmRegistry hsms(clock);
  ASSERT_THAT(hsms.Add("default", {.owner = nullptr, .master_keys = &device}), IsOk());
  const EnvironmentsOptions options;
  KMS_ASSERT_OK_AND_ASSIGN(const auto environments,
                           Environments::Open(store, hsms, clock, options));
  std::vector<std::shared_ptr<Environment>> all;
  for (int number = 0; number < 20; ++number) {
    const std::string name = "e" + std::to_string(100 + number);
    all.push_back(environments->Create(EnvName(name), {}).value());
  }
  device.silent = true;
  clock.Advance(options.lease_interval);
  environments->ProveLeases(kDefaultHsm);
  EXPECT_EQ(device.silent_calls, 1);
  EXPECT_TRUE(std::ranges::none_of(all, [](const auto& one) { return one->sealed(); }));

  clock.Advance(options.lease_grace);
  environments->SealExpired();
  EXPECT_TRUE(std::ranges::all_of(all, [](const auto& one) { return one->sealed(); }));
}

TEST_F(LeaseTest, H3_TheReturningHsmHealsEveryEnvironment) {
  world_.device.SetPresent(false);
  RoundsFor(2min);
  ASSERT_TRUE(Sealed());
  ASSERT_TRUE(Sealed("sys"));
  world_.device.SetPresent(true);

  RoundsFor(5s);

  EXPECT_FALSE(Sealed());
  EXPECT_FALSE(Sealed("sys"));
  EXPECT_EQ(world_.StatusOf("prod").reason, "");
  EXPECT_THAT(world_.FindKey("prod", "app"), IsOk());
  EXPECT_THAT(world_.environments().Create(EnvName("dev"), {}), IsOk());
}

TEST_F(LeaseTest, AShortAbsenceGoesUnnoticed) {
  world_.device.SetPresent(false);
  RoundsFor(55s);
  world_.device.SetPresent(true);
  RoundsFor(5s);
  world_.device.SetPresent(false);
  RoundsFor(55s);

  EXPECT_FALSE(Sealed());
}

TEST_F(LeaseTest, SteppingTheWallClockChangesNothing) {
  world_.clock.StepWall(24h);
  world_.device.SetPresent(false);
  RoundsFor(5s);
  EXPECT_FALSE(Sealed());

  world_.clock.StepWall(-240h);
  RoundsFor(60s);
  EXPECT_TRUE(Sealed());
}

TEST_F(LeaseTest, H13_ADifferentMasterKeyCountsAsAbsent) {
  world_.device.ReplaceMasterKey(world_.MasterOf(*world_.environments().Find("prod")).id);

  RoundsFor(70s);

  EXPECT_TRUE(Sealed());
  EXPECT_FALSE(Sealed("sys")) << "one environment's trouble stays in that environment";
  EXPECT_THAT(world_.StatusOf("prod").reason, HasSubstr("not the recorded one"));
}

// A device whose unwrap succeeds with other bytes.
class LyingDevice final : public MasterKeyDevice {
 public:
  explicit LyingDevice(MasterKeyDevice& honest) : honest_(honest) {}

  bool lies = false;

  Result<DeviceDescription> Describe(Deadline deadline) override {
    return honest_.Describe(deadline);
  }
  Result<MasterKeyRecord> GenerateMasterKey(const Uuid& id, std::uint32_t version,
                                            const std::string& label, Deadline deadline) override {
    return honest_.GenerateMasterKey(id, version, label, deadline);
  }
  Result<WrappedKey> Wrap(const MasterKeyRecord& master, const SecretBytes& key, ByteView context,
                          Deadline deadline) override {
    return honest_.Wrap(master, key, context, deadline);
  }
  Result<SecretBytes> Unwrap(const MasterKeyRecord& master, const WrappedKey& wrapped,
                             ByteView context, Deadline deadline) override {
    SecretBytes key = KMS_TRY(honest_.Unwrap(master, wrapped, context, deadline));
    key.MutableView()[0] ^= lies ? 1 : 0;
    return key;
  }
  Status CheckSentinel(const MasterKeyRecord& master, Deadline deadline) override {
    return honest_.CheckSentinel(master, deadline);
  }
  Status DestroyMasterKey(const MasterKeyRecord& master, Deadline deadline) override {
    return honest_.DestroyMasterKey(master, deadline);
  }
  Result<Bytes> Sign(ByteView message, Deadline deadline) override {
    return honest_.Sign(message, deadline);
  }
  Result<Bytes> SigningPublicKey(Deadline deadline) override {
    return honest_.SigningPublicKey(deadline);
  }
  Result<SecretBytes> Random(std::size_t size, Deadline deadline) override {
    return honest_.Random(size, deadline);
  }
  Result<std::optional<ImportKeyRecord>> GenerateImportKey(const Uuid& id, const std::string& label,
                                                           Deadline deadline) override {
    return honest_.GenerateImportKey(id, label, deadline);
  }
  Result<SecretBytes> DecryptImport(const ImportKeyRecord& key, HashAlgorithm hash,
                                    ByteView ciphertext, Deadline deadline) override {
    return honest_.DecryptImport(key, hash, ciphertext, deadline);
  }
  Status DestroyImportKey(const Uuid& id, const std::string& label, Deadline deadline) override {
    return honest_.DestroyImportKey(id, label, deadline);
  }
  DeviceStatistics Statistics() const override { return honest_.Statistics(); }

 private:
  MasterKeyDevice& honest_;
};

TEST(Lease, H26_AProofThatIsWrongOnlyInItsValueCountsAsAbsent) {
  World world;
  LyingDevice device(world.device);
  HsmRegistry hsms(world.clock);
  ASSERT_THAT(hsms.Add("default", {.owner = nullptr, .master_keys = &device}), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const auto environments,
                           Environments::Open(world.store, hsms, world.clock, world.options));
  KMS_ASSERT_OK_AND_ASSIGN(const auto prod, environments->Create(EnvName("prod"), {}));
  device.lies = true;

  environments->ProveLeases(kDefaultHsm);
  EXPECT_FALSE(prod->sealed());
  world.clock.Advance(61s);
  environments->ProveLeases(kDefaultHsm);
  environments->SealExpired();

  EXPECT_TRUE(prod->sealed());
  EXPECT_THAT(prod->seal_reason(), HasSubstr("another value"));
}

TEST_F(LeaseTest, AnOperatorsSealIsNotHealed) {
  ASSERT_THAT(world_.environments().Seal("prod", "audit of the vault room"), IsOk());
  RoundsFor(2min);

  EXPECT_TRUE(Sealed());
  EXPECT_EQ(world_.StatusOf("prod").reason, "audit of the vault room");
  EXPECT_FALSE(Sealed("sys"));

  ASSERT_THAT(world_.environments().Unseal("prod"), IsOk());
  EXPECT_FALSE(Sealed());
  EXPECT_THAT(world_.environments().Seal("none", ""), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(world_.environments().Unseal("none"), HasError(ErrorCode::kNotFound));
}

TEST_F(LeaseTest, UnsealingWithoutTheHsmFailsAndHealsLater) {
  ASSERT_THAT(world_.environments().Seal("prod", "maintenance"), IsOk());
  world_.device.SetPresent(false);
  EXPECT_THAT(world_.environments().Unseal("prod"), HasError(ErrorCode::kUnavailable));
  world_.device.SetPresent(true);

  RoundsFor(5s);

  EXPECT_FALSE(Sealed());
}

TEST_F(LeaseTest, UnsealingWhatIsOpenDoesNotAskTheHsm) {
  world_.device.SetPresent(false);

  EXPECT_THAT(world_.environments().Unseal("prod"), IsOk());
  EXPECT_FALSE(Sealed());
}

TEST_F(LeaseTest, NeedsNoStore) {
  world_.store.FailEverything();

  RoundsFor(2min);

  EXPECT_FALSE(Sealed());
}

}  // namespace
}  // namespace kms
