// SPDX-License-Identifier: Apache-2.0
// The real kmsd under load while one of its HSMs loses sessions and logins, is slow, grants few
// sessions or refuses the PIN (H1, H2, H7, H9, H17). Encrypting with a key of the service asks no
// HSM; these callers use one that lives in it.
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "tests/support/hsm_fleet.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

constexpr unsigned long kSessionClosed = 0xb0;
constexpr unsigned long kSessionHandleInvalid = 0xb3;
constexpr unsigned long kOk = 0;

json DataOf(const HttpReply& reply) {
  const json body = json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  return body.is_object() && body.contains("data") ? body["data"] : json::object();
}

// Clients that encrypt with a key in hsm-2 and decrypt what they got, each at its own connection.
class HsmCallers {
 public:
  HsmCallers(const KmsdProcess& kmsd, int count) {
    for (int index = 0; index < count; ++index) {
      threads_.emplace_back([this, client = std::shared_ptr<HttpClient>(kmsd.NewClient())](
                                const std::stop_token& stop) { Work(stop, *client); });
    }
  }
  ~HsmCallers() { Stop(); }
  HsmCallers(const HsmCallers&) = delete;
  HsmCallers& operator=(const HsmCallers&) = delete;

  void Stop() {
    for (std::jthread& thread : threads_) thread.request_stop();
    threads_.clear();
  }
  [[nodiscard]] int served() const { return served_; }
  [[nodiscard]] int shed() const { return shed_; }  // 503 with Retry-After
  // Any other answer, and plaintexts that came back changed.
  [[nodiscard]] std::vector<std::string> failures() const {
    const std::lock_guard lock(mutex_);
    return failures_;
  }
  [[nodiscard]] milliseconds slowest() const {
    const std::lock_guard lock(mutex_);
    return slowest_;
  }

 private:
  static constexpr const char* kPlaintext = "b3JkZXIgMTc=";

  void Work(const std::stop_token& stop, HttpClient& client) {
    while (!stop.stop_requested()) {
      const json encrypted = Call(client, "encrypt", {{"plaintext", kPlaintext}});
      const std::string ciphertext = encrypted.value("ciphertext", "");
      if (ciphertext.empty()) continue;
      json decrypted;
      while (decrypted.empty() && !stop.stop_requested()) {
        decrypted = Call(client, "decrypt", {{"ciphertext", ciphertext}});
      }
      if (!decrypted.empty() && decrypted.value("plaintext", "") != kPlaintext) {
        Fail("other bytes: " + decrypted.dump());
      }
    }
  }
  // Data of a good answer; else an empty object, a moment later.
  json Call(HttpClient& client, const std::string& verb, const json& body) {
    const auto begin = steady_clock::now();
    const HttpReply reply = client.Post("/v1/prod/" + verb + "/vaulted", body.dump());
    Note(std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin));
    if (reply.status == 200) {
      ++served_;
      return DataOf(reply);
    }
    if (reply.status == 503 && reply.headers.contains("retry-after")) {
      ++shed_;
    } else {
      Fail(std::to_string(reply.status) + " " + reply.body);
    }
    std::this_thread::sleep_for(milliseconds(20));  // a client that is in a hurry
    return json::object();
  }
  void Note(milliseconds took) {
    const std::lock_guard lock(mutex_);
    slowest_ = std::max(slowest_, took);
  }
  void Fail(std::string what) {
    const std::lock_guard lock(mutex_);
    failures_.push_back(std::move(what));
  }

  std::atomic<int> served_ = 0;
  std::atomic<int> shed_ = 0;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<std::string> failures_;
  milliseconds slowest_{0};
  std::vector<std::jthread> threads_;
};

class HsmSessions : public ::testing::Test {
 protected:
  void Begin(const std::string& lease_grace = "2s") {
    ASSERT_TRUE(fleet_.Start(lease_grace));
    MakeHsmKey();
    fleet_.StartWriters();
  }
  void MakeHsmKey() {
    const HttpReply made = fleet_.kmsd().NewClient()->Post(
        "/v1/prod/keys/vaulted", R"({"type":"aes256-gcm96","protection":"hsm"})");
    ASSERT_EQ(made.status, 200) << made.body;
  }
  void AwaitServed(const HsmCallers& callers, int more) {
    const int before = callers.served();
    EXPECT_TRUE(Eventually([&] { return callers.served() >= before + more; }, seconds(30)))
        << fleet_.Hsm("hsm-2");
  }
  // Lets the load go on for a while.
  void AwaitWrites(std::uint64_t more) {
    const std::uint64_t before = fleet_.neighbour().Served();
    EXPECT_TRUE(
        Eventually([&] { return fleet_.neighbour().Served() >= before + more; }, seconds(30)));
  }
  // Nobody noticed anything.
  void ExpectUnharmed(HsmCallers& callers) {
    callers.Stop();
    EXPECT_THAT(callers.failures(), ::testing::IsEmpty());
    EXPECT_EQ(callers.shed(), 0);
    EXPECT_EQ(fleet_.prod().Failed(), 0U);
    EXPECT_EQ(fleet_.staging().Failed(), 0U);
    EXPECT_EQ(fleet_.Hsm("hsm-2").value("state", ""), "ready");
    EXPECT_EQ(fleet_.Hsm("hsm-2").value("worker_restarts", 1U), 0U);
    EXPECT_EQ(fleet_.Health("prod"), "ready");
    EXPECT_EQ(fleet_.faults().CountCalls("C_Finalize"), 0);
    fleet_.ExpectNothingLost();
  }
  // A record of the audit log has both.
  bool IsRecorded(const std::string& operation, const std::string& environment) {
    std::istringstream log(ReadFile(fleet_.state() + "/audit.log"));
    for (std::string line; std::getline(log, line);) {
      if (line.find("\"" + operation + "\"") != std::string::npos &&
          line.find("\"" + environment + "\"") != std::string::npos) {
        return true;
      }
    }
    return false;
  }
  std::string SealReason(const std::string& environment) {
    return DataOf(fleet_.kmsd().NewClient()->Get("/v1/sys/environments/" + environment + "/lease"))
        .value("reason", "");
  }

  HsmFleet fleet_;
};

// ---- H1, H2: sessions and logins ----------------------------------------------------------------

TEST_F(HsmSessions, H1_SessionsThatAreLostInMidCallAreSeenByNobody) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  HsmCallers callers(fleet_.kmsd(), 6);
  AwaitServed(callers, 20);
  fleet_.faults().SetRules(
      "C_Encrypt n=5 return=0xb3\nC_EncryptInit n=15 return=0xb0\n"
      "C_DecryptInit n=25 return=0xb3\nC_Decrypt n=35 return=0xb0");
  AwaitServed(callers, 200);
  EXPECT_EQ(fleet_.faults().CountAnswers("C_Encrypt", kSessionHandleInvalid), 1);
  EXPECT_EQ(fleet_.faults().CountAnswers("C_EncryptInit", kSessionClosed), 1);
  EXPECT_EQ(fleet_.faults().CountAnswers("C_DecryptInit", kSessionHandleInvalid), 1);
  EXPECT_EQ(fleet_.faults().CountAnswers("C_Decrypt", kSessionClosed), 1);
  ExpectUnharmed(callers);
}

// The HSM behind its module was restarted: every session and the login are gone at once.
TEST_F(HsmSessions, H1_AllSessionsAndTheLoginLostAtOnceAreSeenByNobody) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  HsmCallers callers(fleet_.kmsd(), 6);
  const int logins = fleet_.faults().CountAnswers("C_Login", kOk);
  for (int loss = 1; loss <= 3; ++loss) {
    AwaitServed(callers, 40);
    fleet_.faults().SetRules("C_Encrypt once lose from=" + std::to_string(loss));
    EXPECT_TRUE(Eventually([&] {
      return fleet_.faults().CountAnswers("C_Login", kOk) == logins + loss;
    })) << fleet_.Hsm("hsm-2");
  }
  AwaitServed(callers, 40);
  EXPECT_EQ(fleet_.faults().CountAnswers("C_Login", kOk), logins + 3);
  ExpectUnharmed(callers);
}

TEST_F(HsmSessions, H2_ALoginThatIsLostByAllSessionsCostsOneLogin) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  HsmCallers callers(fleet_.kmsd(), 12);
  AwaitServed(callers, 40);
  const int logins = fleet_.faults().CountCalls("C_Login");
  fleet_.faults().SetRules("C_DecryptInit once logout");
  EXPECT_TRUE(Eventually([&] { return fleet_.faults().CountCalls("C_Login") > logins; }));
  AwaitServed(callers, 200);
  AwaitWrites(300);  // and several proofs of the lease
  EXPECT_EQ(fleet_.faults().CountCalls("C_Login"), logins + 1);
  ExpectUnharmed(callers);
}

TEST_F(HsmSessions, H2_CallsThatSayTheLoginIsLostCostOneLoginEach) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  HsmCallers callers(fleet_.kmsd(), 12);
  AwaitServed(callers, 40);
  const int logins = fleet_.faults().CountCalls("C_Login");
  fleet_.faults().SetRules("C_EncryptInit once return=0x101\nC_DecryptInit once return=0x101");
  AwaitServed(callers, 200);
  // Those that fail at the same moment share one.
  EXPECT_GE(fleet_.faults().CountCalls("C_Login"), logins + 1);
  EXPECT_LE(fleet_.faults().CountCalls("C_Login"), logins + 2);
  ExpectUnharmed(callers);
}

// ---- H7: slow and limited -----------------------------------------------------------------------

TEST_F(HsmSessions, H7_ASlowHsmShedsWhatItCannotServeAndHoldsUpNobodyElse) {
  fleet_.Configure(R"({"hsms": {"hsm-2": {"call_timeout": "5s"}}})");
  ASSERT_NO_FATAL_FAILURE(Begin("10s"));
  fleet_.faults().SetRules("* delay=200 limit=500");
  HsmCallers callers(fleet_.kmsd(), 24);
  // What the neighbour's requests take that go to the same threads.
  const auto client = fleet_.kmsd().NewClient();
  milliseconds slowest{0};
  int made = 0;
  const auto begin = steady_clock::now();
  while (steady_clock::now() - begin < seconds(12) || callers.served() < 40) {
    const auto start = steady_clock::now();
    const HttpReply reply = client->Post("/v1/dev/keys/slow" + std::to_string(++made));
    EXPECT_EQ(reply.status, 200) << reply.body;
    slowest =
        std::max(slowest, std::chrono::duration_cast<milliseconds>(steady_clock::now() - start));
    ASSERT_LT(steady_clock::now() - begin, seconds(60)) << fleet_.Hsm("hsm-2");
  }
  EXPECT_LT(slowest, milliseconds(500)) << made << " keys were made";
  EXPECT_THAT(callers.failures(), ::testing::IsEmpty());
  EXPECT_GT(callers.shed(), 0) << "with Retry-After";
  EXPECT_LT(callers.slowest(), seconds(6)) << "a call has 5 s";
  EXPECT_FALSE(fleet_.IsSealed("prod"));
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  EXPECT_GT(fleet_.Hsm("hsm-2")["latency"].value("p50_us", 0U), 200'000U);
  EXPECT_GT(fleet_.Hsm("hsm-2").value("refused_calls", 0U), 0U);
  fleet_.faults().SetRules("");
  AwaitServed(callers, 100);
  EXPECT_TRUE(Eventually([&] { return fleet_.Health("prod") == "ready"; }));
  callers.Stop();
  EXPECT_THAT(callers.failures(), ::testing::IsEmpty());
  fleet_.ExpectNothingLost();
}

// ---- H9: the PIN --------------------------------------------------------------------------------

TEST_F(HsmSessions, H9_AWrongPinAtStartIsTriedOnceAndHealsWhenItsFileChanges) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  fleet_.Stop();
  const std::string pin = ReadFile(fleet_.pin_file());
  WriteFile(fleet_.pin_file(), "00000000\n");
  const int logins = fleet_.faults().CountCalls("C_Login");
  for (int start = 1; start <= 2; ++start) {  // the second start does not try it again
    ASSERT_TRUE(fleet_.Serve());
    fleet_.StartWriters(/*all_serve=*/false);
    EXPECT_TRUE(Eventually([&] { return fleet_.Hsm("hsm-2").value("state", "") == "locked_out"; }))
        << fleet_.Hsm("hsm-2");
    AwaitWrites(500);
    EXPECT_EQ(fleet_.faults().CountCalls("C_Login"), logins + 1) << "after start " << start;
    EXPECT_TRUE(fleet_.IsSealed("prod"));
    EXPECT_THAT(SealReason("prod"), HasSubstr("restore the token or its login"));
    EXPECT_THAT(fleet_.Hsm("hsm-2").value("reason", ""), HasSubstr("PIN"));
    EXPECT_TRUE(fleet_.HasMetric(R"(kms_hsm_state{hsm="hsm-2",state="locked_out"})", "1"));
    EXPECT_TRUE(fleet_.HasMetric(R"(kms_environment_sealed{environment="prod"})", "1"));
    EXPECT_TRUE(IsRecorded("hsm-refused", "prod"));
    EXPECT_EQ(fleet_.prod().Served(), 0U);
    EXPECT_EQ(fleet_.staging().Failed(), 0U);  // its other token opens it
    if (start == 1) fleet_.Stop();
  }
  WriteFile(fleet_.pin_file(), pin);
  EXPECT_TRUE(Eventually([&] { return fleet_.prod().Last() == 200; }, seconds(20)))
      << fleet_.Hsm("hsm-2");
  EXPECT_TRUE(Eventually([&] { return fleet_.Health("staging") == "ready"; }));
  EXPECT_EQ(fleet_.faults().CountCalls("C_Login"), logins + 2);
  EXPECT_TRUE(IsRecorded("lease-unseal", "prod"));
  EXPECT_TRUE(fleet_.HasMetric(R"(kms_environment_sealed{environment="prod"})", "0"));
  fleet_.ExpectNothingLost();
}

// ---- H17: few sessions --------------------------------------------------------------------------

// One keeps the login.
class FewSessions : public HsmSessions, public ::testing::WithParamInterface<int> {};

TEST_P(FewSessions, H17_ATokenThatGrantsFewSessionsIsServedWithThose) {
  fleet_.Configure(R"({"hsms": {"hsm-2": {"sessions": 16}}})");
  ASSERT_NO_FATAL_FAILURE(Begin());
  fleet_.Stop();
  fleet_.faults().SetRules("sessions max=" + std::to_string(GetParam()));
  ASSERT_TRUE(fleet_.Serve());
  fleet_.StartWriters();
  // An RSA key that is being made has the only session that is left.
  const auto client = fleet_.kmsd().NewClient();
  for (const char* const type : {"rsa-2048", "ecdsa-p256"}) {
    const HttpReply made = client->Post(std::string("/v1/prod/keys/") + type,
                                        json{{"type", type}, {"protection", "hsm"}}.dump());
    EXPECT_EQ(made.status, 200) << made.body;
  }
  HsmCallers callers(fleet_.kmsd(), 12);
  AwaitServed(callers, 300);
  EXPECT_LT(fleet_.Hsm("hsm-2").value("sessions_open", 99), GetParam());
  const HttpReply rotation = client->Post("/v1/sys/environments/prod/rotate-master");
  EXPECT_EQ(rotation.status, 200) << rotation.body;
  EXPECT_TRUE(Eventually([&] {
    return fleet_.HasMetric(R"(kms_environment_master_key_version{environment="prod"})", "2");
  }, seconds(30)));
  callers.Stop();
  EXPECT_THAT(callers.failures(), ::testing::IsEmpty());
  // Whoever would wait long is told when to come again.
  EXPECT_LE(callers.shed(), callers.served() / 10);
  for (const char* const type : {"rsa-2048", "ecdsa-p256"}) {
    const HttpReply signed_by_it = client->Post(std::string("/v1/prod/sign/") + type,
                                                R"({"input":"b3JkZXIgMTc="})");
    EXPECT_EQ(signed_by_it.status, 200) << signed_by_it.body;
  }
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  EXPECT_TRUE(Eventually([&] { return fleet_.Health("prod") == "ready"; }));
  fleet_.ExpectNothingLost();
}

INSTANTIATE_TEST_SUITE_P(Caps, FewSessions, ::testing::Values(4, 3, 2));

TEST_F(HsmSessions, H17_OneSessionIsNamedAsTooFewAndMoreAreUsedWhenTheyAreThere) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  fleet_.Stop();
  fleet_.faults().SetRules("sessions max=1");
  ASSERT_TRUE(fleet_.Serve());
  fleet_.StartWriters(/*all_serve=*/false);
  EXPECT_TRUE(Eventually([&] {
    const std::string reason = fleet_.Hsm("hsm-2").value("reason", "");
    return reason.find("two are the least") != std::string::npos;
  })) << fleet_.Hsm("hsm-2");
  EXPECT_EQ(fleet_.staging().Failed(), 0U) << "its other token opens it";
  fleet_.faults().SetRules("sessions max=2");
  EXPECT_TRUE(Eventually([&] { return fleet_.prod().Last() == 200; }, seconds(30)))
      << fleet_.Hsm("hsm-2");
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  fleet_.ExpectNothingLost();
}

}  // namespace
}  // namespace kms::testing
