// SPDX-License-Identifier: Apache-2.0
// Login with client certificates at the real kmsd over TLS, by kmsctl and by a plain client (U19,
// U20, CVE-2026-39388).
#include <gmock/gmock.h>
#include <httplib.h>
#include <signal.h>

#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>

#include "tests/support/kmsd_process.h"
#include "tests/support/pki_builder.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr std::uint64_t kRevokedSerial = 4242;

// Programs take the time from the machine.
CertificateSpec Today(CertificateSpec spec) {
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  spec.not_before = now - 60;
  spec.not_after = now + 86'400;
  return spec;
}

CertificateSpec ServerSpec() {
  return {.common_name = "localhost", .extensions = {{"subjectAltName", "IP:127.0.0.1"}}};
}

class CertificateLoginTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Keep("server", server_);
    Keep("client", client_);
    Keep("renewed", renewed_);
    Keep("colleague", colleague_);
    Keep("stranger", stranger_);
    WriteFile(File("ca.pem"), authority_.Pem());
    Serve("request");
  }
  void TearDown() override {
    for (const char* name : {"KMS_ADDR", "KMS_TOKEN", "KMS_CACERT", "HOME"}) {
      ::unsetenv(name);
    }
    Stop();
  }

  // Certificate and key in one file, as kmsctl takes them.
  void Keep(const std::string& name, const IssuedCertificate& certificate) {
    WriteFile(File(name), certificate.Pem() + certificate.KeyPem());
  }
  [[nodiscard]] std::string File(const std::string& name) const {
    return directory_.path() + "/" + name;
  }

  // kmsd with TLS on the state that `kmsd dev` makes.
  void Serve(const std::string& demand) {
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    ASSERT_EQ(kmsd_.Terminate(), 0);
    std::string config;
    RunProgram({kmsd_path_, "dev", "--state-dir", kmsd_.state_directory(), "--listen",
                "127.0.0.1:0", "--print-config"},
               &config);
    const auto set = [&](const std::string& key, const std::string& was, const std::string& value) {
      const std::string old = "\"" + key + "\": \"" + was + "\"";
      ASSERT_NE(config.find(old), std::string::npos) << config;
      config.replace(config.find(old), old.size(), "\"" + key + "\": \"" + value + "\"");
    };
    set("tls_certificate", "", File("server"));
    set("tls_key", "", File("server"));
    set("tls_client_certificates", "none", demand);
    WriteFile(File("kms.json"), config);
    WriteFile(File("err"), "");
    pid_ =
        SpawnProgram({kmsd_path_, "serve", "--config", File("kms.json")}, File("out"), File("err"));
    ASSERT_TRUE(Eventually([&] { return ReadPort(); })) << ReadFile(File("err"));
    ::setenv("KMS_ADDR", ("https://127.0.0.1:" + std::to_string(port_)).c_str(), 1);
    ::setenv("KMS_TOKEN", kmsd_.token().c_str(), 1);
    ::setenv("KMS_CACERT", File("server").c_str(), 1);
    ::setenv("HOME", directory_.path().c_str(), 1);
  }
  bool ReadPort() {
    const std::string log = ReadFile(File("err"));
    const std::string before = "https://127.0.0.1:";
    const std::size_t at = log.find(before);
    if (at == std::string::npos || log.find('\n', at) == std::string::npos) {
      return false;
    }
    port_ = std::stoi(log.substr(at + before.size()));
    return true;
  }
  void Stop() {
    if (pid_ > 0) {
      ::kill(pid_, SIGTERM);
      EXPECT_EQ(WaitForExit(pid_, std::chrono::seconds{10}), 0);
      pid_ = -1;
    }
  }

  std::string Ctl(std::vector<std::string> arguments, int expected_status = 0) {
    arguments.insert(arguments.begin(), std::string{KMS_BINARY_DIR} + "/kmsctl");
    std::string output;
    EXPECT_EQ(RunProgram(arguments, &output), expected_status)
        << ::testing::PrintToString(arguments) << "\n"
        << output;
    return output;
  }
  std::string Login(const std::string& certificate, int expected_status = 0) {
    return Ctl({"--client-cert", File(certificate), "login", "cert", "--output-file",
                File("token-" + certificate)},
               expected_status);
  }
  [[nodiscard]] std::string TokenOf(const std::string& certificate) const {
    const std::string line = ReadFile(File("token-" + certificate));
    return line.substr(0, line.find('\n'));
  }

  // Status of a request with this token over a connection with this certificate ("": none).
  int Ask(const std::string& token, const std::string& certificate, const std::string& path,
          const std::string& body = "") {
    const std::string file = certificate.empty() ? "" : File(certificate);
    httplib::SSLClient client("127.0.0.1", port_, file, file);
    client.set_ca_cert_path(File("server").c_str());
    const httplib::Headers headers = {{"X-Vault-Token", token},
                                      {"X-SSL-Client-Cert", "-----BEGIN CERTIFICATE-----"},
                                      {"X-SSL-Client-Verify", "SUCCESS"}};
    const httplib::Result answer =
        body.empty() ? client.Get(path.c_str(), headers)
                     : client.Post(path.c_str(), headers, body, "application/json");
    return answer ? answer->status : 0;
  }
  void TrustTheAuthority() {
    Ctl({"auth", "enable", "cert"});
    Ctl({"cert", "write", "apps", "--certificate", File("ca.pem"), "--policy", "encrypt"});
    EXPECT_EQ(
        Ask(kmsd_.token(), "", "/v1/sys/policies/acl/encrypt",
            json{{"policy", R"(path "dev/encrypt/app" { capabilities = ["update", "create"] })"}}
                .dump()),
        204);
    Ctl({"key", "create", "app"});
  }

  const IssuedCertificate server_ = Issue(Today(ServerSpec()), nullptr);
  const IssuedCertificate authority_ = Issue(Today(AuthoritySpec("clients")), nullptr);
  const IssuedCertificate client_ = [this] {
    CertificateSpec spec = Today(ClientSpec("client"));
    spec.serial = kRevokedSerial;
    return Issue(spec, &authority_);
  }();
  const IssuedCertificate renewed_ =
      Issue(Today(ClientSpec("client")), &authority_, client_.shared_key());
  const IssuedCertificate colleague_ = Issue(Today(ClientSpec("colleague")), &authority_);
  const IssuedCertificate stranger_ = Issue(Today(ClientSpec("client")), nullptr);

  TemporaryDirectory directory_;
  const std::string kmsd_path_ = std::string{KMS_BINARY_DIR} + "/kmsd";
  KmsdProcess kmsd_{KMS_BINARY_DIR, directory_.path() + "/state"};
  pid_t pid_ = -1;
  int port_ = 0;
};

constexpr const char* kEncrypt = "/v1/dev/encrypt/app";
constexpr const char* kBody = R"({"plaintext":"aGk="})";
constexpr const char* kRenew = "/v1/auth/token/renew-self";

TEST_F(CertificateLoginTest, U19_TheTokenWorksOnlyOverTheCertificateOfItsLogin) {
  TrustTheAuthority();
  EXPECT_THAT(Login("client"), HasSubstr("encrypt"));
  const std::string token = TokenOf("client");
  for (int round = 0; round < 2; ++round) {  // cold, then warm
    EXPECT_EQ(Ask(token, "client", kEncrypt, kBody), 200);
    EXPECT_EQ(Ask(token, "", kEncrypt, kBody), 403);
    for (const char* other : {"renewed", "colleague", "stranger"}) {
      EXPECT_EQ(Ask(token, other, kEncrypt, kBody), 403) << other;
      EXPECT_EQ(Ask(token, other, kRenew, "{}"), 403) << other;
    }
  }
  EXPECT_EQ(Ask(token, "client", kRenew, "{}"), 200);
}

TEST_F(CertificateLoginTest, U19_StrangersAndTheRevokedDoNotLogIn) {
  TrustTheAuthority();
  EXPECT_THAT(Login("stranger", 5), HasSubstr("invalid certificate"));
  EXPECT_THAT(Ctl({"login", "cert", "--print-token"}, 5), HasSubstr("no client certificate found"));
  Login("client");
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  const Bytes list = MakeRevocationList(
      {.serials = {kRevokedSerial}, .this_update = now - 60, .next_update = now + 3'600},
      authority_);
  WriteFile(File("crl.pem"), RevocationListPem(list));
  Ctl({"crl", "write", "ca", "--crl", File("crl.pem")});
  EXPECT_THAT(Ctl({"crl", "read", "ca"}), HasSubstr("4242"));
  EXPECT_THAT(Login("client", 5), HasSubstr("no chain matching all constraints"));
  Login("colleague");
  EXPECT_EQ(Ask(TokenOf("colleague"), "colleague", kEncrypt, kBody), 200);
}

TEST_F(CertificateLoginTest, C21_ARequiredCertificateIsDemandedInTheHandshake) {
  Stop();
  Serve("require");
  EXPECT_EQ(Ask(kmsd_.token(), "", "/v1/sys/health"), 0);
  EXPECT_EQ(Ask(kmsd_.token(), "stranger", "/v1/sys/health"), 200);
}

}  // namespace
}  // namespace kms::testing
