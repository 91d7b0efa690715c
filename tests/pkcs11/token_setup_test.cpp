// SPDX-License-Identifier: Apache-2.0
// Making SoftHSM tokens, again and again.
#include "pkcs11/token_setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "pkcs11/token_backup.h"
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
    TokenOptions options = token.options();
    options.token_label = label;
    return CreateSoftHsmToken(options, Pin(::kms::testing::kTestPin),
                              Pin(::kms::testing::kTestSoPin));
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

// A login that was killed leaves an empty file: no token of the label is seen then.
TEST_F(TokenSetup, PutsBackATokenThatAnInterruptedLoginEmptied) {
  SoftHsmToken token("first");
  ASSERT_TRUE(token.ok());
  ASSERT_THAT(BackUpTokens(token.tokens(), token.options().softhsm_state_directory), IsOk());
  for (const auto& entry : std::filesystem::directory_iterator(token.tokens())) {
    std::filesystem::resize_file(entry.path() / "token.object", 0);
  }
  EXPECT_THAT(Create(token, "first"), IsOkAndHolds(token.serial()));
}

TEST_F(TokenSetup, RefusesImpossibleLabels) {
  SoftHsmToken token("first", /*make_token=*/false);
  EXPECT_THAT(Create(token, ""), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Create(token, std::string(33, 'x')), HasError(ErrorCode::kInvalidArgument));
}

TEST_F(TokenSetup, RefusesAMissingModule) {
  TokenOptions options;
  options.module_path = "/nonexistent/module.so";
  options.token_label = "x";
  EXPECT_THAT(CreateSoftHsmToken(options, Pin("1234"), Pin("1234")),
              HasError(ErrorCode::kFailedPrecondition));
}

TEST_F(TokenSetup, FailsWithoutAUsableConfiguration) {
  TokenOptions options;
  options.module_path = kSoftHsmModule;
  options.softhsm_config = "/nonexistent/conf";
  options.token_label = "x";
  EXPECT_FALSE(CreateSoftHsmToken(options, Pin("1234"), Pin("1234")).has_value());
}

TEST_F(TokenSetup, ConfigurationInAMissingDirectoryIsRefused) {
  SoftHsmToken token("first", /*make_token=*/false);
  EXPECT_THAT(WriteSoftHsmConfig(token.directory() + "/none/softhsm2.conf", token.tokens()),
              HasError(ErrorCode::kFailedPrecondition));
}

}  // namespace
}  // namespace kms::pkcs11
