// SPDX-License-Identifier: Apache-2.0
// Tokens with a limited number of uses, through kill -9: what was served never exceeds what was
// granted, and a revoked token stays revoked.
#include <gmock/gmock.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/http_client.h"
#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

using nlohmann::json;

constexpr int kGranted = 300;
constexpr int kClients = 4;
constexpr int kMostKills = 15;

class TokenKillTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log(); }

  std::string Create(const std::string& body) {
    const HttpReply reply = kmsd_.NewClient()->Post("/v1/auth/token/create", body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return json::parse(reply.body, nullptr, false)["auth"]["client_token"].get<std::string>();
  }
  int StatusOf(const std::string& token) {
    return HttpClient(kmsd_.port(), token).Get("/v1/auth/token/lookup-self").status;
  }

  // Uses the token from all clients until `more` were served or none is left, then kills. Returns
  // how many were served; sets `used_up`.
  int UseAndKill(const std::string& token, int more, bool& used_up) {
    std::atomic<int> served = 0;
    std::atomic<bool> refused = false;
    std::atomic<bool> stop = false;
    std::vector<std::thread> clients;
    for (int index = 0; index < kClients; ++index) {
      clients.emplace_back([&] {
        HttpClient client(kmsd_.port(), token);
        while (!stop && !refused) {
          const HttpReply reply = client.Get("/v1/auth/token/lookup-self");
          if (reply.status == 200) {
            ++served;
          } else if (reply.status == 403) {
            refused = true;
          } else {
            EXPECT_EQ(reply.status, 0) << reply.body;
            return;
          }
        }
      });
    }
    EXPECT_TRUE(Eventually([&] { return served >= more || refused; }));
    kmsd_.Kill();
    stop = true;
    for (std::thread& client : clients) {
      client.join();
    }
    used_up = refused;
    return served;
  }

  TemporaryDirectory directory_;
  KmsdProcess kmsd_{KMS_BINARY_DIR, directory_.path() + "/state"};
};

TEST_F(TokenKillTest, U9_NoMoreUsesThanGrantedAcrossKills) {
  const std::string token =
      Create(R"({"policies":["default"],"num_uses":)" + std::to_string(kGranted) + "}");
  int served = 0;
  bool used_up = false;
  for (int kill = 0; kill < kMostKills && !used_up; ++kill) {
    served += UseAndKill(token, 40, used_up);
    ASSERT_LE(served, kGranted);
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  }
  EXPECT_TRUE(used_up) << "the uses never came to an end";
  EXPECT_GE(served, kGranted / 2) << "crashes waste too much";
  EXPECT_EQ(StatusOf(token), 403);
}

TEST_F(TokenKillTest, U8_ARevokedTokenAndItsChildStayRevokedAcrossAKill) {
  const std::string parent = Create(R"({"policies":["root"],"ttl":"1h"})");
  HttpClient client(kmsd_.port(), parent);
  const HttpReply made = client.Post("/v1/auth/token/create", R"({"policies":["default"]})");
  ASSERT_EQ(made.status, 200) << made.body;
  const auto child =
      json::parse(made.body, nullptr, false)["auth"]["client_token"].get<std::string>();
  ASSERT_EQ(StatusOf(child), 200);
  ASSERT_EQ(client.Post("/v1/auth/token/revoke-self").status, 204);
  EXPECT_EQ(StatusOf(parent), 403);
  EXPECT_EQ(StatusOf(child), 403);
  kmsd_.Kill();
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  EXPECT_EQ(StatusOf(parent), 403);
  EXPECT_EQ(StatusOf(child), 403);
}

}  // namespace
}  // namespace kms::testing
