// SPDX-License-Identifier: Apache-2.0
// kmsctl key …: the request each verb sends and what it prints.
#include <gmock/gmock.h>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

nlohmann::json KeyData() {
  return {{"name", "orders"},
          {"type", "aes256-gcm96"},
          {"latest_version", 2},
          {"min_decryption_version", 1},
          {"min_encryption_version", 0},
          {"min_available_version", 0},
          {"deletion_allowed", false},
          {"exportable", false},
          {"auto_rotate_period", 0},
          {"keys", {{"1", 1767225600}, {"2", 1769904000}}}};
}

class KeyCommands : public KmsctlTest {};

TEST_F(KeyCommands, CreatePostsTheTypeAndShowsTheKey) {
  ReplyData(KeyData());
  const ToolRun run = Run({"key", "create", "orders", "--env", "prod"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().method, "POST");
  EXPECT_EQ(OnlyRequest().target, "/v1/prod/keys/orders");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"type", "aes256-gcm96"}}));
  EXPECT_THAT(run.out, AllOf(HasSubstr("name:                    orders\n"),
                             HasSubstr("2        2026-02-01 00:00:00 UTC  latest\n")));
}

TEST_F(KeyCommands, CreateSendsEverySetting) {
  ReplyData(KeyData());
  const ToolRun run =
      Run({"key", "create", "k", "--type", "chacha20-poly1305", "--convergent", "--exportable",
           "--allow-plaintext-backup", "--auto-rotate-period", "30d"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"type", "chacha20-poly1305"},
                                                      {"derived", true},
                                                      {"convergent_encryption", true},
                                                      {"exportable", true},
                                                      {"allow_plaintext_backup", true},
                                                      {"auto_rotate_period", "30d"}}));
}

TEST_F(KeyCommands, CreateTakesTheSizeOfAnHmacKey) {
  ReplyData(KeyData());
  EXPECT_EQ(Run({"key", "create", "k", "--type", "hmac", "--key-size", "64"}).status, 0);
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"type", "hmac"}, {"key_size", 64}}));
}

TEST_F(KeyCommands, ShowTellsHowMuchOfTheLimitIsUsed) {
  nlohmann::json key = KeyData();
  key["usage"] = {{"1", {{"encryptions", 428}, {"limit", 4278190080}, {"days_left", 123456}}},
                  {"2", {{"encryptions", 1069547520}, {"limit", 4278190080}, {"days_left", 90}}}};
  ReplyData(key);
  const ToolRun run = Run({"key", "show", "orders"});
  EXPECT_THAT(run.out, HasSubstr("VERSION  CREATED                  ENCRYPTS    ENCRYPTIONS  "
                                 "OF LIMIT  DAYS LEFT\n"));
  EXPECT_THAT(run.out, HasSubstr("on request  428          < 0.1 %   123456\n"));
  EXPECT_THAT(run.out, HasSubstr("latest      1069547520   25.0 %    90\n"));

  const ToolRun machine = Run({"key", "show", "orders", "--json"});
  EXPECT_EQ(Json(machine.out)["usage"]["2"]["encryptions"], 1069547520);
}

TEST_F(KeyCommands, ShowSurvivesAUsageOfAnotherShape) {
  for (const nlohmann::json& usage : {nlohmann::json(7), nlohmann::json{{"2", 7}},
                                      nlohmann::json{{"2", {{"limit", "x"}}}}}) {
    nlohmann::json key = KeyData();
    key["usage"] = usage;
    ReplyData(key);
    const ToolRun run = Run({"key", "show", "orders"});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr("2        2026-02-01"));
  }
}

TEST_F(KeyCommands, SoftDeleteAsksFirstAndRestoreUndoesIt) {
  ReplyData(KeyData());
  EXPECT_NE(Run({"key", "soft-delete", "orders"}).status, 0);
  EXPECT_TRUE(server_.requests().empty());
  EXPECT_EQ(Run({"key", "soft-delete", "orders", "--yes"}).status, 0);
  EXPECT_EQ(Run({"key", "restore", "orders", "-e", "prod"}).status, 0);
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].method + " " + requests[0].target,
            "DELETE /v1/dev/keys/orders/soft-delete");
  EXPECT_EQ(requests[1].method + " " + requests[1].target,
            "POST /v1/prod/keys/orders/soft-delete-restore");
}

TEST_F(KeyCommands, SoftDeleteOfAnUnknownKeyIsNoSuccess) {
  ReplyData(nlohmann::json::object());
  const ToolRun run = Run({"key", "soft-delete", "orders", "--yes"});
  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.err, HasSubstr("there is no key orders in dev"));
}

TEST_F(KeyCommands, CreateDerivedIsNotConvergentUnlessAsked) {
  ReplyData(KeyData());
  EXPECT_EQ(Run({"key", "create", "k", "--derived"}).status, 0);
  EXPECT_EQ(Json(OnlyRequest().body),
            (nlohmann::json{{"type", "aes256-gcm96"}, {"derived", true}}));
}

TEST_F(KeyCommands, EnvironmentDefaultsToDevAndKmsEnvChangesIt) {
  ReplyData(KeyData());
  Run({"key", "show", "k"});
  Run({"key", "show", "k"}, {}, {{"KMS_ENV", "staging"}});
  Run({"key", "show", "k", "-e", "team-a/prod"}, {}, {{"KMS_ENV", "staging"}});
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[0].target, "/v1/dev/keys/k");
  EXPECT_EQ(requests[1].target, "/v1/staging/keys/k");
  EXPECT_EQ(requests[2].target, "/v1/team-a/prod/keys/k");
}

TEST_F(KeyCommands, ANameCannotLeaveItsPathSegment) {
  ReplyError(400, "invalid key name");
  Run({"key", "show", "a/../../sys?x#y z"});
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/keys/a%2F..%2F..%2Fsys%3Fx%23y%20z");
}

TEST_F(KeyCommands, ListUsesTheListMethod) {
  ReplyData({{"keys", {"a", "b"}}});
  const ToolRun run = Run({"key", "list"});
  EXPECT_EQ(OnlyRequest().method, "LIST");
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/keys");
  EXPECT_EQ(run.out, "a\nb\n");
}

TEST_F(KeyCommands, ListOfNothingIsNoFailure) {
  Reply(404, {{"errors", nlohmann::json::array()}});
  const ToolRun people = Run({"key", "list"});
  EXPECT_EQ(people.status, 0);
  EXPECT_EQ(people.out, "");
  EXPECT_THAT(people.err, HasSubstr("kmsctl key create"));
  const ToolRun program = Run({"key", "list", "--json"});
  EXPECT_EQ(program.out, "{\"keys\":[]}\n");
}

TEST_F(KeyCommands, ListOfAMissingEnvironmentIsNotFound) {
  ReplyError(404, "no handler for route \"x/keys\". route entry not found.");
  const ToolRun run = Run({"key", "list", "-e", "x"});
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.err, HasSubstr("kmsctl env list"));
}

TEST_F(KeyCommands, ListWithDetailsReadsEachKey) {
  ReplyData({{"keys", {"orders"}}});
  ReplyData(KeyData());
  const ToolRun run = Run({"key", "list", "--details"});
  EXPECT_THAT(run.out, AllOf(HasSubstr("NAME    TYPE          LATEST"),
                             HasSubstr("orders  aes256-gcm96  2 ")));
  EXPECT_EQ(server_.requests().back().target, "/v1/dev/keys/orders");
}

TEST_F(KeyCommands, ShowJsonIsTheServersKeyObject) {
  ReplyData(KeyData());
  const ToolRun run = Run({"key", "show", "orders", "--json"});
  EXPECT_EQ(OnlyRequest().method, "GET");
  EXPECT_EQ(Json(run.out), KeyData());
}

TEST_F(KeyCommands, RotatePostsAndPointsToRewrap) {
  ReplyData(KeyData());
  const ToolRun run = Run({"key", "rotate", "orders"});
  EXPECT_EQ(run.status, 0);
  EXPECT_EQ(OnlyRequest().method, "POST");
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/keys/orders/rotate");
  EXPECT_THAT(run.err, HasSubstr("kmsctl rewrap orders"));
}

TEST_F(KeyCommands, ConfigSendsOnlyWhatWasGiven) {
  ReplyData(KeyData());
  Run({"key", "config", "orders", "--min-decryption-version", "2", "--deletion-allowed", "false"});
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/keys/orders/config");
  EXPECT_EQ(Json(OnlyRequest().body),
            (nlohmann::json{{"min_decryption_version", 2}, {"deletion_allowed", false}}));
}

TEST_F(KeyCommands, ConfigCanSendZero) {
  ReplyData(KeyData());
  Run({"key", "config", "orders", "--min-encryption-version", "0"});
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"min_encryption_version", 0}}));
}

TEST_F(KeyCommands, ConfigWithoutASettingIsAUsageError) {
  const ToolRun run = Run({"key", "config", "orders"});
  EXPECT_EQ(run.status, 2);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(KeyCommands, TrimNeedsAVersionAndSendsIt) {
  ReplyData(KeyData());
  EXPECT_EQ(Run({"key", "trim", "orders", "--yes"}).status, 2);
  EXPECT_EQ(Run({"key", "trim", "orders", "--min-available-version", "2", "--yes"}).status, 0);
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/keys/orders/trim");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"min_available_version", 2}}));
}

TEST_F(KeyCommands, DestructiveVerbsWithoutATerminalNeedYes) {
  for (const std::vector<std::string>& line :
       {std::vector<std::string>{"key", "delete", "orders"},
        {"key", "trim", "orders", "--min-available-version", "2"},
        {"env", "delete", "scratch"}}) {
    const ToolRun run = Run(line, "y\n");
    EXPECT_EQ(run.status, 2) << line[0] << " " << line[1];
    EXPECT_THAT(run.err, HasSubstr("--yes"));
  }
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(KeyCommands, DeleteSendsDelete) {
  ReplyRaw(204, "");
  const ToolRun run = Run({"key", "delete", "orders", "--yes"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().method, "DELETE");
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/keys/orders");
  EXPECT_EQ(run.out, "deleted key orders in dev\n");
}

TEST_F(KeyCommands, RefusedDeletionSaysHowToAllowIt) {
  ReplyError(400, "error deleting policy orders: deletion is not allowed for this key");
  const ToolRun run = Run({"key", "delete", "orders", "--yes"});
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, HasSubstr("--deletion-allowed true"));
}

TEST_F(KeyCommands, WarningsOfTheServerGoToStandardError) {
  Reply(200, {{"data", KeyData()}, {"warnings", {"key orders already existed"}}});
  const ToolRun run = Run({"key", "create", "orders", "--json"});
  EXPECT_THAT(run.err, HasSubstr("warning: key orders already existed"));
  EXPECT_EQ(Json(run.out), KeyData());
}

TEST_F(KeyCommands, TextOfTheServerCannotDriveTheTerminal) {
  nlohmann::json data = KeyData();
  data["name"] = "x\x1b]0;owned\x07";
  ReplyData(data);
  const ToolRun run = Run({"key", "show", "x"});
  EXPECT_THAT(run.out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(run.out, HasSubstr("x?]0;owned?"));
}

class KeyDeleteOnATerminal : public KmsctlTest {
 protected:
  // What kmsctl does when a person answers `typed` on a terminal.
  ToolRun Answer(const std::string& typed) {
    const int person = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    EXPECT_EQ(::grantpt(person), 0);
    EXPECT_EQ(::unlockpt(person), 0);
    char name[128];
    EXPECT_EQ(::ptsname_r(person, name, sizeof name), 0);
    const int terminal = ::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    EXPECT_EQ(::write(person, typed.data(), typed.size()), static_cast<ssize_t>(typed.size()));
    const ToolRun run =
        ToolProcess(CommandLine({"key", "delete", "orders"}), Variables(), {}, terminal).Finish();
    ::close(terminal);
    ::close(person);
    return run;
  }
};

TEST_F(KeyDeleteOnATerminal, AsksAndDeletesAfterYes) {
  ReplyRaw(204, "");
  const ToolRun run = Answer("y\n");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("cannot be undone. [y/N]"));
  EXPECT_EQ(OnlyRequest().method, "DELETE");
}

TEST_F(KeyDeleteOnATerminal, DoesNothingAfterAnythingElse) {
  for (const char* typed : {"\n", "n\n", "yikes\n"}) {
    EXPECT_EQ(Answer(typed).status, 2) << typed;
  }
  EXPECT_TRUE(server_.requests().empty());
}

}  // namespace
}  // namespace kms::testing
