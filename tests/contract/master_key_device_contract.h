// SPDX-License-Identifier: Apache-2.0
// The promises of MasterKeyDevice as a suite (its tests are in the .cpp of the same name, which is
// linked once into each program); every implementation instantiates it:
//
//   INSTANTIATE_TEST_SUITE_P(Fake, MasterKeyDeviceContract,
//       ::testing::Values(DeviceFactory{"Fake", [] { return ...; }}), DeviceFactoryName);
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "kms/base/random.h"
#include "kms/master/master_key_device.h"
#include "tests/support/matchers.h"

namespace kms::testing {

// A device ready to serve, and whatever must outlive it (declared first: destroyed last).
struct DeviceUnderTest {
  std::shared_ptr<void> world;
  std::unique_ptr<MasterKeyDevice> device;
};

// In what a token may differ and still keep the contract.
struct DeviceTraits {
  bool signs = true;              // makes an ECDSA P-256 audit key
  bool makes_import_keys = true;  // RSA-4096
  int patience = 1;               // multiplies every deadline: some make RSA keys for all
  std::size_t flip_every = 1;     // of a blob's bytes, where each costs a slow operation
};

struct DeviceFactory {
  std::string name;  // letters and digits
  std::function<DeviceUnderTest()> make;
  DeviceTraits traits;
};

inline std::string DeviceFactoryName(const ::testing::TestParamInfo<DeviceFactory>& info) {
  return info.param.name;
}
inline void PrintTo(const DeviceFactory& factory, std::ostream* out) { *out << factory.name; }

inline Deadline InSeconds(int seconds) {
  return std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
}

inline SecretBytes RandomKey(std::size_t size) {
  SecretBytes key = SecretBytes::OfSize(size).value();
  FillRandom(key.MutableView());
  return key;
}

class MasterKeyDeviceContract : public ::testing::TestWithParam<DeviceFactory> {
 protected:
  void SetUp() override {
    under_test_ = GetParam().make();
    ASSERT_NE(under_test_.device, nullptr);
  }

  MasterKeyDevice& device() { return *under_test_.device; }
  [[nodiscard]] const DeviceTraits& traits() const { return GetParam().traits; }
  [[nodiscard]] Deadline InSeconds(int seconds) const {
    return ::kms::testing::InSeconds(seconds * traits().patience);
  }

  MasterKeyRecord MakeMaster() {
    const Uuid id = Uuid::Random();
    auto record = device().GenerateMasterKey(id, 1, "contract-" + id.ToString(), InSeconds(10));
    EXPECT_THAT(record, IsOk());
    return record.value_or(MasterKeyRecord{});
  }

  // Takes seconds where the token is a real one.
  ImportKeyRecord MakeImportKey() {
    const Uuid id = Uuid::Random();
    auto record = device().GenerateImportKey(id, "import-" + id.ToString(), InSeconds(90));
    EXPECT_THAT(record, IsOk());
    EXPECT_TRUE(record.has_value() && record->has_value()) << "the token makes no import keys";
    return record.has_value() ? record->value_or(ImportKeyRecord{}) : ImportKeyRecord{};
  }

  const Bytes context_ = {'e', 'n', 'v', 0, 1};

 private:
  DeviceUnderTest under_test_;
};

}  // namespace kms::testing
