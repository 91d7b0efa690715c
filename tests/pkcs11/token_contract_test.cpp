// SPDX-License-Identifier: Apache-2.0
// The contract of MasterKeyDevice on every real module of the vendor table.
#include <gmock/gmock.h>

#include <fstream>

#include "pkcs11/token.h"
#include "tests/pkcs11/vendor_table.h"

namespace kms::testing {
namespace {

DeviceUnderTest Bind(const Vendor& vendor, const std::string& mechanism) {
  const std::shared_ptr<VendorToken> world = vendor.make();
  DeviceUnderTest made{.world = world, .device = nullptr};
  EXPECT_TRUE(world->ok());
  if (!world->ok()) return made;
  pkcs11::TokenOptions options = world->options();
  options.pinned_mechanism = mechanism;
  auto token = pkcs11::Token::Start(options);
  EXPECT_THAT(token, IsOk());
  if (!token.has_value()) return made;
  EXPECT_THAT((*token)->AwaitReady(InSeconds(20 * vendor.traits.patience)), IsOk());
  made.device = std::move(*token);
  return made;
}

std::string WithoutDashes(std::string text) {
  std::erase(text, '-');
  return text;
}

std::vector<DeviceFactory> Devices() {
  std::vector<DeviceFactory> devices;
  for (const Vendor& vendor : VendorTable()) {
    if (!vendor.installed()) continue;
    // Named, so that the many tests do not prove all others again.
    devices.push_back(
        {vendor.name, [&vendor] { return Bind(vendor, vendor.best); }, vendor.traits});
    for (const std::string& mechanism : vendor.also_with) {
      devices.push_back({vendor.name + WithoutDashes(mechanism),
                         [&vendor, mechanism] { return Bind(vendor, mechanism); }, vendor.traits});
    }
  }
  return devices;
}

INSTANTIATE_TEST_SUITE_P(Token, MasterKeyDeviceContract, ::testing::ValuesIn(Devices()),
                         DeviceFactoryName);

// What is true of every module and is no promise of the interface.
class VendorTest : public ::testing::TestWithParam<const Vendor*> {};

std::vector<const Vendor*> InstalledVendors() {
  std::vector<const Vendor*> vendors;
  for (const Vendor& vendor : VendorTable()) {
    if (vendor.installed()) vendors.push_back(&vendor);
  }
  return vendors;
}

TEST_P(VendorTest, NegotiatesTheBestOfItsMechanisms) {
  const DeviceUnderTest under_test = Bind(*GetParam(), "");
  ASSERT_NE(under_test.device, nullptr);
  KMS_ASSERT_OK_AND_ASSIGN(const DeviceDescription description,
                           under_test.device->Describe(InSeconds(60)));
  ASSERT_FALSE(description.usable_mechanisms.empty());
  EXPECT_EQ(WrapMechanismName(description.usable_mechanisms.front()), GetParam()->best);
}

INSTANTIATE_TEST_SUITE_P(Each, VendorTest, ::testing::ValuesIn(InstalledVendors()),
                         [](const auto& tested) { return tested.param->name; });

// A network HSM whose server restarts: a call later everything is as before.
TEST(NetworkHsm, H3_RestartedServerIsFoundAgain) {
  if (!P11KitToken::IsInstalled()) GTEST_SKIP() << "p11-kit is not installed";
  P11KitToken world;
  ASSERT_TRUE(world.ok());
  pkcs11::TokenOptions options = world.options();
  options.pinned_mechanism = "oaep-sha256-raw";
  KMS_ASSERT_OK_AND_ASSIGN(const auto token, pkcs11::Token::Start(options));
  ASSERT_THAT(token->AwaitReady(InSeconds(60)), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const MasterKeyRecord master,
                           token->GenerateMasterKey(Uuid::Random(), 1, "m", InSeconds(60)));
  const SecretBytes key = RandomKey(32);
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped, token->Wrap(master, key, {}, InSeconds(60)));
  world.StopServer();
  world.StartServer();
  EXPECT_TRUE(Eventually(
      [&] {
        const auto opened = token->Unwrap(master, wrapped, {}, InSeconds(10));
        return opened.has_value() && *opened == key;
      },
      std::chrono::seconds(60)));
}

// The firmware is changed while the service is down: the mechanism of its keys is gone.
TEST(TokenChange, H21_MechanismThatIsGoneIsNamedWithWhatTheTokenStillDoes) {
  if (!SoftHsmIsInstalled()) GTEST_SKIP() << "SoftHSM is not installed";
  const SoftHsmToken world;
  ASSERT_TRUE(world.ok());
  MasterKeyRecord master;
  {
    KMS_ASSERT_OK_AND_ASSIGN(const auto token, pkcs11::Token::Start(world.options()));
    ASSERT_THAT(token->AwaitReady(InSeconds(20)), IsOk());
    KMS_ASSERT_OK_AND_ASSIGN(master,
                             token->GenerateMasterKey(Uuid::Random(), 1, "m", InSeconds(20)));
    ASSERT_EQ(master.mechanism, WrapMechanism::kGcmEncrypt);
  }
  std::ofstream(world.options().softhsm_config, std::ios::app)
      << "slots.mechanisms = -DUMMY,CKM_AES_GCM\n";
  KMS_ASSERT_OK_AND_ASSIGN(const auto token, pkcs11::Token::Start(world.options()));
  ASSERT_THAT(token->AwaitReady(InSeconds(20)), IsOk());
  const Status checked = token->CheckSentinel(master, InSeconds(20));
  EXPECT_THAT(checked, HasError(ErrorCode::kFailedPrecondition,
                                ::testing::AllOf(::testing::HasSubstr("does not do gcm-encrypt"),
                                                 ::testing::HasSubstr("hsm-test"))));
  ASSERT_FALSE(checked.has_value());
  EXPECT_THAT(checked.error().detail, ::testing::HasSubstr("gcm-encrypt: "));
}

}  // namespace
}  // namespace kms::testing
