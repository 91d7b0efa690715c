// SPDX-License-Identifier: Apache-2.0
// transit-api 6.26 and RFC 2986, with the openssl program as author and as reader.
#include "kms/crypto/certificate_request.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "kms/crypto/pem_text.h"
#include "kms/crypto/signature.h"
#include "tests/support/asymmetric_keys.h"
#include "tests/support/matchers.h"
#include "tests/support/openssl_command.h"

namespace kms {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::OpensslCommand;
using ::kms::testing::PublicHalf;
using ::kms::testing::TestKey;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using enum AsymmetricAlgorithm;

constexpr std::array<AsymmetricAlgorithm, 5> kAlgorithms = {kEcdsaP256, kEcdsaP384, kEcdsaP521,
                                                            kEd25519, kRsa2048};

// A request with a subject, extensions and a further attribute, by a key of its own.
const std::string& Template() {
  static const std::string pem = [] {
    OpensslCommand openssl;
    openssl.Write("config",
                  "[req]\nprompt=no\ndistinguished_name=dn\nreq_extensions=ext\nattributes=attr\n"
                  "[dn]\nC=CH\nO=Example GmbH\nCN=service.example\n"
                  "[attr]\nunstructuredName=kept as well\n"
                  "[ext]\nsubjectAltName=DNS:service.example,IP:192.0.2.1\n"
                  "keyUsage=critical,digitalSignature\n1.2.3.4=ASN1:UTF8String:own extension\n");
    EXPECT_TRUE(openssl.Run(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -config config "
        "-out request.pem"));
    return openssl.Text("request.pem");
  }();
  return pem;
}

TEST(CertificateRequest, OfEveryKeyTypeIsVerifiedByOpenssl) {
  for (const AsymmetricAlgorithm algorithm : kAlgorithms) {
    for (const std::string& csr_template : {std::string(), Template()}) {
      OpensslCommand openssl;
      KMS_ASSERT_OK_AND_ASSIGN(const std::string pem,
                               SignCertificateRequest(TestKey(algorithm), csr_template));
      EXPECT_TRUE(pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"));
      EXPECT_TRUE(pem.ends_with("-----END CERTIFICATE REQUEST-----\n"));
      openssl.Write("request.pem", pem);
      EXPECT_TRUE(openssl.Run("req -verify -noout -in request.pem"));
      ASSERT_TRUE(openssl.Run("req -noout -pubkey -in request.pem"));
      KMS_ASSERT_OK_AND_ASSIGN(const Bytes spki, TestKey(algorithm).PublicKey());
      EXPECT_EQ(openssl.Output(),
                internal::EncodePem("PUBLIC KEY", spki, internal::PemEnding::kNewline));
    }
  }
}

TEST(CertificateRequest, KeepsSubjectExtensionsAndAttributesOfTheTemplate) {
  for (const AsymmetricAlgorithm algorithm : kAlgorithms) {
    OpensslCommand openssl;
    KMS_ASSERT_OK_AND_ASSIGN(const std::string pem,
                             SignCertificateRequest(TestKey(algorithm), Template()));
    openssl.Write("request.pem", pem);
    ASSERT_TRUE(openssl.Run("req -noout -text -in request.pem"));
    const std::string text = openssl.Output();
    EXPECT_THAT(text, HasSubstr("Subject: C = CH, O = Example GmbH, CN = service.example"));
    EXPECT_THAT(text, HasSubstr("DNS:service.example, IP Address:192.0.2.1"));
    EXPECT_THAT(text, HasSubstr("X509v3 Key Usage: critical"));
    EXPECT_THAT(text, HasSubstr("1.2.3.4"));
    EXPECT_THAT(text, HasSubstr("kept as well"));
  }
}

TEST(CertificateRequest, WithoutATemplateHasNoSubjectAndNoAttributes) {
  OpensslCommand openssl;
  KMS_ASSERT_OK_AND_ASSIGN(const std::string pem, SignCertificateRequest(TestKey(kEcdsaP256), ""));
  openssl.Write("request.pem", pem);
  ASSERT_TRUE(openssl.Run("req -noout -text -in request.pem"));
  EXPECT_THAT(openssl.Output(), HasSubstr("Subject: \n"));
  EXPECT_THAT(openssl.Output(), HasSubstr("Attributes:\n            (none)\n"));
}

TEST(CertificateRequest, IsSignedAsStronglyAsItsKey) {
  constexpr std::array<const char*, kAlgorithms.size()> kNames = {
      "ecdsa-with-SHA256", "ecdsa-with-SHA384", "ecdsa-with-SHA512", "ED25519",
      "sha256WithRSAEncryption"};
  for (std::size_t index = 0; index < kAlgorithms.size(); ++index) {
    OpensslCommand openssl;
    openssl.Write("request.pem", SignCertificateRequest(TestKey(kAlgorithms[index]), "").value());
    ASSERT_TRUE(openssl.Run("req -noout -text -in request.pem"));
    EXPECT_THAT(openssl.Output(), HasSubstr(std::string("Signature Algorithm: ") + kNames[index]));
  }
}

TEST(CertificateRequest, DoesNotMindADamagedSignatureOfTheTemplate) {
  std::optional<internal::PemBlock> block = internal::DecodePem(Template());
  ASSERT_TRUE(block.has_value());
  block->content.back() ^= 1U;
  OpensslCommand openssl;
  KMS_ASSERT_OK_AND_ASSIGN(
      const std::string pem,
      SignCertificateRequest(TestKey(kEd25519),
                             internal::EncodePem("CERTIFICATE REQUEST", block->content,
                                                 internal::PemEnding::kNewline)));
  openssl.Write("request.pem", pem);
  EXPECT_TRUE(openssl.Run("req -verify -noout -in request.pem"));
}

TEST(CertificateRequest, RefusesATemplateThatIsNotPem) {
  for (const std::string_view text : {"x", "-----BEGIN CERTIFICATE REQUEST-----", "MIIB"}) {
    EXPECT_THAT(SignCertificateRequest(TestKey(kEcdsaP256), text),
                HasError(ErrorCode::kInvalidArgument, "could not decode PEM CSR"));
  }
}

TEST(CertificateRequest, RefusesATemplateThatIsNoRequest) {
  const std::optional<internal::PemBlock> block = internal::DecodePem(Template());
  ASSERT_TRUE(block.has_value());
  Bytes longer = block->content;
  longer.push_back(0);
  const Bytes shorter(block->content.begin(), block->content.end() - 1);
  for (const Bytes& der : {Bytes(), Bytes{0x30, 0x00}, longer, shorter}) {
    EXPECT_THAT(SignCertificateRequest(
                    TestKey(kEcdsaP256),
                    internal::EncodePem("CERTIFICATE REQUEST", der, internal::PemEnding::kNewline)),
                HasError(ErrorCode::kInvalidArgument, StartsWith("could not parse the CSR: ")));
  }
}

TEST(CertificateRequest, RefusesATemplateThatIsTooLong) {
  EXPECT_THAT(
      SignCertificateRequest(TestKey(kEcdsaP256),
                             Template() + std::string(kMaxRequestTemplateBytes, '\n')),
      HasError(ErrorCode::kInvalidArgument, "could not parse the CSR: longer than 65536 bytes"));
}

TEST(CertificateRequest, NeedsAPrivateHalf) {
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes spki, TestKey(kEcdsaP256).PublicKey());
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key, AsymmetricKey::FromPublicKey(kEcdsaP256, spki));
  EXPECT_THAT(SignCertificateRequest(key, ""),
              HasError(ErrorCode::kInvalidArgument,
                       "could not create the csr: private key not imported for key version "
                       "selected"));
}

// ---- signed elsewhere ---------------------------------------------------------------------------

// As a token signs: a digest alone.
DigestSigner SignerOf(const AsymmetricKey& key) {
  return [key](HashAlgorithm hash, ByteView digest) {
    return CreateSignature(
        key, {.hash = hash, .prehashed = true, .rsa = RsaSignatureScheme::kPkcs1v15}, digest);
  };
}

TEST(CertificateRequestElsewhere, IsVerifiedByOpenssl) {
  for (const AsymmetricAlgorithm algorithm : {kEcdsaP256, kEcdsaP384, kEcdsaP521, kRsa2048}) {
    const AsymmetricKey key = TestKey(algorithm);
    // Among so many signatures are some whose last bits are zeros.
    for (int round = 0; round < 16; ++round) {
      KMS_ASSERT_OK_AND_ASSIGN(
          const std::string pem,
          SignCertificateRequestElsewhere(PublicHalf(key), Template(), SignerOf(key)));
      if (round != 0) {
        continue;
      }
      OpensslCommand openssl;
      openssl.Write("request.pem", pem);
      EXPECT_TRUE(openssl.Run("req -verify -noout -in request.pem"));
      ASSERT_TRUE(openssl.Run("req -noout -text -in request.pem"));
      EXPECT_THAT(openssl.Output(), HasSubstr("DNS:service.example"));
    }
  }
}

TEST(CertificateRequestElsewhere, IsByteForByteTheOneThatIsSignedHere) {
  const AsymmetricKey key = TestKey(kRsa2048);  // whose signatures have no randomness
  for (const std::string& csr_template : {std::string(), Template()}) {
    KMS_ASSERT_OK_AND_ASSIGN(const std::string here, SignCertificateRequest(key, csr_template));
    KMS_ASSERT_OK_AND_ASSIGN(
        const std::string elsewhere,
        SignCertificateRequestElsewhere(PublicHalf(key), csr_template, SignerOf(key)));
    EXPECT_EQ(elsewhere, here);
  }
}

TEST(CertificateRequestElsewhere, H20_WithASignatureThatDoesNotVerifyIsNotGivenOut) {
  const AsymmetricKey key = TestKey(kEcdsaP256);
  const DigestSigner signers[] = {
      SignerOf(TestKey(kEcdsaP256, 1)),
      [](HashAlgorithm, ByteView) -> Result<Bytes> { return Bytes(); },
      [](HashAlgorithm, ByteView) -> Result<Bytes> { return Bytes(70, 0x30); },
      [&](HashAlgorithm hash, ByteView) { return SignerOf(key)(hash, Bytes(32, 1)); }};
  for (const DigestSigner& sign : signers) {
    EXPECT_THAT(SignCertificateRequestElsewhere(key, {}, sign),
                HasError(ErrorCode::kUnavailable, HasSubstr("does not verify")));
  }
}

TEST(CertificateRequestElsewhere, GivesTheSignersErrorAndAsksItForNothingElse) {
  const DigestSigner absent = [](HashAlgorithm, ByteView) -> Result<Bytes> {
    return Unavailable("away");
  };
  EXPECT_THAT(SignCertificateRequestElsewhere(TestKey(kEcdsaP256), {}, absent),
              HasError(ErrorCode::kUnavailable, "away"));
  const DigestSigner never = [](HashAlgorithm, ByteView) -> Result<Bytes> {
    ADD_FAILURE() << "asked";
    return Bytes();
  };
  EXPECT_THAT(SignCertificateRequestElsewhere(TestKey(kEd25519), {}, never),
              HasError(ErrorCode::kInvalidArgument, StartsWith("could not create the csr")));
  EXPECT_THAT(SignCertificateRequestElsewhere(TestKey(kEcdsaP256), "nonsense", never),
              HasError(ErrorCode::kInvalidArgument, "could not decode PEM CSR"));
}

}  // namespace
}  // namespace kms
