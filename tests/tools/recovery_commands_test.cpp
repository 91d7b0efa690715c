// SPDX-License-Identifier: Apache-2.0
// kmsctl env recovery …, env create with holders, and recover … without a server.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class RecoveryCommands : public KmsctlTest {
 protected:
  // Makes a holder; returns the option value NAME=FILE.
  std::string Holder(const std::string& name) {
    const ToolRun run = Run({"recover", "new-holder", "--out", File(name), "--no-passphrase"});
    EXPECT_EQ(run.status, 0) << run.err;
    return name + "=" + File(name + ".pub");
  }
  std::string File(const std::string& name) const { return directory_.path() + "/" + name; }

  static nlohmann::json Shown() {
    return {{"recoverable", true},
            {"sys_recoverable", false},
            {"threshold", 2},
            {"recipients",
             {{{"name", "alice"}, {"type", "X25519"}, {"fingerprint", "aaaa bbbb"}},
              {{"name", "bob"}, {"type", "RSA-4096"}, {"fingerprint", "cccc dddd"}}}}};
  }

  TemporaryDirectory directory_;
};

TEST_F(RecoveryCommands, NewHolderWritesAPairThatNobodyElseReads) {
  WriteFile(File("pass"), "a long passphrase\n");
  const ToolRun run = Run({"recover", "new-holder", "--out", File("alice.pem"), "--passphrase-file",
                           File("pass"), "--json"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(Json(run.out)["public_key"], File("alice.pem.pub"));
  EXPECT_EQ(Json(run.out)["fingerprint"].get<std::string>().size(), 71U);
  EXPECT_THAT(ReadFile(File("alice.pem")), StartsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
  EXPECT_THAT(ReadFile(File("alice.pem.pub")), StartsWith("-----BEGIN PUBLIC KEY-----"));
  struct stat status{};
  ASSERT_EQ(::stat(File("alice.pem").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(RecoveryCommands, NewHolderOverwritesNothing) {
  WriteFile(File("alice"), "mine");
  EXPECT_EQ(Run({"recover", "new-holder", "--out", File("alice"), "--no-passphrase"}).status, 2);
  EXPECT_EQ(ReadFile(File("alice")), "mine");
  WriteFile(File("bob.pub"), "mine");
  EXPECT_EQ(Run({"recover", "new-holder", "--out", File("bob"), "--no-passphrase"}).status, 2);
  EXPECT_FALSE(std::filesystem::exists(File("bob")));
}

TEST_F(RecoveryCommands, NewHolderAsksForAPassphraseAndTakesNoEmptyOne) {
  EXPECT_EQ(Run({"recover", "new-holder", "--out", File("alice")}).status, 2);
  WriteFile(File("pass"), "\n");
  EXPECT_EQ(
      Run({"recover", "new-holder", "--out", File("alice"), "--passphrase-file", File("pass")})
          .status,
      2);
  EXPECT_FALSE(std::filesystem::exists(File("alice")));
}

TEST_F(RecoveryCommands, SetSendsThePublicKeysAndShowsTheirFingerprints) {
  const std::string alice = Holder("alice");
  const std::string bob = Holder("bob");
  ReplyRaw(204, "");
  ReplyData(Shown());
  const ToolRun run =
      Run({"env", "recovery", "set", "team/eu", "--threshold", "2", "--key", alice, "--key", bob});
  ASSERT_EQ(run.status, 0) << run.err;
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].method, "POST");
  EXPECT_EQ(requests[0].target, "/v1/sys/environments/team/eu/recovery");
  const nlohmann::json body = Json(requests[0].body);
  EXPECT_EQ(body["threshold"], 2);
  EXPECT_EQ(body["recipients"]["alice"], ReadFile(File("alice.pub")));
  EXPECT_EQ(body["recipients"]["bob"], ReadFile(File("bob.pub")));
  EXPECT_THAT(run.out, AllOf(HasSubstr("aaaa bbbb"), HasSubstr("RSA-4096")));
  EXPECT_THAT(run.err, AllOf(HasSubstr("sys has no recovery holders"), HasSubstr("rotate-key")));
}

TEST_F(RecoveryCommands, AnOptionTakesOneValueSoThatTheNameMayStandAnywhere) {
  const std::string alice = Holder("alice");
  ReplyRaw(204, "");
  ReplyData(Shown());
  const ToolRun run =
      Run({"env", "recovery", "set", "--threshold", "1", "--key", alice, "team/eu"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(server_.requests()[0].target, "/v1/sys/environments/team/eu/recovery");
}

TEST_F(RecoveryCommands, SetNeverSendsAPrivateKey) {
  Holder("alice");
  const ToolRun run = Run(
      {"env", "recovery", "set", "prod", "--threshold", "1", "--key", "alice=" + File("alice")});
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("private key"));
  EXPECT_THAT(server_.requests(), IsEmpty());
}

TEST_F(RecoveryCommands, SetRefusesOptionsThatAreNone) {
  const std::string alice = Holder("alice");
  for (const std::string& key : {std::string("alice"), std::string("=file"), std::string("alice="),
                                 "alice=" + File("none")}) {
    EXPECT_EQ(Run({"env", "recovery", "set", "prod", "--threshold", "1", "--key", key}).status, 2)
        << key;
  }
  EXPECT_EQ(
      Run({"env", "recovery", "set", "prod", "--threshold", "2", "--key", alice, "--key", alice})
          .status,
      2);
  EXPECT_EQ(Run({"env", "recovery", "set", "prod", "--key", alice}).status, 2);
  EXPECT_THAT(server_.requests(), IsEmpty());
}

TEST_F(RecoveryCommands, ShowSaysWhenNobodyCanRecover) {
  ReplyData({{"recoverable", false}, {"sys_recoverable", true}});
  const ToolRun run = Run({"env", "recovery", "show", "prod"});
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.out, HasSubstr("recoverable:     no"));
  EXPECT_THAT(run.err, AllOf(HasSubstr("nobody can open prod"), Not(HasSubstr("sys has no"))));
}

TEST_F(RecoveryCommands, ShowAsJsonIsTheAnswer) {
  ReplyData(Shown());
  EXPECT_EQ(Json(Run({"env", "recovery", "show", "prod", "--json"}).out), Shown());
}

TEST_F(RecoveryCommands, ClearAsksFirst) {
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"env", "recovery", "clear", "prod"}).status, 2);
  EXPECT_THAT(server_.requests(), IsEmpty());
  EXPECT_EQ(Run({"env", "recovery", "clear", "prod", "--yes"}).status, 0);
  EXPECT_EQ(OnlyRequest().method, "DELETE");
}

TEST_F(RecoveryCommands, CreateTakesHolders) {
  const std::string alice = Holder("alice");
  ReplyRaw(204, "");
  ASSERT_EQ(
      Run({"env", "create", "eu", "--recovery-threshold", "1", "--recovery-key", alice}).status, 0);
  const nlohmann::json body = Json(OnlyRequest().body);
  EXPECT_EQ(body["recovery"]["threshold"], 1);
  EXPECT_EQ(body["recovery"]["recipients"]["alice"], ReadFile(File("alice.pub")));
  EXPECT_EQ(Run({"env", "create", "eu", "--recovery-key", alice}).status, 2);
  EXPECT_EQ(Run({"env", "create", "eu", "--recovery-threshold", "2"}).status, 2);
}

TEST_F(RecoveryCommands, ShareRefusesFilesThatAreNoPackage) {
  Holder("alice");
  WriteFile(File("P.json"), "{}");
  for (const char* file : {"P.json", "none.json", "alice.pub"}) {
    EXPECT_EQ(Run({"recover", "share", "--package", File(file), "--key", File("alice"), "--out",
                   File("R.json"), "--yes"})
                  .status,
              2)
        << file;
  }
  EXPECT_FALSE(std::filesystem::exists(File("R.json")));
}

}  // namespace
}  // namespace kms::testing
