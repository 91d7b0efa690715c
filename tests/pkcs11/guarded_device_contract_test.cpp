// SPDX-License-Identifier: Apache-2.0
// A token behind its breaker keeps the promises of the token.
#include "kms/master/guarded_device.h"
#include "tests/contract/master_key_device_contract.h"
#include "tests/fakes/fake_master_key_device.h"

namespace kms::testing {
namespace {

struct Behind {
  SystemClock clock;
  FakeMasterKeyDevice device;
};

DeviceUnderTest MakeGuarded() {
  auto behind = std::make_shared<Behind>();
  HsmParts parts{.owner = behind, .master_keys = &behind->device};
  auto guarded =
      std::make_unique<GuardedDevice>("a", std::move(parts), BreakerOptions{}, behind->clock);
  return {.world = behind, .device = std::move(guarded)};
}

INSTANTIATE_TEST_SUITE_P(Guarded, MasterKeyDeviceContract,
                         ::testing::Values(DeviceFactory{"Guarded", MakeGuarded}),
                         DeviceFactoryName);

}  // namespace
}  // namespace kms::testing
