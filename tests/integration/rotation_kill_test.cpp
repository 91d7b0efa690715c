// SPDX-License-Identifier: Apache-2.0
// Each of the long rotations under load, with the service killed at random points of it: the task
// goes on by itself, and whatever was acknowledged decrypts (failures D2, H25).
#include <gmock/gmock.h>

#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

using nlohmann::json;

constexpr int kWriters = 3;
constexpr int kKeys = 200;
constexpr int kKillsOfEach = 10;

class RotationKillTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    auto client = kmsd_.NewClient();
    for (int key = 0; key < kKeys; ++key) {
      const std::string name = "key" + std::to_string(key);
      ASSERT_EQ(client->Post("/v1/dev/keys/" + name).status, 200);
      Encrypt(*client, name);
    }
  }

  // False when there was no answer.
  bool Encrypt(HttpClient& client, const std::string& key) {
    const HttpReply reply = client.Post("/v1/dev/encrypt/" + key, R"({"plaintext":"aGVsbG8="})");
    if (reply.status == 0) {
      return false;
    }
    EXPECT_TRUE(reply.status == 200 || reply.status == 503) << reply.body;
    if (reply.status == 200) {
      const json data = json::parse(reply.body, nullptr, false)["data"];
      const std::lock_guard lock(mutex_);
      ciphertexts_.emplace_back(key, data["ciphertext"].get<std::string>());
    }
    return true;
  }

  // Makes, rotates and uses keys until the service is gone.
  void Write(int writer) {
    auto client = kmsd_.NewClient();
    for (int round = 0;; ++round) {
      const std::string name = "w" + std::to_string(writer) + "-" + std::to_string(made_++);
      const HttpReply made = client->Post("/v1/dev/keys/" + name);
      if (made.status == 0) {
        return;
      }
      EXPECT_TRUE(made.status == 200 || made.status == 503) << made.body;
      const std::string old = "key" + std::to_string((round * kWriters + writer) % kKeys);
      const HttpReply rotated = client->Post("/v1/dev/keys/" + old + "/rotate");
      if (rotated.status == 0) {
        return;
      }
      EXPECT_TRUE(rotated.status == 200 || rotated.status == 503) << rotated.body;
      if ((made.status == 200 && !Encrypt(*client, name)) || !Encrypt(*client, old)) {
        return;
      }
    }
  }

  // The newest task of this kind; null when there is none.
  json Task(HttpClient& client, const std::string& kind) {
    const HttpReply reply = client.Get("/v1/sys/tasks?list=true");
    if (reply.status != 200) {
      return nullptr;
    }
    const json data = json::parse(reply.body, nullptr, false)["data"];
    for (const json& id : data["keys"]) {
      const json& task = data["key_info"][id.get<std::string>()];
      if (task["kind"] == kind) {
        return task;
      }
    }
    return nullptr;
  }

  // Begins the rotation unless it runs already, and kills the service somewhere in it.
  void RotateAndKill(const std::string& kind, const std::string& body) {
    std::vector<std::thread> writers;
    for (int writer = 0; writer < kWriters; ++writer) {
      writers.emplace_back([this, writer] { Write(writer); });
    }
    {
      auto client = kmsd_.NewClient();
      const json task = Task(*client, kind);
      if (task.is_null() || task["state"] != "running") {
        const HttpReply started = client->Post("/v1/sys/environments/dev/" + kind, body);
        EXPECT_TRUE(started.status == 200 || started.status == 400) << started.body;
      }
    }
    const auto delay = std::chrono::milliseconds(std::uniform_int_distribution(0, 250)(random_));
    const auto until = std::chrono::steady_clock::now() + delay;
    EXPECT_TRUE(Eventually([&] { return std::chrono::steady_clock::now() >= until; }));
    kmsd_.Kill();
    for (std::thread& writer : writers) {
      writer.join();
    }
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  }

  void AwaitTask(const std::string& kind) {
    auto client = kmsd_.NewClient();
    json task;
    EXPECT_TRUE(Eventually(
        [&] {
          task = Task(*client, kind);
          return task.is_null() || task["state"] != "running";
        },
        std::chrono::seconds(60)));
    EXPECT_TRUE(task.is_null() || task["state"] == "done") << task.dump();
  }

  void ExpectEverythingDecrypts() {
    auto client = kmsd_.NewClient();
    for (const auto& [key, ciphertext] : ciphertexts_) {
      const HttpReply reply =
          client->Post("/v1/dev/decrypt/" + key, json{{"ciphertext", ciphertext}}.dump());
      ASSERT_EQ(reply.status, 200) << key << reply.body;
    }
  }

  json DevStatus() {
    const HttpReply reply = kmsd_.NewClient()->Get("/v1/sys/environments/status");
    const json data = json::parse(reply.body, nullptr, false)["data"];
    for (const json& environment : data["environments"]) {
      if (environment["name"] == "dev") {
        return environment;
      }
    }
    return nullptr;
  }

  TemporaryDirectory directory_;
  KmsdProcess kmsd_{KMS_BINARY_DIR, directory_.path() + "/state"};
  std::mt19937 random_{20261129};  // reproducible
  std::atomic<int> made_ = 0;
  std::mutex mutex_;
  std::vector<std::pair<std::string, std::string>> ciphertexts_;
};

TEST_F(RotationKillTest, D2_AnEnvironmentKeyRotationSurvivesKills) {
  for (int kill = 0; kill < kKillsOfEach && !HasFailure(); ++kill) {
    RotateAndKill("rotate-key", "{}");
  }
  AwaitTask("rotate-key");
  ExpectEverythingDecrypts();
  EXPECT_GE(DevStatus()["environment_key_version"].get<int>(), 2);
}

TEST_F(RotationKillTest, H25_MasterKeyRotationAndRetirementSurviveKills) {
  for (int kill = 0; kill < kKillsOfEach && !HasFailure(); ++kill) {
    RotateAndKill("rotate-master", "{}");
    AwaitTask("rotate-master");
    const int current = DevStatus()["master_key_version"].get<int>();
    if (current > 1) {
      RotateAndKill("retire-master", json{{"version", current - 1}}.dump());
      AwaitTask("retire-master");
    }
  }
  ExpectEverythingDecrypts();
  EXPECT_GE(DevStatus()["master_key_version"].get<int>(), 2);
}

// One task goes through all three rotations; it is killed in each of them.
TEST_F(RotationKillTest, O11_RotatingEverythingSurvivesKills) {
  for (int kill = 0; kill < kKillsOfEach && !HasFailure(); ++kill) {
    RotateAndKill("rotate-everything", "{}");
  }
  AwaitTask("rotate-everything");
  ExpectEverythingDecrypts();
  const json status = DevStatus();
  EXPECT_GE(status["environment_key_version"].get<int>(), 2);
  EXPECT_GE(status["master_key_version"].get<int>(), 2);
  auto client = kmsd_.NewClient();
  for (int key = 0; key < kKeys; ++key) {
    const HttpReply reply = client->Get("/v1/dev/keys/key" + std::to_string(key));
    ASSERT_EQ(reply.status, 200) << reply.body;
    const json data = json::parse(reply.body, nullptr, false)["data"];
    EXPECT_GE(data["latest_version"].get<int>(), 2) << "key" << key;
  }
}

}  // namespace
}  // namespace kms::testing
