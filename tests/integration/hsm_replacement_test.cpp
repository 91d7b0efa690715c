// SPDX-License-Identifier: Apache-2.0
// Another token takes the place of one under a running kmsd, as deploy/hsm-groups.md describes it
// ("Another token under an old name").
#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/hsm_fleet.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using ::testing::HasSubstr;

class HsmReplacement : public ::testing::Test {
 protected:
  // Everything has two tokens: one may go.
  void Begin() {
    ASSERT_TRUE(fleet_.Start());
    const HttpReply joined = fleet_.kmsd().NewClient()->Post(
        "/v1/sys/environments/prod/hsms", R"({"hsm":"default"})");
    ASSERT_EQ(joined.status, 200) << joined.body;
    fleet_.StartWriters();
    ASSERT_TRUE(Eventually([&] { return PartOf("default", "prod").value("state", "") == "ready"; }));
  }
  // A token of the same label and PIN, with keys of nobody and a serial number of its own.
  void PutAnotherTokenInPlace() {
    std::filesystem::rename(fleet_.tokens(), fleet_.tokens() + ".old");
    std::filesystem::create_directory(fleet_.tokens());
    std::string pin = ReadFile(fleet_.pin_file());
    pin.erase(pin.find_last_not_of('\n') + 1);
    std::string output;
    EXPECT_EQ(RunProgram({"/usr/bin/env", "SOFTHSM2_CONF=" + fleet_.state() + "/hsm-2/softhsm2.conf",
                          "/usr/bin/softhsm2-util", "--init-token", "--free", "--label",
                          "kms-dev-2", "--pin", pin, "--so-pin", "87654321"},
                         &output),
              0)
        << output;
  }
  // What `kmsctl ARGUMENTS` says; it must succeed.
  std::string Kmsctl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), KMS_BINARY_DIR "/kmsctl");
    arguments.insert(arguments.end(),
                     {"--address", "http://127.0.0.1:" + std::to_string(fleet_.kmsd().port()),
                      "--token-file", fleet_.state() + "/root-token"});
    std::string output;
    EXPECT_EQ(RunProgram(arguments, &output), 0) << output;
    return output;
  }
  json PartOf(const std::string& hsm, const std::string& environment) {
    const json listed = fleet_.Hsm(hsm);
    if (listed.contains("environments")) {
      for (const json& part : listed["environments"]) {
        if (part.value("name", "") == environment) return part;
      }
    }
    return json::object();
  }
  std::string State() { return fleet_.Hsm("hsm-2").value("state", ""); }
  void AwaitWrites(std::uint64_t more) {
    const std::uint64_t before = fleet_.prod().Served();
    EXPECT_TRUE(Eventually([&] { return fleet_.prod().Served() >= before + more; }, seconds(30)));
  }

  HsmFleet fleet_;
};

TEST_F(HsmReplacement, AReloadTakesTheTokenThatStandsInThePlaceOfALostOne) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  const std::string old_serial = fleet_.Hsm("hsm-2").value("token_serial", "");
  EXPECT_THAT(Kmsctl({"hsm", "reload"}), HasSubstr("nothing")) << "its worker goes on";
  PutAnotherTokenInPlace();
  // It is not taken for the old one, with or without a reload, as long as that one is a member.
  EXPECT_TRUE(Eventually([&] { return State() == "fatal_config"; }, seconds(30)))
      << fleet_.Hsm("hsm-2");
  EXPECT_THAT(fleet_.Hsm("hsm-2").value("reason", ""), HasSubstr("another serial number"));
  AwaitWrites(50);
  EXPECT_THAT(Kmsctl({"hsm", "remove", "hsm-2", "--all", "--lost", "--reason", "replaced", "--yes"}),
              HasSubstr("hsm-2"));
  EXPECT_THAT(Kmsctl({"hsm", "reload", "--dry-run"}), HasSubstr("hsm-2"));
  EXPECT_EQ(State(), "fatal_config") << "nothing was changed";
  EXPECT_THAT(Kmsctl({"hsm", "reload"}), HasSubstr("hsm-2"));
  EXPECT_TRUE(Eventually([&] { return State() == "ready"; }, seconds(30))) << fleet_.Hsm("hsm-2");
  EXPECT_NE(fleet_.Hsm("hsm-2").value("token_serial", ""), old_serial);
  for (const char* const environment : {"prod", "staging"}) {
    Kmsctl({"hsm", "add", "hsm-2", "--env", environment, "--wait"});
    EXPECT_EQ(PartOf("hsm-2", environment).value("state", ""), "ready") << environment;
    EXPECT_EQ(PartOf("hsm-2", environment).value("missing_wraps", -1), 0) << environment;
  }
  // The new one opens what the old one did, alone.
  Kmsctl({"hsm", "remove", "default", "--env", "prod", "--yes"});
  AwaitWrites(100);
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  EXPECT_TRUE(fleet_.HasAudit("hsm-lost"));
  fleet_.ExpectNothingLost();
  fleet_.Stop();
  ASSERT_TRUE(fleet_.Serve());
  fleet_.StartWriters();
  fleet_.ExpectNothingLost();
}

// The old one is still a member: the new one must not get its place.
TEST_F(HsmReplacement, H13_AReloadAloneGivesAnotherTokenNoPlaceInTheGroup) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  PutAnotherTokenInPlace();
  EXPECT_TRUE(Eventually([&] { return State() == "fatal_config"; }, seconds(30)))
      << fleet_.Hsm("hsm-2");
  Kmsctl({"hsm", "reload"});
  EXPECT_TRUE(Eventually([&] { return fleet_.Health("prod") == "refused"; }, seconds(30)))
      << fleet_.Hsm("hsm-2");
  EXPECT_EQ(PartOf("hsm-2", "prod").value("master_key_versions", json::array()), json({1}));
  AwaitWrites(50);
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  // The right one is back.
  std::filesystem::rename(fleet_.tokens(), fleet_.tokens() + ".another");
  std::filesystem::rename(fleet_.tokens() + ".old", fleet_.tokens());
  EXPECT_TRUE(Eventually([&] { return fleet_.Health("prod") == "ready"; }, seconds(40)))
      << fleet_.Hsm("hsm-2");
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  fleet_.ExpectNothingLost();
}

}  // namespace
}  // namespace kms::testing
