// SPDX-License-Identifier: Apache-2.0
// The fake keeps the promises of MasterKeyDevice, and its faults do what they say.
#include <gtest/gtest.h>

#include "tests/contract/master_key_device_contract.h"
#include "tests/fakes/fake_master_key_device.h"
#include "tests/fakes/fake_rsa_device.h"

namespace kms::testing {

namespace {

DeviceUnderTest MakeFake() { return {nullptr, std::make_unique<FakeMasterKeyDevice>()}; }

DeviceUnderTest MakeFakeRsa() { return {nullptr, std::make_unique<FakeRsaDevice>()}; }

INSTANTIATE_TEST_SUITE_P(
    Fake, MasterKeyDeviceContract,
    ::testing::Values(DeviceFactory{"InMemory", MakeFake},
                      DeviceFactory{"Rsa", MakeFakeRsa, {.patience = 4, .flip_every = 16}}),
    DeviceFactoryName);

TEST(FakeMasterKeyDevice, FailsExactlyTheCallThatWasNamed) {
  FakeMasterKeyDevice device;
  device.FailCall(2, Unavailable("planned"));
  EXPECT_THAT(device.Random(8, InSeconds(5)), IsOk());
  EXPECT_THAT(device.Random(8, InSeconds(5)), HasError(ErrorCode::kUnavailable, "planned"));
  EXPECT_THAT(device.Random(8, InSeconds(5)), IsOk());
}

TEST(FakeMasterKeyDevice, LosesAnAnswerAfterActing) {
  FakeMasterKeyDevice device;
  device.FailCallAfterActing(1, Unavailable("lost"));
  const Uuid id = Uuid::Random();
  EXPECT_THAT(device.GenerateMasterKey(id, 1, "label", InSeconds(5)),
              HasError(ErrorCode::kUnavailable, "lost"));
  EXPECT_TRUE(device.master_key_ids().contains(id));
}

TEST(FakeMasterKeyDevice, IsUnavailableWhileAbsent) {
  FakeMasterKeyDevice device;
  device.SetPresent(false);
  EXPECT_THAT(device.Random(8, InSeconds(5)), HasError(ErrorCode::kUnavailable));
  EXPECT_EQ(device.Statistics().state, DeviceState::kDown);
  device.SetPresent(true);
  EXPECT_THAT(device.Random(8, InSeconds(5)), IsOk());
}

TEST(FakeMasterKeyDevice, H13_ReplacedMasterKeyFailsItsSentinel) {
  FakeMasterKeyDevice device;
  KMS_ASSERT_OK_AND_ASSIGN(const MasterKeyRecord master,
                           device.GenerateMasterKey(Uuid::Random(), 1, "label", InSeconds(5)));
  device.ReplaceMasterKey(master.id);
  EXPECT_THAT(device.CheckSentinel(master, InSeconds(5)), HasError(ErrorCode::kCorrupted));
}

TEST(FakeMasterKeyDevice, H20_CorruptedWrapDoesNotOpen) {
  FakeMasterKeyDevice device;
  KMS_ASSERT_OK_AND_ASSIGN(const MasterKeyRecord master,
                           device.GenerateMasterKey(Uuid::Random(), 1, "label", InSeconds(5)));
  device.CorruptNextWrap();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped,
                           device.Wrap(master, RandomKey(32), {}, InSeconds(5)));
  EXPECT_THAT(device.Unwrap(master, wrapped, {}, InSeconds(5)), HasError(ErrorCode::kCorrupted));
}

TEST(FakeMasterKeyDevice, KeepsItsTokenAcrossDevices) {
  FakeMasterKeyDevice first;
  KMS_ASSERT_OK_AND_ASSIGN(const MasterKeyRecord master,
                           first.GenerateMasterKey(Uuid::Random(), 1, "label", InSeconds(5)));
  FakeMasterKeyDevice second(first.token());
  EXPECT_THAT(second.CheckSentinel(master, InSeconds(5)), IsOk());
}

}  // namespace

}  // namespace kms::testing
