// SPDX-License-Identifier: Apache-2.0
// kmsctl auth …, approle …, user …: what they send, what they print, and that no secret is an
// argument or printed where it should not be.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class PeopleCommands : public KmsctlTest {};

// ---- auth
// ----------------------------------------------------------------------------------------

TEST_F(PeopleCommands, AuthEnableNamesTheTypeAndWhere) {
  ReplyRaw(204, "");
  const ToolRun run = Run({"auth", "enable", "jwt", "--path", "ci", "--max-ttl", "1h",
                           "--description", "build machines"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "enabled auth/ci\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/auth/ci");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"type", "jwt"},
                                                      {"description", "build machines"},
                                                      {"config", {{"max_lease_ttl", "1h"}}}}));
}

TEST_F(PeopleCommands, AuthListShowsEveryMethod) {
  ReplyData({{"approle/",
              {{"type", "approle"},
               {"accessor", "auth_approle_1"},
               {"description", ""},
               {"config", {{"default_lease_ttl", 60}, {"max_lease_ttl", 0}}}}}});
  const ToolRun run = Run({"auth", "list"});
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/auth");
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("PATH"), HasSubstr("approle/"), HasSubstr("auth_approle_1")));
}

TEST_F(PeopleCommands, AuthDisableAsksFirst) {
  EXPECT_EQ(Run({"auth", "disable", "ci"}).status, 2);
  EXPECT_TRUE(server_.requests().empty());
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"auth", "disable", "ci", "--yes"}).status, 0);
  EXPECT_EQ(OnlyRequest().method, "DELETE");
}

TEST_F(PeopleCommands, AuthTuneSendsWhatIsGiven) {
  EXPECT_EQ(Run({"auth", "tune", "userpass"}).status, 2);
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"auth", "tune", "userpass", "--default-ttl", "8h"}).status, 0);
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/auth/userpass/tune");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"default_lease_ttl", "8h"}}));
}

// ---- approle
// -------------------------------------------------------------------------------------

TEST_F(PeopleCommands, RoleWriteSendsWhatIsGiven) {
  ReplyRaw(204, "");
  const ToolRun run =
      Run({"approle", "role", "write", "orders", "--policy", "orders,web", "--ttl", "1h",
           "--secret-id-ttl", "10m", "--secret-id-uses", "1", "--secret-id-cidr", "10.0.0.0/8"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "written role orders\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/approle/role/orders");
  EXPECT_EQ(Json(OnlyRequest().body),
            (nlohmann::json{{"token_policies", {"orders", "web"}},
                            {"token_ttl", "1h"},
                            {"secret_id_ttl", "10m"},
                            {"secret_id_num_uses", 1},
                            {"secret_id_bound_cidrs", nlohmann::json::array({"10.0.0.0/8"})}}));
}

TEST_F(PeopleCommands, RoleReadShowsSettings) {
  ReplyData({{"bind_secret_id", true},
             {"secret_id_ttl", 600},
             {"secret_id_num_uses", 1},
             {"secret_id_bound_cidrs", nlohmann::json::array()},
             {"token_policies", {"orders", "web"}},
             {"token_ttl", 3600}});
  const ToolRun run = Run({"approle", "role", "read", "orders", "--mount", "apps"});
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/apps/role/orders");
  EXPECT_THAT(run.out, AllOf(HasSubstr("orders, web"), HasSubstr("600"), HasSubstr("3600")));
}

TEST_F(PeopleCommands, RolesAreListedAndDeleted) {
  ReplyData({{"keys", {"a", "b"}}});
  EXPECT_EQ(Run({"approle", "role", "list"}).out, "a\nb\n");
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"approle", "role", "delete", "a"}).status, 2) << "asks first";
  EXPECT_EQ(Run({"approle", "role", "delete", "a", "--yes"}).status, 0);
}

TEST_F(PeopleCommands, RoleIdIsPrintedAlone) {
  ReplyData({{"role_id", "5f1c"}});
  EXPECT_EQ(Run({"approle", "role-id", "orders"}).out, "5f1c\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/approle/role/orders/role-id");
}

TEST_F(PeopleCommands, SecretIdMetadataIsJsonInAString) {
  ReplyData({{"secret_id", "s3cr3t"}, {"secret_id_accessor", "acc"}, {"secret_id_ttl", 60}});
  const ToolRun run = Run({"approle", "secret-id", "create", "orders", "--metadata", "team=blue",
                           "--metadata", "host=a=b", "--json"});
  EXPECT_EQ(run.status, 0) << run.err;
  const nlohmann::json body = Json(OnlyRequest().body);
  EXPECT_EQ(Json(body["metadata"].get<std::string>()),
            (nlohmann::json{{"team", "blue"}, {"host", "a=b"}}));
  EXPECT_EQ(Json(run.out)["secret_id"], "s3cr3t");
  EXPECT_EQ(Run({"approle", "secret-id", "create", "orders", "--metadata", "team"}).status, 2);
}

TEST_F(PeopleCommands, SecretIdGoesToAFileOfTheUsersOwn) {
  ReplyData({{"secret_id", "s3cr3t"}, {"secret_id_accessor", "acc"}});
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/secret-id";
  const ToolRun run = Run({"approle", "secret-id", "create", "orders", "--output-file", file});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out + run.err, AllOf(Not(HasSubstr("s3cr3t")), HasSubstr("acc")));
  EXPECT_EQ(ReadFile(file), "s3cr3t\n");
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(PeopleCommands, SecretIdCanBeHandedOutWrapped) {
  Reply(200, {{"data", nullptr},
              {"wrap_info", {{"token", "hvs.wrap"}, {"ttl", 300}, {"accessor", "w"}}}});
  const ToolRun run = Run({"approle", "secret-id", "create", "orders", "--wrap-ttl", "5m"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().Header("X-Vault-Wrap-TTL"), "5m");
  EXPECT_THAT(run.out, HasSubstr("hvs.wrap"));
}

TEST_F(PeopleCommands, SecretIdsAreListedReadAndDestroyedByAccessor) {
  ReplyData({{"keys", {"acc"}}});
  EXPECT_EQ(Run({"approle", "secret-id", "list", "orders"}).out, "acc\n");
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"approle", "secret-id", "destroy", "orders", "acc"}).status, 0);
  const ScriptedRequest last = server_.requests().back();
  EXPECT_EQ(last.target, "/v1/auth/approle/role/orders/secret-id-accessor/destroy");
  EXPECT_EQ(Json(last.body), (nlohmann::json{{"secret_id_accessor", "acc"}}));
}

// ---- user
// ----------------------------------------------------------------------------------------

TEST_F(PeopleCommands, UserCreateReadsThePasswordFromStandardInput) {
  ReplyRaw(204, "");
  const ToolRun run = Run({"user", "create", "alice", "--password-file", "-", "--policy", "ops",
                           "--policy", "web", "--ttl", "8h", "--num-uses", "5"},
                          "correct \"horse\"\n");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "created user alice\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/userpass/users/alice");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"password", "correct \"horse\""},
                                                      {"token_policies", "ops,web"},
                                                      {"token_ttl", "8h"},
                                                      {"token_num_uses", "5"}}));
}

TEST_F(PeopleCommands, NoOptionTakesAPassword) {
  for (const char* option : {"--password", "--passcode"}) {
    EXPECT_EQ(Run({"user", "create", "alice", option, "correct horse"}).status, 2) << option;
  }
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(PeopleCommands, UserPasswordSendsThePasswordAlone) {
  ReplyRaw(204, "");
  const ToolRun run =
      Run({"user", "password", "alice", "--password-file", "-"}, "battery staple\n");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/userpass/users/alice/password");
  EXPECT_EQ(OnlyRequest().body, R"({"password":"battery staple"})");
  EXPECT_THAT(run.out + run.err, Not(HasSubstr("staple")));
}

TEST_F(PeopleCommands, UserReadShowsSettingsAndSecondFactor) {
  ReplyData({{"token_policies", {"ops"}}, {"totp_enabled", true}, {"backup_codes_left", 9}});
  EXPECT_THAT(Run({"user", "read", "alice"}).out,
              AllOf(HasSubstr("ops"), HasSubstr("yes"), HasSubstr("9")));
}

TEST_F(PeopleCommands, UserListPrintsNames) {
  ReplyData({{"keys", {"alice"}}});
  EXPECT_EQ(Run({"user", "list", "--mount", "people"}).out, "alice\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/people/users");
}

TEST_F(PeopleCommands, UserDeleteAsksFirst) {
  EXPECT_EQ(Run({"user", "delete", "alice"}).status, 2);
  EXPECT_TRUE(server_.requests().empty());
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"user", "delete", "alice", "--yes"}).status, 0);
}

TEST_F(PeopleCommands, TotpEnableShowsTheSecretOnceAndSaysWhatIsNext) {
  ReplyData({{"secret", "GEZDGNBV"},
             {"url", "otpauth://totp/kms:alice?secret=GEZDGNBV"},
             {"backup_codes", {"aaaa", "bbbb"}}});
  const ToolRun run = Run({"user", "totp", "enable", "alice"});
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/userpass/users/alice/totp");
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("GEZDGNBV"), HasSubstr("otpauth://"), HasSubstr("  aaaa\n")));
  EXPECT_THAT(run.err, HasSubstr("kmsctl user totp confirm alice"));
}

TEST_F(PeopleCommands, TotpConfirmAndDisable) {
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"user", "totp", "confirm", "alice", "--passcode-file", "-"}, "123456\n").status,
            0);
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/userpass/users/alice/totp/confirm");
  EXPECT_EQ(OnlyRequest().body, R"({"passcode":"123456"})");
  EXPECT_EQ(Run({"user", "totp", "disable", "alice"}).status, 2);
  EXPECT_EQ(Run({"user", "totp", "disable", "alice", "--yes"}).status, 0);
  EXPECT_EQ(server_.requests().back().method, "DELETE");
}

TEST_F(PeopleCommands, EveryVerbHasExamples) {
  for (const std::vector<std::string>& verb :
       std::vector<std::vector<std::string>>{{"auth"},
                                             {"auth", "enable"},
                                             {"auth", "tune"},
                                             {"approle", "role", "write"},
                                             {"approle", "role-id"},
                                             {"approle", "secret-id", "create"},
                                             {"user", "create"},
                                             {"user", "password"},
                                             {"user", "totp", "enable"},
                                             {"user", "totp", "confirm"}}) {
    std::vector<std::string> line = verb;
    line.emplace_back("--help");
    const ToolRun run = Run(line);
    EXPECT_EQ(run.status, 0);
    EXPECT_THAT(run.out, HasSubstr("Examples:\n  kmsctl " + verb[0]));
  }
}

}  // namespace
}  // namespace kms::testing
