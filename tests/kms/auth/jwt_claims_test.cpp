// SPDX-License-Identifier: Apache-2.0
// Claims of tokens (RFC 7519) against the conditions of a role (transit-api 10.4).
#include "kms/auth/jwt_claims.h"

#include <string>

#include "tests/support/jwt_maker.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;

constexpr std::int64_t kNow = 1'767'225'600;

std::string At(std::int64_t offset) { return std::to_string(kNow + offset); }

JwtConditions AnyUser() { return {.user_claim = "sub"}; }

Result<JwtSubject> Check(const std::string& claims, const JwtConditions& conditions = AnyUser(),
                         JwtExpectations expectations = {}) {
  expectations.now_unix_seconds = kNow;
  return CheckClaims(ParseStrictJson(claims).value(), conditions, expectations);
}

// Claims with a good life and these besides.
std::string With(const std::string& more) {
  return R"({"sub":"app","exp":)" + At(60) + (more.empty() ? "" : ",") + more + "}";
}

auto IsRefused() { return HasError(ErrorCode::kUnauthenticated); }

JsonValue Text(std::string text) {
  return {.kind = JsonValue::Kind::kString, .text = std::move(text)};
}

TEST(JwtClaims, SaysWhoTheTokenSpeaksOf) {
  KMS_ASSERT_OK_AND_ASSIGN(const JwtSubject subject, Check(With(R"("iss":"me","jti":"1")")));
  EXPECT_EQ(subject.user, "app");
  EXPECT_EQ(subject.issuer, "me");
  EXPECT_EQ(subject.token_id, "1");
  EXPECT_EQ(subject.unusable_from_unix_seconds, kNow + 60 + 60);
  EXPECT_FALSE(subject.bound_to_certificate);
}

TEST(JwtClaims, U13_ExpiredTokensAreRefusedAfterTheLeeway) {
  const auto with_end = [](std::int64_t offset) {
    return R"({"sub":"a","iat":)" + At(-1000) + R"(,"exp":)" + At(offset) + "}";
  };
  EXPECT_THAT(Check(with_end(-59)), IsOk());
  EXPECT_THAT(Check(with_end(-60)), HasError(ErrorCode::kUnauthenticated, HasSubstr("expired")));
  JwtConditions exact = AnyUser();
  exact.clock_skew_leeway = -1;
  EXPECT_THAT(Check(with_end(1), exact), IsOk());
  EXPECT_THAT(Check(with_end(0), exact), IsRefused());
}

TEST(JwtClaims, U13_NotYetValidTokensAreRefused) {
  const auto from = [](std::int64_t offset) { return With(R"("nbf":)" + At(offset)); };
  EXPECT_THAT(Check(from(60)), IsOk());
  EXPECT_THAT(Check(from(61)), HasError(ErrorCode::kUnauthenticated, HasSubstr("not yet valid")));
}

TEST(JwtClaims, U13_TokensIssuedInTheFutureAreRefused) {
  const auto issued = [](std::int64_t offset) {
    return R"({"sub":"a","nbf":)" + At(-10) + R"(,"exp":)" + At(9000) + R"(,"iat":)" + At(offset) +
           "}";
  };
  EXPECT_THAT(Check(issued(60)), IsOk());
  EXPECT_THAT(Check(issued(61)), HasError(ErrorCode::kUnauthenticated, HasSubstr("future")));
}

TEST(JwtClaims, U13_AMissingExpLeavesADocumentedLife) {
  const auto issued = [](std::int64_t offset) { return R"({"sub":"a","iat":)" + At(offset) + "}"; };
  EXPECT_THAT(Check(issued(-209)), IsOk());  // 150 of leeway and 60 of skew
  EXPECT_THAT(Check(issued(-210)), IsRefused());
  EXPECT_THAT(Check(R"({"sub":"a","iat":)" + At(-9000) + R"(,"nbf":)" + At(-209) + "}"), IsOk());
  JwtConditions longer = AnyUser();
  longer.expiration_leeway = 1000;
  EXPECT_THAT(Check(issued(-1059), longer), IsOk());
  EXPECT_THAT(Check(issued(-1060), longer), IsRefused());
}

TEST(JwtClaims, U13_AnExpAloneBoundsTheBeginningToo) {
  EXPECT_THAT(Check(R"({"sub":"a","exp":)" + At(210) + "}"), IsOk());
  EXPECT_THAT(Check(R"({"sub":"a","exp":)" + At(211) + "}"), IsRefused());
}

TEST(JwtClaims, U13_TokensWithoutAnyTimeAreRefused) {
  EXPECT_THAT(Check(R"({"sub":"a"})"),
              HasError(ErrorCode::kUnauthenticated, HasSubstr("no iat, nbf or exp")));
}

TEST(JwtClaims, U13_AnExpInYear9999EndsWithTheLongestLife) {
  const auto issued = [](std::int64_t offset) {
    return R"({"sub":"a","exp":253402300799,"iat":)" + At(offset) + "}";
  };
  EXPECT_THAT(Check(issued(-kMaxJwtLifeSeconds - 59)), IsOk());
  EXPECT_THAT(Check(issued(-kMaxJwtLifeSeconds - 60)), IsRefused());
  EXPECT_THAT(Check(R"({"sub":"a","exp":253402300799})"), IsRefused());
}

TEST(JwtClaims, U13_TimesOfAnotherTypeAreRefused) {
  for (const char* name : {"exp", "nbf", "iat"}) {
    for (const char* value :
         {"\"1767225700\"", "1767225700.0", "1.7672257e9", "null", "true", "-1", "[]", "{}",
          "253402300800", "9223372036854775807", "18446744073709551615", "1e400000"}) {
      const std::string claims = R"({"sub":"a",")" + std::string(name) + "\":" + value +
                                 (std::string(name) == "iat" ? "" : R"(,"iat":)" + At(-1)) + "}";
      const Result<JsonValue> parsed = ParseStrictJson(claims);
      if (parsed.has_value()) {
        EXPECT_THAT(CheckClaims(*parsed, AnyUser(), {.now_unix_seconds = kNow}), IsRefused())
            << name << " " << value;
      }
    }
  }
}

TEST(JwtClaims, U14_AudienceNeedsARoleWithAudiences) {
  EXPECT_THAT(Check(With(R"("aud":"kms")")),
              HasError(ErrorCode::kUnauthenticated,
                       "audience claim found in JWT but no audiences bound to the role"));
}

TEST(JwtClaims, U14_AudienceIsMatchedExactly) {
  JwtConditions role = AnyUser();
  role.bound_audiences = {"https://kms.example", "kms"};
  for (const char* aud :
       {R"("kms")", R"(["kms"])", R"(["other","kms"])", R"("https://kms.example")"}) {
    EXPECT_THAT(Check(With(R"("aud":)" + std::string(aud)), role), IsOk()) << aud;
  }
  for (const char* aud :
       {R"("KMS")", R"("kms ")", R"("km")", R"("kms,other")", R"(["kms,other"])",
        R"("https://kms.example/")", R"("*")", R"(["other"])", R"("")", "[]", R"([""])",
        R"(["kms",""])", R"(["kms",1])", "1", "null", "true", R"({"kms":1})", R"([["kms"]])"}) {
    EXPECT_THAT(Check(With(R"("aud":)" + std::string(aud)), role), IsRefused()) << aud;
  }
  EXPECT_THAT(Check(With(""), role), IsRefused());
}

TEST(JwtClaims, U14_EmptyAudiencesAreRefusedWithoutBoundOnesToo) {
  for (const char* aud : {R"("")", "[]", R"([""])", "null", "0"}) {
    EXPECT_THAT(Check(With(R"("aud":)" + std::string(aud))), IsRefused()) << aud;
  }
}

TEST(JwtClaims, U14_IssuerIsMatchedExactly) {
  const JwtExpectations expected = {.issuer = "https://issuer.example"};
  EXPECT_THAT(Check(With(R"("iss":"https://issuer.example")"), AnyUser(), expected), IsOk());
  for (const char* iss : {R"("https://issuer.example/")", R"("https://Issuer.example")", R"("")",
                          R"("http://issuer.example")", "1", "null",
                          R"(["https://issuer.example"])", R"("https://issuer.example\u0000")"}) {
    EXPECT_THAT(Check(With(R"("iss":)" + std::string(iss)), AnyUser(), expected), IsRefused())
        << iss;
  }
  EXPECT_THAT(Check(With(""), AnyUser(), expected), IsRefused());
}

TEST(JwtClaims, U14_AMissingSubjectNamesNobody) {
  const std::string claims = R"({"exp":)" + At(60) + "}";
  EXPECT_THAT(Check(claims),
              HasError(ErrorCode::kUnauthenticated, "claim \"sub\" not found in token"));
  JwtConditions role = AnyUser();
  role.bound_subject = "app";
  EXPECT_THAT(Check(claims, role), IsRefused());
  EXPECT_THAT(Check(With(""), role), IsOk());
  role.bound_subject = "App";
  EXPECT_THAT(Check(With(""), role),
              HasError(ErrorCode::kUnauthenticated, HasSubstr("invalid subject")));
}

TEST(JwtClaims, UsersHavePrintableNames) {
  for (const char* sub : {R"("")", "1", "null", R"(["app"])", R"("a\u0000b")", R"("a\nb")"}) {
    const std::string claims = R"({"exp":)" + At(60) + R"(,"sub":)" + sub + "}";
    EXPECT_THAT(Check(claims), IsRefused()) << sub;
  }
  EXPECT_THAT(Check(R"({"exp":)" + At(60) + R"(,"sub":")" + std::string(513, 'a') + R"("})"),
              IsRefused());
}

TEST(JwtClaims, BoundClaimsCompareTypeAndValue) {
  JwtConditions role = AnyUser();
  role.bound_claims["admin"] = {{.kind = JsonValue::Kind::kBoolean, .text = "true"}};
  EXPECT_THAT(Check(With(R"("admin":true)"), role), IsOk());
  for (const char* more : {"", R"("admin":"true")", R"("admin":1)", R"("admin":false)",
                           R"("admin":null)", R"("admin":{})", R"("admin":[])"}) {
    EXPECT_THAT(Check(With(more), role), IsRefused()) << more;
  }
}

TEST(JwtClaims, BoundClaimsMatchAnyItemAndEveryClaim) {
  JwtConditions role = AnyUser();
  role.bound_claims["team"] = {Text("red"), Text("blue")};
  role.bound_claims["/realm/env"] = {Text("prod")};
  EXPECT_THAT(Check(With(R"("team":["green","blue"],"realm":{"env":"prod"})"), role), IsOk());
  EXPECT_THAT(Check(With(R"("team":"red","realm":{"env":["prod"]})"), role), IsOk());
  EXPECT_THAT(Check(With(R"("team":"red","realm":{"env":"dev"})"), role), IsRefused());
  EXPECT_THAT(Check(With(R"("team":"red","/realm/env":"prod")"), role),
              HasError(ErrorCode::kUnauthenticated, HasSubstr("is missing")));
  EXPECT_THAT(Check(With(R"("team":"r*","realm":{"env":"prod"})"), role), IsRefused());
  role.bound_claims["team"] = {Text("r*")};
  EXPECT_THAT(Check(With(R"("team":"red","realm":{"env":"prod"})"), role), IsRefused());
}

TEST(JwtClaims, GlobsStandForAnyCharacters) {
  JwtConditions role = AnyUser();
  role.bound_claims_type = BoundClaimsType::kGlob;
  role.bound_claims["ref"] = {Text("refs/heads/release-*")};
  EXPECT_THAT(Check(With(R"("ref":"refs/heads/release-1")"), role), IsOk());
  EXPECT_THAT(Check(With(R"("ref":"refs/heads/main")"), role), IsRefused());
  EXPECT_THAT(Check(With(R"("ref":"x/refs/heads/release-1")"), role), IsRefused());
}

TEST(JwtClaims, MapsClaimsAndGroupsToMetadata) {
  JwtConditions role = AnyUser();
  role.claim_mappings = {
      {"mail", "email"}, {"/realm/id", "realm"}, {"missing", "none"}, {"admin", "admin"}};
  role.groups_claim = "groups";
  KMS_ASSERT_OK_AND_ASSIGN(
      const JwtSubject subject,
      Check(With(R"("mail":"a@b","realm":{"id":7},"admin":false,"groups":["x","y,z"])"), role));
  EXPECT_EQ(
      subject.metadata,
      (std::map<std::string, std::string>{
          {"email", "a@b"}, {"realm", "7"}, {"admin", "false"}, {"groups", R"(["x","y,z"])"}}));
  for (const char* more : {R"("groups":1)", R"("groups":[1])", R"("groups":{})", ""}) {
    EXPECT_THAT(Check(With(more), role), IsRefused()) << more;
  }
  for (const char* more :
       {R"("mail":{})", R"("mail":["a"])", R"("mail":null)", R"("mail":"a\nb")"}) {
    EXPECT_THAT(Check(With(R"("groups":[],)" + std::string(more)), role), IsRefused()) << more;
  }
}

TEST(JwtClaims, ConfirmationNeedsTheCertificateItNames) {
  Sha256Digest certificate{};
  certificate.fill(7);
  const std::string bound =
      With(R"("cnf":{"x5t#S256":")" + testing::Base64Url(certificate) + R"("})");
  KMS_ASSERT_OK_AND_ASSIGN(const JwtSubject subject,
                           Check(bound, AnyUser(), {.certificate = &certificate}));
  EXPECT_TRUE(subject.bound_to_certificate);
  EXPECT_THAT(Check(bound), HasError(ErrorCode::kUnauthenticated, HasSubstr("certificate")));
  Sha256Digest other{};
  EXPECT_THAT(Check(bound, AnyUser(), {.certificate = &other}), IsRefused());
}

TEST(JwtClaims, ConfirmationsThatCannotBeCheckedAreRefused) {
  const Sha256Digest certificate{};
  const std::string print = testing::Base64Url(certificate);
  for (const std::string& cnf :
       {std::string("{}"), std::string("null"), std::string("\"x\""),
        std::string(R"({"jkt":"AAAA"})"), std::string(R"({"jwk":{}})"),
        std::string(R"({"x5t#S256":""})"), std::string(R"({"x5t#S256":1})"),
        R"({"x5t#S256":")" + print + R"(="})", R"({"x5t#S256":")" + print.substr(1) + R"("})",
        R"({"x5t#S256":")" + print + R"(","jkt":"AAAA"})"}) {
    EXPECT_THAT(Check(With(R"("cnf":)" + cnf), AnyUser(), {.certificate = &certificate}),
                IsRefused())
        << cnf;
  }
}

TEST(JwtClaims, RefusesMalformedRegisteredClaims) {
  for (const char* more : {R"("jti":1)", R"("jti":"")", R"("iss":7)"}) {
    EXPECT_THAT(Check(With(more)), IsRefused()) << more;
  }
}

TEST(JwtClaims, TellsNoValueOfTheToken) {
  JwtConditions role = AnyUser();
  role.bound_audiences = {"kms"};
  role.bound_claims["team"] = {Text("red")};
  for (const char* more : {R"("aud":"planted")", R"("aud":"kms","team":"planted")"}) {
    const Result<JwtSubject> refused = Check(With(more), role);
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(Describe(refused.error()), Not(HasSubstr("planted")));
  }
}

TEST(JwtConditions, AreCheckedWhenTheyAreWritten) {
  EXPECT_THAT(ValidateConditions(AnyUser()), IsOk());
  const auto refused = [](auto change) {
    JwtConditions conditions = AnyUser();
    change(conditions);
    return !ValidateConditions(conditions).has_value();
  };
  EXPECT_TRUE(refused([](JwtConditions& c) { c.user_claim = ""; }));
  EXPECT_TRUE(refused([](JwtConditions& c) { c.user_claim_is_pointer = true; }));
  EXPECT_TRUE(refused([](JwtConditions& c) { c.bound_audiences = {""}; }));
  EXPECT_TRUE(refused([](JwtConditions& c) { c.bound_audiences.assign(65, "a"); }));
  EXPECT_TRUE(refused([](JwtConditions& c) { c.bound_claims["a"] = {}; }));
  EXPECT_TRUE(refused([](JwtConditions& c) { c.bound_claims["a"] = {JsonValue{}}; }));
  EXPECT_TRUE(refused([](JwtConditions& c) { c.claim_mappings["a"] = "role"; }));
  EXPECT_TRUE(refused([](JwtConditions& c) { c.claim_mappings["a"] = ""; }));
  EXPECT_TRUE(refused([](JwtConditions& c) { c.claim_mappings = {{"a", "x"}, {"b", "x"}}; }));
  EXPECT_TRUE(refused([](JwtConditions& c) { c.clock_skew_leeway = 86'401; }));
  EXPECT_TRUE(refused([](JwtConditions& c) { c.expiration_leeway = kMaxJwtLifeSeconds + 1; }));
}

}  // namespace
}  // namespace kms
