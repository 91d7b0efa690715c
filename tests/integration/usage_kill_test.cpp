// SPDX-License-Identifier: Apache-2.0
// The limit of encryptions per key version, through kill -9: what was acknowledged never exceeds it,
// what is counted never goes back.
#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLimit = 1000;
constexpr int kClients = 4;
constexpr int kMostKills = 15;

class UsageKillTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    auto client = kmsd_.NewClient();
    ASSERT_EQ(client->Post("/v1/sys/mounts/dev/tune",
                           R"({"options":{"max_encryptions_per_version":"1000"}})").status, 204);
    ASSERT_EQ(client->Post("/v1/dev/keys/app").status, 200);
  }

  json Usage() {
    const HttpReply reply = kmsd_.NewClient()->Get("/v1/dev/keys/app");
    EXPECT_EQ(reply.status, 200) << reply.body;
    return json::parse(reply.body, nullptr, false)["data"]["usage"];
  }

  // Encrypts from all clients until `more` are acknowledged or one is refused, then kills. True
  // when one was refused.
  bool EncryptAndKill(const std::string& body, std::uint64_t more) {
    std::atomic<std::uint64_t> done = 0;
    std::atomic<bool> refused = false;
    std::atomic<bool> stop = false;
    std::vector<std::thread> clients;
    for (int index = 0; index < kClients; ++index) {
      clients.emplace_back([&] {
        auto client = kmsd_.NewClient();
        while (!stop && !refused) {
          const HttpReply reply = client->Post("/v1/dev/encrypt/app", body);
          if (reply.status == 0) {
            return;
          }
          if (reply.status != 200) {
            EXPECT_EQ(reply.status, 400) << reply.body;
            EXPECT_NE(reply.body.find("has reached its limit of 1000 uses"), std::string::npos);
            refused = true;
            return;
          }
          const json data = json::parse(reply.body, nullptr, false)["data"];
          const std::lock_guard lock(mutex_);
          ++acknowledged_[data["key_version"].get<std::uint32_t>()];
          ++done;
        }
      });
    }
    EXPECT_TRUE(Eventually([&] { return done >= more || refused; }));
    kmsd_.Kill();
    stop = true;
    for (std::thread& client : clients) {
      client.join();
    }
    return refused;
  }

  // What the service counted covers what it acknowledged, within the limit.
  void CheckCounts() {
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    const json usage = Usage();
    for (const auto& [version, acknowledged] : acknowledged_) {
      ASSERT_LE(acknowledged, kLimit) << "version " << version;
      const std::uint64_t counted =
          usage[std::to_string(version)]["encryptions"].get<std::uint64_t>();
      EXPECT_GE(counted, acknowledged) << "version " << version;
      EXPECT_LE(counted, kLimit) << "version " << version;
      EXPECT_GE(counted, counted_[version]) << "version " << version;
      counted_[version] = counted;
    }
  }

  TemporaryDirectory directory_;
  KmsdProcess kmsd_{KMS_BINARY_DIR, directory_.path() + "/state"};
  std::mutex mutex_;
  std::map<std::uint32_t, std::uint64_t> acknowledged_;
  std::map<std::uint32_t, std::uint64_t> counted_;
};

TEST_F(UsageKillTest, D31_AcknowledgedEncryptionsNeverExceedTheLimit) {
  bool refused = false;
  for (int kill = 0; kill < kMostKills && !refused; ++kill) {
    refused = EncryptAndKill(R"({"plaintext":"aGVsbG8=","key_version":1})", 100);
    CheckCounts();
  }
  EXPECT_TRUE(refused) << "the limit was never reached";
  EXPECT_GE(acknowledged_[1], kLimit / 2) << "crashes waste too much";
}

TEST_F(UsageKillTest, C3_AKeyThatRotatesByItselfKeepsEveryVersionWithinTheLimit) {
  for (int kill = 0; kill < 5; ++kill) {
    EXPECT_FALSE(EncryptAndKill(R"({"plaintext":"aGVsbG8="})", 450));
    CheckCounts();
  }
  EXPECT_GE(acknowledged_.size(), 3U) << "the key never rotated";
  const std::string audit = ReadFile(kmsd_.state_directory() + "/audit.log");
  EXPECT_NE(audit.find("kmsd auto-rotation (usage limit)"), std::string::npos);
}

}  // namespace
}  // namespace kms::testing
