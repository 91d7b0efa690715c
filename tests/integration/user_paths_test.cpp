// SPDX-License-Identifier: Apache-2.0
// What users do with the built programs: kmsctl against kmsd, TLS, another module, audit proofs.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kKmsd = std::string{KMS_BINARY_DIR} + "/kmsd";
const std::string kKmsctl = std::string{KMS_BINARY_DIR} + "/kmsctl";

class UserPathsTest : public ::testing::Test {
 protected:
  void TearDown() override {
    ::unsetenv("KMS_ADDR");
    ::unsetenv("KMS_TOKEN");
    ::unsetenv("SOFTHSM2_CONF");
  }

  void StartAndPointAt() {
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    ::setenv("KMS_ADDR", ("http://127.0.0.1:" + std::to_string(kmsd_.port())).c_str(), 1);
    ::setenv("KMS_TOKEN", kmsd_.token().c_str(), 1);
  }

  // Runs kmsctl; expects the exit status and returns what it printed.
  std::string Ctl(std::vector<std::string> arguments, int expected_status = 0) {
    arguments.insert(arguments.begin(), kKmsctl);
    std::string output;
    EXPECT_EQ(RunProgram(arguments, &output), expected_status)
        << ::testing::PrintToString(arguments) << "\n" << output;
    return output;
  }

  std::string File(const std::string& name) const { return directory_.path() + "/" + name; }

  TemporaryDirectory directory_;
  std::string state_ = directory_.path() + "/state";
  KmsdProcess kmsd_{KMS_BINARY_DIR, state_};
};

TEST_F(UserPathsTest, KmsctlManagesEnvironmentsAndKeys) {
  StartAndPointAt();
  EXPECT_THAT(Ctl({"env", "list"}), AllOf(HasSubstr("prod"), HasSubstr("staging")));
  Ctl({"env", "create", "team/eu", "--description", "made by a test"});
  EXPECT_THAT(Ctl({"env", "show", "team/eu"}), HasSubstr("made by a test"));
  Ctl({"key", "create", "app", "--env", "team/eu", "--type", "chacha20-poly1305"});
  Ctl({"key", "rotate", "app", "--env", "team/eu"});
  const json shown = json::parse(Ctl({"key", "show", "app", "--env", "team/eu", "--json"}), nullptr,
                                 false);
  ASSERT_FALSE(shown.is_discarded());
  EXPECT_THAT(shown.dump(), AllOf(HasSubstr("chacha20-poly1305"), HasSubstr("latest_version")));
  EXPECT_THAT(Ctl({"key", "list", "--env", "team/eu"}), HasSubstr("app"));
  EXPECT_THAT(Ctl({"env", "delete", "team/eu", "--yes"}), Not(HasSubstr("error")));
  Ctl({"key", "show", "app", "--env", "team/eu"}, 3);
  Ctl({"env", "delete", "prod", "--yes"}, 5);
  EXPECT_THAT(Ctl({"hsm", "status"}), AllOf(HasSubstr("ready"), HasSubstr("kms-dev")));
}

TEST_F(UserPathsTest, KmsctlMovesBinaryFilesThroughARotation) {
  StartAndPointAt();
  std::string binary;
  for (int index = 0; index < 300'000; ++index) {
    binary += static_cast<char>(index * 7);
  }
  WriteFile(File("plain"), binary);
  Ctl({"key", "create", "files"});
  Ctl({"encrypt", "files", "--in", File("plain"), "--out", File("sealed")});
  Ctl({"key", "rotate", "files"});
  Ctl({"rewrap", "files", "--in", File("sealed"), "--out", File("rewrapped")});
  EXPECT_THAT(ReadFile(File("rewrapped")).substr(0, 9), "vault:v2:");
  Ctl({"decrypt", "files", "--in", File("rewrapped"), "--out", File("opened")});
  EXPECT_TRUE(ReadFile(File("opened")) == binary);
}

TEST_F(UserPathsTest, AnotherTokenByModuleLabelAndPin) {
  std::filesystem::create_directory(File("tokens"));
  WriteFile(File("softhsm2.conf"), "directories.tokendir = " + File("tokens") +
                                       "\nobjectstore.backend = file\nlog.level = ERROR\n");
  ::setenv("SOFTHSM2_CONF", File("softhsm2.conf").c_str(), 1);
  std::string output;
  ASSERT_EQ(RunProgram({"softhsm2-util", "--init-token", "--free", "--label", "own-token",
                        "--so-pin", "12345678", "--pin", "87654321"},
                       &output),
            0)
      << output;
  WriteFile(File("own-pin"), "87654321\n");
  std::filesystem::permissions(File("own-pin"), std::filesystem::perms::owner_read);
  std::string module = "/usr/lib/softhsm/libsofthsm2.so";
  ASSERT_TRUE(kmsd_.Start({"--module", module, "--token-label", "own-token", "--pin-file",
                           File("own-pin")}))
      << kmsd_.Log();
  const HttpReply made = kmsd_.NewClient()->Post("/v1/dev/encrypt/app", R"({"plaintext":"aGk="})");
  EXPECT_EQ(made.status, 200) << made.body;
  EXPECT_FALSE(std::filesystem::exists(state_ + "/softhsm2.conf"));
  EXPECT_THAT(kmsd_.NewClient()->Get("/v1/sys/hsm/status").body, HasSubstr("own-token"));
}

TEST_F(UserPathsTest, ModuleWithoutLabelAndPinIsAUsageError) {
  std::string output;
  EXPECT_NE(RunProgram({kKmsd, "dev", "--module", "/usr/lib/softhsm/libsofthsm2.so"}, &output), 0);
  EXPECT_THAT(output, HasSubstr("--token-label"));
}

TEST_F(UserPathsTest, TlsServesClientsThatTrustItsCertificate) {
  std::string output;
  ASSERT_EQ(RunProgram({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", File("key.pem"),
                        "-out", File("cert.pem"), "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"},
                       &output),
            0)
      << output;
  ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
  ASSERT_EQ(kmsd_.Terminate(), 0);
  std::string config;
  RunProgram({kKmsd, "dev", "--state-dir", state_, "--listen", "127.0.0.1:0", "--print-config"},
             &config);
  const auto set = [&](const std::string& key, const std::string& value) {
    const std::string empty = "\"" + key + "\": \"\"";
    config.replace(config.find(empty), empty.size(), "\"" + key + "\": \"" + value + "\"");
  };
  set("tls_certificate", File("cert.pem"));
  set("tls_key", File("key.pem"));
  WriteFile(File("kms.json"), config);
  const pid_t pid = SpawnProgram({kKmsd, "serve", "--config", File("kms.json")}, File("out"),
                                 File("err"));
  ASSERT_GT(pid, 0);
  std::string url;
  ASSERT_TRUE(Eventually([&] {
    const std::string log = ReadFile(File("err"));
    const std::size_t at = log.find("https://127.0.0.1:");
    const std::size_t end = log.find('\n', at);
    if (at != std::string::npos && end != std::string::npos) {
      url = log.substr(at, end - at);
    }
    return !url.empty();
  })) << ReadFile(File("err"));
  ::setenv("KMS_ADDR", url.c_str(), 1);
  ::setenv("KMS_TOKEN", kmsd_.token().c_str(), 1);
  EXPECT_THAT(Ctl({"--ca-file", File("cert.pem"), "status"}), HasSubstr("sealed:               no"));
  Ctl({"status"}, 7);  // nobody vouches for the certificate
  ::kill(pid, SIGTERM);
  EXPECT_EQ(WaitForExit(pid, std::chrono::seconds{6}), 0);
}

TEST_F(UserPathsTest, AuditLogIsProvenOfflineAndATamperedOneIsNot) {
  StartAndPointAt();
  Ctl({"key", "create", "app"});
  for (int index = 0; index < 5; ++index) {
    Ctl({"encrypt", "app", "hello"});
  }
  ASSERT_EQ(kmsd_.Terminate(), 0);
  const std::string log = state_ + "/audit.log";
  std::string output;
  EXPECT_EQ(RunProgram({kKmsd, "verify-audit", log, "--json"}, &output), 0) << output;
  const json report = json::parse(output, nullptr, false);
  EXPECT_EQ(report["ok"], true);
  EXPECT_EQ(report["checkpoints"], 2);
  EXPECT_EQ(report["unsigned_records"], 1) << "the last checkpoint itself";

  std::string text = ReadFile(log);
  const std::size_t at = text.find("\"status\":200");
  ASSERT_NE(at, std::string::npos);
  text[at + 9] = '4';
  WriteFile(log, text);
  EXPECT_NE(RunProgram({kKmsd, "verify-audit", log}, &output), 0);
  EXPECT_THAT(output, AllOf(HasSubstr("does not verify"), HasSubstr("line")));
}

// Each token signs by a key of its own.
TEST_F(UserPathsTest, AuditLogIsSignedByTheSameOfTwoHsmsAsLongAsItIsThere) {
  const std::vector<std::string> flags = {"--hsms", "2"};
  ASSERT_TRUE(kmsd_.Start(flags)) << kmsd_.Log();
  ::setenv("KMS_ADDR", ("http://127.0.0.1:" + std::to_string(kmsd_.port())).c_str(), 1);
  ::setenv("KMS_TOKEN", kmsd_.token().c_str(), 1);
  Ctl({"hsm", "add", "hsm-2", "--all", "--wait"});
  for (int restart = 0; restart < 4; ++restart) {
    ASSERT_EQ(kmsd_.Terminate(), 0);
    ASSERT_TRUE(kmsd_.Start(flags)) << kmsd_.Log();
  }
  ASSERT_EQ(kmsd_.Terminate(), 0);
  std::string output;
  ASSERT_EQ(RunProgram({kKmsd, "verify-audit", "--json", state_ + "/audit.log"}, &output), 0)
      << output;
  const json report = json::parse(output, nullptr, false);
  EXPECT_GE(report["checkpoints"].get<int>(), 6);
  EXPECT_EQ(report["signing_keys"].size(), 1U);
}

// A22: nothing of the inside stands in any answer that refuses.
TEST_F(UserPathsTest, A22_RefusalsTellNothingOfTheInside) {
  StartAndPointAt();
  auto client = kmsd_.NewClient();
  std::string answers;
  for (const char* path :
       {"/v1/dev/encrypt/app", "/v1/dev/decrypt/app", "/v1/dev/rewrap/app", "/v1/dev/keys/app",
        "/v1/dev/keys/app/rotate", "/v1/dev/keys/app/config", "/v1/dev/keys/app/trim",
        "/v1/dev/datakey/plaintext/app", "/v1/sys/mounts/x/y", "/v1/nowhere/x", "/v1/sys/nothing"}) {
    for (const char* body :
         {"", "null", "{", "[]", R"({"plaintext":5})", R"({"ciphertext":"vault:v1:AAAA"})",
          R"({"batch_input":[{}]})", R"({"min_available_version":-1})", "\x01\x02"}) {
      for (const char* method : {"POST", "GET", "DELETE", "LIST", "PATCH"}) {
        const HttpReply reply = client->Send(method, path, body);
        ASSERT_NE(reply.status, 0) << method << " " << path << " " << body;
        EXPECT_LT(reply.status, 500) << method << " " << path << " " << body << reply.body;
        answers += reply.status >= 400 ? reply.body : "";
      }
    }
  }
  for (const std::string& inside :
       {std::string{"CKR_"}, std::string{"C_"}, std::string{"SELECT"}, std::string{"sqlite"},
        std::string{".cpp"}, std::string{"0.1.0"}, state_, std::string{"exception"},
        std::string{"errno"}}) {
    EXPECT_THAT(answers, Not(HasSubstr(inside)));
  }
}

}  // namespace
}  // namespace kms::testing
