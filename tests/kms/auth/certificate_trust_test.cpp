// SPDX-License-Identifier: Apache-2.0
// RFC 5280, 5 and 6: which presented certificates an entry trusts (U19, CVE-2025-6037).
#include "kms/auth/certificate_trust.h"

#include <gmock/gmock.h>

#include "tests/support/matchers.h"
#include "tests/support/pki_builder.h"

namespace kms {
namespace {

using ::kms::testing::AuthoritySpec;
using ::kms::testing::CertificateSpec;
using ::kms::testing::ClientSpec;
using ::kms::testing::HasError;
using ::kms::testing::Issue;
using ::kms::testing::IssuedCertificate;
using ::kms::testing::kPkiBegin;
using ::kms::testing::kPkiEnd;
using ::kms::testing::MakeRevocationList;
using ::kms::testing::RevocationListPem;
using ::kms::testing::RevocationSpec;
using ::testing::HasSubstr;

constexpr auto kInvalid = ErrorCode::kInvalidArgument;
constexpr std::int64_t kNow = kPkiBegin + 1000;

// A spec of what is right, with one extension said otherwise; "" leaves it out.
CertificateSpec With(CertificateSpec spec, const std::string& name, const std::string& value) {
  std::erase_if(spec.extensions, [&](const auto& extension) { return extension.first == name; });
  if (!value.empty()) {
    spec.extensions.emplace_back(name, value);
  }
  return spec;
}

CertificateTrustHandle TrustIn(const IssuedCertificate& certificate) {
  return CertificateTrust::Parse(certificate.Pem()).value();
}

ClientCertificate Presented(const std::vector<const IssuedCertificate*>& chain) {
  std::vector<Bytes> der;
  for (const IssuedCertificate* certificate : chain) {
    der.push_back(certificate->Der());
  }
  return ClientCertificate::Parse(der).value();
}

RevocationListHandle Revoked(const RevocationSpec& spec, const IssuedCertificate& issuer) {
  return RevocationList::Parse(ByteView(MakeRevocationList(spec, issuer))).value();
}

class CertificateTrustTest : public ::testing::Test {
 protected:
  static TrustVerdict Judge(const IssuedCertificate& trusted,
                            const std::vector<const IssuedCertificate*>& chain,
                            const std::vector<RevocationListHandle>& lists = {},
                            std::int64_t now = kNow) {
    return TrustIn(trusted)->Judge(Presented(chain), lists, now);
  }

  const IssuedCertificate root = Issue(AuthoritySpec("root"), nullptr);
  const IssuedCertificate issuing = Issue(AuthoritySpec("issuing"), &root);
  const IssuedCertificate client = Issue(ClientSpec("client"), &issuing);
  const IssuedCertificate direct = Issue(ClientSpec("direct"), &root);
};

TEST_F(CertificateTrustTest, TakesWhatItsAuthorityHasSigned) {
  EXPECT_EQ(Judge(root, {&direct}), TrustVerdict::kTrusted);
  EXPECT_EQ(Judge(root, {&client, &issuing}), TrustVerdict::kTrusted);
  EXPECT_EQ(Judge(root, {&client, &issuing, &root}), TrustVerdict::kTrusted);
}

TEST_F(CertificateTrustTest, AnIssuingAuthorityIsTrustedByItself) {
  EXPECT_EQ(Judge(issuing, {&client}), TrustVerdict::kTrusted);
  EXPECT_EQ(Judge(issuing, {&direct}), TrustVerdict::kUntrusted);
}

TEST_F(CertificateTrustTest, U19_RefusesAnotherAuthority) {
  const IssuedCertificate other = Issue(AuthoritySpec("root"), nullptr);
  const IssuedCertificate theirs = Issue(ClientSpec("client"), &other);
  EXPECT_EQ(Judge(root, {&theirs}), TrustVerdict::kUntrusted);
  EXPECT_EQ(Judge(root, {&theirs, &other}), TrustVerdict::kUntrusted);
  EXPECT_EQ(Judge(root, {&client}), TrustVerdict::kUntrusted);  // its issuer is missing
}

TEST_F(CertificateTrustTest, U19_RefusesAChainWhoseIssuerDidNotSignIt) {
  const IssuedCertificate forged = Issue(AuthoritySpec("issuing"), nullptr);
  const IssuedCertificate theirs = Issue(ClientSpec("client"), &forged);
  EXPECT_EQ(Judge(root, {&theirs, &issuing}), TrustVerdict::kUntrusted);
  EXPECT_EQ(Judge(root, {&theirs, &forged, &root}), TrustVerdict::kUntrusted);
}

TEST_F(CertificateTrustTest, U19_RefusesExpiredAndFutureCertificates) {
  CertificateSpec spec = ClientSpec("client");
  spec.not_before = kPkiBegin + 100;
  spec.not_after = kPkiBegin + 200;
  const IssuedCertificate brief = Issue(spec, &root);
  EXPECT_EQ(Judge(root, {&brief}, {}, kPkiBegin + 99), TrustVerdict::kUntrusted);
  EXPECT_EQ(Judge(root, {&brief}, {}, kPkiBegin + 100), TrustVerdict::kTrusted);
  EXPECT_EQ(Judge(root, {&brief}, {}, kPkiBegin + 199), TrustVerdict::kTrusted);
  EXPECT_EQ(Judge(root, {&brief}, {}, kPkiBegin + 201), TrustVerdict::kUntrusted);
}

TEST_F(CertificateTrustTest, U19_RefusesWhatAnExpiredAuthorityHasSigned) {
  CertificateSpec spec = AuthoritySpec("old");
  spec.not_after = kPkiBegin + 10;
  const IssuedCertificate old = Issue(spec, &root);
  const IssuedCertificate theirs = Issue(ClientSpec("client"), &old);
  EXPECT_EQ(Judge(root, {&theirs, &old}), TrustVerdict::kUntrusted);
  EXPECT_EQ(Judge(old, {&theirs}), TrustVerdict::kUntrusted);
}

TEST_F(CertificateTrustTest, U19_RefusesCertificatesThatAreNotForClients) {
  for (const char* usage : {"serverAuth", "emailProtection", "codeSigning", "OCSPSigning"}) {
    const IssuedCertificate wrong =
        Issue(With(ClientSpec("client"), "extendedKeyUsage", usage), &root);
    EXPECT_EQ(Judge(root, {&wrong}), TrustVerdict::kUntrusted) << usage;
    EXPECT_THAT(CertificateTrust::Parse(wrong.Pem()),
                HasError(kInvalid, HasSubstr("TLS client authentication")));
  }
  const IssuedCertificate wrong_use =
      Issue(With(ClientSpec("client"), "keyUsage", "critical,keyEncipherment"), &root);
  EXPECT_EQ(Judge(root, {&wrong_use}), TrustVerdict::kUntrusted);
}

TEST_F(CertificateTrustTest, ACertificateForServersAndClientsIsForClients) {
  const IssuedCertificate both =
      Issue(With(ClientSpec("both"), "extendedKeyUsage", "serverAuth,clientAuth"), &root);
  EXPECT_EQ(Judge(root, {&both}), TrustVerdict::kTrusted);
}

TEST_F(CertificateTrustTest, U19_RefusesAnAuthorityRestrictedToServers) {
  const IssuedCertificate servers =
      Issue(With(AuthoritySpec("servers"), "extendedKeyUsage", "serverAuth"), &root);
  const IssuedCertificate theirs = Issue(ClientSpec("client"), &servers);
  EXPECT_EQ(Judge(root, {&theirs, &servers}), TrustVerdict::kUntrusted);
}

TEST_F(CertificateTrustTest, U19_RefusesAnAuthorityAsAClient) {
  const IssuedCertificate leaf = Issue(
      With(With(ClientSpec("client"), "basicConstraints", "critical,CA:TRUE"), "keyUsage", ""),
      &root);
  EXPECT_EQ(Judge(root, {&leaf}), TrustVerdict::kUntrusted);
  EXPECT_EQ(Judge(leaf, {&leaf}), TrustVerdict::kUntrusted);
  EXPECT_EQ(Judge(root, {&root}), TrustVerdict::kUntrusted);
  EXPECT_EQ(Judge(root, {&issuing}), TrustVerdict::kUntrusted);
}

TEST_F(CertificateTrustTest, U19_RefusesWhatAClientHasSigned) {
  const IssuedCertificate below = Issue(ClientSpec("below"), &direct);
  EXPECT_EQ(Judge(root, {&below, &direct}), TrustVerdict::kUntrusted);
  EXPECT_EQ(Judge(direct, {&below}), TrustVerdict::kUntrusted);
  EXPECT_EQ(Judge(direct, {&below, &direct}), TrustVerdict::kUntrusted);
}

TEST_F(CertificateTrustTest, U19_RefusesALongerPathThanAllowed) {
  const IssuedCertificate last =
      Issue(With(AuthoritySpec("last"), "basicConstraints", "critical,CA:TRUE,pathlen:0"), &root);
  const IssuedCertificate below = Issue(AuthoritySpec("below"), &last);
  const IssuedCertificate theirs = Issue(ClientSpec("client"), &below);
  const IssuedCertificate ours = Issue(ClientSpec("client"), &last);
  EXPECT_EQ(Judge(root, {&ours, &last}), TrustVerdict::kTrusted);
  EXPECT_EQ(Judge(root, {&theirs, &below, &last}), TrustVerdict::kUntrusted);
  EXPECT_EQ(Judge(last, {&theirs, &below}), TrustVerdict::kUntrusted);
}

TEST_F(CertificateTrustTest, U19_RefusesABreachOfNameConstraints) {
  const IssuedCertificate limited = Issue(
      With(AuthoritySpec("limited"), "nameConstraints", "critical,permitted;DNS:inside.example"),
      &root);
  const IssuedCertificate inside =
      Issue(With(ClientSpec("a"), "subjectAltName", "DNS:app.inside.example"), &limited);
  const IssuedCertificate outside =
      Issue(With(ClientSpec("a"), "subjectAltName", "DNS:app.outside.example"), &limited);
  EXPECT_EQ(Judge(root, {&inside, &limited}), TrustVerdict::kTrusted);
  EXPECT_EQ(Judge(root, {&outside, &limited}), TrustVerdict::kUntrusted);
  EXPECT_EQ(Judge(limited, {&outside}), TrustVerdict::kUntrusted);
}

TEST_F(CertificateTrustTest, U19_RefusesUnknownCriticalExtensions) {
  const IssuedCertificate odd =
      Issue(With(ClientSpec("odd"), "1.3.6.1.4.1.99999.1", "critical,ASN1:UTF8String:x"), &root);
  EXPECT_EQ(Judge(root, {&odd}), TrustVerdict::kUntrusted);
}

TEST_F(CertificateTrustTest, U19_RefusesWeakSignatures) {
  CertificateSpec spec = ClientSpec("weak");
  spec.digest = "SHA1";
  const IssuedCertificate weak = Issue(spec, &root);
  EXPECT_EQ(Judge(root, {&weak}), TrustVerdict::kUntrusted);
}

TEST_F(CertificateTrustTest, U19_APinnedCertificateMatchesOnlyItself) {
  CertificateSpec spec = ClientSpec("pinned");
  spec.serial = 77;
  const IssuedCertificate pinned = Issue(spec, &root);
  EXPECT_EQ(Judge(pinned, {&pinned}), TrustVerdict::kTrusted);
  EXPECT_EQ(Judge(pinned, {&pinned, &root}), TrustVerdict::kTrusted);
  const IssuedCertificate other_key = Issue(spec, &root);
  const IssuedCertificate self_signed = Issue(spec, nullptr);
  const IssuedCertificate same_key = Issue(spec, &root, pinned.shared_key());  // signed anew
  for (const IssuedCertificate* other : {&other_key, &self_signed, &same_key, &direct}) {
    EXPECT_EQ(Judge(pinned, {other}), TrustVerdict::kUntrusted);
    EXPECT_EQ(Judge(pinned, {other, &pinned}), TrustVerdict::kUntrusted);
  }
}

TEST_F(CertificateTrustTest, U19_APinnedCertificateExpiresAsWell) {
  EXPECT_EQ(Judge(direct, {&direct}, {}, kPkiBegin - 1), TrustVerdict::kUntrusted);
  EXPECT_EQ(Judge(direct, {&direct}, {}, kPkiBegin), TrustVerdict::kTrusted);
  EXPECT_EQ(Judge(direct, {&direct}, {}, kPkiEnd), TrustVerdict::kTrusted);
  EXPECT_EQ(Judge(direct, {&direct}, {}, kPkiEnd + 1), TrustVerdict::kUntrusted);
}

TEST_F(CertificateTrustTest, U19_RefusesARevokedCertificate) {
  CertificateSpec spec = ClientSpec("revoked");
  spec.serial = 41;
  const IssuedCertificate bad = Issue(spec, &issuing);
  const auto list = Revoked({.serials = {40, 41}}, issuing);
  EXPECT_EQ(Judge(root, {&bad, &issuing}), TrustVerdict::kTrusted);
  EXPECT_EQ(Judge(root, {&bad, &issuing}, {list}), TrustVerdict::kRevoked);
  EXPECT_EQ(Judge(issuing, {&bad}, {list}), TrustVerdict::kRevoked);
  EXPECT_EQ(Judge(bad, {&bad}, {list}), TrustVerdict::kRevoked) << "pinned";
  EXPECT_EQ(Judge(root, {&client, &issuing}, {list}), TrustVerdict::kTrusted);
}

TEST_F(CertificateTrustTest, U19_RefusesBelowARevokedAuthority) {
  CertificateSpec spec = AuthoritySpec("issuing");
  spec.serial = 42;
  const IssuedCertificate bad = Issue(spec, &root);
  const IssuedCertificate theirs = Issue(ClientSpec("client"), &bad);
  const auto list = Revoked({.serials = {42}}, root);
  EXPECT_EQ(Judge(root, {&theirs, &bad}, {list}), TrustVerdict::kRevoked);
  // The entry trusts the revoked authority itself, whose issuer is not at hand.
  EXPECT_EQ(Judge(bad, {&theirs}, {list}), TrustVerdict::kRevoked);
}

TEST_F(CertificateTrustTest, AListOfAnotherIssuerWithThisSerialRevokesNothing) {
  CertificateSpec spec = ClientSpec("client");
  spec.serial = 43;
  const IssuedCertificate good = Issue(spec, &issuing);
  const IssuedCertificate namesake = Issue(AuthoritySpec("issuing"), nullptr);
  EXPECT_EQ(Judge(root, {&good, &issuing}, {Revoked({.serials = {43}}, root)}),
            TrustVerdict::kTrusted);
  EXPECT_EQ(Judge(root, {&good, &issuing}, {Revoked({.serials = {43}}, namesake)}),
            TrustVerdict::kTrusted);
}

TEST_F(CertificateTrustTest, U19_AnOutdatedListThatCoversTheCertificateRefusesIt) {
  const auto old = Revoked({.next_update = kNow - 1}, issuing);
  const auto early = Revoked({.this_update = kNow + 1}, issuing);
  const auto endless = Revoked({.next_update = 0}, issuing);
  EXPECT_EQ(Judge(root, {&client, &issuing}, {old}), TrustVerdict::kRevoked);
  EXPECT_EQ(Judge(root, {&client, &issuing}, {early}), TrustVerdict::kRevoked);
  EXPECT_EQ(Judge(root, {&client, &issuing}, {endless}), TrustVerdict::kTrusted);
  EXPECT_EQ(Judge(root, {&direct}, {old}), TrustVerdict::kTrusted) << "of another issuer";
}

TEST(CertificateTrust, RefusesWhatIsNoCertificate) {
  EXPECT_THAT(CertificateTrust::Parse(""), HasError(kInvalid, "failed to parse certificate"));
  EXPECT_THAT(CertificateTrust::Parse("text"), HasError(kInvalid, "failed to parse certificate"));
  const IssuedCertificate root = Issue(AuthoritySpec("root"), nullptr);
  EXPECT_THAT(CertificateTrust::Parse(root.KeyPem()),
              HasError(kInvalid, "failed to parse certificate"));
  std::string broken = root.Pem();
  broken[broken.size() / 2] = '!';
  EXPECT_THAT(CertificateTrust::Parse(broken), HasError(kInvalid));
}

TEST(CertificateTrust, SeveralCertificatesMustAllBeAuthorities) {
  const IssuedCertificate root = Issue(AuthoritySpec("root"), nullptr);
  const IssuedCertificate other = Issue(AuthoritySpec("other"), nullptr);
  const IssuedCertificate leaf = Issue(ClientSpec("leaf"), &other);
  const auto both = CertificateTrust::Parse(root.Pem() + other.Pem());
  ASSERT_TRUE(both.has_value());
  EXPECT_EQ((*both)->Judge(Presented({&leaf}), {}, kNow), TrustVerdict::kTrusted);
  EXPECT_EQ((*both)->Pem(), root.Pem() + other.Pem());
  EXPECT_THAT(CertificateTrust::Parse(root.Pem() + leaf.Pem()),
              HasError(kInvalid, HasSubstr("another is not")));
  EXPECT_THAT(CertificateTrust::Parse(leaf.Pem() + root.Pem()),
              HasError(kInvalid, HasSubstr("must stand alone")));
  std::string many;
  for (std::size_t i = 0; i <= kMaxTrustedCertificates; ++i) {
    many += root.Pem();
  }
  EXPECT_THAT(CertificateTrust::Parse(many), HasError(kInvalid, HasSubstr("more than 10")));
}

TEST(RevocationList, ReadsPemAndDer) {
  const IssuedCertificate issuer = Issue(AuthoritySpec("ca"), nullptr);
  const Bytes der = MakeRevocationList({.serials = {5, 1'000'000'007}}, issuer);
  for (const auto& parsed :
       {RevocationList::Parse(RevocationListPem(der)), RevocationList::Parse(AsText(der)),
        RevocationList::Parse(ByteView(der))}) {
    ASSERT_TRUE(parsed.has_value());
    EXPECT_EQ((*parsed)->Issuer(), "CN=ca");
    EXPECT_EQ((*parsed)->der(), der);
    EXPECT_EQ((*parsed)->this_update(), kPkiBegin);
    EXPECT_EQ((*parsed)->next_update(), kPkiEnd);
    EXPECT_EQ((*parsed)->revoked_count(), 2U);
    EXPECT_THAT((*parsed)->RevokedSerials(9), ::testing::ElementsAre("5", "1000000007"));
    EXPECT_THAT((*parsed)->RevokedSerials(1), ::testing::ElementsAre("5"));
  }
}

TEST(RevocationList, RefusesWhatIsNoWholeList) {
  const IssuedCertificate issuer = Issue(AuthoritySpec("ca"), nullptr);
  Bytes der = MakeRevocationList({.serials = {5}}, issuer);
  for (std::size_t size = 0; size < der.size(); ++size) {
    EXPECT_THAT(RevocationList::Parse(ByteView(der).first(size)), HasError(kInvalid)) << size;
  }
  der.push_back(0);
  EXPECT_THAT(RevocationList::Parse(ByteView(der)), HasError(kInvalid, HasSubstr("whole list")));
  EXPECT_THAT(RevocationList::Parse(issuer.Pem()), HasError(kInvalid, HasSubstr("X509 CRL")));
  EXPECT_THAT(RevocationList::Parse(ByteView(Bytes(kMaxRevocationListBytes + 1))),
              HasError(kInvalid, HasSubstr("longer than")));
}

}  // namespace
}  // namespace kms
