// SPDX-License-Identifier: Apache-2.0
// The real kmsd under load while one of its HSMs fails in each way that HSMs know: what was
// acknowledged stays readable, the neighbour notices nothing, and the operator sees it (rows H of
// the failures; those of one worker alone are in tests/pkcs11/worker_*_test.cpp).
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/hsm_fleet.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

// Interval and grace of the fleet, and what a loaded machine may take on top.
constexpr seconds kLease{1 + 2};
constexpr seconds kSlack{3};

class HsmFaults : public ::testing::Test {
 protected:
  void Begin(const std::string& lease_grace = "2s") {
    ASSERT_TRUE(fleet_.Start(lease_grace));
    fleet_.StartWriters();
  }

  // prod is sealed, and its keys are gone: since `fault` no longer than the lease ago.
  void ExpectSealedByLease(steady_clock::time_point fault) {
    EXPECT_TRUE(Eventually([&] { return fleet_.prod().Last() == 503; }, kLease + kSlack));
    EXPECT_LE(steady_clock::now() - fault, kLease + kSlack);
    EXPECT_TRUE(fleet_.IsSealed("prod"));
    EXPECT_TRUE(fleet_.HasMetric(R"(kms_environment_sealed{environment="prod"})", "1"));
    EXPECT_TRUE(fleet_.HasAudit("lease-seal"));
    EXPECT_FALSE(fleet_.IsSealed("staging"));  // its other token opens it
    EXPECT_FALSE(fleet_.IsSealed("dev"));
  }
  void ExpectHealed() {
    EXPECT_TRUE(Eventually([&] { return fleet_.prod().Last() == 200; }, seconds(20)))
        << fleet_.Hsm("hsm-2") << fleet_.kmsd().Log();
    EXPECT_TRUE(Eventually([&] {
      return fleet_.Health("prod") == "ready" && fleet_.Health("staging") == "ready";
    })) << fleet_.Hsm("hsm-2");
    EXPECT_EQ(fleet_.Hsm("hsm-2").value("state", ""), "ready");
  }
  // Lets the load go on for a while.
  void AwaitWrites(std::uint64_t more) {
    const std::uint64_t before = fleet_.neighbour().Served();
    EXPECT_TRUE(
        Eventually([&] { return fleet_.neighbour().Served() >= before + more; }, seconds(30)));
  }
  void PullToken() { std::filesystem::rename(fleet_.tokens(), fleet_.tokens() + ".away"); }
  void PutTokenBack() { std::filesystem::rename(fleet_.tokens() + ".away", fleet_.tokens()); }
  std::uint64_t Counter(const std::string& name) {
    return fleet_.Hsm("hsm-2").value(name, std::uint64_t{0});
  }

  HsmFleet fleet_;
};

// Not one warm request fails: the crash is that of another process.
class LibraryEnds : public HsmFaults, public ::testing::WithParamInterface<const char*> {};

TEST_P(LibraryEnds, H5_OnlyItsWorkerDiesAndNoRequestFails) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  const std::uint64_t restarts = Counter("worker_restarts");
  fleet_.faults().SetRules(std::string("* once ") + GetParam());
  EXPECT_TRUE(Eventually([&] { return Counter("worker_restarts") > restarts; }))
      << fleet_.Hsm("hsm-2");
  ExpectHealed();
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  fleet_.ExpectNothingLost();
}

INSTANTIATE_TEST_SUITE_P(Ways, LibraryEnds, ::testing::Values("exit=5", "signal=6", "signal=11"));

TEST_F(HsmFaults, H4_ABrokenPipeInsideOfTheLibraryEndsNothing) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  const int calls = fleet_.faults().CountCalls("C_Decrypt");
  fleet_.faults().SetRules("C_Decrypt signal=13");
  EXPECT_TRUE(Eventually([&] { return fleet_.faults().CountCalls("C_Decrypt") > calls + 2; }));
  EXPECT_EQ(Counter("worker_restarts"), 0U);
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  fleet_.ExpectNothingLost();
}

TEST_F(HsmFaults, H6_AHungHsmCountsAsAbsentAndItsNeighboursGoOn) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  const auto fault = steady_clock::now();
  fleet_.faults().SetRules("* hang");
  ExpectSealedByLease(fault);
  EXPECT_TRUE(Eventually([&] { return fleet_.Hsm("hsm-2").value("breaker", "") != "closed"; }))
      << fleet_.Hsm("hsm-2");
  EXPECT_TRUE(Eventually([&] { return fleet_.Health("staging") == "away"; }))
      << fleet_.Hsm("hsm-2");
  AwaitWrites(200);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  fleet_.faults().SetRules("");
  ExpectHealed();
  EXPECT_TRUE(fleet_.HasAudit("lease-unseal"));
  EXPECT_TRUE(fleet_.HasMetric(R"(kms_environment_sealed{environment="prod"})", "0"));
  fleet_.ExpectNothingLost();
}

TEST_F(HsmFaults, H6_AServiceWithAHungHsmEndsWhenItIsTold) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  fleet_.faults().SetRules("* hang");
  EXPECT_TRUE(Eventually([&] { return fleet_.prod().Last() == 503; }, kLease + kSlack));
  fleet_.StopWriters();
  EXPECT_EQ(fleet_.kmsd().Terminate(), 0) << fleet_.kmsd().Log();
}

// Whatever waits for it in the background: the calls have half a minute, and are given up.
class HungAtStop : public HsmFaults, public ::testing::WithParamInterface<const char*> {};

TEST_P(HungAtStop, H6_AStopDuringACallToAHungHsmEndsInOrder) {
  fleet_.Configure(R"({"hsms": {"hsm-2": {"call_timeout": "30s"}}})");
  ASSERT_NO_FATAL_FAILURE(Begin());
  auto client = fleet_.kmsd().NewClient();
  const HttpReply made =
      client->Post("/v1/prod/keys/vaulted", R"({"type":"aes256-gcm96","protection":"hsm"})");
  ASSERT_EQ(made.status, 200) << made.body;
  fleet_.faults().SetRules(std::string(GetParam()) + " hang");
  const HttpReply started = client->Post("/v1/sys/environments/prod/rotate-master");
  EXPECT_EQ(started.status, 200) << started.body;
  std::jthread caller([&] {  // cut off at the latest when the service ends
    static_cast<void>(fleet_.kmsd().NewClient()->Post("/v1/prod/encrypt/vaulted",
                                                      R"({"plaintext":"b3JkZXIgMTc="})"));
  });
  EXPECT_TRUE(Eventually([&] { return fleet_.Hsm("hsm-2").value("calls_in_flight", 0U) >= 1; }))
      << fleet_.Hsm("hsm-2");
  fleet_.StopWriters();
  const auto begin = steady_clock::now();
  EXPECT_EQ(fleet_.kmsd().Terminate(), 0) << fleet_.kmsd().Log();
  EXPECT_LT(steady_clock::now() - begin, seconds(4));
  fleet_.faults().SetRules("");
  ASSERT_TRUE(fleet_.Serve());
  fleet_.StartWriters();
  fleet_.ExpectNothingLost();
}

INSTANTIATE_TEST_SUITE_P(Calls, HungAtStop,
                         ::testing::Values("*", "C_Decrypt", "C_Encrypt", "C_GenerateKey"));

TEST_F(HsmFaults, H3_APulledTokenWipesTheKeysWithinTheLeaseAndHealsWhenItIsBack) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  const auto fault = steady_clock::now();
  PullToken();
  ExpectSealedByLease(fault);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  PutTokenBack();
  ExpectHealed();
  EXPECT_TRUE(fleet_.HasAudit("lease-unseal"));
  fleet_.ExpectNothingLost();
}

TEST_F(HsmFaults, AvailabilityModeServesWithoutTheTokenForEver) {
  ASSERT_NO_FATAL_FAILURE(Begin("forever"));
  PullToken();
  EXPECT_TRUE(Eventually([&] { return fleet_.Health("prod") == "away"; })) << fleet_.Hsm("hsm-2");
  const auto away = steady_clock::now();
  EXPECT_TRUE(Eventually([&] { return steady_clock::now() > away + kLease; }, seconds(10)));
  EXPECT_FALSE(fleet_.IsSealed("prod"));
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  PutTokenBack();
  ExpectHealed();
  fleet_.ExpectNothingLost();
}

TEST_F(HsmFaults, H10_APinThatWasChangedIsTriedOnceAndTheOtherTokenServes) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  fleet_.Pkcs11Tool({"--change-pin", "--new-pin", "13579135"});
  AwaitWrites(100);
  EXPECT_EQ(fleet_.prod().Failed(), 0U);  // sessions in use go on
  const int logins = fleet_.faults().CountCalls("C_Login");
  fleet_.faults().SetRules("* once signal=11");
  EXPECT_TRUE(Eventually([&] { return fleet_.Hsm("hsm-2").value("state", "") == "locked_out"; }))
      << fleet_.Hsm("hsm-2");
  EXPECT_TRUE(Eventually([&] { return fleet_.IsSealed("prod"); }));
  AwaitWrites(200);
  EXPECT_EQ(fleet_.faults().CountCalls("C_Login"), logins + 1);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  EXPECT_TRUE(fleet_.HasMetric(R"(kms_hsm_state{hsm="hsm-2",state="locked_out"})", "1"));
  WriteFile(fleet_.pin_file(), "13579135\n");
  ExpectHealed();
  fleet_.ExpectNothingLost();
}

TEST_F(HsmFaults, H11_AMasterKeyThatWasDeletedSealsOnlyWhatNothingElseOpens) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  std::filesystem::copy(fleet_.tokens(), fleet_.tokens() + ".copy",
                        std::filesystem::copy_options::recursive);
  fleet_.Pkcs11Tool({"--delete-object", "--type", "secrkey", "--label", "kms/prod/1"});
  fleet_.Pkcs11Tool({"--delete-object", "--type", "secrkey", "--label", "kms/staging/1"});
  EXPECT_TRUE(Eventually([&] { return fleet_.IsSealed("prod"); })) << fleet_.Hsm("hsm-2");
  EXPECT_TRUE(Eventually([&] { return fleet_.Health("staging") == "refused"; }))
      << fleet_.Hsm("hsm-2");
  EXPECT_TRUE(fleet_.HasAudit("hsm-refused"));
  AwaitWrites(100);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  // Never made anew: it comes back from the vendor's backup.
  PullToken();
  std::filesystem::rename(fleet_.tokens() + ".copy", fleet_.tokens());
  ExpectHealed();
  fleet_.ExpectNothingLost();
}

TEST_F(HsmFaults, H26_ATokenThatOpensToOtherBytesIsRefusedAndRaisesAnAlarm) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  const auto fault = steady_clock::now();
  fleet_.faults().SetRules("C_Decrypt flip");
  ExpectSealedByLease(fault);
  EXPECT_TRUE(Eventually([&] { return fleet_.Health("staging") == "refused"; }))
      << fleet_.Hsm("hsm-2");
  EXPECT_TRUE(fleet_.HasAudit("hsm-refused"));
  EXPECT_FALSE(fleet_.HasMetric("kms_hsm_alarms_total", "0"));
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  fleet_.faults().SetRules("");
  ExpectHealed();
  fleet_.ExpectNothingLost();
}

// What a full token leaves behind is a worker's test; this is what becomes of the rotation.
TEST_F(HsmFaults, H22_ARotationOnAFullTokenWaitsAndGoesOnByItself) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  auto client = fleet_.kmsd().NewClient();
  fleet_.faults().SetRules("C_GenerateKey return=0x31\nC_GenerateKeyPair return=0x31");
  const HttpReply started = client->Post("/v1/sys/environments/prod/rotate-master");
  ASSERT_EQ(started.status, 200) << started.body;
  const std::string id = json::parse(started.body, nullptr, false)["data"].value("task", "");
  const auto task = [&] {
    return json::parse(client->Get("/v1/sys/tasks/" + id).body, nullptr, false)["data"];
  };
  EXPECT_TRUE(Eventually([&] { return !task()["error"].empty() && task()["error"] != ""; }))
      << task();
  EXPECT_EQ(task().value("state", ""), "running");
  EXPECT_TRUE(fleet_.HasMetric(R"(kms_environment_master_key_version{environment="prod"})", "1"));
  for (int call = 0; call < 10; ++call) {
    const HttpReply made =
        client->Post("/v1/prod/keys/vaulted", R"({"type":"aes256-gcm96","protection":"hsm"})");
    EXPECT_EQ(made.status, 503) << made.body;
    EXPECT_NE(made.body.find("out of memory or storage"), std::string::npos) << made.body;
  }
  EXPECT_EQ(fleet_.Hsm("hsm-2").value("breaker_opened", 9U), 0U) << "it answers";
  fleet_.faults().SetRules("");
  EXPECT_TRUE(Eventually([&] { return task().value("state", "") == "done"; }, seconds(40)))
      << task();
  EXPECT_TRUE(fleet_.HasMetric(R"(kms_environment_master_key_version{environment="prod"})", "2"));
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  fleet_.ExpectNothingLost();
}

// A connection is made by some hundred calls, so that now and then three attempts fail in a row: the
// lease's grace is what hides it.
TEST_F(HsmFaults, H8_OneCallOfAHundredThatFailsIsNoticedByNobody) {
  ASSERT_NO_FATAL_FAILURE(Begin("10s"));
  fleet_.faults().SetRules("* rate=1% return=0x30");
  AwaitWrites(1500);
  fleet_.faults().SetRules("* rate=1% return=0x5");
  AwaitWrites(1500);
  EXPECT_FALSE(fleet_.IsSealed("prod"));
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  fleet_.faults().SetRules("");
  ExpectHealed();
  fleet_.ExpectNothingLost();
}

class NetworkHsm : public ::testing::Test {
 protected:
  void BeginNetwork() {
    network_ = std::make_unique<HsmFleet>(HsmFleet::Second::kNetwork);
    ASSERT_TRUE(network_->Start());
    network_->StartWriters();
  }
  void ExpectNetworkHealed() {
    EXPECT_TRUE(Eventually([&] { return network_->prod().Last() == 200; }, seconds(20)))
        << network_->Hsm("hsm-2") << network_->kmsd().Log();
    EXPECT_TRUE(Eventually([&] { return network_->Health("staging") == "ready"; }));
  }
  std::unique_ptr<HsmFleet> network_;
};

TEST_F(NetworkHsm, H4_AServerThatIsKilledAndStartedAgainIsFoundAgain) {
  ASSERT_NO_FATAL_FAILURE(BeginNetwork());
  network_->KillServer();
  EXPECT_TRUE(Eventually([&] { return network_->prod().Last() == 503; }, kLease + kSlack));
  EXPECT_TRUE(network_->IsSealed("prod"));
  EXPECT_EQ(network_->staging().Failed(), 0U);
  network_->StartServer();
  ExpectNetworkHealed();
  network_->ExpectNothingLost();
}

TEST_F(NetworkHsm, H6_AServerThatIsStoppedForAWhileSealsAndHeals) {
  ASSERT_NO_FATAL_FAILURE(BeginNetwork());
  network_->SignalServer(SIGSTOP);
  EXPECT_TRUE(Eventually([&] { return network_->prod().Last() == 503; }, kLease + kSlack));
  EXPECT_EQ(network_->staging().Failed(), 0U);
  const auto in_trouble = [&] {
    const json hsm = network_->Hsm("hsm-2");
    return hsm.value("breaker", "closed") != "closed" || hsm.value("state", "ready") != "ready";
  };
  EXPECT_TRUE(Eventually(in_trouble)) << network_->Hsm("hsm-2");
  EXPECT_TRUE(Eventually([&] { return network_->Health("staging") == "away"; }))
      << network_->Hsm("hsm-2");
  network_->SignalServer(SIGCONT);
  ExpectNetworkHealed();
  network_->ExpectNothingLost();
}

}  // namespace
}  // namespace kms::testing
