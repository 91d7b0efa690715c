// SPDX-License-Identifier: Apache-2.0
// O3 and O4 as a drill with the built programs: the token is initialised anew by its security
// officer, and the recovery holders open everything under a new one.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kKmsd = std::string{KMS_BINARY_DIR} + "/kmsd";
const std::string kKmsctl = std::string{KMS_BINARY_DIR} + "/kmsctl";
const std::vector<std::string> kHolders = {"alice", "bob", "carol"};
const std::vector<std::string> kEnvironments = {"sys", "prod", "team/eu"};

class RecoveryDrill : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::string& name : kHolders) {
      WriteFile(File(name + ".pass"), "passphrase of " + name + "\n");
      Run({kKmsctl, "recover", "new-holder", "--out", File(name + ".pem"), "--passphrase-file",
           File(name + ".pass")});
    }
    Start();
    Run(WithHolders({kKmsctl, "env", "create", "team/eu", "--recovery-threshold", "2"},
                    "--recovery-key"));
    for (const char* name : {"sys", "prod"}) {
      Run(WithHolders({kKmsctl, "env", "recovery", "set", name, "--threshold", "2"}, "--key"));
    }
    for (const std::string& name : {std::string("prod"), std::string("team/eu")}) {
      sealed_[name] = Encrypt(name);
    }
    RunProgram({kKmsd, "dev", "--state-dir", state_, "--listen", "127.0.0.1:0", "--print-config"},
               &config_text_);
    WriteFile(File("kms.json"), config_text_);
  }
  void TearDown() override {
    ::unsetenv("KMS_ADDR");
    ::unsetenv("KMS_TOKEN");
    ::unsetenv("SOFTHSM2_CONF");
  }

  void Start() {
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    Point();
  }
  void Point() {
    ::setenv("KMS_ADDR", ("http://127.0.0.1:" + std::to_string(kmsd_.port())).c_str(), 1);
    ::setenv("KMS_TOKEN", kmsd_.token().c_str(), 1);
  }

  static std::string Run(const std::vector<std::string>& arguments, int expected_status = 0) {
    std::string output;
    EXPECT_EQ(RunProgram(arguments, &output), expected_status)
        << ::testing::PrintToString(arguments) << "\n"
        << output;
    return output;
  }
  std::vector<std::string> WithHolders(std::vector<std::string> arguments,
                                       const std::string& option) const {
    for (const std::string& name : kHolders) {
      arguments.insert(arguments.end(), {option, name + "=" + File(name + ".pem.pub")});
    }
    return arguments;
  }

  std::string Encrypt(const std::string& environment) {
    kmsd_.NewClient()->Post("/v1/" + environment + "/keys/app");  // prod makes none by itself
    const HttpReply reply = kmsd_.NewClient()->Post("/v1/" + environment + "/encrypt/app",
                                                    R"({"plaintext":"aGVsbG8="})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    const json body = json::parse(reply.body, nullptr, false);
    return reply.status == 200 ? body["data"]["ciphertext"].get<std::string>() : "";
  }
  void ExpectEverythingDecrypts() {
    for (const auto& [environment, ciphertext] : sealed_) {
      const HttpReply reply = kmsd_.NewClient()->Post("/v1/" + environment + "/decrypt/app",
                                                      json{{"ciphertext", ciphertext}}.dump());
      EXPECT_EQ(reply.status, 200) << environment << reply.body;
      EXPECT_THAT(reply.body, HasSubstr("aGVsbG8="));
    }
  }

  // What the security officer of the token does: everything in it is gone.
  void InitialiseTokenAnew() {
    ASSERT_EQ(kmsd_.Terminate(), 0);
    for (const auto& entry : fs::directory_iterator(state_ + "/tokens")) {
      fs::remove_all(entry.path());
    }
    std::string pin = ReadFile(state_ + "/pin");
    pin.erase(pin.find_last_not_of('\n') + 1);
    ::setenv("SOFTHSM2_CONF", (state_ + "/softhsm2.conf").c_str(), 1);
    Run({"softhsm2-util", "--init-token", "--free", "--label", "kms-dev", "--so-pin", "12345678",
         "--pin", pin});
    ::unsetenv("SOFTHSM2_CONF");
  }

  std::string Begin(const std::string& package) {
    return Run(
        {kKmsd, "recover", "begin", "--config", File("kms.json"), "--package", File(package)});
  }
  void Answer(const std::string& package, const std::string& name) {
    Run({kKmsctl, "recover", "share", "--package", File(package), "--key", File(name + ".pem"),
         "--passphrase-file", File(name + ".pass"), "--out", File(name + ".json"), "--yes"});
  }
  std::string Finish(const std::string& package, const std::vector<std::string>& names,
                     int expected_status = 0, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        kKmsd, "recover", "finish", "--config", File("kms.json"), "--package", File(package)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    for (const std::string& name : names) {
      arguments.push_back(File(name + ".json"));
    }
    return Run(arguments, expected_status);
  }

  std::string File(const std::string& name) const { return directory_.path() + "/" + name; }

  TemporaryDirectory directory_;
  std::string state_ = directory_.path() + "/state";
  std::string config_text_;
  std::map<std::string, std::string> sealed_;
  KmsdProcess kmsd_{KMS_BINARY_DIR, state_};
};

TEST_F(RecoveryDrill, O3_TwoOfThreeHoldersOpenEverythingUnderANewToken) {
  InitialiseTokenAnew();
  EXPECT_FALSE(kmsd_.Serve(File("kms.json"))) << "the token holds no master key any more";

  const std::string begun = Begin("P.json");
  EXPECT_THAT(begun, AllOf(HasSubstr("sys: 1 key version(s), 2 of 3 holders (alice, bob, carol)"),
                           HasSubstr("prod: 1 key version(s)"), HasSubstr("by voice")));
  EXPECT_THAT(Run({kKmsctl, "recover", "show", "--package", File("P.json")}),
              AllOf(HasSubstr("team/eu"), HasSubstr("alice, bob, carol")));
  Answer("P.json", "alice");
  Answer("P.json", "carol");

  EXPECT_THAT(Finish("P.json", {"alice", "carol"}, 0, {"--dry-run"}),
              AllOf(HasSubstr("would do: sys: master key version 2 in default"),
                    HasSubstr("nothing was changed")));
  EXPECT_THAT(Finish("P.json", {"alice", "carol"}),
              AllOf(HasSubstr("prod: opened by alice, carol"), HasSubstr("done: team/eu"),
                    ContainsRegex("environment [0-9a-f-]{36} is staging\n"), Not(HasSubstr("DROPPED"))));
  EXPECT_FALSE(fs::exists(File("P.json.key")));
  EXPECT_THAT(ReadFile(state_ + "/audit.log"),
              AllOf(HasSubstr("\"recover\""), HasSubstr("recovery holders alice, carol")));

  ASSERT_TRUE(kmsd_.Serve(File("kms.json"))) << kmsd_.Log();
  ExpectEverythingDecrypts();
  Point();
  EXPECT_THAT(Run({kKmsctl, "env", "recovery", "show", "prod"}),
              AllOf(HasSubstr("recoverable:     yes"), Not(HasSubstr("no recovery holders"))));
  sealed_["prod"] = Encrypt("prod");
  ASSERT_EQ(kmsd_.Terminate(), 0);
  ASSERT_TRUE(kmsd_.Serve(File("kms.json"))) << kmsd_.Log();
  ExpectEverythingDecrypts();
}

TEST_F(RecoveryDrill, O4_FewerThanTheThresholdAreRefusedWithTheirNumber) {
  InitialiseTokenAnew();
  Begin("P.json");
  Answer("P.json", "bob");
  const std::string refused = Finish("P.json", {"bob"}, 1);
  EXPECT_THAT(refused, AllOf(HasSubstr("needs 2 of 3 holders, 1 gave a good share (bob)"),
                             HasSubstr("still to be asked: alice, carol"),
                             HasSubstr("Nothing was changed")));
  Answer("P.json", "alice");
  Finish("P.json", {"bob", "alice"}, 0, {"--hsm", "default"});  // the answers are no HSMs
  ASSERT_TRUE(kmsd_.Serve(File("kms.json"))) << kmsd_.Log();
  ExpectEverythingDecrypts();
}

// The holder's key is not enough by itself, nor is the package in other hands.
TEST_F(RecoveryDrill, RefusesWhatDoesNotBelongTogether) {
  ASSERT_EQ(kmsd_.Terminate(), 0);
  Begin("P.json");
  Begin("Q.json");
  Run({kKmsd, "recover", "begin", "--config", File("kms.json"), "--package", File("P.json")}, 2);
  Answer("P.json", "alice");
  Answer("Q.json", "bob");
  EXPECT_THAT(Finish("P.json", {"alice", "bob"}, 2), HasSubstr("another ceremony"));
  Run({kKmsctl, "recover", "new-holder", "--out", File("mallory.pem"), "--no-passphrase"});
  EXPECT_THAT(Run({kKmsctl, "recover", "share", "--package", File("P.json"), "--key",
                   File("mallory.pem"), "--out", File("m.json"), "--yes"},
                  3),
              HasSubstr("no share of this package"));
  EXPECT_THAT(
      Run({kKmsctl, "recover", "share", "--package", File("P.json"), "--key", File("alice.pem"),
           "--passphrase-file", File("bob.pass"), "--out", File("a.json"), "--yes"},
          2),
      HasSubstr("passphrase"));
  Run({kKmsctl, "recover", "new-holder", "--out", File("alice.pem"), "--no-passphrase"}, 2);
}

TEST_F(RecoveryDrill, RefusesWhileTheServiceRuns) {
  EXPECT_THAT(
      Run({kKmsd, "recover", "begin", "--config", File("kms.json"), "--package", File("P.json")},
          1),
      HasSubstr("in use"));
  EXPECT_FALSE(fs::exists(File("P.json")));
}

}  // namespace
}  // namespace kms::testing
