// SPDX-License-Identifier: Apache-2.0
// The contract of MasterKeyDevice on real tokens: SoftHSM always, NSS where it is installed.
#include <cstdlib>
#include <filesystem>

#include "pkcs11/token.h"
#include "tests/contract/master_key_device_contract.h"
#include "tests/support/softhsm_fixture.h"

namespace kms::testing {
namespace {

constexpr const char* kNssModule = "/usr/lib/x86_64-linux-gnu/libsoftokn3.so";

DeviceUnderTest StartReady(std::shared_ptr<void> world, const pkcs11::TokenOptions& options) {
  DeviceUnderTest made{.world = std::move(world), .device = nullptr};
  auto token = pkcs11::Token::Start(options);
  EXPECT_THAT(token, IsOk());
  if (!token.has_value()) return made;
  EXPECT_THAT((*token)->AwaitReady(InSeconds(20)), IsOk());
  made.device = std::move(*token);
  return made;
}

DeviceUnderTest MakeSoftHsm(const std::string& mechanism) {
  auto world = std::make_shared<SoftHsmToken>();
  pkcs11::TokenOptions options = world->options();
  options.pinned_mechanism = mechanism;
  return StartReady(world, options);
}

// NSS keeps its token in an SQLite directory that certutil makes.
DeviceUnderTest MakeNss(const std::string& mechanism) {
  auto world = std::make_shared<TemporaryDirectory>();
  const std::string pin_file = world->path() + "/pin";
  WriteTestFile(pin_file, kTestPin);
  const std::string database = "sql:" + world->path();
  const std::string command = "certutil -N -d " + database + " -f " + pin_file;
  EXPECT_EQ(std::system(command.c_str()), 0);
  pkcs11::TokenOptions options;
  options.module_path = kNssModule;
  options.module_init = "configdir='" + database +
                        "' certPrefix='' keyPrefix='' secmod='secmod.db' flags=";
  options.token_label = "NSS Certificate DB";
  options.pin = {pkcs11::PinSource::Kind::kFile, pin_file};
  options.pinned_mechanism = mechanism;
  return StartReady(world, options);
}

std::vector<DeviceFactory> Devices() {
  std::vector<DeviceFactory> devices;
  if (SoftHsmIsInstalled()) {
    devices.push_back({"SoftHsm", [] { return MakeSoftHsm(""); }});
    devices.push_back({"SoftHsmKeyWrap", [] { return MakeSoftHsm("kw-wrap"); }});
  }
  const bool has_nss =
      std::filesystem::exists(kNssModule) && std::filesystem::exists("/usr/bin/certutil");
  if (has_nss) {
    devices.push_back({"Nss", [] { return MakeNss(""); }});
    devices.push_back({"NssKwpEncrypt", [] { return MakeNss("kwp-encrypt"); }});
    devices.push_back({"NssOaep", [] { return MakeNss("oaep-sha256"); }});
  }
  return devices;
}

INSTANTIATE_TEST_SUITE_P(Token, MasterKeyDeviceContract, ::testing::ValuesIn(Devices()),
                         DeviceFactoryName);

}  // namespace
}  // namespace kms::testing
