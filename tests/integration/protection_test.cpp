// SPDX-License-Identifier: Apache-2.0
// What the real process withstands and hides: short memory, descriptors and locked memory; secrets
// in its memory, environment and command line.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "kms/base/base64.h"
#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

using ::testing::AnyOf;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kCanary = "canary-plaintext-that-stands-nowhere-else-7f3a";

// Writable mappings of the process that hold `needle`. Needs root, as an attacker with root would.
std::vector<std::string> MappingsHolding(pid_t pid, std::string_view needle) {
  std::vector<std::string> found;
  std::istringstream maps(ReadFile("/proc/" + std::to_string(pid) + "/maps"));
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> memory{
      std::fopen(("/proc/" + std::to_string(pid) + "/mem").c_str(), "rb"), &std::fclose};
  for (std::string line; memory != nullptr && std::getline(maps, line);) {
    unsigned long begin = 0;
    unsigned long end = 0;
    char access[8] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %7s", &begin, &end, access) != 3 ||
        access[1] != 'w' || end - begin > (1UL << 28U)) {
      continue;
    }
    std::string content(end - begin, '\0');
    std::fseek(memory.get(), static_cast<long>(begin), SEEK_SET);
    content.resize(std::fread(content.data(), 1, content.size(), memory.get()));
    if (content.find(needle) != std::string::npos) {
      found.push_back(line);
    }
  }
  return found;
}

class ProtectionTest : public ::testing::Test {
 protected:
  std::string PrintedConfig() {
    std::string config;
    RunProgram({std::string{KMS_BINARY_DIR} + "/kmsd", "dev", "--state-dir", state_, "--listen",
                "127.0.0.1:0", "--print-config"},
               &config);
    return config;
  }

  TemporaryDirectory directory_;
  std::string state_ = directory_.path() + "/state";
  KmsdProcess kmsd_{KMS_BINARY_DIR, state_};
};

TEST_F(ProtectionTest, C20_PlaintextIsWipedSoonAfterTheAnswer) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  auto client = kmsd_.NewClient();
  const std::string base64 = Base64Encode(AsBytes(kCanary));
  const std::string body = R"({"plaintext":")" + base64 + R"("})";
  // The first makes the key in the pool, the second runs on the loop.
  ASSERT_EQ(client->Post("/v1/dev/encrypt/app", body).status, 200);
  const HttpReply sealed = client->Post("/v1/dev/encrypt/app", body);
  ASSERT_EQ(sealed.status, 200);
  const std::string ciphertext =
      nlohmann::json::parse(sealed.body)["data"]["ciphertext"].get<std::string>();
  const HttpReply opened =
      client->Post("/v1/dev/decrypt/app", R"({"ciphertext":")" + ciphertext + R"("})");
  ASSERT_THAT(opened.body, HasSubstr(base64));
  for (const std::string& needle : {std::string{kCanary}, base64}) {
    std::vector<std::string> places;
    EXPECT_TRUE(Eventually(
        [&] {
          places = MappingsHolding(kmsd_.pid(), needle);
          return places.empty();
        },
        std::chrono::seconds{5}))
        << needle << " is still in " << ::testing::PrintToString(places);
  }
}

// An unknown parameter makes the request one for the pool, which parses it into a tree.
TEST_F(ProtectionTest, C20_ThePoolsCopiesOfABatchAreWipedToo) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers keep freed memory as it was";
#endif
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  auto client = kmsd_.NewClient();
  std::string text;
  while (text.size() < 48 * 64) {
    text += "canary-plaintext-in-a-batch-that-stands-once-7f3";
  }
  const std::string base64 = Base64Encode(AsBytes(text));
  const std::string item = R"({"plaintext":")" + base64 + R"("})";
  std::string items = item;
  for (int count = 1; count < 30; ++count) {
    items += "," + item;
  }
  const HttpReply sealed =
      client->Post("/v1/dev/encrypt/app", R"({"nothing":1,"batch_input":[)" + items + "]}");
  ASSERT_EQ(sealed.status, 200) << sealed.body;
  nlohmann::json batch{{"nothing", 1}, {"batch_input", nlohmann::json::array()}};
  const nlohmann::json answer = nlohmann::json::parse(sealed.body);
  for (const auto& result : answer["data"]["batch_results"]) {
    batch["batch_input"].push_back({{"ciphertext", result["ciphertext"]}});
  }
  ASSERT_THAT(client->Post("/v1/dev/decrypt/app", batch.dump()).body, HasSubstr(base64));
  // A body that turns out to be broken, and an answer whose client has gone.
  EXPECT_EQ(client->Post("/v1/dev/encrypt/app", R"({"plaintext":")" + base64 + R"(","x":tru})")
                .status,
            400);
  const std::string body = batch.dump();
  kmsd_.NewClient()->SendRaw(
      "POST /v1/dev/decrypt/app HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: " +
      kmsd_.token() + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  for (const std::string& needle : {text.substr(0, 48), base64.substr(0, 64)}) {
    std::vector<std::string> places;
    EXPECT_TRUE(Eventually(
        [&] {
          places = MappingsHolding(kmsd_.pid(), needle);
          return places.empty();
        },
        std::chrono::seconds{5}))
        << needle << " is still in " << ::testing::PrintToString(places);
  }
}

TEST_F(ProtectionTest, P10_PinFromTheEnvironmentIsScrubbed) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  ASSERT_EQ(kmsd_.Terminate(), 0);
  std::string pin = ReadFile(state_ + "/pin");
  pin.pop_back();
  std::string config = PrintedConfig();
  const std::string reference = "file:" + state_ + "/pin";
  config.replace(config.find(reference), reference.size(), "env:KMS_TEST_PIN");
  const std::string path = directory_.path() + "/kms.json";
  WriteFile(path, config);
  ::setenv("KMS_TEST_PIN", pin.c_str(), 1);
  const bool started = kmsd_.Serve(path);
  ::unsetenv("KMS_TEST_PIN");
  ASSERT_TRUE(started) << kmsd_.Log();
  std::vector<pid_t> processes = kmsd_.workers();
  ASSERT_EQ(processes.size(), 1U);
  processes.push_back(kmsd_.pid());
  for (const pid_t pid : processes) {
    const std::string directory = "/proc/" + std::to_string(pid);
    EXPECT_THAT(ReadFile(directory + "/environ"), Not(HasSubstr(pin)));
    EXPECT_THAT(ReadFile(directory + "/cmdline"), Not(HasSubstr(pin)));
  }
  EXPECT_THAT(kmsd_.Log(), Not(HasSubstr(pin)));
}

TEST_F(ProtectionTest, P8_WithoutLockedMemoryItRefusesToStart) {
  std::string output;
  const int status = RunProgram(
      {"setpriv", "--bounding-set", "-ipc_lock", "prlimit", "--memlock=0",
       std::string{KMS_BINARY_DIR} + "/kmsd", "dev", "--state-dir", state_, "--listen",
       "127.0.0.1:0"},
      &output);
  EXPECT_EQ(status, 1);
  EXPECT_THAT(output, HasSubstr("memlock"));
}

TEST_F(ProtectionTest, P5_DescriptorsRunOutAndReturn) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  auto established = kmsd_.NewClient();
  ASSERT_EQ(established->Get("/v1/sys/health").status, 200);
  const rlimit few{64, 64};
  ASSERT_EQ(::prlimit(kmsd_.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  {
    std::vector<std::unique_ptr<HttpClient>> crowd;
    for (int index = 0; index < 200; ++index) {
      crowd.push_back(kmsd_.NewClient());
      crowd.back()->SendRaw("G");
    }
    EXPECT_EQ(established->Get("/v1/sys/health").status, 200);
    EXPECT_EQ(
        established->Post("/v1/dev/encrypt/app", R"({"plaintext":"aGVsbG8="})").status, 200);
  }
  EXPECT_TRUE(
      Eventually([&] { return kmsd_.NewClient()->Get("/v1/sys/health").status == 200; }));
}

TEST_F(ProtectionTest, P4_ShortMemoryCostsTheRequestNotTheService) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  auto neighbour = kmsd_.NewClient();
  ASSERT_EQ(neighbour->Post("/v1/dev/encrypt/app", R"({"plaintext":"aGVsbG8="})").status, 200);
  // Room for a few megabytes more than it has now.
  std::istringstream statm(ReadFile("/proc/" + std::to_string(kmsd_.pid()) + "/statm"));
  unsigned long pages = 0;
  statm >> pages;
  const rlimit tight{pages * 4096 + (8UL << 20U), pages * 4096 + (8UL << 20U)};
  ASSERT_EQ(::prlimit(kmsd_.pid(), RLIMIT_AS, &tight, nullptr), 0);
  const std::string large = R"({"plaintext":")" + std::string(24U << 20U, 'A') + R"("})";
  for (int round = 0; round < 3; ++round) {
    const HttpReply reply = kmsd_.NewClient()->Post("/v1/dev/encrypt/app", large);
    EXPECT_THAT(reply.status, AnyOf(Eq(0), Eq(500), Eq(503), Eq(413))) << reply.body;
    ASSERT_TRUE(kmsd_.running()) << kmsd_.Log();
    EXPECT_EQ(neighbour->Post("/v1/dev/encrypt/app", R"({"plaintext":"aGVsbG8="})").status, 200);
  }
}

// Whoever watches the service is answered although every pool thread waits for a stuck HSM.
TEST_F(ProtectionTest, H6_HealthAnswersWhileThePoolWaits) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  ASSERT_EQ(kmsd_.workers().size(), 1U);
  ASSERT_EQ(::kill(kmsd_.workers()[0], SIGSTOP), 0);
  std::vector<std::unique_ptr<HttpClient>> waiting;
  const std::string body = R"({"type":"transit"})";
  for (int index = 0; index < 20; ++index) {
    waiting.push_back(kmsd_.NewClient());
    waiting.back()->SendRaw("POST /v1/sys/mounts/m" + std::to_string(index) +
                            " HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: " + kmsd_.token() +
                            "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                            body);
  }
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(kmsd_.NewClient()->Get("/v1/sys/health").status, 200);
  // Far below the deadline of the HSM calls that occupy the pool.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{3});
}

TEST_F(ProtectionTest, P19_AStoreOfANewerVersionIsRefusedNamingBoth) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  ASSERT_EQ(kmsd_.Terminate(), 0);
  std::string store = ReadFile(state_ + "/store.db");
  ASSERT_GT(store.size(), 64U);
  store[63] = static_cast<char>(store[63] + 1);  // low byte of user_version
  WriteFile(state_ + "/store.db", store);
  EXPECT_FALSE(kmsd_.Start());
  EXPECT_THAT(kmsd_.Log(), AnyOf(HasSubstr("newer"), HasSubstr("format")));
}

}  // namespace
}  // namespace kms::testing
