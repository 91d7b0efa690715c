// SPDX-License-Identifier: Apache-2.0
// The real kmsd under load when one token of a group has another master key than the recorded one
// (H15), or the right one with attributes that let it out (H16).
#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "kms/master/key_group.h"
#include "tests/support/hsm_fleet.h"
#include "tests/support/raw_token.h"

namespace kms::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::chrono::seconds;
using ::testing::HasSubstr;

class HsmDisagreement : public ::testing::Test {
 protected:
  void Begin() {
    ASSERT_TRUE(fleet_.Start());
    fleet_.StartWriters();
  }
  static json DataOf(const HttpReply& reply) {
    const json body = json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
    return body.is_object() && body.contains("data") ? body["data"] : json::object();
  }
  // A token's part in an environment, as `kmsctl hsm list --json` shows it.
  json Part(const std::string& hsm, const std::string& environment) {
    const json listed = fleet_.Hsm(hsm);
    if (listed.contains("environments")) {
      for (const json& part : listed["environments"]) {
        if (part.value("name", "") == environment) return part;
      }
    }
    return json::object();
  }
  std::string State(const std::string& hsm, const std::string& environment) {
    return Part(hsm, environment).value("state", "");
  }
  bool Becomes(const std::string& hsm, const std::string& environment, const std::string& state) {
    const bool done = Eventually([&] { return State(hsm, environment) == state; }, seconds(20));
    EXPECT_TRUE(done) << hsm << " of " << environment << ": " << Part(hsm, environment);
    return done;
  }
  void ExpectExcluded(const std::string& hsm, const std::string& environment,
                      const std::string& reason) {
    ASSERT_TRUE(Becomes(hsm, environment, "refused"));
    EXPECT_THAT(Part(hsm, environment).value("reason", ""), HasSubstr(reason));
    EXPECT_TRUE(fleet_.HasAudit("hsm-refused"));
    EXPECT_TRUE(fleet_.HasMetric(
        "kms_environment_hsms{environment=\"" + environment + "\",state=\"refused\"}", "1"));
  }
  static std::string DirectoryOf(const HsmFleet& fleet, const std::string& hsm) {
    return hsm == "default" ? fleet.state() : fleet.state() + "/" + hsm;
  }
  void KeepTokens(const std::string& hsm) {
    const std::string tokens = DirectoryOf(fleet_, hsm) + "/tokens";
    fs::copy(tokens, tokens + ".copy", fs::copy_options::recursive);
  }
  void PutTokensBack(const std::string& hsm) {
    const std::string tokens = DirectoryOf(fleet_, hsm) + "/tokens";
    fs::rename(tokens, tokens + ".wrong");
    fs::rename(tokens + ".copy", tokens);
  }
  void Replace(const std::string& hsm, const std::string& label) {
    RawToken(DirectoryOf(fleet_, hsm)).Replace(label);
  }
  void AwaitWrites(std::uint64_t more) {
    const std::uint64_t before = fleet_.staging().Served();
    EXPECT_TRUE(
        Eventually([&] { return fleet_.staging().Served() >= before + more; }, seconds(30)));
  }
  // The newest state of a task once it has one of `states`.
  json AwaitTask(const std::string& id, const std::vector<std::string>& states) {
    const auto client = fleet_.kmsd().NewClient();
    json task;
    EXPECT_TRUE(Eventually(
        [&] {
          task = DataOf(client->Get("/v1/sys/tasks/" + id));
          return std::ranges::find(states, task.value("state", "")) != states.end();
        },
        seconds(40)))
        << task;
    return task;
  }
  std::string Begin(const std::string& environment, const std::string& task) {
    const HttpReply started =
        fleet_.kmsd().NewClient()->Post("/v1/sys/environments/" + environment + "/" + task);
    EXPECT_EQ(started.status, 200) << started.body;
    return DataOf(started).value("task", "");
  }

  HsmFleet fleet_;
};

// ---- H15 ----------------------------------------------------------------------------------------

TEST_F(HsmDisagreement, H15_ATokenWithAnotherKeyUnderTheSameIdIsExcludedAndNeverWrapsAnything) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  KeepTokens("hsm-2");
  Replace("hsm-2", "kms/staging/1");
  ExpectExcluded("hsm-2", "staging", "not the recorded one");
  EXPECT_FALSE(fleet_.HasMetric("kms_hsm_alarms_total", "0"));
  EXPECT_EQ(State("hsm-2", "prod"), "ready") << "its own key is the right one";
  // A new environment key is wrapped by the other token alone.
  EXPECT_EQ(AwaitTask(Begin("staging", "rotate-key"), {"done", "failed"}).value("state", ""),
            "done");
  AwaitWrites(100);
  EXPECT_EQ(State("hsm-2", "staging"), "refused");
  EXPECT_GE(Part("hsm-2", "staging").value("missing_wraps", 0), 1);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  // The right key is back: it gets what it missed, and then opens everything alone.
  PutTokensBack("hsm-2");
  EXPECT_TRUE(Becomes("hsm-2", "staging", "ready"));
  EXPECT_EQ(Part("hsm-2", "staging").value("missing_wraps", -1), 0);
  EXPECT_TRUE(Eventually([&] { return fleet_.prod().Last() == 200; }, seconds(20)));
  const HttpReply left =
      fleet_.kmsd().NewClient()->Send("DELETE", "/v1/sys/environments/staging/hsms/default");
  EXPECT_EQ(left.status, 204) << left.body;
  fleet_.StopWriters();
  for (const char* const act : {"seal", "unseal"}) {
    const HttpReply done =
        fleet_.kmsd().NewClient()->Post(std::string("/v1/sys/environments/staging/") + act);
    EXPECT_LT(done.status, 300) << act << done.body;
  }
  fleet_.ExpectNothingLost();
}

// Whichever of the two it is: what is recorded decides, not who is asked first.
class EitherToken : public HsmDisagreement,
                    public ::testing::WithParamInterface<std::pair<const char*, const char*>> {};

TEST_P(EitherToken, H15_TheWrongOneIsExcludedAtStartAndTheOtherServes) {
  const auto [wrong, right] = GetParam();
  ASSERT_NO_FATAL_FAILURE(Begin());
  AwaitWrites(50);
  fleet_.Stop();
  KeepTokens(wrong);
  Replace(wrong, "kms/staging/1");
  ASSERT_TRUE(fleet_.Serve());
  ExpectExcluded(wrong, "staging", "not the recorded one");
  EXPECT_TRUE(Becomes(right, "staging", "ready"));
  EXPECT_FALSE(fleet_.IsSealed("staging"));
  EXPECT_FALSE(fleet_.IsSealed("dev"));
  EXPECT_TRUE(Becomes("hsm-2", "prod", "ready"));
  fleet_.ExpectNothingLost();
  PutTokensBack(wrong);
  EXPECT_TRUE(Becomes(wrong, "staging", "ready"));
}

INSTANTIATE_TEST_SUITE_P(Tokens, EitherToken,
                         ::testing::Values(std::pair("default", "hsm-2"),
                                           std::pair("hsm-2", "default")));

TEST_F(HsmDisagreement,
       H15_AnEnvironmentWhoseOnlyTokenHasAnotherKeyStaysSealedUntilTheRightOneIsBack) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  KeepTokens("hsm-2");
  Replace("hsm-2", "kms/prod/1");
  ExpectExcluded("hsm-2", "prod", "not the recorded one");
  EXPECT_TRUE(Eventually([&] { return fleet_.IsSealed("prod"); }));
  EXPECT_TRUE(fleet_.HasAudit("lease-seal"));
  const HttpReply refused = fleet_.kmsd().NewClient()->Post("/v1/prod/keys/another");
  EXPECT_EQ(refused.status, 503) << refused.body;
  AwaitWrites(100);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  PutTokensBack("hsm-2");
  EXPECT_TRUE(Becomes("hsm-2", "prod", "ready"));
  EXPECT_TRUE(Eventually([&] { return fleet_.prod().Last() == 200; }, seconds(20)));
  fleet_.ExpectNothingLost();
}

// ---- H16 ----------------------------------------------------------------------------------------

struct WrongFlag {
  CK_ATTRIBUTE_TYPE type;
  bool value;
  const char* reason;
};

// The very key, so that everything it wrapped would open: it is refused all the same.
TEST_F(HsmDisagreement, H16_AMasterKeyWhoseAttributesWereChangedIsRefusedAtStart) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  AwaitWrites(50);
  for (const WrongFlag& wrong :
       {WrongFlag{CKA_EXTRACTABLE, true, "CKA_EXTRACTABLE"},
        WrongFlag{CKA_SENSITIVE, false, "CKA_SENSITIVE"},
        WrongFlag{CKA_NEVER_EXTRACTABLE, false, "CKA_NEVER_EXTRACTABLE"},
        WrongFlag{CKA_LOCAL, false, "CKA_LOCAL"}, WrongFlag{CKA_MODIFIABLE, true, "CKA_MODIFIABLE"},
        WrongFlag{CKA_WRAP, true, "both encrypt and wrap"}}) {
    SCOPED_TRACE(wrong.reason);
    fleet_.Stop();
    ASSERT_GE(SetFlagOfKeys(fleet_.tokens(), wrong.type, wrong.value), 2);
    ASSERT_TRUE(fleet_.Serve());
    ExpectExcluded("hsm-2", "prod", wrong.reason);
    ExpectExcluded("hsm-2", "staging", wrong.reason);
    EXPECT_TRUE(fleet_.IsSealed("prod"));
    EXPECT_FALSE(fleet_.IsSealed("staging"));
    EXPECT_FALSE(fleet_.IsSealed("dev"));
    // An older copy of the token would be refused for its epoch: only this is put right.
    ASSERT_GE(SetFlagOfKeys(fleet_.tokens(), wrong.type, !wrong.value), 2);
    EXPECT_TRUE(Becomes("hsm-2", "prod", "ready"));
    EXPECT_TRUE(Becomes("hsm-2", "staging", "ready"));
  }
  fleet_.ExpectNothingLost();
}

TEST_F(HsmDisagreement, H16_AKeyThatMayLeaveTheTokenIsNotTakenForTheOneItReplaces) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  KeepTokens("hsm-2");
  const std::string id =
      HexEncode(RawToken(fleet_.state() + "/hsm-2").IdOf("kms/staging/1").View());
  fleet_.Pkcs11Tool({"--delete-object", "--type", "secrkey", "--id", id});
  fleet_.Pkcs11Tool({"--keygen", "--key-type", "AES:32", "--id", id, "--label", "kms/staging/1",
                     "--extractable"});
  ExpectExcluded("hsm-2", "staging", "CKA_EXTRACTABLE");
  EXPECT_EQ(State("hsm-2", "prod"), "ready");
  AwaitWrites(100);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  PutTokensBack("hsm-2");
  EXPECT_TRUE(Becomes("hsm-2", "staging", "ready"));
  EXPECT_TRUE(Eventually([&] { return fleet_.prod().Last() == 200; }, seconds(20)));
  fleet_.ExpectNothingLost();
}

// Ids of later master keys can be computed by anybody: what is put there beforehand is not adopted.
TEST_F(HsmDisagreement, H16_AKeyThatWasPutWhereARotationMakesItsOwnIsRefusedAndNotDestroyed) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  const json mount = DataOf(fleet_.kmsd().NewClient()->Get("/v1/sys/mounts/staging"));
  const auto environment = Uuid::Parse(mount.value("uuid", ""));
  ASSERT_TRUE(environment.has_value()) << mount;
  const std::string id = HexEncode(DeriveMasterKeyId(*environment, "hsm-2", 2).View());
  fleet_.Pkcs11Tool({"--keygen", "--key-type", "AES:32", "--id", id, "--label", "kms/staging/2",
                     "--extractable"});
  const std::string task = Begin("staging", "rotate-master");
  const json failed = AwaitTask(task, {"failed", "done"});
  EXPECT_EQ(failed.value("state", ""), "failed") << failed;
  EXPECT_THAT(failed.value("error", ""), HasSubstr("HSM hsm-2"));
  EXPECT_THAT(failed.value("error", ""), HasSubstr("CKA_EXTRACTABLE"));
  EXPECT_TRUE(
      fleet_.HasMetric(R"(kms_environment_master_key_version{environment="staging"})", "1"));
  EXPECT_EQ(State("hsm-2", "staging"), "ready") << "its current key is the right one";
  // It is the operator's to remove.
  fleet_.Pkcs11Tool({"--delete-object", "--type", "secrkey", "--id", id});
  const HttpReply resumed = fleet_.kmsd().NewClient()->Post("/v1/sys/tasks/" + task + "/resume");
  EXPECT_LT(resumed.status, 300) << resumed.body;
  const json done = AwaitTask(task, {"failed", "done"});
  EXPECT_EQ(done.value("state", ""), "done") << done;
  EXPECT_TRUE(
      fleet_.HasMetric(R"(kms_environment_master_key_version{environment="staging"})", "2"));
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  fleet_.ExpectNothingLost();
}

}  // namespace
}  // namespace kms::testing
