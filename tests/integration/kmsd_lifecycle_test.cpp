// SPDX-License-Identifier: Apache-2.0
// The real kmsd on a real SoftHSM token: start, use, stop, start again, refuse to start.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "kms/base/base64.h"
#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class KmsdTest : public ::testing::Test {
 protected:
  json Data(const HttpReply& reply) {
    const json body = json::parse(reply.body, nullptr, false);
    return body.is_object() && body.contains("data") ? body["data"] : json{};
  }
  std::string Encrypt(HttpClient& client, const std::string& environment, const std::string& key,
                      const std::string& text) {
    const HttpReply reply =
        client.Post("/v1/" + environment + "/encrypt/" + key,
                    json{{"plaintext", Base64Encode(AsBytes(text))}}.dump());
    return reply.status == 200 ? Data(reply)["ciphertext"].get<std::string>() : reply.body;
  }
  std::string Decrypt(HttpClient& client, const std::string& environment, const std::string& key,
                      const std::string& ciphertext) {
    const HttpReply reply = client.Post("/v1/" + environment + "/decrypt/" + key,
                                        json{{"ciphertext", ciphertext}}.dump());
    if (reply.status != 200) {
      return reply.body;
    }
    const Result<Bytes> plain = Base64Decode(Data(reply)["plaintext"].get<std::string>());
    return plain.has_value() ? std::string{AsText(*plain)} : "not base64";
  }
  int Mode(const std::string& name) {
    struct stat status {};
    ::stat((state_ + "/" + name).c_str(), &status);
    return static_cast<int>(status.st_mode & 0777U);
  }

  TemporaryDirectory directory_;
  std::string state_ = directory_.path() + "/state";
  KmsdProcess kmsd_{KMS_BINARY_DIR, state_};
};

TEST_F(KmsdTest, MakesItsFilesWithTheirNamesAndModes) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  for (const char* name : {"store.db", "audit.log", "softhsm2.conf", "pin", "root-token"}) {
    EXPECT_TRUE(std::filesystem::exists(state_ + "/" + name)) << name;
    EXPECT_EQ(Mode(name) & 077, 0) << name;
  }
  EXPECT_EQ(Mode("pin"), 0600);
  EXPECT_EQ(Mode("root-token"), 0600);
}

TEST_F(KmsdTest, ASecondRunFindsTheSameKeys) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  auto client = kmsd_.NewClient();
  const std::string first = Encrypt(*client, "dev", "app", "hello");
  ASSERT_THAT(first, HasSubstr("vault:v1:"));
  ASSERT_EQ(client->Post("/v1/dev/keys/app/rotate").status, 200);
  const std::string token = kmsd_.token();
  EXPECT_EQ(kmsd_.Terminate(), 0);

  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  EXPECT_EQ(kmsd_.token(), token);
  client = kmsd_.NewClient();
  EXPECT_EQ(Decrypt(*client, "dev", "app", first), "hello");
  const HttpReply rewrapped =
      client->Post("/v1/dev/rewrap/app", json{{"ciphertext", first}}.dump());
  ASSERT_EQ(rewrapped.status, 200) << rewrapped.body;
  const std::string second = Data(rewrapped)["ciphertext"].get<std::string>();
  EXPECT_THAT(second, HasSubstr("vault:v2:"));
  EXPECT_EQ(Decrypt(*client, "dev", "app", second), "hello");
}

TEST_F(KmsdTest, ShowsThreeLinesToPaste) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  EXPECT_THAT(kmsd_.Log(), AllOf(HasSubstr(kmsd_.token()), HasSubstr("encrypt"),
                                 HasSubstr("rotate"), HasSubstr("rewrap")));
}

TEST_F(KmsdTest, PrintedConfigurationServesTheSameState) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  const std::string ciphertext = Encrypt(*kmsd_.NewClient(), "dev", "app", "kept");
  ASSERT_EQ(kmsd_.Terminate(), 0);
  std::string config;
  ASSERT_EQ(RunProgram({std::string{KMS_BINARY_DIR} + "/kmsd", "dev", "--state-dir", state_,
                        "--listen", "127.0.0.1:0", "--print-config"},
                       &config),
            0);
  EXPECT_THAT(config, HasSubstr("// "));
  const std::string path = directory_.path() + "/kms.json";
  WriteFile(path, config);
  ASSERT_TRUE(kmsd_.Serve(path)) << kmsd_.Log();
  EXPECT_EQ(Decrypt(*kmsd_.NewClient(), "dev", "app", ciphertext), "kept");
}

TEST_F(KmsdTest, C8_EnvironmentsDoNotOpenEachOthersCiphertexts) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  auto client = kmsd_.NewClient();
  const std::string ciphertext = Encrypt(*client, "dev", "app", "secret of dev");
  Encrypt(*client, "staging", "app", "other");
  EXPECT_THAT(Decrypt(*client, "staging", "app", ciphertext),
              HasSubstr("message authentication failed"));
}

TEST_F(KmsdTest, D13_ASecondProcessOnOneStoreIsRefused) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  std::string output;
  const int status = RunProgram({std::string{KMS_BINARY_DIR} + "/kmsd", "dev", "--state-dir",
                                 state_, "--listen", "127.0.0.1:0"},
                                &output);
  EXPECT_NE(status, 0);
  EXPECT_THAT(output, HasSubstr("in use"));
  EXPECT_EQ(kmsd_.NewClient()->Get("/v1/sys/health").status, 200);
}

TEST_F(KmsdTest, D8_ADamagedStoreStopsTheStartNamingFileAndRemedy) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  ASSERT_EQ(kmsd_.Terminate(), 0);
  std::string store = ReadFile(state_ + "/store.db");
  for (std::size_t at = 100; at < store.size() && at < 8192; ++at) {
    store[at] = static_cast<char>(~store[at]);
  }
  WriteFile(state_ + "/store.db", store);
  EXPECT_FALSE(kmsd_.Start());
  EXPECT_THAT(kmsd_.Log(), AllOf(HasSubstr("store.db"), HasSubstr("restore")));
}

TEST_F(KmsdTest, AMissingTokenStopsTheStartWithARemedy) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  ASSERT_EQ(kmsd_.Terminate(), 0);
  std::string config;
  RunProgram({std::string{KMS_BINARY_DIR} + "/kmsd", "dev", "--state-dir", state_, "--listen",
              "127.0.0.1:0", "--print-config"},
             &config);
  const std::string path = directory_.path() + "/kms.json";
  config.replace(config.find("\"20s\""), 5, "\"1s\"");
  WriteFile(path, config);
  std::filesystem::rename(state_ + "/tokens", state_ + "/tokens-away");
  std::filesystem::create_directory(state_ + "/tokens");
  EXPECT_FALSE(kmsd_.Serve(path));
  EXPECT_THAT(kmsd_.Log(), HasSubstr("kms-dev"));
}

TEST_F(KmsdTest, H9_AWrongPinIsTriedOnceAndReported) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  ASSERT_EQ(kmsd_.Terminate(), 0);
  WriteFile(state_ + "/pin", "wrong-pin\n");
  EXPECT_FALSE(kmsd_.Start());
  EXPECT_THAT(kmsd_.Log(), AllOf(HasSubstr("PIN"), Not(HasSubstr("wrong-pin"))));
}

TEST_F(KmsdTest, H11_AMissingMasterKeyIsNeverMadeAgain) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  ASSERT_EQ(kmsd_.Terminate(), 0);
  // An empty token under the right label and PIN, as after a re-initialisation by its officer.
  std::filesystem::remove_all(state_ + "/tokens");
  std::filesystem::create_directory(state_ + "/tokens");
  EXPECT_FALSE(kmsd_.Start());
  EXPECT_THAT(kmsd_.Log(), HasSubstr("master key"));
}

TEST_F(KmsdTest, P1_SigtermFinishesRequestsInFlightAndExitsZero) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  Encrypt(*kmsd_.NewClient(), "dev", "app", "warm");
  constexpr int kClients = 100;
  std::vector<std::unique_ptr<HttpClient>> clients;
  const std::string body = R"({"plaintext":"aGVsbG8="})";
  for (int index = 0; index < kClients; ++index) {
    clients.push_back(kmsd_.NewClient());
    ASSERT_EQ(clients.back()->Post("/v1/dev/encrypt/app", body).status, 200);
  }
  // Whole requests that the server has already received when the signal comes.
  const std::string request = "POST /v1/dev/encrypt/app HTTP/1.1\r\nHost: localhost\r\n"
                              "X-Vault-Token: " + kmsd_.token() +
                              "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                              body;
  for (auto& client : clients) {
    ASSERT_TRUE(client->SendRaw(request));
  }
  ::kill(kmsd_.pid(), SIGTERM);
  int answered = 0;
  for (auto& client : clients) {
    answered += client->ReadReply().status == 200 ? 1 : 0;
  }
  EXPECT_EQ(answered, kClients);
  EXPECT_EQ(kmsd_.Terminate(std::chrono::seconds{5}), 0) << kmsd_.Log();
}

TEST_F(KmsdTest, P2_SigtermEndsInTimeWhileTheHsmHangs) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  const std::vector<pid_t> workers = kmsd_.workers();
  ASSERT_EQ(workers.size(), 1U);
  ASSERT_EQ(::kill(workers[0], SIGSTOP), 0);
  std::thread stuck([&] { kmsd_.NewClient()->Post("/v1/sys/mounts/late", R"({"type":"transit"})"); });
  EXPECT_NE(kmsd_.Terminate(std::chrono::seconds{6}), -1);
  stuck.join();
}

TEST_F(KmsdTest, H4_H5_AKilledWorkerIsReplacedAndWarmKeysDoNotNotice) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  auto client = kmsd_.NewClient();
  const std::string ciphertext = Encrypt(*client, "dev", "app", "kept");
  const std::vector<pid_t> workers = kmsd_.workers();
  ASSERT_EQ(workers.size(), 1U);
  ASSERT_EQ(::kill(workers[0], SIGKILL), 0);
  EXPECT_EQ(Decrypt(*client, "dev", "app", ciphertext), "kept");
  // A call that needs the HSM works again as soon as the new worker is ready.
  EXPECT_TRUE(Eventually([&] {
    const HttpReply made = client->Post("/v1/sys/mounts/after", R"({"type":"transit"})");
    return made.status == 204 || made.body.find("already in use") != std::string::npos;
  })) << kmsd_.Log();
  EXPECT_NE(kmsd_.workers(), workers);
}

TEST_F(KmsdTest, H6_AHangingHsmMissesItsDeadlineAndWarmKeysServe) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  auto client = kmsd_.NewClient();
  const std::string ciphertext = Encrypt(*client, "dev", "app", "kept");
  const std::vector<pid_t> workers = kmsd_.workers();
  ASSERT_EQ(workers.size(), 1U);
  ASSERT_EQ(::kill(workers[0], SIGSTOP), 0);
  std::thread waiting([&] {
    const HttpReply refused =
        kmsd_.NewClient()->Post("/v1/sys/mounts/hung", R"({"type":"transit"})");
    EXPECT_THAT(refused.status, ::testing::AnyOf(503, 204)) << refused.body;
  });
  EXPECT_EQ(Decrypt(*client, "dev", "app", ciphertext), "kept");
  waiting.join();
}

TEST_F(KmsdTest, H3_ATokenThatReturnsIsFoundAgain) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  auto client = kmsd_.NewClient();
  const std::string ciphertext = Encrypt(*client, "dev", "app", "kept");
  std::filesystem::rename(state_ + "/tokens", state_ + "/tokens-away");
  EXPECT_NE(client->Post("/v1/sys/mounts/gone", R"({"type":"transit"})").status, 204);
  EXPECT_EQ(Decrypt(*client, "dev", "app", ciphertext), "kept");
  std::filesystem::rename(state_ + "/tokens-away", state_ + "/tokens");
  EXPECT_TRUE(Eventually(
      [&] {
        const HttpReply made = client->Post("/v1/sys/mounts/back", R"({"type":"transit"})");
        return made.status == 204 || made.body.find("already in use") != std::string::npos;
      },
      std::chrono::seconds{30}))
      << kmsd_.Log();
  EXPECT_EQ(Decrypt(*client, "dev", "app", ciphertext), "kept");
}

TEST_F(KmsdTest, P7_ProcessCannotBeDumped) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  const std::string limits = ReadFile("/proc/" + std::to_string(kmsd_.pid()) + "/limits");
  EXPECT_THAT(limits, ::testing::ContainsRegex("Max core file size +0 +0"));
  // Not dumpable: the process's files in /proc belong to root, and only root may attach.
  std::string smaps = ReadFile("/proc/" + std::to_string(kmsd_.pid()) + "/smaps");
  EXPECT_THAT(smaps, ::testing::ContainsRegex("VmFlags:[^\n]* lo [^\n]*dd"));
}

// D32, P9, L13: nothing that opens anything is readable in what the service leaves on disk.
TEST_F(KmsdTest, D32_P9_L13_NoSecretStandsInStoreLogOrAudit) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  auto client = kmsd_.NewClient();
  const std::string canary = "canary-plaintext-5b1f0c7d";
  Encrypt(*client, "dev", "app", canary);
  client->Post("/v1/dev/encrypt/app", R"({"plaintext":"canary-not-base64-5b1f0c7d"})");
  client->Post("/v1/dev/decrypt/app", R"({"ciphertext":"vault:v1:canary-broken-5b1f0c7d"})");
  client->Send("GET", "/v1/dev/keys/app?context=canary-query-5b1f0c7d");
  const HttpReply data_key = client->Post("/v1/dev/datakey/plaintext/app", "{}");
  const std::string data_key_text = Data(data_key)["plaintext"].get<std::string>();
  const std::string log = kmsd_.Log();
  const std::string token = kmsd_.token();
  std::string pin = ReadFile(state_ + "/pin");
  pin.pop_back();
  ASSERT_EQ(kmsd_.Terminate(), 0);
  std::string disk;
  for (const auto& entry : std::filesystem::directory_iterator(state_)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && name != "pin" && name != "root-token") {
      disk += ReadFile(entry.path().string());
    }
  }
  for (const std::string& secret :
       {std::string{"canary-"}, Base64Encode(AsBytes(canary)), HexEncode(AsBytes(canary)),
        data_key_text, token, pin, HexEncode(AsBytes(token)), Base64Encode(AsBytes(token))}) {
    EXPECT_EQ(disk.find(secret), std::string::npos) << secret;
    EXPECT_TRUE(log.find(secret) == std::string::npos || secret == token) << secret;
  }
}

TEST_F(KmsdTest, PlainHttpBeyondLoopbackMustBeAskedFor) {
  std::string output;
  EXPECT_NE(RunProgram({std::string{KMS_BINARY_DIR} + "/kmsd", "dev", "--state-dir", state_,
                        "--listen", "0.0.0.0:0"},
                       &output),
            0);
  EXPECT_THAT(output, HasSubstr("allow_plain_http"));
}

TEST_F(KmsdTest, GivenRootTokenReplacesTheOldOne) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  ASSERT_EQ(kmsd_.Terminate(), 0);
  const std::string old = kmsd_.token();
  ASSERT_TRUE(kmsd_.Start({"--root-token", "chosen-token-0123456789"})) << kmsd_.Log();
  EXPECT_EQ(kmsd_.NewClient()->Get("/v1/auth/token/lookup-self").status, 200);
  EXPECT_EQ(HttpClient(kmsd_.port(), old).Get("/v1/auth/token/lookup-self").status, 403);
  EXPECT_EQ(HttpClient(kmsd_.port(), "chosen-token-0123456789")
                .Get("/v1/auth/token/lookup-self")
                .status,
            200);
}

TEST_F(KmsdTest, L18_EveryAnswerHasItsAuditRecord) {
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  auto client = kmsd_.NewClient();
  constexpr int kRequests = 50;
  for (int index = 0; index < kRequests; ++index) {
    const HttpReply reply =
        client->Post("/v1/dev/encrypt/audited", R"({"plaintext":"aGVsbG8="})");
    ASSERT_EQ(reply.status, 200);
    const std::string id = json::parse(reply.body)["request_id"].get<std::string>();
    EXPECT_THAT(ReadFile(state_ + "/audit.log"), HasSubstr(id));
  }
}

}  // namespace
}  // namespace kms::testing
