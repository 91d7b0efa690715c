// SPDX-License-Identifier: Apache-2.0
// kmsctl over https: certificates are verified, and no token goes to a server that is not trusted.
#include <gmock/gmock.h>

#include <csignal>

#include "tests/tools/kmsctl_fixture.h"
#include "tests/tools/tls_fixture.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kHealth = R"({"initialized":true,"sealed":false,"standby":false})";

class Tls : public KmsctlTest {
 protected:
  // A client that refuses the certificate closes early; that must not end the test program.
  static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_IGN); }
  [[nodiscard]] std::string CaPath() const { return directory_.path() + "/ca.pem"; }

  TemporaryDirectory directory_;
};

TEST_F(Tls, TrustsTheNamedCa) {
  const Certificate certificate = MakeCertificate("IP:127.0.0.1");
  WriteCertificate(certificate, CaPath());
  const TlsServer server(certificate, kHealth);
  const ToolRun option =
      Run({"status", "--address", server.Url("127.0.0.1"), "--ca-file", CaPath()});
  EXPECT_EQ(option.status, 0) << option.err;
  const ToolRun variable =
      Run({"status"}, {}, {{"KMS_ADDR", server.Url("127.0.0.1")}, {"VAULT_CACERT", CaPath()}});
  EXPECT_EQ(variable.status, 0) << variable.err;
}

TEST_F(Tls, RefusesAnUnknownCaBeforeTheTokenLeaves) {
  const TlsServer server(MakeCertificate("IP:127.0.0.1"), kHealth);
  const ToolRun run = Run({"status", "--address", server.Url("127.0.0.1")});
  EXPECT_EQ(run.status, 7);
  EXPECT_THAT(run.err, HasSubstr("--ca-file"));
  EXPECT_EQ(server.requests(), 0);
}

TEST_F(Tls, RefusesACertificateForAnotherName) {
  const Certificate certificate = MakeCertificate("DNS:other.example.com");
  WriteCertificate(certificate, CaPath());
  const TlsServer server(certificate, kHealth);
  EXPECT_EQ(Run({"status", "--address", server.Url("127.0.0.1"), "--ca-file", CaPath()}).status, 7);
  EXPECT_EQ(server.requests(), 0);
}

TEST_F(Tls, AMissingCaFileIsNotIgnored) {
  const TlsServer server(MakeCertificate("IP:127.0.0.1"), kHealth);
  const ToolRun run =
      Run({"status", "--address", server.Url("127.0.0.1"), "--ca-file", "/nonexistent/ca.pem"});
  EXPECT_EQ(run.status, 2) << run.err;
  EXPECT_EQ(server.requests(), 0);
}

TEST_F(Tls, BenchVerifiesCertificatesToo) {
  const TlsServer server(MakeCertificate("IP:127.0.0.1"), kHealth);
  const ToolRun run = ToolProcess({KMS_BINARY_DIR "/kms-bench", "--address",
                                   server.Url("127.0.0.1"), "--connections", "1"},
                                  {}, {})
                          .Finish();
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.err, HasSubstr("certificate"));
  EXPECT_EQ(server.requests(), 0);
}

}  // namespace
}  // namespace kms::testing
