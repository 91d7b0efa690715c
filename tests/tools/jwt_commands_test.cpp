// SPDX-License-Identifier: Apache-2.0
// kmsctl jwt …: what it sends and what it prints.
#include <gmock/gmock.h>

#include <cstdio>
#include <fstream>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class JwtCommands : public KmsctlTest {};

TEST_F(JwtCommands, ConfigWriteSendsWhatIsGiven) {
  ReplyRaw(204, "");
  const ToolRun run =
      Run({"jwt", "config", "write", "--mount", "ci", "--jwks-url", "https://idp.example/keys",
           "--issuer", "https://idp.example", "--default-role", "build", "--algorithm", "ES256"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/ci/config");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"jwks_url", "https://idp.example/keys"},
                                                      {"bound_issuer", "https://idp.example"},
                                                      {"default_role", "build"},
                                                      {"jwt_supported_algs", {"ES256"}}}));
}

TEST_F(JwtCommands, ConfigWriteNeedsASourceOfKeys) {
  const ToolRun run = Run({"jwt", "config", "write", "--issuer", "x"});
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("--discovery-url"));
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(JwtCommands, ConfigWriteSendsTheTextOfFiles) {
  const std::string file = ::testing::TempDir() + "kms-jwt-issuer.pem";
  std::ofstream(file) << "PEM of the issuer\n";
  ReplyRaw(204, "");
  const ToolRun run = Run({"jwt", "config", "write", "--public-key", file});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(Json(OnlyRequest().body),
            (nlohmann::json{{"jwt_validation_pubkeys", {"PEM of the issuer\n"}}}));
  std::remove(file.c_str());
}

TEST_F(JwtCommands, ConfigReadShowsWhereKeysComeFrom) {
  ReplyData({{"jwks_url", "https://idp.example/keys"}, {"bound_issuer", "https://idp.example"}});
  const ToolRun run = Run({"jwt", "config", "read"});
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/jwt/config");
  EXPECT_THAT(run.out, AllOf(HasSubstr("https://idp.example/keys"), HasSubstr("issuer")));
}

TEST_F(JwtCommands, RoleWriteSendsWhatIsGiven) {
  ReplyRaw(204, "");
  const ToolRun run =
      Run({"jwt",        "role",    "write",    "build",   "--user-claim", "sub",    "--audience",
           "kms",        "--claim", "ref=a",    "--claim", "ref=b*",       "--glob", "--map",
           "mail=email", "--once",  "--policy", "build",   "--ttl",        "10m"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "written role build\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/jwt/role/build");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"role_type", "jwt"},
                                                      {"user_claim", "sub"},
                                                      {"bound_audiences", {"kms"}},
                                                      {"bound_claims", {{"ref", {"a", "b*"}}}},
                                                      {"bound_claims_type", "glob"},
                                                      {"claim_mappings", {{"mail", "email"}}},
                                                      {"forbid_replay", true},
                                                      {"token_policies", {"build"}},
                                                      {"token_ttl", "10m"}}));
}

TEST_F(JwtCommands, RoleWriteRefusesClaimsWithoutAValue) {
  EXPECT_EQ(Run({"jwt", "role", "write", "build", "--claim", "ref"}).status, 2);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(JwtCommands, RoleReadShowsConditions) {
  ReplyData({{"user_claim", "sub"},
             {"bound_audiences", {"kms"}},
             {"bound_claims", {{"ref", "main"}}},
             {"forbid_replay", false}});
  const ToolRun run = Run({"jwt", "role", "read", "build"});
  EXPECT_THAT(run.out, AllOf(HasSubstr("kms"), HasSubstr(R"({"ref":"main"})")));
}

TEST_F(JwtCommands, RoleDeleteAsksFirst) {
  EXPECT_EQ(Run({"jwt", "role", "delete", "build"}).status, 2);
  EXPECT_TRUE(server_.requests().empty());
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"jwt", "role", "delete", "build", "--yes"}).status, 0);
  EXPECT_EQ(OnlyRequest().method, "DELETE");
}

TEST_F(JwtCommands, RoleListPrintsNames) {
  ReplyData({{"keys", {"app", "build"}}});
  EXPECT_EQ(Run({"jwt", "role", "list"}).out, "app\nbuild\n");
}

}  // namespace
}  // namespace kms::testing
