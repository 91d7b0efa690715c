// SPDX-License-Identifier: Apache-2.0
// Key sets of issuers (RFC 7517) and the keys in them that must not be used.
#include "kms/auth/jwt_keys.h"

#include <string>

#include "kms/crypto/key_export.h"
#include "tests/support/der_builder.h"
#include "tests/support/jwt_maker.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::Base64Url;
using testing::GoodToken;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::JwkOf;
using testing::JwksOf;
using testing::TestKey;
using testing::WithKeyId;

constexpr std::string_view kPayload = R"({"sub":"app"})";

AsymmetricKey P256(std::size_t which = 0) {
  return TestKey(AsymmetricAlgorithm::kEcdsaP256, which);
}

JwtSignature Judge(const std::string& token, const JwtKeySetHandle& keys) {
  return keys->Verify(ParseJws(token).value(), {}).value();
}

std::size_t Usable(const std::string& jwks) {
  const Result<JwtKeySetHandle> keys = JwtKeySet::ParseJwks(jwks);
  return keys.has_value() ? (*keys)->size() : 0;
}

std::string RsaJwk(const Bytes& n, const Bytes& e) {
  return R"({"kty":"RSA","n":")" + Base64Url(n) + R"(","e":")" + Base64Url(e) + R"("})";
}

Bytes ModulusOf(const AsymmetricKey& key) {
  const Bytes spki = key.PublicKey().value();
  return CopyOf(std::get<internal::RsaNumbers>(internal::ReadPublicKeyInfo(spki).value()).n);
}

TEST(JwtKeySet, ChoosesTheKeyByItsId) {
  const JwtKeySetHandle keys =
      JwtKeySet::ParseJwks(JwksOf({JwkOf(P256(0), WithKeyId("a")), JwkOf(P256(1), WithKeyId("b"))}))
          .value();
  EXPECT_EQ(Judge(GoodToken(P256(1), JwsAlgorithm::kEs256, kPayload, "b"), keys),
            JwtSignature::kGood);
  EXPECT_EQ(Judge(GoodToken(P256(1), JwsAlgorithm::kEs256, kPayload, "a"), keys),
            JwtSignature::kWrong);
  EXPECT_EQ(Judge(GoodToken(P256(1), JwsAlgorithm::kEs256, kPayload, "c"), keys),
            JwtSignature::kUnknownKey);
  EXPECT_EQ(Judge(GoodToken(P256(1), JwsAlgorithm::kEs256, kPayload), keys), JwtSignature::kGood);
}

TEST(JwtKeySet, AKeyWithoutIdIsNoAnswerToATokenThatNamesOne) {
  const JwtKeySetHandle keys = JwtKeySet::ParseJwks(JwksOf({JwkOf(P256())})).value();
  EXPECT_EQ(Judge(GoodToken(P256(), JwsAlgorithm::kEs256, kPayload, "a"), keys),
            JwtSignature::kUnknownKey);
}

TEST(JwtKeySet, U12_U17_RefusesTwoKeysWithOneId) {
  EXPECT_THAT(JwtKeySet::ParseJwks(
                  JwksOf({JwkOf(P256(0), WithKeyId("a")), JwkOf(P256(1), WithKeyId("a"))})),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("same key id")));
  // Of which one cannot be used there is one.
  EXPECT_THAT(JwtKeySet::ParseJwks(JwksOf({JwkOf(P256(0), WithKeyId("a")),
                                           JwkOf(P256(1), WithKeyId("a") + R"(,"use":"enc")")})),
              IsOk());
}

TEST(JwtKeySet, LeavesOutKeysThatAreNotForVerifying) {
  const std::string good = JwkOf(P256());
  for (const char* more :
       {R"(,"use":"enc")", R"(,"use":"")", R"(,"use":1)", R"(,"key_ops":["sign"])",
        R"(,"key_ops":[])", R"(,"key_ops":"verify")", R"(,"alg":"ECDH-ES")", R"(,"alg":"HS256")",
        R"(,"alg":"none")", R"(,"alg":"RS256")", R"(,"alg":"ES384")", R"(,"alg":null)",
        R"(,"kid":7)", R"(,"d":"AAAA")", R"(,"k":"AAAA")"}) {
    EXPECT_EQ(Usable(JwksOf({JwkOf(P256(1), more), good})), 1U) << more;
  }
  for (const char* more :
       {R"(,"use":"sig")", R"(,"key_ops":["sign","verify"])", R"(,"alg":"ES256")",
        R"(,"x5u":"https://evil.example")", R"(,"anything":[])"}) {
    EXPECT_EQ(Usable(JwksOf({JwkOf(P256(1), more), good})), 2U) << more;
  }
}

TEST(JwtKeySet, U11_LeavesOutSymmetricKeys) {
  EXPECT_THAT(JwtKeySet::ParseJwks(R"({"keys":[{"kty":"oct","k":"AAAA","alg":"HS256"}]})"),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("no key")));
}

TEST(JwtKeySet, U15_LeavesOutUnsoundRsaKeys) {
  const Bytes n = ModulusOf(TestKey(AsymmetricAlgorithm::kRsa2048));
  EXPECT_EQ(Usable(JwksOf({RsaJwk(n, {1, 0, 1})})), 1U);
  EXPECT_EQ(Usable(JwksOf({RsaJwk(n, {3})})), 1U);
  for (const Bytes& e :
       {Bytes{}, Bytes{0}, Bytes{1}, Bytes{2}, Bytes{1, 0, 0}, Bytes{1, 0, 0, 0, 0, 1}, n}) {
    EXPECT_EQ(Usable(JwksOf({RsaJwk(n, e)})), 0U);
  }
  Bytes even = n;
  even.back() &= 0xfeU;
  EXPECT_EQ(Usable(JwksOf({RsaJwk(even, {1, 0, 1})})), 0U);
  EXPECT_EQ(Usable(JwksOf({RsaJwk({}, {1, 0, 1})})), 0U);
  EXPECT_EQ(Usable(JwksOf({RsaJwk(Bytes(n.begin(), n.begin() + 64), {1, 0, 1})})), 0U);  // 512 bits
  EXPECT_EQ(Usable(JwksOf({RsaJwk(Bytes(n.begin(), n.begin() + 255), {1, 0, 1})})), 0U);
}

TEST(JwtKeySet, A19_LeavesOutRsaKeysThatAreTooLarge) {
  Bytes n(2048, 0xff);  // 16,384 bits
  n.back() = 0x0b;
  EXPECT_EQ(Usable(JwksOf({RsaJwk(n, {1, 0, 1})})), 0U);
  n.resize(1025, 0xff);  // 8,200 bits
  n.back() = 0x0b;
  EXPECT_EQ(Usable(JwksOf({RsaJwk(n, {1, 0, 1})})), 0U);
}

TEST(JwtKeySet, U15_LeavesOutPointsOffTheCurveAndWrongCurves) {
  const std::string zero = Base64Url(Bytes(32, 0));
  const std::string x = Base64Url(Bytes(32, 1));
  for (const std::string& jwk :
       {R"({"kty":"EC","crv":"P-256","x":")" + zero + R"(","y":")" + zero + R"("})",
        R"({"kty":"EC","crv":"P-256","x":")" + x + R"(","y":")" + x + R"("})",
        R"({"kty":"EC","crv":"secp256k1","x":")" + x + R"(","y":")" + x + R"("})",
        R"({"kty":"EC","crv":"P-224","x":")" + x + R"(","y":")" + x + R"("})",
        R"({"kty":"EC","crv":"P-256","x":")" + x + R"("})",
        R"({"kty":"OKP","crv":"Ed25519","x":")" + zero + R"("})",
        R"({"kty":"OKP","crv":"X25519","x":")" + x + R"("})",
        R"({"kty":"OKP","crv":"Ed448","x":")" + x + R"("})",
        std::string(R"({"kty":"OKP","crv":"Ed25519","x":"AA"})")}) {
    EXPECT_EQ(Usable(JwksOf({jwk})), 0U) << jwk;
  }
  // The coordinates of one curve under the name of another.
  std::string moved = JwkOf(TestKey(AsymmetricAlgorithm::kEcdsaP384));
  moved.replace(moved.find("P-384"), 5, "P-256");
  EXPECT_EQ(Usable(JwksOf({moved})), 0U);
}

TEST(JwtKeySet, RefusesWhatIsNoKeySet) {
  for (const char* text : {"", "{}", "[]", R"({"keys":{}})", R"({"keys":[]})",
                           R"({"keys":[1,"x",null]})", R"({"keys":[],"keys":[]})", "<html>"}) {
    EXPECT_THAT(JwtKeySet::ParseJwks(text), HasError(ErrorCode::kInvalidArgument)) << text;
  }
  EXPECT_THAT(JwtKeySet::ParseJwks(std::string(kMaxJwksBytes + 1, ' ')),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("large")));
  std::string many = R"({"keys":[{})";
  for (std::size_t index = 0; index < kMaxJwksKeys; ++index) {
    many += ",{}";
  }
  EXPECT_THAT(JwtKeySet::ParseJwks(many + "]}"),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("many")));
}

TEST(JwtKeySet, ReadsPemKeysOfEveryKindAndTriesThemForAnyKeyId) {
  for (const AsymmetricAlgorithm type : testing::kAsymmetricAlgorithms) {
    KMS_ASSERT_OK_AND_ASSIGN(const std::string pem,
                             ExportPublicKey(TestKey(type), KeyFormat::kPem));
    EXPECT_THAT(JwtKeySet::FromPem(std::vector{pem}), IsOk()) << static_cast<int>(type);
  }
  KMS_ASSERT_OK_AND_ASSIGN(const std::string pem, ExportPublicKey(P256(), KeyFormat::kPem));
  KMS_ASSERT_OK_AND_ASSIGN(const JwtKeySetHandle keys, JwtKeySet::FromPem(std::vector{pem}));
  EXPECT_EQ(Judge(GoodToken(P256(), JwsAlgorithm::kEs256, kPayload, "any"), keys),
            JwtSignature::kGood);
  EXPECT_EQ(Judge(GoodToken(P256(1), JwsAlgorithm::kEs256, kPayload), keys), JwtSignature::kWrong);
}

TEST(JwtKeySet, RefusesPemTextsThatAreNoPublicKeys) {
  for (const char* pem : {"", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                          "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                          "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                          "-----BEGIN RSA PUBLIC KEY-----\nMAA=\n-----END RSA PUBLIC KEY-----\n"}) {
    EXPECT_THAT(JwtKeySet::FromPem(std::vector<std::string>{pem}),
                HasError(ErrorCode::kInvalidArgument))
        << pem;
  }
  EXPECT_THAT(JwtKeySet::FromPem({}), HasError(ErrorCode::kInvalidArgument));
}

TEST(JwtKeySet, A19_TriesABoundedNumberOfKeysForATokenWithoutId) {
  std::string jwks = R"({"keys":[)";
  for (std::size_t index = 0; index < kMaxKeysTried; ++index) {
    jwks += JwkOf(P256(1), WithKeyId(std::to_string(index))) + ",";
  }
  jwks += JwkOf(P256(0), WithKeyId("last")) + "]}";
  KMS_ASSERT_OK_AND_ASSIGN(const JwtKeySetHandle keys, JwtKeySet::ParseJwks(jwks));
  EXPECT_NE(Judge(GoodToken(P256(0), JwsAlgorithm::kEs256, kPayload), keys), JwtSignature::kGood);
  EXPECT_EQ(Judge(GoodToken(P256(0), JwsAlgorithm::kEs256, kPayload, "last"), keys),
            JwtSignature::kGood);
}

}  // namespace
}  // namespace kms
