// SPDX-License-Identifier: Apache-2.0
// Applications and people against the built programs: kmsctl sets them up, they log in at kmsd, and
// what they are given lasts as long as it should.
#include <gmock/gmock.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class PeopleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    PointAtKmsd();
  }
  void TearDown() override {
    for (const char* name : {"KMS_ADDR", "KMS_TOKEN", "HOME"}) {
      ::unsetenv(name);
    }
  }
  void PointAtKmsd() {
    ::setenv("KMS_ADDR", ("http://127.0.0.1:" + std::to_string(kmsd_.port())).c_str(), 1);
    ::setenv("KMS_TOKEN", kmsd_.token().c_str(), 1);
    ::setenv("HOME", directory_.path().c_str(), 1);
  }

  std::string Ctl(std::vector<std::string> arguments, int expected_status = 0) {
    arguments.insert(arguments.begin(), std::string{KMS_BINARY_DIR} + "/kmsctl");
    std::string output;
    EXPECT_EQ(RunProgram(arguments, &output), expected_status)
        << ::testing::PrintToString(arguments) << "\n"
        << output;
    return output;
  }
  json CtlJson(std::vector<std::string> arguments) {
    arguments.emplace_back("--json");
    return json::parse(Ctl(std::move(arguments)), nullptr, false);
  }
  std::string File(const std::string& name, const std::string& content = {}) {
    const std::string path = directory_.path() + "/" + name;
    if (!content.empty()) {
      WriteFile(path, content);
    }
    return path;
  }

  TemporaryDirectory directory_;
  KmsdProcess kmsd_{KMS_BINARY_DIR, directory_.path() + "/state"};
};

TEST_F(PeopleTest, AnApplicationLogsInWithASecretIdOfOneUse) {
  Ctl({"auth", "enable", "approle"});
  Ctl({"approle", "role", "write", "orders", "--policy", "orders", "--ttl", "1h",
       "--secret-id-uses", "1"});
  const std::string role_id = CtlJson({"approle", "role-id", "orders"}).value("role_id", "");
  Ctl({"approle", "secret-id", "create", "orders", "--output-file", File("secret-id")});
  const std::vector<std::string> login = {"login",         "approle",          "--role-id",
                                          role_id,         "--secret-id-file", File("secret-id"),
                                          "--output-file", File("token")};
  Ctl(login);
  EXPECT_THAT(ReadFile(File("token")), HasSubstr("hvs."));
  Ctl(login, 5);  // it was good for one
}

TEST_F(PeopleTest, RolesUsersAndUsesSurviveAKill) {
  Ctl({"auth", "enable", "approle"});
  Ctl({"auth", "enable", "userpass"});
  Ctl({"approle", "role", "write", "orders", "--secret-id-uses", "1"});
  const std::string role_id = CtlJson({"approle", "role-id", "orders"}).value("role_id", "");
  Ctl({"approle", "secret-id", "create", "orders", "--output-file", File("used")});
  Ctl({"approle", "secret-id", "create", "orders", "--output-file", File("fresh")});
  Ctl({"user", "create", "alice", "--password-file", File("password", "correct horse\n")});
  const auto login = [&](const std::string& file) {
    return std::vector<std::string>{"login",         "approle",          "--role-id",
                                    role_id,         "--secret-id-file", File(file),
                                    "--output-file", File("token")};
  };
  Ctl(login("used"));
  kmsd_.Kill();
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  PointAtKmsd();
  Ctl(login("used"), 5);
  Ctl(login("fresh"));
  Ctl({"login", "userpass", "--user", "alice", "--password-file", File("password"), "--output-file",
       File("token")});
}

TEST_F(PeopleTest, ADeletedUsersTokenStopsAtOnce) {
  Ctl({"auth", "enable", "userpass"});
  Ctl({"user", "create", "alice", "--password-file", File("password", "correct horse\n")});
  Ctl({"login", "userpass", "--user", "alice", "--password-file", File("password"), "--output-file",
       File("token")});
  Ctl({"user", "delete", "alice", "--yes"});
  Ctl({"key", "list", "--token-file", File("token")}, 4);
  Ctl({"login", "userpass", "--user", "alice", "--password-file", File("password"), "--output-file",
       File("token")},
      5);
}

}  // namespace
}  // namespace kms::testing
