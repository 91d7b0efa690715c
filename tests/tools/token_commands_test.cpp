// SPDX-License-Identifier: Apache-2.0
// kmsctl token …: requests, rendering, and that a token is shown once and never an argument.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kMade = "hvs.the-token-that-was-made";

class TokenCommands : public KmsctlTest {
 protected:
  void ReplyAuth() {
    Reply(200, {{"data", nullptr},
                {"auth",
                 {{"client_token", kMade},
                  {"accessor", "0123456789abcdef01234567"},
                  {"policies", {"app", "default"}},
                  {"lease_duration", 3600},
                  {"renewable", true}}}});
  }

  TemporaryDirectory directory_;
};

TEST_F(TokenCommands, CreateSendsWhatWasSaidAndShowsTheTokenOnce) {
  ReplyAuth();
  const ToolRun run =
      Run({"token", "create", "--policy", "app", "--policy", "web", "--ttl", "1h", "--uses", "3",
           "--meta", "team=blue", "--batch", "--not-renewable", "--display-name", "ci"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/token/create");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"policies", {"app", "web"}},
                                                      {"ttl", "1h"},
                                                      {"num_uses", 3},
                                                      {"meta", {{"team", "blue"}}},
                                                      {"type", "batch"},
                                                      {"renewable", false},
                                                      {"display_name", "ci"}}));
  EXPECT_THAT(run.out, AllOf(HasSubstr(kMade), HasSubstr("app, default"), HasSubstr("3600 s")));
  EXPECT_THAT(run.err, AllOf(HasSubstr("shown this once"), Not(HasSubstr(kMade))));
}

TEST_F(TokenCommands, CreateWritesTheTokenToAPrivateFileOnly) {
  ReplyAuth();
  const std::string file = directory_.path() + "/token";
  const ToolRun run = Run({"token", "create", "--orphan", "--output-file", file, "--json"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/token/create-orphan");
  EXPECT_EQ(ReadFile(file), std::string(kMade) + "\n");
  struct stat info{};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_THAT(run.out, AllOf(HasSubstr("\"token_file\""), Not(HasSubstr(kMade))));
  EXPECT_THAT(run.err, Not(HasSubstr(kMade)));
}

TEST_F(TokenCommands, CreatePrintsTheTokenAloneForScripts) {
  ReplyAuth();
  const ToolRun run = Run({"token", "create", "--role", "ci", "--print-token"});
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/token/create/ci");
  EXPECT_EQ(run.out, std::string(kMade) + "\n");
}

TEST_F(TokenCommands, CreateRefusesWhatDoesNotGoTogether) {
  EXPECT_EQ(Run({"token", "create", "--role", "ci", "--orphan"}).status, 2);
  EXPECT_EQ(Run({"token", "create", "--print-token", "--output-file", "x"}).status, 2);
  EXPECT_EQ(Run({"token", "create", "--meta", "novalue"}).status, 2);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(TokenCommands, LookupShowsWhoseTokenItIsAndNotTheToken) {
  ReplyData({{"id", kMade},
             {"accessor", "abc"},
             {"display_name", "token-ci"},
             {"policies", {"app"}},
             {"ttl", 0},
             {"num_uses", 0},
             {"expire_time", nullptr}});
  const ToolRun run = Run({"token", "lookup"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/token/lookup-self");
  EXPECT_THAT(run.out, AllOf(HasSubstr("token-ci"), HasSubstr("never ends"),
                             HasSubstr("not limited"), Not(HasSubstr(kMade))));
}

TEST_F(TokenCommands, TokensToActOnComeFromAFileStandardInputOrAnAccessor) {
  ReplyData({{"accessor", "abc"}});
  const std::string file = directory_.path() + "/target";
  WriteFile(file, std::string(kMade) + "\n");
  EXPECT_EQ(Run({"token", "lookup", "--target-file", file}).status, 0);
  EXPECT_EQ(Run({"token", "lookup", "--target-file", "-"}, std::string(kMade) + "\n").status, 0);
  EXPECT_EQ(Run({"token", "lookup", "--accessor", "abc"}).status, 0);
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[0].target, "/v1/auth/token/lookup");
  EXPECT_EQ(Json(requests[0].body), (nlohmann::json{{"token", kMade}}));
  EXPECT_EQ(Json(requests[1].body), (nlohmann::json{{"token", kMade}}));
  EXPECT_EQ(requests[2].target, "/v1/auth/token/lookup-accessor");
  EXPECT_EQ(Json(requests[2].body), (nlohmann::json{{"accessor", "abc"}}));
  EXPECT_EQ(Run({"token", "lookup", "--accessor", "abc", "--target-file", file}).status, 2);
}

TEST_F(TokenCommands, RenewSaysHowLongTheTokenLives) {
  ReplyAuth();
  const ToolRun run = Run({"token", "renew", "--increment", "12h"});
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/token/renew-self");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"increment", "12h"}}));
  EXPECT_THAT(run.out, AllOf(HasSubstr("3600 s left"), Not(HasSubstr(kMade))));
}

TEST_F(TokenCommands, RevokeNeedsToBeToldWhichToken) {
  EXPECT_EQ(Run({"token", "revoke"}).status, 2);
  EXPECT_EQ(Run({"token", "revoke", "--self", "--accessor", "abc"}).status, 2);
  EXPECT_EQ(Run({"token", "revoke", "--accessor", "abc", "--spare-children"}).status, 2);
  EXPECT_TRUE(server_.requests().empty());
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"token", "revoke", "--self"}).status, 0);
  EXPECT_EQ(Run({"token", "revoke", "--target-file", "-", "--spare-children"}, "hvs.x\n").status,
            0);
  const auto requests = server_.requests();
  EXPECT_EQ(requests[0].target, "/v1/auth/token/revoke-self");
  EXPECT_EQ(requests[1].target, "/v1/auth/token/revoke-orphan");
}

TEST_F(TokenCommands, RevokeSourceAsksBefore) {
  EXPECT_EQ(Run({"token", "revoke-source", "approle"}).status, 2);
  EXPECT_TRUE(server_.requests().empty());
  ReplyData({{"revoked", 7}});
  const ToolRun run =
      Run({"token", "revoke-source", "approle", "--role", "ci", "--alias", "x", "--yes"});
  EXPECT_EQ(Json(OnlyRequest().body),
            (nlohmann::json{{"mount", "approle"}, {"role", "ci"}, {"alias", "x"}}));
  EXPECT_THAT(run.out, HasSubstr("revoked 7 stored tokens"));
}

TEST_F(TokenCommands, RolesAreWrittenAndShown) {
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"token", "role", "write", "ci", "--allow", "app", "--orphan", "true", "--ttl",
                 "1h", "--uses", "2"})
                .status,
            0);
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/token/roles/ci");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"allowed_policies", {"app"}},
                                                      {"orphan", true},
                                                      {"token_ttl", "1h"},
                                                      {"token_num_uses", 2}}));
}

}  // namespace
}  // namespace kms::testing
