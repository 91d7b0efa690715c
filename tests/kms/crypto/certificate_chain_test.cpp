// SPDX-License-Identifier: Apache-2.0
// transit-api 6.26 and RFC 5280, with certificates that the openssl program issued.
#include "kms/crypto/certificate_chain.h"

#include <gtest/gtest.h>

#include <string>

#include "kms/crypto/pem_text.h"
#include "tests/support/matchers.h"
#include "tests/support/openssl_command.h"

namespace kms {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOkAndHolds;
using ::kms::testing::OpensslCommand;
using ::testing::SizeIs;
using ::testing::StartsWith;
using enum AsymmetricAlgorithm;

// A root, an authority below it, a leaf for `key`, and a leaf that the root issued.
struct Issued {
  AsymmetricKey key;
  std::string root, authority, leaf, leaf_of_root, leaf_as_authority, self_signed;
};

void Issue(OpensslCommand& openssl, const std::string& name, const std::string& issuer,
           const std::string& constraints) {
  openssl.Write("extensions", constraints);
  if (issuer.empty()) {
    ASSERT_TRUE(openssl.Run("req -x509 -new -days 30 -key " + name + ".key -subj /CN=" + name +
                            " -config empty -addext " + constraints + " -out " + name + ".pem"));
    return;
  }
  ASSERT_TRUE(openssl.Run("req -new -key " + issuer + ".key -subj /CN=" + name +
                          " -config empty -out " + name + ".csr"));
  ASSERT_TRUE(openssl.Run("x509 -req -days 30 -in " + name + ".csr -CA " + issuer + ".pem -CAkey " +
                          issuer + ".key -CAcreateserial -force_pubkey " + name +
                          ".pub -extfile extensions -out " + name + ".pem"));
}

void NewKey(OpensslCommand& openssl, const std::string& name) {
  ASSERT_TRUE(
      openssl.Run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out " + name + ".key"));
  ASSERT_TRUE(openssl.Run("pkey -in " + name + ".key -pubout -out " + name + ".pub"));
}

const Issued& Chain() {
  static const Issued issued = [] {
    OpensslCommand openssl;
    openssl.Write("empty", "[req]\ndistinguished_name=dn\n[dn]\n");
    for (const char* const name : {"root", "authority", "leaf", "rootleaf", "fake", "self"}) {
      NewKey(openssl, name);
    }
    Issue(openssl, "root", "", "basicConstraints=critical,CA:TRUE");
    Issue(openssl, "authority", "root", "basicConstraints=critical,CA:TRUE");
    Issue(openssl, "leaf", "authority", "basicConstraints=CA:FALSE");
    EXPECT_TRUE(openssl.Run("pkey -in leaf.key -pubout -out rootleaf.pub"));
    Issue(openssl, "rootleaf", "root", "keyUsage=digitalSignature");
    EXPECT_TRUE(openssl.Run("pkey -in leaf.key -pubout -out fake.pub"));
    Issue(openssl, "fake", "root", "basicConstraints=CA:TRUE");
    EXPECT_TRUE(openssl.Run("pkey -in leaf.key -out self.key"));
    Issue(openssl, "self", "", "basicConstraints=CA:FALSE");
    EXPECT_TRUE(openssl.Run("pkcs8 -topk8 -nocrypt -in leaf.key -outform DER -out leaf.der"));
    return Issued{
        .key = AsymmetricKey::FromPkcs8(kEcdsaP256, openssl.Content("leaf.der")).value(),
        .root = openssl.Text("root.pem"),
        .authority = openssl.Text("authority.pem"),
        .leaf = openssl.Text("leaf.pem"),
        .leaf_of_root = openssl.Text("rootleaf.pem"),
        .leaf_as_authority = openssl.Text("fake.pem"),
        .self_signed = openssl.Text("self.pem"),
    };
  }();
  return issued;
}

void ExpectRefused(const std::string& pem, const std::string& text) {
  EXPECT_THAT(ParseCertificateChain(Chain().key, pem), HasError(ErrorCode::kInvalidArgument, text));
}

TEST(CertificateChain, TakesAChainThatFitsTheKey) {
  const Issued& chain = Chain();
  EXPECT_THAT(ParseCertificateChain(chain.key, chain.leaf), IsOkAndHolds(SizeIs(1)));
  EXPECT_THAT(ParseCertificateChain(chain.key, chain.leaf + chain.authority),
              IsOkAndHolds(SizeIs(2)));
  EXPECT_THAT(ParseCertificateChain(chain.key, chain.leaf + chain.authority + chain.root),
              IsOkAndHolds(SizeIs(3)));
  EXPECT_THAT(ParseCertificateChain(chain.key, chain.leaf_of_root + chain.root),
              IsOkAndHolds(SizeIs(2)));
  EXPECT_THAT(ParseCertificateChain(chain.key, chain.self_signed), IsOkAndHolds(SizeIs(1)));
}

TEST(CertificateChain, IsRenderedAsPemJoinedByNewlines) {
  const Issued& chain = Chain();
  const std::string text = chain.leaf + chain.authority + chain.root;
  KMS_ASSERT_OK_AND_ASSIGN(const std::vector<Bytes> certificates,
                           ParseCertificateChain(chain.key, text));
  EXPECT_EQ(RenderCertificateChain(certificates) + "\n", text);
  EXPECT_EQ(RenderCertificateChain({}), "");
}

TEST(CertificateChain, PassesOverOtherBlocksAndText) {
  const Issued& chain = Chain();
  const std::string other =
      internal::EncodePem("EC PARAMETERS", Bytes(8), internal::PemEnding::kNewline);
  EXPECT_THAT(ParseCertificateChain(chain.key, "subject\n" + other + chain.leaf + "issuer\n" +
                                                   chain.authority + "\n\n"),
              IsOkAndHolds(SizeIs(2)));
}

TEST(CertificateChain, RefusesALeafOfAnotherKey) {
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey other, AsymmetricKey::Generate(kEcdsaP256));
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey ed25519, AsymmetricKey::Generate(kEd25519));
  for (const AsymmetricKey& key : {other, ed25519}) {
    EXPECT_THAT(ParseCertificateChain(key, Chain().leaf),
                HasError(ErrorCode::kInvalidArgument,
                         "leaf certificate public key does not match the selected key version"));
  }
}

TEST(CertificateChain, RefusesAnAuthorityInTheFirstPlace) {
  const std::string text =
      "failed to persist certificate chain: certificate in the first element is not a valid leaf "
      "certificate";
  ExpectRefused(Chain().root, text);
  ExpectRefused(Chain().authority + Chain().leaf, text);
  ExpectRefused(Chain().leaf_as_authority + Chain().root, text);
}

TEST(CertificateChain, RefusesAnotherLeafWhereAnAuthorityBelongs) {
  ExpectRefused(Chain().leaf + Chain().leaf_of_root,
                "failed to persist certificate chain: certificate in the last element is not a "
                "valid CA certificate");
  ExpectRefused(Chain().leaf + Chain().leaf_of_root + Chain().root,
                "failed to persist certificate chain: certificate in element 2 is not a valid CA "
                "certificate");
}

TEST(CertificateChain, RefusesABrokenLink) {
  ExpectRefused(Chain().leaf + Chain().root,
                "failed to persist certificate chain: certificate in element 1 is not signed by "
                "the next one");
  ExpectRefused(Chain().leaf + Chain().authority + Chain().authority,
                "failed to persist certificate chain: certificate in element 2 is not signed by "
                "the next one");
}

TEST(CertificateChain, RefusesADamagedCertificate) {
  std::optional<internal::PemBlock> block = internal::DecodePem(Chain().leaf);
  ASSERT_TRUE(block.has_value());
  const Bytes good = block->content;
  Bytes longer = good;
  longer.push_back(0);
  for (const Bytes& der : {Bytes(), Bytes(good.begin(), good.end() - 1), longer}) {
    EXPECT_THAT(
        ParseCertificateChain(
            Chain().key, internal::EncodePem("CERTIFICATE", der, internal::PemEnding::kNewline)),
        HasError(ErrorCode::kInvalidArgument,
                 StartsWith("could not parse a certificate in the certificate chain: ")));
  }
}

TEST(CertificateChain, RefusesTextWithoutCertificates) {
  const std::string none =
      "provided certificate chain did not contain any valid PEM encoded certificate";
  const std::string undecodable = "could not decode a PEM block in the certificate chain";
  ExpectRefused("", none);
  ExpectRefused(" \n\t\r\n", none);
  ExpectRefused(internal::EncodePem("PUBLIC KEY", Bytes(8), internal::PemEnding::kNewline), none);
  ExpectRefused("hello", undecodable);
  ExpectRefused(Chain().leaf + "hello", undecodable);
  ExpectRefused(Chain().leaf.substr(0, 100), undecodable);
}

TEST(CertificateChain, IsBounded) {
  std::string many;
  for (std::size_t count = 0; count <= kMaxChainCertificates; ++count) {
    many += Chain().leaf;
  }
  ExpectRefused(many, "certificate chain is too long: more than 10 certificates");
  ExpectRefused(Chain().leaf + std::string(kMaxChainTextBytes, '\n'),
                "certificate chain is too long: more than 65536 bytes");
}

}  // namespace
}  // namespace kms
