// SPDX-License-Identifier: Apache-2.0
// kmsctl cert and crl: what they send; and that a client certificate that cannot be used is an
// error before anything leaves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/pki_builder.h"
#include "tests/tools/kmsctl_fixture.h"
#include "tests/tools/tls_fixture.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class ClientCertificateCommandsTest : public KmsctlTest {
 protected:
  std::string File(const std::string& name, const std::string& content) {
    const std::string path = directory_.path() + "/" + name;
    WriteFile(path, content);
    return path;
  }
  json SentBody() const { return json::parse(OnlyRequest().body, nullptr, false); }

  TemporaryDirectory directory_;
  const IssuedCertificate authority_ = Issue(AuthoritySpec("ca"), nullptr);
};

TEST_F(ClientCertificateCommandsTest, WritesAnEntryWithWhatWasGiven) {
  ReplyRaw(204, "");
  const ToolRun run =
      Run({"cert", "write", "apps", "--mount", "machines", "--certificate",
           File("ca.pem", authority_.Pem()), "--policy", "orders", "--policy", "mail", "--dns-name",
           "*.example.com", "--extension", "1.2.3:x", "--ttl", "1h"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/machines/certs/apps");
  EXPECT_EQ(SentBody(), json({{"certificate", authority_.Pem()},
                              {"token_policies", {"orders", "mail"}},
                              {"allowed_dns_sans", {"*.example.com"}},
                              {"required_extensions", {"1.2.3:x"}},
                              {"token_ttl", "1h"}}));
}

TEST_F(ClientCertificateCommandsTest, UploadsAListFromStandardInput) {
  ReplyRaw(204, "");
  const std::string pem = RevocationListPem(MakeRevocationList({.serials = {7}}, authority_));
  EXPECT_EQ(Run({"crl", "write", "ca"}, pem).status, 0);
  EXPECT_EQ(OnlyRequest().target, "/v1/auth/cert/crls/ca");
  EXPECT_EQ(SentBody(), json({{"crl", pem}}));
}

TEST_F(ClientCertificateCommandsTest, AListThatIsNotPemStaysHere) {
  const ToolRun run = Run({"crl", "write", "ca"}, "0\x82");
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("openssl crl"));
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(ClientCertificateCommandsTest, ShowsWhatIsRevoked) {
  ReplyData({{"serials", {{"4242", json::object()}}}, {"revoked", 1}, {"issuer", "CN=ca"}});
  const ToolRun run = Run({"crl", "read", "ca"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("4242"));
  EXPECT_THAT(run.out, HasSubstr("CN=ca"));
}

TEST_F(ClientCertificateCommandsTest, DeletingAsksFirst) {
  EXPECT_EQ(Run({"cert", "delete", "apps"}).status, 2);
  EXPECT_EQ(Run({"crl", "delete", "ca"}).status, 2);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(ClientCertificateCommandsTest, ACertificateThatCannotBeUsedIsAnErrorBeforeAnythingIsSent) {
  const Certificate certificate = MakeCertificate("IP:127.0.0.1");
  const std::string trusted = directory_.path() + "/server.pem";
  WriteCertificate(certificate, trusted);
  const TlsServer server(certificate, R"({"initialized":true,"sealed":false,"standby":false})");
  const std::string url = server.Url("127.0.0.1");
  const IssuedCertificate other = Issue(ClientSpec("other"), nullptr);
  const std::string good = File("good.pem", other.Pem() + other.KeyPem());
  const std::string wrong_key = File("wrong.pem", authority_.KeyPem());
  const auto with = [&](std::vector<std::string> options) {
    options.insert(options.end(), {"--address", url, "--ca-file", trusted, "status"});
    return Run(options);
  };
  EXPECT_THAT(with({"--client-cert", "/nonexistent.pem"}).err, HasSubstr("--client-cert"));
  EXPECT_THAT(with({"--client-cert", good, "--client-key", wrong_key}).err,
              HasSubstr("--client-key"));
  EXPECT_THAT(with({"--client-key", wrong_key}).err, HasSubstr("needs --client-cert"));
  EXPECT_EQ(server.requests(), 0);
  EXPECT_EQ(with({"--client-cert", good}).status, 0);
}

}  // namespace
}  // namespace kms::testing
