// SPDX-License-Identifier: Apache-2.0
// kmsctl policy …, capabilities: requests and rendering.
#include <gmock/gmock.h>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kDocument = "path \"dev/keys/app\" {\n  capabilities = [\"read\"]\n}\n";

class PolicyCommands : public KmsctlTest {};

TEST_F(PolicyCommands, ListPrintsOneNameALine) {
  ReplyData({{"keys", {"app", "default", "root"}}});
  EXPECT_EQ(Run({"policy", "list"}).out, "app\ndefault\nroot\n");
  EXPECT_EQ(OnlyRequest().method, "LIST");
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/policies/acl");
  EXPECT_EQ(Json(Run({"policy", "list", "--json"}).out),
            (nlohmann::json{"app", "default", "root"}));
}

TEST_F(PolicyCommands, ReadPrintsTheTextAndNothingElse) {
  ReplyData({{"name", "app"}, {"policy", kDocument}});
  const ToolRun run = Run({"policy", "read", "app"});
  EXPECT_EQ(run.out, kDocument);
  EXPECT_EQ(run.err, "");
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/policies/acl/app");
}

TEST_F(PolicyCommands, ReadOfAMissingOneSaysHowToList) {
  Reply(404, {{"errors", nlohmann::json::array()}});
  const ToolRun run = Run({"policy", "read", "nope"});
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.err,
              AllOf(HasSubstr("there is no policy nope"), HasSubstr("kmsctl policy list")));
}

TEST_F(PolicyCommands, ReadOfRootSaysWhyItIsEmpty) {
  ReplyData({{"name", "root"}, {"policy", ""}});
  const ToolRun run = Run({"policy", "read", "root"});
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, HasSubstr("may do everything"));
}

TEST_F(PolicyCommands, WriteSendsAFileOrStandardInput) {
  TemporaryDirectory directory;
  const std::string file = directory.path() + "/app.hcl";
  WriteFile(file, kDocument);
  ReplyRaw(204, "");
  EXPECT_THAT(Run({"policy", "write", "app", file}).out, HasSubstr("wrote policy app"));
  EXPECT_EQ(Run({"policy", "write", "app"}, kDocument).status, 0);
  EXPECT_EQ(Run({"policy", "write", "app", "-"}, kDocument).status, 0);
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 3U);
  for (const ScriptedRequest& request : requests) {
    EXPECT_EQ(request.method, "PUT");
    EXPECT_EQ(request.target, "/v1/sys/policies/acl/app");
    EXPECT_EQ(Json(request.body), (nlohmann::json{{"policy", kDocument}}));
  }
  EXPECT_EQ(Json(Run({"policy", "write", "app", "--json"}, kDocument).out),
            (nlohmann::json{{"name", "app"}, {"written", true}}));
}

TEST_F(PolicyCommands, WriteOfNothingIsRefusedBeforeItIsSent) {
  const ToolRun run = Run({"policy", "write", "app"}, " \n");
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("the document is empty"));
  EXPECT_EQ(Run({"policy", "write", "app", "/nonexistent.hcl"}).status, 2);
  EXPECT_THAT(server_.requests(), IsEmpty());
}

TEST_F(PolicyCommands, WriteShowsTheLineAndTheRemedy) {
  ReplyError(400, "failed to parse policy: line 2: path \"a\": invalid capability \"raed\"");
  const ToolRun run = Run({"policy", "write", "app"}, kDocument);
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, AllOf(HasSubstr("line 2"), HasSubstr("kmsctl policy fmt-check")));
}

TEST_F(PolicyCommands, WriteShowsThatTheNameWasLowered) {
  Reply(200, {{"data", nullptr}, {"warnings", {"policy name was converted to app"}}});
  EXPECT_THAT(Run({"policy", "write", "App"}, kDocument).err,
              HasSubstr("warning: policy name was converted to app"));
}

TEST_F(PolicyCommands, DeleteAsksFirst) {
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"policy", "delete", "app"}).status, 2);
  EXPECT_THAT(server_.requests(), IsEmpty());
  EXPECT_EQ(Run({"policy", "delete", "app", "--yes"}).out, "deleted policy app\n");
  EXPECT_EQ(OnlyRequest().method, "DELETE");
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/policies/acl/app");
}

TEST_F(PolicyCommands, CheckNeedsNoServer) {
  EXPECT_EQ(Run({"policy", "fmt-check"}, kDocument).out, "standard input: valid, 1 rules\n");
  EXPECT_EQ(Json(Run({"policy", "fmt-check", "--json"}, kDocument).out),
            (nlohmann::json{{"valid", true}, {"rules", 1}, {"warnings", nlohmann::json::array()}}));
  EXPECT_THAT(server_.requests(), IsEmpty());
}

TEST_F(PolicyCommands, CheckNamesFileAndLine) {
  TemporaryDirectory directory;
  const std::string file = directory.path() + "/app.hcl";
  WriteFile(file, "path \"a\" {\n  capabilities = [\"raed\"]\n}\n");
  const ToolRun run = Run({"policy", "fmt-check", file});
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, AllOf(HasSubstr(file + ", line 2: path \"a\": invalid capability \"raed\""),
                             HasSubstr("correct that line")));
}

TEST_F(PolicyCommands, CheckWarnsOfWhatIsHardlyMeant) {
  const ToolRun run = Run({"policy", "fmt-check"},
                          "path \"a/*/b\" { capabilities = [\"read\"] }\npath \"c\" { }\n");
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.err, AllOf(HasSubstr("\"a/*/b\": * is a wildcard at the end only"),
                             HasSubstr("\"c\": it grants nothing")));
}

class PolicyExplain : public KmsctlTest {
 protected:
  void ReplyWithRule() {
    ReplyData({{"allowed", true},
               {"capability", "update"},
               {"needs_sudo", false},
               {"path", "dev/encrypt/app"},
               {"policies", {"app", "default"}},
               {"rule",
                {{"pattern", "dev/encrypt/app"},
                 {"capabilities", {"update"}},
                 {"policies", {"app"}},
                 {"denied_parameters", {{"type", {"x"}}, {"bits", nlohmann::json::array()}}},
                 {"required_context", {"t=1"}},
                 {"max_wrapping_ttl", 60}}},
               {"also_matched",
                {{{"pattern", "dev/*"},
                  {"capabilities", {"read"}},
                  {"policies", {"app"}},
                  {"why_not", "a rule without wildcard comes first"}}}},
               {"reason", "path \"dev/encrypt/app\" (policy app) grants update"}});
  }
};

TEST_F(PolicyExplain, ShowsTheRuleAndThoseThatLost) {
  ReplyWithRule();
  const ToolRun run = Run({"policy", "explain", "self", "post", "dev/encrypt/app"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/policies/explain");
  EXPECT_EQ(Json(OnlyRequest().body),
            (nlohmann::json{{"method", "POST"}, {"path", "dev/encrypt/app"}}));
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("allowed:"), HasSubstr("yes\n"),
                    HasSubstr("path \"dev/encrypt/app\" (policy app) grants update"),
                    HasSubstr("app, default"), HasSubstr("type: x"), HasSubstr("bits: any value"),
                    HasSubstr("t=1"), HasSubstr("60 s"), HasSubstr("ALSO MATCHED"),
                    HasSubstr("a rule without wildcard comes first")));
}

TEST_F(PolicyExplain, WithoutARuleSaysSo) {
  ReplyData({{"allowed", false},
             {"capability", "read"},
             {"needs_sudo", true},
             {"path", "dev/x"},
             {"policies", {"app"}},
             {"rule", nullptr},
             {"also_matched", nlohmann::json::array()},
             {"reason", "no rule matches this path, in policies app"}});
  const ToolRun run = Run({"policy", "explain", "self", "GET", "dev/x"});
  EXPECT_THAT(run.out, AllOf(HasSubstr("no rule matches"), HasSubstr("read and sudo"),
                             Not(HasSubstr("decided by")), Not(HasSubstr("ALSO MATCHED"))));
}

TEST_F(PolicyExplain, TakesAnAccessorOrATokenFromStandardInput) {
  ReplyWithRule();
  EXPECT_EQ(Run({"policy", "explain", "accessor1", "GET", "a"}).err, "");
  EXPECT_EQ(Run({"policy", "explain", "-", "GET", "a"}, "hvs.secret\n").err, "");
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(Json(requests[0].body)["accessor"], "accessor1");
  EXPECT_FALSE(Json(requests[0].body).contains("token"));
  EXPECT_EQ(Json(requests[1].body)["token"], "hvs.secret");
}

TEST_F(PolicyExplain, WarnsOfATokenOnTheCommandLine) {
  ReplyWithRule();
  const ToolRun run = Run({"policy", "explain", "hvs.secret", "GET", "a"});
  EXPECT_EQ(Json(OnlyRequest().body)["token"], "hvs.secret");
  EXPECT_THAT(run.err, AllOf(HasSubstr("can read a token on the command line"),
                             Not(HasSubstr("hvs.secret"))));
}

TEST_F(PolicyExplain, WhatIsNoAccessorMayBeATokenOfItsOwnForm) {
  ReplyError(400, "invalid accessor");
  ReplyWithRule();
  EXPECT_EQ(Run({"policy", "explain", "my-own-token", "GET", "a"}).status, 0);
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(Json(requests[1].body)["token"], "my-own-token");
  EXPECT_FALSE(Json(requests[1].body).contains("accessor"));
}

class CapabilitiesCommand : public KmsctlTest {};

TEST_F(CapabilitiesCommand, ShowsOneRowAPath) {
  ReplyData({{"a/b", {"read", "update"}}, {"c", {"deny"}}});
  const ToolRun run = Run({"capabilities", "a/b", "c"});
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/capabilities-self");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"paths", {"a/b", "c"}}}));
  EXPECT_EQ(run.out, "PATH  CAPABILITIES\na/b   read, update\nc     deny\n");
}

TEST_F(CapabilitiesCommand, OfAnAccessor) {
  ReplyData({{"a", {"root"}}, {"capabilities", {"root"}}});
  EXPECT_EQ(Run({"capabilities", "a", "--accessor", "x"}).status, 0);
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/capabilities-accessor");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"paths", {"a"}}, {"accessor", "x"}}));
}

TEST_F(CapabilitiesCommand, ADeniedOneSaysSo) {
  ReplyError(403, "1 error occurred:\n\t* permission denied\n\n");
  EXPECT_EQ(Run({"capabilities", "a"}).status, 4);
}

TEST_F(PolicyCommands, EveryHelpHasExamples) {
  for (const std::vector<std::string>& command : {std::vector<std::string>{"policy"},
                                                  {"policy", "list"},
                                                  {"policy", "read"},
                                                  {"policy", "write"},
                                                  {"policy", "delete"},
                                                  {"policy", "explain"},
                                                  {"policy", "fmt-check"},
                                                  {"capabilities"}}) {
    std::vector<std::string> line = command;
    line.emplace_back("--help");
    const ToolRun run = Run(line);
    EXPECT_EQ(run.status, 0);
    EXPECT_THAT(run.out, AllOf(HasSubstr("Examples:"), HasSubstr("kmsctl " + command.front())));
  }
}

}  // namespace
}  // namespace kms::testing
