// SPDX-License-Identifier: Apache-2.0
// The promises of ResidentKeyDevice as a suite (its tests are in the .cpp of the same name, which
// is linked once into each program); every implementation instantiates it:
//
//   INSTANTIATE_TEST_SUITE_P(Fake, ResidentKeyDeviceContract,
//       ::testing::Values(ResidentDeviceFactory{"Fake", [] { return ...; }}), ResidentFactoryName);
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "kms/master/resident_key_device.h"
#include "tests/support/matchers.h"

namespace kms::testing {

// A device ready to serve, and whatever must outlive it (declared first: destroyed last).
struct ResidentDeviceUnderTest {
  std::shared_ptr<void> world;
  std::shared_ptr<ResidentKeyDevice> device;
};

struct ResidentDeviceFactory {
  std::string name;  // letters and digits
  std::function<ResidentDeviceUnderTest()> make;
};

inline std::string ResidentFactoryName(
    const ::testing::TestParamInfo<ResidentDeviceFactory>& info) {
  return info.param.name;
}
inline void PrintTo(const ResidentDeviceFactory& factory, std::ostream* out) {
  *out << factory.name;
}

class ResidentKeyDeviceContract : public ::testing::TestWithParam<ResidentDeviceFactory> {
 protected:
  void SetUp() override {
    under_test_ = GetParam().make();
    ASSERT_NE(under_test_.device, nullptr);
  }

  ResidentKeyDevice& device() { return *under_test_.device; }

  static Deadline Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(60); }

  ResidentKeyRecord Make(ResidentKeyType type) {
    const Uuid id = Uuid::Random();
    auto record = device().GenerateResidentKey(id, type, "kms/contract/" + id.ToString(), Soon());
    EXPECT_THAT(record, IsOk());
    return record.value_or(ResidentKeyRecord{});
  }

 private:
  ResidentDeviceUnderTest under_test_;
};

}  // namespace kms::testing
