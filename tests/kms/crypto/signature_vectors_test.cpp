// SPDX-License-Identifier: Apache-2.0
// Published signatures: RFC 8032, RFC 6979, Wycheproof, and the rows of the wire contract.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <string>

#include "kms/base/base64.h"
#include "kms/crypto/hkdf.h"
#include "kms/crypto/signature.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using testing::FromHex;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::ReadVectors;

using enum AsymmetricAlgorithm;

AsymmetricAlgorithm AlgorithmNamed(const std::string& name) {
  static const std::map<std::string, AsymmetricAlgorithm> names = {
      {"ecdsa-p256", kEcdsaP256}, {"ecdsa-p384", kEcdsaP384}, {"ecdsa-p521", kEcdsaP521},
      {"ed25519", kEd25519},      {"rsa-2048", kRsa2048},     {"rsa-3072", kRsa3072},
      {"rsa-4096", kRsa4096}};
  return names.at(name);
}

// ---- Ed25519 -----------------------------------------------------------------------------------

TEST(Ed25519Vectors, SignAndVerifyAsRfc8032) {
  int count = 0;
  for (const auto& row : ReadVectors("rfc8032_ed25519.txt")) {
    KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key,
                             AsymmetricKey::FromEd25519Seed(FromHex(row.at(0))));
    EXPECT_THAT(key.Ed25519PublicKey(), IsOkAndHolds(FromHex(row.at(1))));
    const Bytes message = FromHex(row.at(2));
    const Bytes signature = FromHex(row.at(3));
    EXPECT_THAT(CreateSignature(key, {}, message), IsOkAndHolds(signature));
    EXPECT_THAT(VerifySignature(key, {}, message, signature), IsOkAndHolds(true));
    ++count;
  }
  EXPECT_EQ(count, 5);
}

Bytes CountingKey() {
  Bytes key;
  for (std::uint8_t byte = 0; byte < 32; ++byte) {
    key.push_back(byte);
  }
  return key;
}

void ExpectSignature(const AsymmetricKey& key, std::string_view public_key,
                     std::string_view signature) {
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes half, key.Ed25519PublicKey());
  EXPECT_EQ(Base64Encode(half), public_key);
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes signed_bytes,
                           CreateSignature(key, {}, AsBytes("hello transit")));
  EXPECT_EQ(Base64Encode(signed_bytes), signature);
}

TEST(Ed25519Vectors, SignAsTheWireContract) {
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key,
                           AsymmetricKey::FromEd25519Seed(CountingKey()));
  ExpectSignature(key, "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
                  "wnVkHwvfFFDdai0cGAmfgpoxbTa6VJez4uVZZLB0I+TMMgnX/VoRE3fmGzGR6JNA29mTh1SUr/Mft/"
                  "EcdebnCg==");
}

// A derived key: the seed comes out of HKDF over seed || public key, with the context as info.
TEST(Ed25519Vectors, SignWithADerivedSeedAsTheWireContract) {
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey root,
                           AsymmetricKey::FromEd25519Seed(CountingKey()));
  Bytes material = CountingKey();
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes half, root.Ed25519PublicKey());
  material.insert(material.end(), half.begin(), half.end());
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes seed,
                           HkdfSha256(material, {}, AsBytes("tenant-42"), 32));
  EXPECT_EQ(HexEncode(seed.View()),
            "57998500e409e1ba1e11d4dff86634b232fe48ca482f0cce91914d8d2e3a3f04");
  KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key, AsymmetricKey::FromEd25519Seed(seed.View()));
  ExpectSignature(key, "4YBpm7poMhl+FmgvMdm3RI0TbIK/GHII4plJP+729ek=",
                  "5fCOkQws0dqOjtNILvVKr8wnb3rSpNtqUKQ6YtQImlUwc62SjOJXB7oI8jqff07bmWcCvm/RPauBTK0a"
                  "sFuMAQ==");
}

// ---- ECDSA -------------------------------------------------------------------------------------

// SubjectPublicKeyInfo of a point: what stands before it does not depend on the point.
Result<AsymmetricKey> KeyAt(AsymmetricAlgorithm algorithm, ByteView point) {
  const AsymmetricKey other = KMS_TRY(AsymmetricKey::Generate(algorithm));
  Bytes spki = KMS_TRY(other.PublicKey());
  std::ranges::copy(point, spki.end() - static_cast<std::ptrdiff_t>(point.size()));
  return AsymmetricKey::FromPublicKey(algorithm, spki);
}

// The published signatures are deterministic; ours are not, so they are verified.
TEST(EcdsaVectors, VerifyWhatRfc6979Published) {
  int count = 0;
  for (const auto& row : ReadVectors("rfc6979_ecdsa.txt")) {
    KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey key,
                             KeyAt(AlgorithmNamed(row.at(0)), FromHex(row.at(1))));
    SignatureOptions options{.hash = FindHash(row.at(2))};
    options.marshaling = SignatureMarshaling::kJws;
    ASSERT_TRUE(options.hash.has_value());
    const Bytes signature = FromHex(row.at(4));
    EXPECT_THAT(VerifySignature(key, options, AsBytes(row.at(3)), signature), IsOkAndHolds(true));
    EXPECT_THAT(VerifySignature(key, options, AsBytes("simple"), signature), IsOkAndHolds(false));
    options.prehashed = true;
    KMS_ASSERT_OK_AND_ASSIGN(const HashValue hash, ComputeHash(*options.hash, AsBytes(row.at(3))));
    EXPECT_THAT(VerifySignature(key, options, hash.View(), signature), IsOkAndHolds(true));
    ++count;
  }
  EXPECT_EQ(count, 30);
}

// ---- Wycheproof --------------------------------------------------------------------------------

struct Verifier {
  AsymmetricKey key;
  SignatureOptions options;
};

// nullopt for a key that no key of the service is like.
std::optional<Verifier> VerifierOf(const std::vector<std::string>& row) {
  Result<AsymmetricKey> key =
      AsymmetricKey::FromPublicKey(AlgorithmNamed(row.at(1)), FromHex(row.at(2)));
  if (!key.has_value()) {
    return std::nullopt;
  }
  SignatureOptions options{.hash = FindHash(row.at(4))};
  options.rsa =
      row.at(3) == "pkcs1v15" ? RsaSignatureScheme::kPkcs1v15 : RsaSignatureScheme::kPss;
  options.salt_length = std::stoi(row.at(5));
  options.marshaling =
      row.at(6) == "jws" ? SignatureMarshaling::kJws : SignatureMarshaling::kAsn1;
  return Verifier{*std::move(key), options};
}

TEST(WycheproofSignatures, ValidOnesVerifyAndNoOthers) {
  std::optional<Verifier> verifier;
  std::map<std::string, int> counts;
  for (const auto& row : ReadVectors("wycheproof_signatures.txt")) {
    if (row.at(0) == "key") {
      verifier = VerifierOf(row);
      ++counts[verifier.has_value() ? "keys" : "refused keys"];
      continue;
    }
    ASSERT_TRUE(verifier.has_value());
    const Result<bool> verified = VerifySignature(verifier->key, verifier->options,
                                                  FromHex(row.at(1)), FromHex(row.at(2)));
    const bool good = verified.has_value() && *verified;
    if (row.at(0) != "acceptable") {
      EXPECT_EQ(good, row.at(0) == "valid") << row.at(1) << " " << row.at(2);
    }
    if (!verified.has_value()) {
      EXPECT_EQ(verified.error().code, ErrorCode::kInvalidArgument);
    }
    ++counts[row.at(0)];
  }
  EXPECT_GT(counts["valid"], 1000);
  EXPECT_GT(counts["invalid"], 1000);
  EXPECT_EQ(counts["refused keys"], 0);
}

}  // namespace
}  // namespace kms
