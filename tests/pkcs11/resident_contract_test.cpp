// SPDX-License-Identifier: Apache-2.0
// The contract of ResidentKeyDevice: the fake, real tokens (SoftHSM always, NSS where it is
// installed) and a worker process over SoftHSM.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "pkcs11/token.h"
#include "pkcs11/worker_device.h"
#include "tests/contract/resident_key_device_contract.h"
#include "tests/fakes/fake_master_key_device.h"
#include "tests/support/softhsm_fixture.h"

namespace kms::testing {
namespace {

constexpr const char* kNssModule = "/usr/lib/x86_64-linux-gnu/libsoftokn3.so";

Deadline Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(20); }

bool NssIsInstalled() {
  return std::filesystem::exists(kNssModule) && std::filesystem::exists("/usr/bin/certutil");
}

ResidentDeviceUnderTest MakeFake() { return {nullptr, std::make_shared<FakeMasterKeyDevice>()}; }

ResidentDeviceUnderTest StartReady(std::shared_ptr<void> world,
                                   const pkcs11::TokenOptions& options) {
  auto token = pkcs11::Token::Start(options);
  EXPECT_THAT(token, IsOk());
  if (!token.has_value()) return {};
  EXPECT_THAT((*token)->AwaitReady(Soon()), IsOk());
  return {std::move(world), std::shared_ptr<pkcs11::Token>(std::move(*token))};
}

ResidentDeviceUnderTest MakeSoftHsm() {
  auto world = std::make_shared<SoftHsmToken>();
  return StartReady(world, world->options());
}

// NSS keeps its token in an SQLite directory that certutil makes.
ResidentDeviceUnderTest MakeNss() {
  auto world = std::make_shared<TemporaryDirectory>();
  const std::string pin_file = world->path() + "/pin";
  WriteTestFile(pin_file, kTestPin);
  const std::string database = "sql:" + world->path();
  const std::string command = "certutil -N -d " + database + " -f " + pin_file;
  EXPECT_EQ(std::system(command.c_str()), 0);
  pkcs11::TokenOptions options;
  options.module_path = kNssModule;
  options.module_init =
      "configdir='" + database + "' certPrefix='' keyPrefix='' secmod='secmod.db' flags=";
  options.token_label = "NSS Certificate DB";
  options.pin = {pkcs11::PinSource::Kind::kFile, pin_file};
  return StartReady(world, options);
}

ResidentDeviceUnderTest MakeWorker() {
  auto world = std::make_shared<SoftHsmToken>();
  pkcs11::WorkerOptions options;
  options.program = std::string(KMS_BINARY_DIR) + "/test_hsm_worker";
  options.arguments = {};
  options.token = world->options();
  auto device = pkcs11::WorkerDevice::Start(options);
  EXPECT_THAT(device, IsOk());
  if (!device.has_value()) return {};
  EXPECT_THAT((*device)->AwaitReady(Soon()), IsOk());
  return {world, std::shared_ptr<pkcs11::WorkerDevice>(std::move(*device))};
}

std::vector<ResidentDeviceFactory> Devices() {
  std::vector<ResidentDeviceFactory> devices = {{"Fake", MakeFake}};
  if (SoftHsmIsInstalled()) {
    devices.push_back({"SoftHsm", MakeSoftHsm});
    devices.push_back({"Worker", MakeWorker});
  }
  if (NssIsInstalled()) devices.push_back({"Nss", MakeNss});
  return devices;
}

INSTANTIATE_TEST_SUITE_P(Token, ResidentKeyDeviceContract, ::testing::ValuesIn(Devices()),
                         ResidentFactoryName);

}  // namespace
}  // namespace kms::testing
