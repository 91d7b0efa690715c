// SPDX-License-Identifier: Apache-2.0
// Addresses and tokens: what is accepted, what is refused, whose word counts.
#include "tools/common/server_address.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "tests/support/kmsd_process.h"
#include "tests/support/matchers.h"

namespace kms::tools {
namespace {

using kms::testing::HasError;

class Environment : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"KMS_ADDR", "VAULT_ADDR", "KMS_TOKEN", "VAULT_TOKEN"}) {
      ::unsetenv(name);
    }
  }
  void TearDown() override { SetUp(); }
};

TEST(ParseServerAddress, ReadsSchemeHostAndPort) {
  KMS_ASSERT_OK_AND_ASSIGN(const ServerAddress address,
                           ParseServerAddress("https://kms.example.com:8443/"));
  EXPECT_TRUE(address.https);
  EXPECT_EQ(address.host, "kms.example.com");
  EXPECT_EQ(address.port, 8443);
  EXPECT_EQ(address.ToUrl(), "https://kms.example.com:8443");
}

TEST(ParseServerAddress, KnowsTheSchemesPorts) {
  KMS_ASSERT_OK_AND_ASSIGN(const ServerAddress plain, ParseServerAddress("http://a"));
  KMS_ASSERT_OK_AND_ASSIGN(const ServerAddress secure, ParseServerAddress("https://a"));
  EXPECT_EQ(plain.port, 80);
  EXPECT_EQ(secure.port, 443);
}

TEST(ParseServerAddress, ReadsIpv6InBrackets) {
  KMS_ASSERT_OK_AND_ASSIGN(const ServerAddress address, ParseServerAddress("http://[::1]:8200"));
  EXPECT_EQ(address.host, "::1");
  EXPECT_EQ(address.ToUrl(), "http://[::1]:8200");
}

TEST(ParseServerAddress, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "127.0.0.1:8200", "ftp://a", "http://", "http://:8200", "http://a:",
                           "http://a:0", "http://a:65536", "http://a:8200x", "http://a/path",
                           "http://user@a", "http://[::1", "http://[::1]8200", "http://a b"}) {
    EXPECT_THAT(ParseServerAddress(text), HasError(ErrorCode::kInvalidArgument)) << text;
  }
}

TEST_F(Environment, DefaultsToTheLoopbackAddress) {
  KMS_ASSERT_OK_AND_ASSIGN(const ServerAddress address, ResolveAddress(""));
  EXPECT_EQ(address.ToUrl(), "http://127.0.0.1:8200");
}

TEST_F(Environment, OptionWinsOverKmsAddrWinsOverVaultAddr) {
  ::setenv("VAULT_ADDR", "http://vault:1", 1);
  KMS_ASSERT_OK_AND_ASSIGN(const ServerAddress third, ResolveAddress(""));
  EXPECT_EQ(third.host, "vault");
  ::setenv("KMS_ADDR", "http://kms:2", 1);
  KMS_ASSERT_OK_AND_ASSIGN(const ServerAddress second, ResolveAddress(""));
  EXPECT_EQ(second.host, "kms");
  KMS_ASSERT_OK_AND_ASSIGN(const ServerAddress first, ResolveAddress("http://option:3"));
  EXPECT_EQ(first.host, "option");
}

TEST_F(Environment, TokenFileWinsOverTheVariables) {
  ::setenv("KMS_TOKEN", "from-variable", 1);
  const kms::testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/token";
  kms::testing::WriteFile(path, "  from-file \nsecond line\n");
  KMS_ASSERT_OK_AND_ASSIGN(const PlaintextBuffer token, ResolveToken(path));
  EXPECT_EQ(AsText(token.View()), "from-file");
}

TEST_F(Environment, NoTokenIsNoError) {
  KMS_ASSERT_OK_AND_ASSIGN(const PlaintextBuffer token, ResolveToken(""));
  EXPECT_EQ(token.size(), 0U);
}

TEST_F(Environment, RefusesATokenThatCouldForgeAHeader) {
  for (const char* text : {"a\r\nX-Evil: 1", "a b", "a\x01", "a\xff"}) {
    ::setenv("VAULT_TOKEN", text, 1);
    EXPECT_THAT(ResolveToken(""), HasError(ErrorCode::kInvalidArgument)) << text;
  }
}

TEST_F(Environment, MissingTokenFileIsAnErrorNotAnEmptyToken) {
  EXPECT_THAT(ResolveToken("/nonexistent/token"), HasError(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace kms::tools
