// SPDX-License-Identifier: Apache-2.0
// Form of tokens (RFC 7515), algorithms (RFC 7518) and the attacks on both.
#include "kms/auth/jws.h"

#include <string>
#include <vector>

#include "kms/auth/jwt.h"
#include "kms/auth/jwt_keys.h"
#include "kms/crypto/hmac.h"
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
using testing::KeyTypeFor;
using testing::SignedToken;
using testing::TestKey;
using testing::WithKeyId;

constexpr std::string_view kPayload = R"({"sub":"app","exp":1767229200})";

JwtKeySetHandle KeysOf(std::initializer_list<std::string> jwks) {
  return JwtKeySet::ParseJwks(JwksOf(jwks)).value();
}

// What a login would do with the token's signature.
Result<JwtSignature> Judge(std::string_view token, const JwtKeySetHandle& keys) {
  const Jws jws = KMS_TRY(ParseJws(token));
  return keys->Verify(jws, {});
}

bool IsRefused(std::string_view token, const JwtKeySetHandle& keys) {
  const Result<JwtSignature> judged = Judge(token, keys);
  return judged.has_value() ? *judged != JwtSignature::kGood
                            : judged.error().code == ErrorCode::kUnauthenticated;
}

std::string Unsigned(std::string_view header, std::string_view signature = {}) {
  return Base64Url(header) + "." + Base64Url(kPayload) + "." + std::string(signature);
}

TEST(Jws, TakesEveryAlgorithmFromItsOwnKey) {
  for (std::size_t index = 0; index < kJwsAlgorithms; ++index) {
    const auto algorithm = static_cast<JwsAlgorithm>(index);
    const AsymmetricKey key = TestKey(KeyTypeFor(algorithm));
    const std::string token = GoodToken(key, algorithm, kPayload, "k");
    KMS_ASSERT_OK_AND_ASSIGN(const JwtSignature judged,
                             Judge(token, KeysOf({JwkOf(key, WithKeyId("k"))})));
    EXPECT_EQ(judged, JwtSignature::kGood) << TraitsOf(algorithm).name;
    KMS_ASSERT_OK_AND_ASSIGN(const Jws jws, ParseJws(token));
    KMS_ASSERT_OK_AND_ASSIGN(const JsonValue claims, ReadJwtClaims(jws));
    EXPECT_EQ(claims.FindString("sub"), "app");
  }
}

TEST(Jws, EveryAlgorithmRefusesEveryKeyOfAnotherKindAndOfAnotherOwner) {
  for (std::size_t index = 0; index < kJwsAlgorithms; ++index) {
    const auto algorithm = static_cast<JwsAlgorithm>(index);
    const std::string token = GoodToken(TestKey(KeyTypeFor(algorithm)), algorithm, kPayload);
    for (const AsymmetricAlgorithm other : testing::kAsymmetricAlgorithms) {
      EXPECT_TRUE(IsRefused(token, KeysOf({JwkOf(TestKey(other, 1))})))
          << TraitsOf(algorithm).name << " " << static_cast<int>(other);
    }
  }
}

TEST(Jws, U10_RefusesAlgNoneInEverySpelling) {
  const JwtKeySetHandle keys = KeysOf({JwkOf(TestKey(AsymmetricAlgorithm::kEcdsaP256))});
  for (const char* name : {"none", "None", "NONE", "nOnE", "noNe", "NonE", " none", "none ", ""}) {
    const std::string header = R"({"alg":")" + std::string(name) + R"("})";
    for (const char* signature : {"", "AA", "e30", "bm9uZQ"}) {
      EXPECT_TRUE(IsRefused(Unsigned(header, signature), keys)) << name << " " << signature;
    }
  }
}

TEST(Jws, U10_RefusesAMissingOrMisspelledAlgorithm) {
  const JwtKeySetHandle keys = KeysOf({JwkOf(TestKey(AsymmetricAlgorithm::kEcdsaP256))});
  for (const char* header : {"{}", R"({"alg":null})", R"({"alg":0})", R"({"alg":["ES256"]})",
                             R"({"alg":"es256"})", R"({"alg":"ES256 "})", R"({"alg":"ES256K"})",
                             R"({"alg":"RS1"})", R"({"alg":"ES256\u0000"})", R"({"Alg":"ES256"})",
                             R"([])", R"("ES256")", R"({"alg":"dir"})"}) {
    const std::string token = SignedToken(TestKey(AsymmetricAlgorithm::kEcdsaP256),
                                          JwsAlgorithm::kEs256, header, kPayload);
    EXPECT_THAT(ParseJws(token), HasError(ErrorCode::kUnauthenticated)) << header;
  }
}

TEST(Jws, U10_RefusesAnEmptyOrMissingSignature) {
  const std::string good =
      GoodToken(TestKey(AsymmetricAlgorithm::kEcdsaP256), JwsAlgorithm::kEs256, kPayload);
  const std::string input = good.substr(0, good.rfind('.'));
  for (const std::string& token : {input, input + ".", input + "..", good + ".", good + ".AA"}) {
    EXPECT_THAT(ParseJws(token), HasError(ErrorCode::kUnauthenticated)) << token;
  }
}

TEST(Jws, U11_RefusesHmacWithThePublicKeyAsSecret) {
  for (const AsymmetricAlgorithm type :
       {AsymmetricAlgorithm::kRsa2048, AsymmetricAlgorithm::kEcdsaP256}) {
    const AsymmetricKey key = TestKey(type);
    const Bytes spki = key.PublicKey().value();
    for (const char* name : {"HS256", "HS384", "HS512"}) {
      const std::string input =
          Base64Url(R"({"alg":")" + std::string(name) + R"("})") + "." + Base64Url(kPayload);
      const HashAlgorithm hash = std::string_view(name) == "HS256"   ? HashAlgorithm::kSha2_256
                                 : std::string_view(name) == "HS384" ? HashAlgorithm::kSha2_384
                                                                     : HashAlgorithm::kSha2_512;
      KMS_ASSERT_OK_AND_ASSIGN(const HashValue mac, ComputeHmac(hash, spki, AsBytes(input)));
      EXPECT_THAT(Judge(input + "." + Base64Url(mac.View()), KeysOf({JwkOf(key)})),
                  HasError(ErrorCode::kUnauthenticated, HasSubstr("not allowed")));
    }
  }
}

TEST(Jws, U11_TheKeyDecidesAndTheHeaderOnlyHasToMatch) {
  const AsymmetricKey key = TestKey(AsymmetricAlgorithm::kRsa2048);
  const JwtKeySetHandle only_pss = KeysOf({JwkOf(key, R"(,"alg":"PS256")")});
  EXPECT_TRUE(IsRefused(GoodToken(key, JwsAlgorithm::kRs256, kPayload), only_pss));
  EXPECT_TRUE(IsRefused(GoodToken(key, JwsAlgorithm::kPs384, kPayload), only_pss));
  EXPECT_FALSE(IsRefused(GoodToken(key, JwsAlgorithm::kPs256, kPayload), only_pss));
  // Signed with one algorithm, labelled with another.
  const JwtKeySetHandle any = KeysOf({JwkOf(key)});
  const std::string mislabelled =
      SignedToken(key, JwsAlgorithm::kRs256, testing::HeaderOf(JwsAlgorithm::kPs256), kPayload);
  EXPECT_TRUE(IsRefused(mislabelled, any));
}

TEST(Jws, U11_RefusesAlgorithmsThatTheMountDoesNotAllow) {
  const AsymmetricKey key = TestKey(AsymmetricAlgorithm::kRsa2048);
  const JwsAlgorithm allowed[] = {JwsAlgorithm::kPs256, JwsAlgorithm::kEs256};
  const std::string token = GoodToken(key, JwsAlgorithm::kRs256, kPayload);
  KMS_ASSERT_OK_AND_ASSIGN(const Jws jws, ParseJws(token));
  EXPECT_THAT(KeysOf({JwkOf(key)})->Verify(jws, allowed), HasError(ErrorCode::kUnauthenticated));
}

TEST(Jws, U12_KeyIdIsAnOpaqueName) {
  const AsymmetricKey key = TestKey(AsymmetricAlgorithm::kEcdsaP256);
  const JwtKeySetHandle keys = KeysOf({JwkOf(key, WithKeyId("good"))});
  for (const char* kid :
       {"../../../../dev/null", "/dev/null", "x' UNION SELECT 'key';--", "https://evil.example/k",
        "file:///etc/passwd", "good\\u0000", "\\u0000", "good ", "GOOD", "", "| id", "$(id)"}) {
    const std::string header = R"({"alg":"ES256","kid":")" + std::string(kid) + R"("})";
    KMS_ASSERT_OK_AND_ASSIGN(const JwtSignature judged,
                             Judge(SignedToken(key, JwsAlgorithm::kEs256, header, kPayload), keys));
    EXPECT_EQ(judged, JwtSignature::kUnknownKey) << kid;
  }
  // And it is found by whatever name its issuer gave it.
  const JwtKeySetHandle odd = KeysOf({JwkOf(key, R"(,"kid":"../x\u0000' OR 1")")});
  const std::string header = R"({"alg":"ES256","kid":"../x\u0000' OR 1"})";
  EXPECT_FALSE(IsRefused(SignedToken(key, JwsAlgorithm::kEs256, header, kPayload), odd));
}

TEST(Jws, U12_RefusesKeyIdsThatAreNoStringsAndHugeOnes) {
  const AsymmetricKey key = TestKey(AsymmetricAlgorithm::kEcdsaP256);
  for (const std::string& kid :
       {std::string("1"), std::string("null"), std::string("[]"), std::string(R"({"a":1})"),
        "\"" + std::string(std::size_t{1} << 20U, 'k') + "\""}) {
    const std::string header = R"({"alg":"ES256","kid":)" + kid + "}";
    EXPECT_THAT(ParseJws(SignedToken(key, JwsAlgorithm::kEs256, header, kPayload)),
                HasError(ErrorCode::kUnauthenticated));
  }
}

TEST(Jws, U12_RefusesADuplicateKeyIdInTheHeader) {
  const AsymmetricKey key = TestKey(AsymmetricAlgorithm::kEcdsaP256);
  const std::string header = R"({"alg":"ES256","kid":"a","kid":"b"})";
  EXPECT_THAT(ParseJws(SignedToken(key, JwsAlgorithm::kEs256, header, kPayload)),
              HasError(ErrorCode::kUnauthenticated));
}

TEST(Jws, U12_TheKeyInTheTokenIsIgnored) {
  const AsymmetricKey attacker = TestKey(AsymmetricAlgorithm::kEcdsaP256, 1);
  const JwtKeySetHandle keys = KeysOf({JwkOf(TestKey(AsymmetricAlgorithm::kEcdsaP256))});
  for (const std::string& more :
       {R"(,"jwk":)" + JwkOf(attacker), std::string(R"(,"jku":"https://evil.example/jwks")"),
        std::string(R"(,"x5u":"https://evil.example/chain")"), std::string(R"(,"x5c":["MIIB"])"),
        std::string(R"(,"x5t":"AAAA")")}) {
    const std::string header = R"({"alg":"ES256")" + more + "}";
    const std::string forged = SignedToken(attacker, JwsAlgorithm::kEs256, header, kPayload);
    EXPECT_TRUE(IsRefused(forged, keys)) << more;
    // Ignored also where the rest is good.
    const std::string good = SignedToken(TestKey(AsymmetricAlgorithm::kEcdsaP256),
                                         JwsAlgorithm::kEs256, header, kPayload);
    EXPECT_FALSE(IsRefused(good, keys)) << more;
  }
}

TEST(Jws, RefusesHeadersThatChangeWhatWasSigned) {
  const AsymmetricKey key = TestKey(AsymmetricAlgorithm::kEcdsaP256);
  for (const char* more :
       {R"("crit":["exp"])", R"("crit":[])", R"("crit":["b64"],"b64":false)", R"("b64":false)",
        R"("b64":true)", R"("zip":"DEF")", R"("enc":"A128GCM")"}) {
    const std::string header = R"({"alg":"ES256",)" + std::string(more) + "}";
    EXPECT_THAT(ParseJws(SignedToken(key, JwsAlgorithm::kEs256, header, kPayload)),
                HasError(ErrorCode::kUnauthenticated, HasSubstr("demands")))
        << more;
  }
}

TEST(Jws, U14_RefusesTokensOfAnotherKind) {
  const AsymmetricKey key = TestKey(AsymmetricAlgorithm::kEcdsaP256);
  const auto parsed = [&](const std::string& type) {
    const std::string header = R"({"alg":"ES256","typ":)" + type + "}";
    return ParseJws(SignedToken(key, JwsAlgorithm::kEs256, header, kPayload));
  };
  for (const char* type : {R"("secevent+jwt")", R"("logout+jwt")", R"("dpop+jwt")", R"("JOSE")",
                           R"("")", "null", "1", R"("jwt ")", R"("application/")"}) {
    EXPECT_THAT(parsed(type), HasError(ErrorCode::kUnauthenticated)) << type;
  }
  for (const char* type : {R"("JWT")", R"("jwt")", R"("at+jwt")", R"("application/at+jwt")"}) {
    EXPECT_THAT(parsed(type), IsOk()) << type;
  }
}

TEST(Jws, U15_RefusesPsychicSignatures) {
  struct Curve {
    JwsAlgorithm algorithm;
    const char* order;
  };
  const Curve curves[] = {
      {JwsAlgorithm::kEs256, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"},
      {JwsAlgorithm::kEs384,
       "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc"
       "5"
       "2973"},
      {JwsAlgorithm::kEs512,
       "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc014"
       "8f7"
       "09a5d03bb5c9b8899c47aebb6fb71e91386409"}};
  for (const Curve& curve : curves) {
    const AsymmetricKey key = TestKey(KeyTypeFor(curve.algorithm));
    const JwtKeySetHandle keys = KeysOf({JwkOf(key)});
    const std::string good = GoodToken(key, curve.algorithm, kPayload);
    const std::string input = good.substr(0, good.rfind('.'));
    const Bytes n = testing::FromHex(curve.order);
    const Bytes zero(n.size(), 0);
    Bytes one = zero;
    one.back() = 1;
    Bytes most(n.size(), 0xff);
    Bytes above = n;
    ++above.back();
    for (const Bytes& r : {zero, one, n, above, most}) {
      for (const Bytes& s : {zero, one, n, above, most}) {
        Bytes signature = r;
        signature.insert(signature.end(), s.begin(), s.end());
        EXPECT_TRUE(IsRefused(input + "." + Base64Url(signature), keys));
      }
    }
  }
}

TEST(Jws, U15_RefusesDerSignaturesAndOtherLengths) {
  const AsymmetricKey key = TestKey(AsymmetricAlgorithm::kEcdsaP256);
  const JwtKeySetHandle keys = KeysOf({JwkOf(key)});
  const std::string good = GoodToken(key, JwsAlgorithm::kEs256, kPayload);
  const std::string input = good.substr(0, good.rfind('.'));
  const Bytes der = CreateSignature(key, {}, AsBytes(input)).value();
  EXPECT_TRUE(IsRefused(input + "." + Base64Url(der), keys));
  Bytes raw = testing::SignAs(key, JwsAlgorithm::kEs256, input);
  EXPECT_FALSE(IsRefused(input + "." + Base64Url(raw), keys));
  raw.insert(raw.begin(), 0);
  EXPECT_TRUE(IsRefused(input + "." + Base64Url(raw), keys));
  raw.insert(raw.begin() + 33, 0);
  EXPECT_TRUE(IsRefused(input + "." + Base64Url(raw), keys));
}

TEST(Jws, U15_RefusesRsaSignaturesOfAnotherLengthAndPssOfAnotherSalt) {
  const AsymmetricKey key = TestKey(AsymmetricAlgorithm::kRsa2048);
  const JwtKeySetHandle keys = KeysOf({JwkOf(key)});
  const std::string input =
      Base64Url(testing::HeaderOf(JwsAlgorithm::kPs256)) + "." + Base64Url(kPayload);
  for (const std::int64_t salt : {std::int64_t{20}, std::int64_t{33}, kPssSaltAuto}) {
    const Bytes signature = CreateSignature(key, {.salt_length = salt}, AsBytes(input)).value();
    EXPECT_TRUE(IsRefused(input + "." + Base64Url(signature), keys)) << salt;
  }
  Bytes longer = testing::SignAs(key, JwsAlgorithm::kPs256, input);
  EXPECT_FALSE(IsRefused(input + "." + Base64Url(longer), keys));
  longer.insert(longer.begin(), 0);
  EXPECT_TRUE(IsRefused(input + "." + Base64Url(longer), keys));
}

TEST(Jws, RefusesEveryFlippedBitOfASignedToken) {
  const AsymmetricKey key = TestKey(AsymmetricAlgorithm::kEd25519);
  const JwtKeySetHandle keys = KeysOf({JwkOf(key)});
  const std::string good = GoodToken(key, JwsAlgorithm::kEdDsa, kPayload);
  ASSERT_FALSE(IsRefused(good, keys));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(static_cast<unsigned char>(bad[bit / 8]) ^ (1U << (bit % 8)));
    EXPECT_TRUE(IsRefused(bad, keys)) << bit;
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_TRUE(IsRefused(good.substr(0, size), keys)) << size;
  }
}

TEST(Jws, RefusesEverySpellingButTheCanonicalOne) {
  const AsymmetricKey key = TestKey(AsymmetricAlgorithm::kEd25519);
  const JwtKeySetHandle keys = KeysOf({JwkOf(key)});
  const std::string good = GoodToken(key, JwsAlgorithm::kEdDsa, kPayload);
  const std::size_t first = good.find('.');
  std::vector<std::string> others = {" " + good, good + " ",  good + "\n",
                                     good + "=", good + "==", "Bearer " + good};
  others.push_back(good.substr(0, first) + "=" + good.substr(first));
  others.push_back(good.substr(0, first) + "\n" + good.substr(first));
  // The last character of 64 signature bytes carries four bits that nothing uses.
  for (const char last :
       std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")) {
    if (last != good.back()) {
      others.push_back(good.substr(0, good.size() - 1) + last);
    }
  }
  for (const std::string& token : others) {
    EXPECT_TRUE(IsRefused(token, keys)) << token;
  }
}

TEST(Jws, A19_RefusesHugeTokensBeforeAnythingIsComputed) {
  const std::string huge(std::size_t{1} << 20U, 'A');
  EXPECT_THAT(ParseJws(huge), HasError(ErrorCode::kUnauthenticated, HasSubstr("large")));
  EXPECT_THAT(ParseJws(huge + "." + huge + "." + huge),
              HasError(ErrorCode::kUnauthenticated, HasSubstr("large")));
}

TEST(Jws, RefusesEncryptedAndJsonForms) {
  for (const char* token : {"", ".", "..", "...", "....", "a.b.c.d.e", "e30.e30.e30.e30.e30", "{}",
                            R"({"payload":"e30","signatures":[]})", "a", "e30.", "e30..AA"}) {
    EXPECT_THAT(ParseJws(token), HasError(ErrorCode::kUnauthenticated)) << token;
  }
}

TEST(Jws, U14_RefusesPayloadsThatAreNoUniqueClaims) {
  const AsymmetricKey key = TestKey(AsymmetricAlgorithm::kEd25519);
  for (const char* payload :
       {"", "[]", "\"x\"", "1", R"({"sub":"a","sub":"b"})", "{", "{}{}", "{\"a\":\"\xff\"}"}) {
    const std::string token = GoodToken(key, JwsAlgorithm::kEdDsa, payload);
    const Result<Jws> jws = ParseJws(token);
    if (jws.has_value()) {
      EXPECT_THAT(ReadJwtClaims(*jws), HasError(ErrorCode::kUnauthenticated)) << payload;
    }
  }
}

}  // namespace
}  // namespace kms
