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

bool NssIsInstalled() {
  return std::filesystem::exists(kNssModule) && std::filesystem::exists("/usr/bin/certutil");
}

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
  if (NssIsInstalled()) {
    devices.push_back({"Nss", [] { return MakeNss(""); }});
    devices.push_back({"NssKwpEncrypt", [] { return MakeNss("kwp-encrypt"); }});
  }
  return devices;
}

// The whole contract would take minutes with RSA keys: the essence of it.
TEST(TokenByRsa, WrapsOpensAndRefusesDamage) {
  if (!NssIsInstalled()) GTEST_SKIP() << "NSS is not installed";
  const DeviceUnderTest under_test = MakeNss("oaep-sha256");
  ASSERT_NE(under_test.device, nullptr);
  MasterKeyDevice& device = *under_test.device;
  const Uuid id = Uuid::Random();
  KMS_ASSERT_OK_AND_ASSIGN(const MasterKeyRecord master,
                           device.GenerateMasterKey(id, 1, "rsa", InSeconds(60)));
  EXPECT_FALSE(master.public_key.empty());
  const SecretBytes key = RandomKey(64);
  const Bytes context = {1};
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped,
                           device.Wrap(master, key, context, InSeconds(60)));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                           device.Unwrap(master, wrapped, context, InSeconds(60)));
  EXPECT_TRUE(opened == key);
  EXPECT_THAT(device.Unwrap(master, wrapped, {}, InSeconds(60)), HasError(ErrorCode::kCorrupted));
  for (const std::size_t index : {std::size_t{0}, wrapped.blob.size() - 1}) {
    WrappedKey damaged = wrapped;
    damaged.blob[index] ^= 0x80U;
    EXPECT_THAT(device.Unwrap(master, damaged, context, InSeconds(60)),
                HasError(ErrorCode::kCorrupted))
        << index;
  }
  KMS_ASSERT_OK_AND_ASSIGN(const MasterKeyRecord adopted,
                           device.GenerateMasterKey(id, 1, "rsa", InSeconds(60)));
  EXPECT_EQ(adopted.public_key, master.public_key);
}

INSTANTIATE_TEST_SUITE_P(Token, MasterKeyDeviceContract, ::testing::ValuesIn(Devices()),
                         DeviceFactoryName);

}  // namespace
}  // namespace kms::testing
