// SPDX-License-Identifier: Apache-2.0
// auth/<userpass mount>/… against transit-api 10.6.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/auth/totp.h"
#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

constexpr const char* kAlice = "/v1/auth/userpass/users/alice";
constexpr const char* kPassword = "correct horse";

class UserpassApi : public ::testing::Test {
 protected:
  UserpassApi() {
    api_.EnableEveryAuthMethod();
    EXPECT_EQ(
        api_.Post(kAlice, R"({"password":"correct horse","token_policies":"app","token_ttl":60})")
            .status,
        204);
  }

  ApiAnswer Login(const std::string& name, const std::string& password,
                  const std::string& passcode = "", std::string address = "127.0.0.1") {
    std::string body = R"({"password":")" + password + "\"";
    if (!passcode.empty()) {
      body += R"(,"passcode":")" + passcode + "\"";
    }
    return api_.Call({api::HttpMethod::kPost,
                      "/v1/auth/userpass/login/" + name,
                      body + "}",
                      {},
                      std::move(address)});
  }
  static std::string DataOf(const ApiAnswer& answer) {
    const std::size_t begin = answer.body.find(R"("data":)") + 7;
    return answer.body.substr(begin, answer.body.find(R"(,"wrap_info")") - begin);
  }

  // The code of a base32 secret now.
  std::string CodeOf(std::string_view base32) {
    Bytes secret;
    std::uint32_t pending = 0;
    unsigned bits = 0;
    for (const char c : base32) {
      const auto five = static_cast<std::uint32_t>(c >= 'A' ? c - 'A' : c - '2' + 26);
      pending = pending << 5U | five;
      bits += 5;
      if (bits >= 8) {
        bits -= 8;
        secret.push_back(static_cast<std::uint8_t>(pending >> bits));
      }
    }
    const std::int64_t step = ToUnixSeconds(api_.clock.Now()) / kTotpStepSeconds;
    const std::string text =
        std::to_string(HotpValue(secret, static_cast<std::uint64_t>(step), 6).value());
    return std::string(6 - text.size(), '0') + text;
  }
  // Returns the secret of a second factor that is in force, and one of its backup codes.
  std::pair<std::string, std::string> EnableTotp() {
    const ApiAnswer begun = api_.Post(std::string(kAlice) + "/totp");
    EXPECT_EQ(begun.status, 200) << begun.body;
    EXPECT_TRUE(begun.holds_secret);
    const std::string secret = TextAfter(begun.body, R"("secret":")");
    EXPECT_EQ(api_.Post(std::string(kAlice) + "/totp/confirm",
                        R"({"passcode":")" + CodeOf(secret) + "\"}")
                  .status,
              204);
    api_.clock.Advance(std::chrono::seconds(60));
    return {secret, TextAfter(begun.body, R"("backup_codes":[")")};
  }

  ApiService api_;
};

TEST_F(UserpassApi, LogsInAndTheTokenWorks) {
  const ApiAnswer answer = Login("alice", kPassword);
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_TRUE(answer.holds_secret);
  EXPECT_THAT(answer.body, AllOf(HasSubstr(R"("token_policies":["app","default"])"),
                                 HasSubstr(R"("metadata":{"username":"alice"})"),
                                 HasSubstr(R"("lease_duration":60)")));
  const std::string token = TextAfter(answer.body, R"("client_token":")");
  EXPECT_THAT(api_.Call(ApiService::WithToken(
                            {api::HttpMethod::kGet, "/v1/auth/token/lookup-self", "", {}}, token))
                  .body,
              HasSubstr(R"("display_name":"userpass-alice")"));
}

// CVE-2025-6011: one text and one status for everything.
TEST_F(UserpassApi, AnswersFailedLoginsAlike) {
  for (const char* name : {"alice", "nobody", "no%20body", "a b", "-", "r\xc3\xb6\x6f\x74"}) {
    const ApiAnswer answer = Login(name, "wrong horse");
    EXPECT_EQ(answer.status, 400) << name;
    EXPECT_EQ(answer.body, Errors("invalid username or password")) << name;
  }
  EXPECT_EQ(Login("alice", "").body, Errors("missing password"));
  EXPECT_EQ(Login("nobody", "").body, Errors("missing password"));
}

// U22, CVE-2025-6004: no spelling of a name escapes the count of its failures.
TEST_F(UserpassApi, U22_SpellingsOfANameShareTheirFailures) {
  constexpr const char* kAddress = "198.51.100.7";
  const std::string names[] = {"alice", "ALICE", "Alice", "aLiCe"};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(Login(names[i % 4], "wrong horse", "", kAddress).status, 400);
  }
  for (const std::string& name : names) {
    EXPECT_EQ(Login(name, kPassword, "", kAddress).status, 429) << name;
  }
  for (const char* not_alice : {"alice ", "%61lice", " alice"}) {
    EXPECT_NE(Login(not_alice, kPassword, "", kAddress).status, 200) << not_alice;
  }
  EXPECT_EQ(Login("alice", kPassword, "", "203.0.113.9").status, 200)
      << "others are not locked out";
}

// A code that was asked for is no failure; a wrong one is.
TEST_F(UserpassApi, U22_WrongPasscodesCountAsFailures) {
  constexpr const char* kAddress = "198.51.100.7";
  const auto [secret, backup_code] = EnableTotp();
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(Login("alice", kPassword, "", kAddress).status, 400);
  }
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(Login("alice", kPassword, "abcdef", kAddress).status, 400);
  }
  EXPECT_EQ(Login("alice", kPassword, backup_code, kAddress).status, 429);
}

TEST_F(UserpassApi, ReadsAUserWithoutPassword) {
  EXPECT_EQ(DataOf(api_.Get(kAlice)),
            R"({"token_bound_cidrs":[],"token_explicit_max_ttl":0,"token_max_ttl":0,)"
            R"("token_no_default_policy":false,"token_num_uses":0,"token_period":0,)"
            R"("token_policies":["app"],"token_strictly_bind_ip":false,"token_ttl":60,)"
            R"("token_type":"default","totp_enabled":false,"totp_pending":false,)"
            R"("backup_codes_left":0})");
  EXPECT_EQ(api_.Get("/v1/auth/userpass/users/nobody").status, 404);
}

TEST_F(UserpassApi, ListsUsers) {
  EXPECT_EQ(DataOf(api_.List("/v1/auth/userpass/users")), R"({"keys":["alice"]})");
  EXPECT_EQ(api_.Delete(kAlice).status, 204);
  EXPECT_EQ(api_.List("/v1/auth/userpass/users").status, 404);
}

TEST_F(UserpassApi, ANewUserNeedsAGoodPassword) {
  EXPECT_EQ(api_.Post("/v1/auth/userpass/users/bob").body, Errors("missing password"));
  const ApiAnswer weak = api_.Post("/v1/auth/userpass/users/bob", R"({"password":"s3cret!"})");
  EXPECT_EQ(weak.status, 400);
  EXPECT_THAT(weak.body, AllOf(HasSubstr("8 to 1024 bytes"), Not(HasSubstr("s3cret!"))));
  EXPECT_EQ(api_.Post("/v1/auth/userpass/users/bob",
                      R"({"password":"long enough","token_policies":"root"})")
                .status,
            400);
}

TEST_F(UserpassApi, PasswordsAndPoliciesChangeAlone) {
  EXPECT_EQ(api_.Post(std::string(kAlice) + "/password", R"({"password":"battery staple"})").status,
            204);
  EXPECT_EQ(Login("alice", kPassword).status, 400);
  EXPECT_EQ(api_.Post(std::string(kAlice) + "/policies",
                      R"({"policies":"web","password":"ignored password","token_ttl":1})")
                .status,
            204);
  EXPECT_THAT(Login("alice", "battery staple").body,
              AllOf(HasSubstr(R"("token_policies":["default","web"])"),
                    HasSubstr(R"("lease_duration":60)")));
  EXPECT_EQ(api_.Post(std::string(kAlice) + "/password").body, Errors("missing password"));
  EXPECT_EQ(
      api_.Post("/v1/auth/userpass/users/nobody/password", R"({"password":"long enough"})").body,
      Errors("username does not exist"));
}

TEST_F(UserpassApi, ADeletedUserIsOutAtOnce) {
  const std::string token = TextAfter(Login("alice", kPassword).body, R"("client_token":")");
  const ApiRequest self =
      ApiService::WithToken({api::HttpMethod::kGet, "/v1/auth/token/lookup-self", "", {}}, token);
  ASSERT_EQ(api_.Call(self).status, 200);
  EXPECT_EQ(api_.Delete(kAlice).status, 204);
  EXPECT_EQ(api_.Call(self).status, 403);
  EXPECT_EQ(Login("alice", kPassword).status, 400);
}

TEST_F(UserpassApi, ASecondFactorIsShownOnceAndThenAskedFor) {
  const ApiAnswer begun = api_.Post(std::string(kAlice) + "/totp");
  ASSERT_EQ(begun.status, 200);
  const std::string secret = TextAfter(begun.body, R"("secret":")");
  EXPECT_THAT(secret, MatchesRegex("[A-Z2-7]{32}"));
  EXPECT_EQ(TextAfter(begun.body, R"("url":")"),
            "otpauth://totp/kms:alice?secret=" + secret +
                "&issuer=kms&algorithm=SHA1&digits=6&period=30");
  EXPECT_THAT(TextAfter(begun.body, R"("backup_codes":[")"), MatchesRegex("[a-z2-7]{16}"));
  EXPECT_EQ(Login("alice", kPassword).status, 200) << "not confirmed yet";
  EXPECT_EQ(api_.Post(std::string(kAlice) + "/totp/confirm").body, Errors("missing passcode"));
  EXPECT_EQ(api_.Post(std::string(kAlice) + "/totp/confirm", R"({"passcode":"abcdef"})").body,
            Errors("invalid passcode"));
  EXPECT_EQ(
      api_.Post(std::string(kAlice) + "/totp/confirm", R"({"passcode":")" + CodeOf(secret) + "\"}")
          .status,
      204);
  EXPECT_THAT(api_.Get(kAlice).body,
              AllOf(HasSubstr(R"("totp_enabled":true)"), HasSubstr(R"("backup_codes_left":10)"),
                    Not(HasSubstr(secret))));
  const ApiAnswer asked = Login("alice", kPassword);
  EXPECT_EQ(asked.status, 400);
  EXPECT_EQ(asked.body, Errors("passcode required"));
}

TEST_F(UserpassApi, ACodeOrABackupCodeLogsInOnce) {
  const auto [secret, backup_code] = EnableTotp();
  const std::string code = CodeOf(secret);
  EXPECT_EQ(Login("alice", kPassword, code).status, 200);
  EXPECT_EQ(Login("alice", kPassword, code).body, Errors("invalid username or password"));
  EXPECT_EQ(Login("alice", kPassword, code + " ").status, 400);
  EXPECT_EQ(Login("alice", kPassword, backup_code).status, 200);
  EXPECT_EQ(Login("alice", kPassword, backup_code).status, 400);
}

TEST_F(UserpassApi, ADisabledFactorIsNotAskedFor) {
  EnableTotp();
  EXPECT_EQ(api_.Delete(std::string(kAlice) + "/totp").status, 204);
  EXPECT_EQ(Login("alice", kPassword).status, 200);
}

TEST_F(UserpassApi, NoRecordHoldsAPasswordOrACode) {
  const auto [secret, backup_code] = EnableTotp();
  const std::string code = CodeOf(secret);
  Login("alice", kPassword, code);
  Login("alice", kPassword, backup_code);
  for (const std::string& record : api_.audit.records()) {
    EXPECT_THAT(record, AllOf(Not(HasSubstr(kPassword)), Not(HasSubstr(secret)),
                              Not(HasSubstr(backup_code))));
  }
}

}  // namespace
}  // namespace kms::testing
