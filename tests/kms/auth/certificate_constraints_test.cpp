// SPDX-License-Identifier: Apache-2.0
// transit-api 10.5: which names and extensions let a trusted certificate log in.
#include "kms/auth/certificate_constraints.h"

#include <gmock/gmock.h>

#include "tests/support/matchers.h"
#include "tests/support/pki_builder.h"

namespace kms {
namespace {

using ::kms::testing::CertificateSpec;
using ::kms::testing::ClientSpec;
using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::Issue;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

constexpr auto kInvalid = ErrorCode::kInvalidArgument;

ClientCertificate Parsed(const CertificateSpec& spec) {
  const std::vector<Bytes> chain{Issue(spec, nullptr).Der()};
  return ClientCertificate::Parse(chain).value();
}

CertificateSpec FullSpec() {
  CertificateSpec spec = ClientSpec("app-1");
  spec.serial = 0x0a1b;
  spec.organizational_units = {"payments", "Berlin"};
  spec.extensions.emplace_back("subjectAltName",
                               "DNS:App.Example.com,DNS:other.example.org,"
                               "email:ops@example.com,URI:spiffe://example/app,IP:10.0.0.1");
  spec.extensions.emplace_back("1.3.6.1.4.1.99999.1", "ASN1:UTF8String:gold-tier");
  spec.extensions.emplace_back("1.3.6.1.4.1.99999.2", "DER:02:01:05");
  return spec;
}

TEST(ClientCertificate, ReadsItsNames) {
  const ClientCertificate certificate = Parsed(FullSpec());
  const CertificateNames& names = certificate.names();
  EXPECT_EQ(names.common_name, "app-1");
  EXPECT_THAT(names.organizational_units, ElementsAre("payments", "Berlin"));
  EXPECT_THAT(names.dns_names, ElementsAre("App.Example.com", "other.example.org"));
  EXPECT_THAT(names.email_addresses, ElementsAre("ops@example.com"));
  EXPECT_THAT(names.uris, ElementsAre("spiffe://example/app"));
  EXPECT_EQ(names.serial_decimal, "2587");
  EXPECT_EQ(names.serial_hex, "0a:1b");
  EXPECT_THAT(names.subject_key_id, MatchesRegex("([0-9a-f]{2}:){19}[0-9a-f]{2}"));
  EXPECT_EQ(names.authority_key_id, "");
  EXPECT_EQ(certificate.KeyDigestHex().size(), 64U);
  EXPECT_EQ(certificate.ExtensionText("1.3.6.1.4.1.99999.1"), "gold-tier");
  EXPECT_EQ(certificate.ExtensionText("1.3.6.1.4.1.99999.2"), std::nullopt);
  EXPECT_EQ(certificate.ExtensionHex("1.3.6.1.4.1.99999.2"), "020105");
  EXPECT_EQ(certificate.ExtensionHex("1.3.6.1.4.1.99999.3"), std::nullopt);
}

TEST(ClientCertificate, TellsItsIssuersKey) {
  const auto authority = Issue(::kms::testing::AuthoritySpec("ca"), nullptr);
  const std::vector<Bytes> chain{Issue(ClientSpec("a"), &authority).Der(), authority.Der()};
  const std::vector<Bytes> above{authority.Der()};
  EXPECT_EQ(ClientCertificate::Parse(chain)->names().authority_key_id,
            ClientCertificate::Parse(above)->names().subject_key_id);
}

TEST(ClientCertificate, NamesThatAreNotThereAreEmpty) {
  const ClientCertificate certificate = Parsed({});
  EXPECT_EQ(certificate.names().common_name, "");
  EXPECT_THAT(certificate.names().dns_names, IsEmpty());
  EXPECT_EQ(certificate.names().subject_key_id, "");
  EXPECT_EQ(certificate.names().authority_key_id, "");
}

TEST(ClientCertificate, U19_AZeroByteDoesNotEndAName) {
  CertificateSpec spec = ClientSpec(std::string("app-1\0.evil", 11));
  // SEQUENCE { [2] "app.example\0x" }
  spec.extensions.emplace_back("subjectAltName",
                               "DER:30:0f:82:0d:61:70:70:2e:65:78:61:6d:70:6c:65:00:78");
  const ClientCertificate certificate = Parsed(spec);
  EXPECT_EQ(certificate.names().common_name, "");
  EXPECT_THAT(certificate.names().dns_names, IsEmpty());
}

TEST(ClientCertificate, RefusesWhatIsNoChain) {
  const auto refused = HasError(kInvalid, "malformed client certificate");
  EXPECT_THAT(ClientCertificate::Parse({}), refused);
  const Bytes der = Issue(ClientSpec("a"), nullptr).Der();
  std::vector<Bytes> chain{der, Bytes{1, 2, 3}};
  EXPECT_THAT(ClientCertificate::Parse(chain), refused);
  chain = {Bytes(der.begin(), der.end() - 1)};
  EXPECT_THAT(ClientCertificate::Parse(chain), refused);
  chain.assign(kMaxPresentedCertificates + 1, der);
  EXPECT_THAT(ClientCertificate::Parse(chain), refused);
}

struct Case {
  const char* name;
  CertificateConstraints constraints;
  bool satisfied;
};

TEST(CertificateConstraints, EveryKindMustMatchAndAnyOfItsPatterns) {
  const ClientCertificate certificate = Parsed(FullSpec());
  const std::vector<Case> cases = {
      {"none", {}, true},
      {"common name", {.common_names = {"app-1"}}, true},
      {"pattern", {.common_names = {"x", "app-*"}}, true},
      {"other common name", {.common_names = {"app-2", "app-"}}, false},
      {"common name in another case", {.common_names = {"APP-1"}}, false},
      {"common name is no DNS name", {.dns_names = {"app-1"}}, false},
      {"DNS", {.dns_names = {"*.example.org"}}, true},
      {"DNS in another case", {.dns_names = {"APP.example.COM"}}, true},
      {"DNS prefix", {.dns_names = {"app.example"}}, false},
      {"email", {.email_addresses = {"*@example.com"}}, true},
      {"other email", {.email_addresses = {"*@example.org"}}, false},
      {"URI", {.uris = {"spiffe://example/*"}}, true},
      {"other URI", {.uris = {"spiffe://other/*"}}, false},
      {"unit", {.organizational_units = {"Berlin"}}, true},
      {"other unit", {.organizational_units = {"berlin"}}, false},
      {"any name by DNS", {.names = {"app.example.com"}}, true},
      {"any name by common name", {.names = {"app-1"}}, true},
      {"any name by email", {.names = {"ops@*"}}, true},
      {"any name is no URI", {.names = {"spiffe://*"}}, false},
      {"extension", {.required_extensions = {"1.3.6.1.4.1.99999.1:gold-*"}}, true},
      {"extension, other value", {.required_extensions = {"1.3.6.1.4.1.99999.1:gold"}}, false},
      {"extension in hex", {.required_extensions = {"hex:1.3.6.1.4.1.99999.2:0201*"}}, true},
      {"extension that is no text", {.required_extensions = {"1.3.6.1.4.1.99999.2:*"}}, false},
      {"absent extension", {.required_extensions = {"1.3.6.1.4.1.99999.3:*"}}, false},
      {"all extensions",
       {.required_extensions = {"1.3.6.1.4.1.99999.1:gold-tier", "1.3.6.1.4.1.99999.3:*"}},
       false},
      {"two kinds", {.common_names = {"app-1"}, .dns_names = {"other.example.org"}}, true},
      {"one of two kinds", {.common_names = {"app-1"}, .dns_names = {"nobody"}}, false},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(Satisfies(certificate, one.constraints), one.satisfied) << one.name;
  }
}

TEST(CertificateConstraints, U19_ANameThatIsNotThereMatchesNoPattern) {
  const ClientCertificate certificate = Parsed({});
  const std::vector<CertificateConstraints> all = {
      {.names = {"*"}},           {.common_names = {"*"}}, {.dns_names = {"*"}},
      {.email_addresses = {"*"}}, {.uris = {"*"}},         {.organizational_units = {"*"}}};
  for (const CertificateConstraints& constraints : all) {
    EXPECT_FALSE(Satisfies(certificate, constraints));
  }
}

TEST(CertificateConstraints, RefusesExtensionsOfAnotherForm) {
  EXPECT_THAT(CheckConstraints({.required_extensions = {"1.2.3:x", "hex:1.2.3:00"}}), IsOk());
  for (const char* bad :
       {"", "1.2.3", "x:1", ":x", "1..2:x", ".1.2:x", "1.2.:x", "12:x", "hex:1.2"}) {
    EXPECT_THAT(CheckConstraints({.required_extensions = {bad}}), HasError(kInvalid)) << bad;
  }
}

}  // namespace
}  // namespace kms
