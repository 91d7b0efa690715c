// SPDX-License-Identifier: Apache-2.0
// kmsctl login and logout: what they send, where the token goes, and that it is printed nowhere
// else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class LoginCommandTest : public KmsctlTest {
 protected:
  static constexpr const char* kNewToken = "hvs.new-token-of-a-login";

  void ReplyLogin() {
    Reply(200, {{"data", nullptr},
                {"auth",
                 {{"client_token", kNewToken},
                  {"accessor", "acc-1"},
                  {"policies", {"default", "web"}},
                  {"lease_duration", 3600},
                  {"renewable", true}}}});
  }
  [[nodiscard]] std::string Home(const std::string& file) const {
    return home_.path() + "/" + file;
  }
  ToolRun RunAtHome(const std::vector<std::string>& arguments, const std::string& input = {}) {
    return Run(arguments, input, {{"HOME", home_.path()}, {"KMS_TOKEN", ""}});
  }

  [[nodiscard]] std::vector<ScriptedRequest> requests() const { return server_.requests(); }

  TemporaryDirectory home_;
};

TEST_F(LoginCommandTest, KeepsTheTokenWhereEveryCommandFindsIt) {
  ReplyLogin();
  const ToolRun run =
      RunAtHome({"login", "userpass", "--user", "alice", "--password-file", "-"}, "s3cret\n");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("default, web"));
  EXPECT_THAT(run.out + run.err, Not(HasSubstr(kNewToken)));
  EXPECT_EQ(ReadFile(Home(".kms-token")), std::string(kNewToken) + "\n");
  struct stat status{};
  ASSERT_EQ(::stat(Home(".kms-token").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  ASSERT_EQ(requests().size(), 1U);
  EXPECT_EQ(requests()[0].target, "/v1/auth/userpass/login/alice");
  EXPECT_EQ(requests()[0].body, R"({"password":"s3cret"})");

  ReplyData({{"keys", nlohmann::json::array({"a"})}});
  EXPECT_EQ(RunAtHome({"key", "list"}).status, 0);
  EXPECT_EQ(requests().back().Header("X-Vault-Token"), kNewToken);
}

TEST_F(LoginCommandTest, SendsNoOldTokenWithALogin) {
  ReplyLogin();
  const ToolRun run = Run({"login", "approle", "--role-id", "r-1", "--secret-id-file", "-",
                           "--output-file", Home("token")},
                          "sid\n");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(requests()[0].Header("X-Vault-Token"), "");
  EXPECT_EQ(requests()[0].body, R"({"role_id":"r-1","secret_id":"sid"})");
  EXPECT_EQ(ReadFile(Home("token")), std::string(kNewToken) + "\n");
}

TEST_F(LoginCommandTest, PrintsTheTokenOnlyWhenAskedTo) {
  ReplyLogin();
  const ToolRun run = RunAtHome(
      {"login", "jwt", "--role", "ci", "--mount", "team/oidc", "--print-token"}, "a.b.c\n");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, std::string(kNewToken) + "\n");
  EXPECT_EQ(requests()[0].target, "/v1/auth/team/oidc/login");
  EXPECT_EQ(requests()[0].body, R"({"role":"ci","jwt":"a.b.c"})");
  EXPECT_EQ(ReadFile(Home(".kms-token")), "");
}

TEST_F(LoginCommandTest, SaysWhatTheServerSaidAndKeepsNothing) {
  ReplyError(400, "invalid username or password");
  const ToolRun run =
      RunAtHome({"login", "userpass", "--user", "alice", "--password-file", "-"}, "wrong\n");
  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.err, HasSubstr("invalid username or password"));
  EXPECT_THAT(run.err, Not(HasSubstr("wrong")));
  EXPECT_EQ(ReadFile(Home(".kms-token")), "");
}

TEST_F(LoginCommandTest, RefusesEmptySecretsBeforeItSendsAny) {
  const ToolRun run =
      RunAtHome({"login", "userpass", "--user", "alice", "--password-file", "-"}, "\n");
  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.err, HasSubstr("the secret is empty"));
  EXPECT_TRUE(requests().empty());
}

TEST_F(LoginCommandTest, LogoutRevokesAndForgets) {
  WriteFile(Home(".kms-token"), "hvs.kept\n");
  Reply(204, nlohmann::json::object());
  const ToolRun run = RunAtHome({"logout"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(requests()[0].target, "/v1/auth/token/revoke-self");
  EXPECT_EQ(requests()[0].Header("X-Vault-Token"), "hvs.kept");
  EXPECT_EQ(ReadFile(Home(".kms-token")), "");
}

TEST_F(LoginCommandTest, LogoutKeepsTheTokenWhenItCouldNotBeRevoked) {
  WriteFile(Home(".kms-token"), "hvs.kept\n");
  ReplyError(503, "storage failed");
  EXPECT_NE(RunAtHome({"logout"}).status, 0);
  EXPECT_EQ(ReadFile(Home(".kms-token")), "hvs.kept\n");
}

}  // namespace
}  // namespace kms::testing
