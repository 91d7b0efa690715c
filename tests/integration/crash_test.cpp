// SPDX-License-Identifier: Apache-2.0
// kill -9 under load and at chosen system calls: everything ever returned still decrypts, versions
// have no gap and never go back.
#include <gmock/gmock.h>
#include <signal.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/history.h"
#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::IsEmpty;

constexpr const char* kPlaintext = "aGVsbG8=";
const std::vector<std::string> kKeys = {"alpha", "beta", "gamma"};

json DataOf(const HttpReply& reply) {
  const json body = json::parse(reply.body, nullptr, false);
  return body.is_object() && body.contains("data") ? body["data"] : json{};
}

Outcome OutcomeOf(const HttpReply& reply) {
  if (reply.status == 200) {
    return Outcome::kOk;
  }
  return reply.status >= 400 && reply.status < 500 ? Outcome::kFailed : Outcome::kUnknown;
}

void RotateOnce(HttpClient& client, const std::string& key, History& history) {
  RotateEvent event;
  event.start = std::chrono::steady_clock::now();
  const HttpReply reply = client.Post("/v1/dev/keys/" + key + "/rotate");
  event.end = std::chrono::steady_clock::now();
  event.outcome = OutcomeOf(reply);
  if (event.outcome == Outcome::kOk) {
    event.version = DataOf(reply)["latest_version"].get<std::uint32_t>();
  }
  history.Add(key, event);
}

// False when the server is gone.
bool EncryptOnce(HttpClient& client, const std::string& key, History& history) {
  EncryptEvent event;
  event.start = std::chrono::steady_clock::now();
  const HttpReply reply =
      client.Post("/v1/dev/encrypt/" + key, json{{"plaintext", kPlaintext}}.dump());
  event.end = std::chrono::steady_clock::now();
  if (reply.status != 200) {
    return reply.status != 0;
  }
  const json data = DataOf(reply);
  event.version = data["key_version"].get<std::uint32_t>();
  event.plaintext = kPlaintext;
  event.ciphertext = data["ciphertext"].get<std::string>();
  history.Add(key, std::move(event));
  return true;
}

class CrashTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    auto client = kmsd_.NewClient();
    for (const std::string& key : kKeys) {
      ASSERT_EQ(client->Post("/v1/dev/keys/" + key).status, 200);
    }
  }

  // Everything in the history holds against the server as it is now.
  void CheckHistory() {
    auto client = kmsd_.NewClient();
    std::map<std::string, std::uint32_t> latest;
    for (const std::string& key : kKeys) {
      const HttpReply reply = client->Get("/v1/dev/keys/" + key);
      ASSERT_EQ(reply.status, 200) << key << ": " << reply.body;
      const json info = DataOf(reply);
      latest[key] = info["latest_version"].get<std::uint32_t>();
      EXPECT_EQ(info["keys"].size(), latest[key]) << key << " has a gap";
    }
    EXPECT_THAT(history_.Check(latest), IsEmpty());
    for (const auto& [key, events] : history_.Encryptions()) {
      json items = json::array();
      for (const EncryptEvent& event : events) {
        items.push_back({{"ciphertext", event.ciphertext}});
      }
      for (std::size_t from = 0; from < items.size(); from += 1000) {
        json batch = json::array();
        for (std::size_t index = from; index < std::min(items.size(), from + 1000); ++index) {
          batch.push_back(items[index]);
        }
        const HttpReply opened =
            client->Post("/v1/dev/decrypt/" + key, json{{"batch_input", batch}}.dump());
        ASSERT_EQ(opened.status, 200) << opened.body.substr(0, 2000);
        const json data = DataOf(opened);
        ASSERT_EQ(data["batch_results"].size(), batch.size());
        for (const json& result : data["batch_results"]) {
          ASSERT_EQ(result["plaintext"], kPlaintext);
        }
      }
    }
  }

  TemporaryDirectory directory_;
  KmsdProcess kmsd_{KMS_BINARY_DIR, directory_.path() + "/state"};
  History history_;
};

TEST_F(CrashTest, P3_D1_KillUnderLoadLosesNothingAcknowledged) {
  constexpr int kRounds = 60;
  for (int round = 0; round < kRounds; ++round) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (const std::string& key : kKeys) {
      threads.emplace_back([&, key] {
        auto client = kmsd_.NewClient();
        while (!stop && EncryptOnce(*client, key, history_)) {
        }
      });
    }
    auto rotator = kmsd_.NewClient();
    // The kill comes after a number of rotations that differs from round to round, while the next
    // one is on its way.
    for (int rotation = 0; rotation <= round % 4; ++rotation) {
      RotateOnce(*rotator, kKeys[static_cast<std::size_t>(round + rotation) % kKeys.size()],
                 history_);
    }
    std::thread last([&] {
      auto client = kmsd_.NewClient();
      RotateOnce(*client, kKeys[static_cast<std::size_t>(round) % kKeys.size()], history_);
    });
    kmsd_.Kill();
    stop = true;
    last.join();
    for (std::thread& thread : threads) {
      thread.join();
    }
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  }
  CheckHistory();
}


// The n-th of these calls of a rotation is where the process dies, for every n that occurs.
TEST_F(CrashTest, D1_KillAtEverySystemCallOfARotation) {
  std::string ignored;
  if (RunProgram({"strace", "-V"}, &ignored) != 0) {
    GTEST_SKIP() << "strace is not installed";
  }
  int killed = 0;
  for (const char* call : {"pwrite64", "fdatasync", "write"}) {
    for (int nth = 1; nth <= 6; ++nth) {
      const std::string pid = std::to_string(kmsd_.pid());
      const std::string log = directory_.path() + "/strace.log";
      ::unlink(log.c_str());
      const pid_t tracer = SpawnProgram(
          {"strace", "-f", "-o", "/dev/null", "-e", std::string{"trace="} + call, "-e",
           std::string{"inject="} + call + ":signal=KILL:when=" + std::to_string(nth), "-p", pid},
          log, log);
      ASSERT_GT(tracer, 0);
      const bool attached = Eventually([&] {
        return ReadFile("/proc/" + pid + "/status").find("TracerPid:\t" + std::to_string(tracer)) !=
               std::string::npos;
      });
      if (!attached) {
        ::kill(tracer, SIGKILL);
        WaitForExit(tracer, std::chrono::seconds{5});
        GTEST_SKIP() << "tracing is not permitted here: " << ReadFile(log);
      }
      auto client = kmsd_.NewClient();
      RotateOnce(*client, kKeys[0], history_);
      EncryptOnce(*client, kKeys[0], history_);
      const bool died = !kmsd_.running() || Eventually([&] { return !kmsd_.running(); },
                                                       std::chrono::milliseconds{300});
      if (!died) {  // fewer than n such calls: this call is done
        ::kill(tracer, SIGTERM);
        WaitForExit(tracer, std::chrono::seconds{5});
        break;
      }
      ++killed;
      WaitForExit(tracer, std::chrono::seconds{5});
      ASSERT_TRUE(kmsd_.Start()) << call << " " << nth << "\n" << kmsd_.Log();
      CheckHistory();
    }
  }
  EXPECT_GE(killed, 4);
}

}  // namespace
}  // namespace kms::testing
