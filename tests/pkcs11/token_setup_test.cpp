// SPDX-License-Identifier: Apache-2.0
// Making SoftHSM tokens, again and again.
#include "pkcs11/token_setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/matchers.h"
#include "tests/support/softhsm_fixture.h"

namespace kms::pkcs11 {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::IsOkAndHolds;
using ::kms::testing::kSoftHsmModule;
using ::kms::testing::SoftHsmToken;

SecretBytes Pin(const char* text) { return SecretBytes::CopyOf(AsBytes(text)).value(); }

class TokenSetup : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!::kms::testing::SoftHsmIsInstalled()) GTEST_SKIP() << "SoftHSM is not installed";
  }
  Result<std::string> Create(const SoftHsmToken& token, const std::string& label) {
    return CreateSoftHsmToken(kSoftHsmModule, token.options().softhsm_config, label,
                              Pin(::kms::testing::kTestPin), Pin(::kms::testing::kTestSoPin));
  }
};

TEST_F(TokenSetup, KeepsATokenThatExists) {
  SoftHsmToken token("first");
  ASSERT_TRUE(token.ok());
  EXPECT_THAT(Create(token, "first"), IsOkAndHolds(token.serial()));
}

TEST_F(TokenSetup, MakesASecondTokenBesideTheFirst) {
  SoftHsmToken token("first");
  ASSERT_TRUE(token.ok());
  EXPECT_THAT(Create(token, "second"), IsOkAndHolds(::testing::Ne(token.serial())));
}

TEST_F(TokenSetup, RefusesImpossibleLabels) {
  SoftHsmToken token("first", /*make_token=*/false);
  EXPECT_THAT(Create(token, ""), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Create(token, std::string(33, 'x')), HasError(ErrorCode::kInvalidArgument));
}

TEST_F(TokenSetup, RefusesAMissingModule) {
  EXPECT_THAT(CreateSoftHsmToken("/nonexistent/module.so", "/nonexistent/conf", "x", Pin("1234"),
                                 Pin("1234")),
              HasError(ErrorCode::kFailedPrecondition));
}

TEST_F(TokenSetup, FailsWithoutAUsableConfiguration) {
  EXPECT_FALSE(CreateSoftHsmToken(kSoftHsmModule, "/nonexistent/conf", "x", Pin("1234"),
                                  Pin("1234"))
                   .has_value());
}

TEST_F(TokenSetup, ConfigurationInAMissingDirectoryIsRefused) {
  SoftHsmToken token("first", /*make_token=*/false);
  EXPECT_THAT(WriteSoftHsmConfig(token.directory() + "/none/softhsm2.conf", token.tokens()),
              HasError(ErrorCode::kFailedPrecondition));
}

}  // namespace
}  // namespace kms::pkcs11
