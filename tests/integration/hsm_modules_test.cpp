// SPDX-License-Identifier: Apache-2.0
// The real kmsd under load while the library of one token misbehaves: wrong lengths (H19), wraps
// that do not open (H20), a mechanism that is gone (H21), forks (H23), a library that is
// initialised anew again and again (H24), a server that is stopped for half a minute (H6).
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <utility>

#include "tests/support/hsm_fleet.h"
#include "tests/support/raw_token.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using std::chrono::steady_clock;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Interval and grace of the fleet, and what a loaded machine may take on top.
constexpr seconds kLease{1 + 2};
constexpr seconds kSlack{3};

json DataOf(const HttpReply& reply) {
  const json body = json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  return body.is_object() && body.contains("data") ? body["data"] : json::object();
}

class HsmModules : public ::testing::Test {
 protected:
  void Begin() {
    ASSERT_TRUE(fleet_.Start());
    fleet_.StartWriters();
  }
  json Part(const std::string& environment) {
    const json listed = fleet_.Hsm("hsm-2");
    if (listed.contains("environments")) {
      for (const json& part : listed["environments"]) {
        if (part.value("name", "") == environment) return part;
      }
    }
    return json::object();
  }
  std::uint64_t Counter(const std::string& name) {
    return fleet_.Hsm("hsm-2").value(name, std::uint64_t{0});
  }
  bool Becomes(const std::string& environment, const std::string& state) {
    const bool done = Eventually([&] { return fleet_.Health(environment) == state; }, seconds(40));
    EXPECT_TRUE(done) << fleet_.Hsm("hsm-2");
    return done;
  }
  void ExpectHealed() {
    EXPECT_TRUE(Eventually([&] { return fleet_.prod().Last() == 200; }, seconds(20)))
        << fleet_.Hsm("hsm-2") << fleet_.kmsd().Log();
    EXPECT_TRUE(Becomes("prod", "ready"));
    EXPECT_TRUE(Becomes("staging", "ready"));
    EXPECT_TRUE(Eventually([&] { return fleet_.Hsm("hsm-2").value("state", "") == "ready"; }))
        << fleet_.Hsm("hsm-2");
  }
  void AwaitWrites(std::uint64_t more) {
    const std::uint64_t before = fleet_.neighbour().Served();
    EXPECT_TRUE(
        Eventually([&] { return fleet_.neighbour().Served() >= before + more; }, seconds(30)));
  }
  std::string Begin(const std::string& environment, const std::string& task) {
    const HttpReply started =
        fleet_.kmsd().NewClient()->Post("/v1/sys/environments/" + environment + "/" + task);
    EXPECT_EQ(started.status, 200) << started.body;
    return DataOf(started).value("task", "");
  }
  json Task(const std::string& id) {
    return DataOf(fleet_.kmsd().NewClient()->Get("/v1/sys/tasks/" + id));
  }
  // A task that failed for good is asked to go on.
  void ExpectDoneAtLast(const std::string& id) {
    if (Task(id).value("state", "") == "failed") {
      const HttpReply resumed = fleet_.kmsd().NewClient()->Post("/v1/sys/tasks/" + id + "/resume");
      EXPECT_LT(resumed.status, 300) << resumed.body;
    }
    EXPECT_TRUE(Eventually([&] { return Task(id).value("state", "") == "done"; }, seconds(60)))
        << Task(id);
  }
  bool EnvironmentExists(const std::string& name) {
    const json data = DataOf(fleet_.kmsd().NewClient()->Get("/v1/sys/mounts"));
    return data.contains(name + "/");
  }
  HttpReply MakeEnvironment(const std::string& name, const std::string& hsms) {
    return fleet_.kmsd().NewClient()->Post(
        "/v1/sys/mounts/" + name, json{{"type", "transit"}, {"options", {{"hsms", hsms}}}}.dump());
  }
  void Configure(const std::string& line) {
    WriteFile(configuration_, ReadFile(configuration_) + line + "\n");
  }
  // The library is initialised anew, with its configuration as it is now.
  void CrashWorker() {
    const std::uint64_t restarts = Counter("worker_restarts");
    // Once each: a line that was there before has had its time.
    fleet_.faults().SetRules("* once signal=11 delay=" + std::to_string(++crashes_));
    EXPECT_TRUE(Eventually([&] { return Counter("worker_restarts") > restarts; }));
    fleet_.faults().SetRules("");
  }

  HsmFleet fleet_;
  const std::string configuration_ = fleet_.state() + "/hsm-2/softhsm2.conf";
  int crashes_ = 0;
};

// ---- H19 ----------------------------------------------------------------------------------------

class WrongLength : public HsmModules, public ::testing::WithParamInterface<const char*> {};

TEST_P(WrongLength, H19_CountsAsAFailureOfTheTokenAndNeverAsAnAnswer) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  fleet_.faults().SetRules(std::string("C_Decrypt ") + GetParam());
  EXPECT_TRUE(Eventually([&] { return fleet_.prod().Last() == 503; }, kLease + kSlack))
      << fleet_.Hsm("hsm-2");
  EXPECT_TRUE(Eventually([&] {
    const std::string state = fleet_.Health("staging");
    return state == "away" || state == "refused";
  })) << fleet_.Hsm("hsm-2");
  EXPECT_NE(Part("staging").value("reason", ""), "");
  EXPECT_TRUE(fleet_.HasAudit("lease-seal"));
  AwaitWrites(100);
  EXPECT_FALSE(fleet_.IsSealed("staging"));
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  EXPECT_EQ(Counter("worker_restarts"), 0U) << "nothing was read past its end";
  fleet_.faults().SetRules("");
  ExpectHealed();
  fleet_.ExpectNothingLost();
}

INSTANTIATE_TEST_SUITE_P(Lengths, WrongLength,
                         ::testing::Values("length=+1", "length=-1", "length=0",
                                           "length=unavailable", "length=+100000", "return=0x150"));

// ---- H20 ----------------------------------------------------------------------------------------

// All wraps are bad, or only the second one: then the master key's sentinel is good.
class BadWrap : public HsmModules, public ::testing::WithParamInterface<const char*> {};

TEST_P(BadWrap, H20_NoEnvironmentIsMadeOfItAndOneIsAfterwards) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  fleet_.faults().SetRules(std::string("C_Encrypt ") + GetParam());
  const HttpReply refused = MakeEnvironment("extra", "hsm-2");
  EXPECT_EQ(refused.status, 503) << refused.body;
  EXPECT_FALSE(EnvironmentExists("extra"));
  EXPECT_EQ(fleet_.kmsd().NewClient()->Post("/v1/extra/keys/app").status, 404);
  fleet_.faults().SetRules("");
  HttpReply made;
  EXPECT_TRUE(Eventually([&] {
    made = MakeEnvironment("extra", "hsm-2");
    return made.status == 204;
  })) << made.body;
  EXPECT_EQ(fleet_.kmsd().NewClient()->Post("/v1/extra/keys/app").status, 200);
  EXPECT_TRUE(Becomes("extra", "ready"));
  EXPECT_EQ(fleet_.prod().Failed(), 0U) << "proofs only open";
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  fleet_.ExpectNothingLost();
  fleet_.Stop();
  EXPECT_NE(RawToken(fleet_.state() + "/hsm-2").IdOf("kms/extra/1"), Uuid{}) << "one, not two";
}

// prod has no other token: it waits. staging has one that goes on without this one, which gets the
// new master key once its wraps open.
class BadWrapInRotation : public BadWrap {};

TEST_P(BadWrapInRotation, H20_AMasterRotationWaitsAndGoesOn) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  fleet_.faults().SetRules(std::string("C_Encrypt ") + GetParam());
  const std::string alone = Begin("prod", "rotate-master");
  const std::string grouped = Begin("staging", "rotate-master");
  EXPECT_TRUE(Eventually([&] { return Task(alone).value("error", "") != ""; })) << Task(alone);
  EXPECT_TRUE(fleet_.HasMetric(R"(kms_environment_master_key_version{environment="prod"})", "1"));
  ExpectDoneAtLast(grouped);
  EXPECT_THAT(Task(grouped)["notes"].dump(), HasSubstr("HSM hsm-2 gets master key version 2"));
  AwaitWrites(100);
  for (const char* const environment : {"prod", "staging"}) {
    EXPECT_EQ(Part(environment).value("master_key_versions", json::array()), json({1}))
        << "nothing was stored";
  }
  EXPECT_TRUE(Becomes("staging", "healing"));
  EXPECT_NE(Part("staging").value("reason", ""), "");
  fleet_.faults().SetRules("");
  ExpectDoneAtLast(alone);
  EXPECT_TRUE(fleet_.HasMetric(R"(kms_environment_master_key_version{environment="prod"})", "2"));
  for (const char* const environment : {"prod", "staging"}) {
    EXPECT_TRUE(Becomes(environment, "ready"));
    EXPECT_EQ(Part(environment).value("master_key_versions", json::array()), json({1, 2}));
    EXPECT_EQ(Part(environment).value("missing_wraps", -1), 0) << Part(environment);
  }
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  fleet_.ExpectNothingLost();
}

INSTANTIATE_TEST_SUITE_P(Wraps, BadWrap, ::testing::Values("flip", "from=2 flip", "length=+1"));
INSTANTIATE_TEST_SUITE_P(Wraps, BadWrapInRotation, ::testing::Values("flip", "from=2 flip"));

// The lengths cost the connection, and the next one passes no test of the mechanism that the key in
// the token was made for.
TEST_F(HsmModules, H19_AMasterRotationWaitsForATokenThatGivesImpossibleLengths) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  const std::uint64_t reconnects = Counter("reconnects");
  fleet_.faults().SetRules("C_Encrypt length=+1");
  const std::string id = Begin("prod", "rotate-master");
  EXPECT_TRUE(Eventually([&] {
    const std::string error = Task(id).value("error", "");
    return error.find("fails the test of gcm-encrypt, which it passed") != std::string::npos;
  }, seconds(40))) << Task(id);
  EXPECT_GT(Counter("reconnects"), reconnects);
  EXPECT_EQ(Task(id).value("state", ""), "running") << Task(id);
  EXPECT_THAT(Task(id)["notes"].dump(), HasSubstr("HSM hsm-2 is away"));
  EXPECT_TRUE(fleet_.HasMetric(R"(kms_environment_master_key_version{environment="prod"})", "1"));
  AwaitWrites(100);
  fleet_.faults().SetRules("");
  EXPECT_TRUE(Eventually([&] {
    const std::string state = Task(id).value("state", "");
    EXPECT_NE(state, "failed") << Task(id);
    return state == "done";
  }, seconds(90))) << Task(id);
  EXPECT_TRUE(fleet_.HasMetric(R"(kms_environment_master_key_version{environment="prod"})", "2"));
  EXPECT_EQ(Part("prod").value("master_key_versions", json::array()), json({1, 2}));
  EXPECT_TRUE(Becomes("prod", "ready"));
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  fleet_.ExpectNothingLost();
  fleet_.Stop();
  EXPECT_NE(RawToken(fleet_.state() + "/hsm-2").IdOf("kms/prod/2"), Uuid{}) << "one, not two";
}

TEST_F(HsmModules, H20_ANewEnvironmentKeyThatOnlyThisTokenWouldWrapIsNotStored) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  fleet_.faults().SetRules("C_Encrypt flip");
  const std::string id = Begin("prod", "rotate-key");
  EXPECT_TRUE(Eventually([&] { return Task(id).value("error", "") != ""; })) << Task(id);
  EXPECT_TRUE(fleet_.HasMetric(R"(kms_environment_key_version{environment="prod"})", "1"));
  AwaitWrites(100);
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  fleet_.faults().SetRules("");
  ExpectDoneAtLast(id);
  EXPECT_TRUE(fleet_.HasMetric(R"(kms_environment_key_version{environment="prod"})", "2"));
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  fleet_.ExpectNothingLost();
}

// ---- H21 ----------------------------------------------------------------------------------------

TEST_F(HsmModules, H21_AMechanismThatIsGoneIsNamedAndTheTokenHealsWhenItIsBack) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  const std::string before = ReadFile(configuration_);
  Configure("slots.mechanisms = CKM_AES_KEY_GEN,CKM_AES_KEY_WRAP");
  CrashWorker();
  ASSERT_TRUE(Becomes("staging", "refused"));
  EXPECT_THAT(Part("staging").value("reason", ""),
              AllOf(HasSubstr("does not do"), HasSubstr("gcm-encrypt")));
  EXPECT_TRUE(Eventually([&] { return fleet_.IsSealed("prod"); })) << fleet_.Hsm("hsm-2");
  EXPECT_TRUE(fleet_.HasAudit("hsm-refused"));
  EXPECT_TRUE(
      fleet_.HasMetric(R"(kms_environment_hsms{environment="staging",state="refused"})", "1"));
  AwaitWrites(100);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  WriteFile(configuration_, before);
  CrashWorker();
  ExpectHealed();
  fleet_.ExpectNothingLost();
}

// Nothing is left that could wrap: the token as a whole is refused, with what was tried.
TEST_F(HsmModules, H21_ATokenWithoutAnyMechanismIsRefusedAndHealsByItself) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  const std::string before = ReadFile(configuration_);
  Configure("slots.mechanisms = CKM_SHA256");
  CrashWorker();
  EXPECT_TRUE(Eventually([&] { return fleet_.Hsm("hsm-2").value("state", "") == "fatal_config"; }))
      << fleet_.Hsm("hsm-2");
  EXPECT_THAT(fleet_.Hsm("hsm-2").value("reason", ""), HasSubstr("gcm-encrypt"));
  EXPECT_TRUE(fleet_.HasMetric(R"(kms_hsm_state{hsm="hsm-2",state="fatal_config"})", "1"));
  EXPECT_TRUE(Becomes("staging", "refused"));
  EXPECT_TRUE(Eventually([&] { return fleet_.IsSealed("prod"); })) << fleet_.Hsm("hsm-2");
  AwaitWrites(100);
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  WriteFile(configuration_, before);
  EXPECT_TRUE(Eventually([&] { return fleet_.prod().Last() == 200; }, seconds(60)))
      << fleet_.Hsm("hsm-2");
  ExpectHealed();
  fleet_.ExpectNothingLost();
}

// ---- H23 ----------------------------------------------------------------------------------------

// Every new process that strace sees: "PID name(arguments) = result".
std::vector<std::string> ForksIn(const std::string& trace) {
  std::istringstream lines(trace);
  std::vector<std::string> forks;
  for (std::string line; std::getline(lines, line);) {
    const bool makes =
        line.find(" fork(") != std::string::npos || line.find(" vfork(") != std::string::npos ||
        line.find(" clone(") != std::string::npos || line.find(" clone3(") != std::string::npos;
    const bool thread = line.find("CLONE_THREAD") != std::string::npos;
    // posix_spawn: the child borrows the memory of its parent until it is another program.
    const bool spawn = line.find("CLONE_VM|CLONE_VFORK") != std::string::npos;
    if (makes && !thread && !spawn) forks.push_back(line);
  }
  return forks;
}

class Tracer {
 public:
  Tracer(const std::vector<pid_t>& pids, std::string log) : log_(std::move(log)) {
    std::vector<std::string> command = {"strace", "-f", "-o",
                                        log_,     "-e", "trace=fork,vfork,clone,clone3"};
    for (const pid_t pid : pids) {
      command.insert(command.end(), {"-p", std::to_string(pid)});
    }
    pid_ = SpawnProgram(command, log_ + ".out", log_ + ".err");
    attached_ = Eventually([&] {
      return std::ranges::all_of(pids, [this](pid_t pid) {
        return ReadFile("/proc/" + std::to_string(pid) + "/status")
                   .find("TracerPid:\t" + std::to_string(pid_)) != std::string::npos;
      });
    });
  }
  ~Tracer() { End(); }
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  [[nodiscard]] bool attached() const { return attached_; }
  std::string End() {
    if (pid_ > 0) {
      ::kill(pid_, SIGTERM);
      WaitForExit(pid_, seconds(10));
      pid_ = -1;
    }
    return ReadFile(log_);
  }

 private:
  const std::string log_;
  pid_t pid_ = -1;
  bool attached_ = false;
};

TEST_F(HsmModules, H23_NothingForksWhileALibraryIsLoaded) {
  std::string ignored;
  if (RunProgram({"strace", "-V"}, &ignored) != 0) GTEST_SKIP() << "strace is not installed";
  ASSERT_NO_FATAL_FAILURE(Begin());
  std::vector<pid_t> pids = fleet_.kmsd().workers();
  ASSERT_EQ(pids.size(), 2U);
  pids.push_back(fleet_.kmsd().pid());
  Tracer tracer(pids, fleet_.state() + ".trace");
  if (!tracer.attached()) GTEST_SKIP() << "tracing is not permitted here";
  // All that a token is asked for: wraps, new keys in it, a new worker.
  EXPECT_EQ(MakeEnvironment("extra", "hsm-2").status, 204);
  ExpectDoneAtLast(Begin("staging", "rotate-master"));
  ExpectDoneAtLast(Begin("prod", "rotate-key"));
  CrashWorker();
  ExpectHealed();
  AwaitWrites(100);
  const std::string trace = tracer.End();
  EXPECT_THAT(trace, HasSubstr("CLONE_VM|CLONE_VFORK")) << "the worker was replaced";
  EXPECT_THAT(ForksIn(trace), IsEmpty());
  fleet_.ExpectNothingLost();
}

// Should a library fork all the same: the worker may not, and a call in a child is refused.
TEST_F(HsmModules, H23_AWorkerCannotForkEvenIfItsLibraryTries) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  fleet_.faults().SetRules("C_Decrypt call=fork");
  EXPECT_TRUE(Eventually([&] { return fleet_.faults().ErrnoOf("fork") > 0; }));
  fleet_.faults().SetRules("");
  ExpectHealed();
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  fleet_.ExpectNothingLost();
}

// ---- H24 ----------------------------------------------------------------------------------------

// Clients that encrypt and decrypt with keys of one environment, warm and cold, as fast as they
// can.
class Storm {
 public:
  Storm(HsmFleet& fleet, int clients, int keys) {
    for (int client = 0; client < clients; ++client) {
      threads_.emplace_back([this, &fleet, client, clients, keys] {
        const auto http = fleet.kmsd().NewClient();
        for (int round = client; !stop_; round += clients) {
          Use(*http, round % 2 == 0 ? "app" : "cold" + std::to_string(round / 2 % keys));
        }
        ++ended_;
      });
    }
  }
  ~Storm() { End(); }
  Storm(const Storm&) = delete;
  Storm& operator=(const Storm&) = delete;

  // False when a client hangs.
  bool End() {
    stop_ = true;
    const bool ended =
        Eventually([this] { return ended_ == static_cast<int>(threads_.size()); }, seconds(20));
    threads_.clear();
    return ended;
  }
  std::atomic<int> right = 0;
  std::atomic<int> wrong = 0;
  std::atomic<int> refused = 0;  // 503
  std::atomic<int> other = 0;

 private:
  void Use(HttpClient& http, const std::string& key) {
    const HttpReply sealed = http.Post("/v1/prod/encrypt/" + key, R"({"plaintext":"aGVsbG8="})");
    if (!Served(sealed)) return;
    const HttpReply opened =
        http.Post("/v1/prod/decrypt/" + key,
                  json{{"ciphertext", DataOf(sealed).value("ciphertext", "")}}.dump());
    if (!Served(opened)) return;
    ++(DataOf(opened).value("plaintext", "") == "aGVsbG8=" ? right : wrong);
  }
  bool Served(const HttpReply& reply) {
    if (reply.status == 503) ++refused;
    if (reply.status != 200 && reply.status != 503) ++other;
    return reply.status == 200;
  }

  std::atomic<bool> stop_ = false;
  std::atomic<int> ended_ = 0;
  std::vector<std::jthread> threads_;
};

TEST_F(HsmModules, H24_AStormWhileTheLibraryIsInitialisedAnewAgainAndAgainHurtsNobodyElse) {
  constexpr int kClients = 24;
  constexpr int kColdKeys = 300;
  constexpr std::uint64_t kTimes = 6;
  ASSERT_TRUE(fleet_.Start());
  {
    const auto client = fleet_.kmsd().NewClient();
    for (int key = 0; key < kColdKeys; ++key) {
      ASSERT_EQ(client->Post("/v1/prod/keys/cold" + std::to_string(key)).status, 200);
    }
  }
  fleet_.Stop();
  ASSERT_TRUE(fleet_.Serve());
  ASSERT_TRUE(Becomes("prod", "ready"));
  fleet_.StartWriters();
  Storm storm(fleet_, kClients, kColdKeys);
  const std::uint64_t reconnects = Counter("reconnects");
  for (std::uint64_t time = 1; time <= kTimes; ++time) {
    fleet_.faults().SetRules("C_Decrypt once dead delay=" + std::to_string(time));
    ASSERT_TRUE(Eventually([&] { return Counter("reconnects") >= reconnects + time; }, seconds(20)))
        << time << fleet_.Hsm("hsm-2");
  }
  fleet_.faults().SetRules("");
  ExpectHealed();
  const int before = storm.right;
  EXPECT_TRUE(Eventually([&] { return storm.right > before + 100; }));
  EXPECT_TRUE(storm.End()) << "a client hangs";
  EXPECT_EQ(storm.wrong, 0);
  EXPECT_EQ(storm.other, 0) << "served, or 503";
  EXPECT_EQ(Counter("worker_restarts"), 0U) << "drained before each C_Finalize";
  EXPECT_EQ(fleet_.staging().Failed(), 0U);
  fleet_.ExpectNothingLost();
}

// ---- H6, thirty seconds -------------------------------------------------------------------------

int ThreadsOf(pid_t pid) {
  const std::string status = ReadFile("/proc/" + std::to_string(pid) + "/status");
  const std::size_t found = status.find("Threads:\t");
  return found == std::string::npos ? 0 : std::stoi(status.substr(found + 9));
}

TEST(StoppedServer, H6_ThirtySecondsEndTheLeaseAndNothingElseAndHealByThemselves) {
  HsmFleet fleet(HsmFleet::Second::kNetwork);
  ASSERT_TRUE(fleet.Start());
  fleet.StartWriters();
  const int threads = ThreadsOf(fleet.kmsd().pid());
  const auto stopped = steady_clock::now();
  fleet.SignalServer(SIGSTOP);
  EXPECT_TRUE(Eventually([&] { return fleet.prod().Last() == 503; }, kLease + kSlack));
  EXPECT_TRUE(fleet.IsSealed("prod"));
  EXPECT_TRUE(fleet.HasAudit("lease-seal"));
  EXPECT_TRUE(Eventually([&] { return fleet.Health("staging") == "away"; }));
  // All the while: nobody hangs, the others are served, the page of the HSMs is there at once.
  int most_threads = 0;
  std::uint64_t served = 0;
  auto progress = steady_clock::now();
  auto longest_silence = steady_clock::duration::zero();
  auto slowest = steady_clock::duration::zero();
  const auto over = [&] {
    const auto asked = steady_clock::now();
    EXPECT_NE(fleet.Hsm("hsm-2").value("state", ""), "");
    slowest = std::max(slowest, steady_clock::now() - asked);
    most_threads = std::max(most_threads, ThreadsOf(fleet.kmsd().pid()));
    const std::uint64_t before =
        std::exchange(served, std::min(fleet.staging().Served(), fleet.neighbour().Served()));
    progress = served > before ? steady_clock::now() : progress;
    longest_silence = std::max(longest_silence, steady_clock::now() - progress);
    return steady_clock::now() >= stopped + seconds(30);
  };
  EXPECT_TRUE(Eventually(over, seconds(60)));
  EXPECT_EQ(fleet.prod().Last(), 503);
  EXPECT_LT(slowest, seconds(5));
  EXPECT_LT(longest_silence, seconds(5));
  EXPECT_LE(most_threads, threads + 8) << "callers pile up";
  EXPECT_EQ(fleet.staging().Failed(), 0U);
  fleet.SignalServer(SIGCONT);
  EXPECT_TRUE(Eventually([&] { return fleet.prod().Last() == 200; }, seconds(20)))
      << fleet.Hsm("hsm-2") << fleet.kmsd().Log();
  EXPECT_TRUE(Eventually([&] { return fleet.Health("staging") == "ready"; }));
  EXPECT_TRUE(fleet.HasAudit("lease-unseal"));
  EXPECT_TRUE(fleet.HasMetric(R"(kms_environment_sealed{environment="prod"})", "0"));
  fleet.ExpectNothingLost();
}

}  // namespace
}  // namespace kms::testing
