// SPDX-License-Identifier: Apache-2.0
#include "api/config/config.h"

#include <gtest/gtest.h>

#include "api/config/config_fields.h"
#include "tests/support/matchers.h"

namespace kms::api {
namespace {

using kms::testing::HasError;
using kms::testing::IsOk;
using ::testing::HasSubstr;

constexpr auto kInvalid = ErrorCode::kInvalidArgument;

TEST(ParseConfig, ReadsValuesAndKeepsDefaults) {
  KMS_ASSERT_OK_AND_ASSIGN(const Config config, ParseConfig(R"({
    // comments are allowed
    "listener": {"address": "[::1]:0", "allow_plain_http": true},
    "hsm": {"pin": "file:/run/pin", "sessions": 9, "call_timeout": "250ms"}
  })"));
  EXPECT_EQ(config.listener.address, "[::1]:0");
  EXPECT_TRUE(config.listener.allow_plain_http);
  EXPECT_EQ(config.hsm.pin.text, "file:/run/pin");
  EXPECT_EQ(config.hsm.sessions, 9U);
  EXPECT_EQ(config.hsm.call_timeout, Milliseconds{250});
  EXPECT_EQ(config.limits.max_headers, 64U);
}

TEST(ParseConfig, RefusesWhatItDoesNotKnowWithAHint) {
  EXPECT_THAT(ParseConfig(R"({"limits": {"max_body_byte": 5}})"),
              HasError(kInvalid, HasSubstr("did you mean limits.max_body_bytes?")));
  EXPECT_THAT(ParseConfig(R"({"limit": {"max_headers": 5}})"),
              HasError(kInvalid, HasSubstr("did you mean limits.max_headers?")));
}

TEST(ParseConfig, RefusesWrongValuesNamingTheKey) {
  const std::pair<const char*, const char*> cases[] = {
      {R"([])", "not a JSON object"},
      {R"({"log": )", "not a JSON object"},
      {R"({"log": 1})", "log must be an object"},
      {R"({"log": {"level": "loud"}})", "log.level must be one of: debug, info, warn, error"},
      {R"({"log": {"level": 1}})", "log.level must be a string"},
      {R"({"hsm": {"sessions": 0}})", "hsm.sessions must be a whole number from 1 to 256"},
      {R"({"hsm": {"sessions": -1}})", "hsm.sessions must be a whole number"},
      {R"({"hsm": {"sessions": 1.5}})", "hsm.sessions must be a whole number"},
      {R"({"hsm": {"call_timeout": 5}})", "hsm.call_timeout must be a duration"},
      {R"({"hsm": {"call_timeout": "5"}})", "hsm.call_timeout must be a duration"},
      {R"({"hsm": {"call_timeout": "1ms"}})", "hsm.call_timeout must be at least 10ms"},
      {R"({"hsm": {"call_timeout": "99999999999999d"}})", "hsm.call_timeout must be a duration"},
      {R"({"listener": {"allow_plain_http": "yes"}})", "must be true or false"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(ParseConfig(text), HasError(kInvalid, HasSubstr(message))) << text;
  }
}

// P10: a secret in the configuration is refused, and the refusal does not repeat it.
TEST(ParseConfig, P10_RefusesALiteralSecretWithoutEchoingIt) {
  const Result<Config> config = ParseConfig(R"({"hsm": {"pin": "hunter2-hunter2"}})");
  EXPECT_THAT(config, HasError(kInvalid, HasSubstr("never the secret itself")));
  EXPECT_EQ(Describe(config.error()).find("hunter2"), std::string::npos);
}

TEST(PrintConfig, IsReadBackUnchanged) {
  Config config;
  config.store.path = "/var/lib/kms/\"quoted\"/store.db";
  config.hsm.call_timeout = Milliseconds{1500};
  config.limits.idle_timeout = std::chrono::hours{2};
  const std::string text = PrintConfig(config);
  KMS_ASSERT_OK_AND_ASSIGN(const Config again, ParseConfig(text));
  EXPECT_EQ(PrintConfig(again), text);
  EXPECT_EQ(again.store.path, config.store.path);
  EXPECT_EQ(again.limits.idle_timeout, config.limits.idle_timeout);
}

TEST(PrintConfig, CommentsEveryKey) {
  const std::string text = PrintConfig(Config{});
  for (const ConfigField& field : ConfigFields()) {
    EXPECT_FALSE(field.comment.empty()) << field.key;
    EXPECT_THAT(text, HasSubstr("// " + std::string{field.comment}));
  }
}

TEST(ValidateConfig, NamesTheMissingKey) {
  Config config;
  EXPECT_THAT(ValidateConfig(config), HasError(kInvalid, HasSubstr("store.path is required")));
  config.store.path = "s";
  config.audit.path = "a";
  config.hsm = {.module = "/m", .token_label = "t", .pin = {"file:p"}};
  config.auth.root_token.text = "file:t";
  EXPECT_THAT(ValidateConfig(config), IsOk());
  config.limits.secret_memory_bytes = 3U << 20U;
  EXPECT_THAT(ValidateConfig(config), HasError(kInvalid, HasSubstr("must be a power of two")));
  config.limits.secret_memory_bytes = 1U << 20U;
  config.listener.tls_key = "k";
  EXPECT_THAT(ValidateConfig(config), HasError(kInvalid, HasSubstr("must be set together")));
}

Config ValidTlsConfig() {
  Config config;
  config.store.path = "s";
  config.audit.path = "a";
  config.hsm = {.module = "/m", .token_label = "t", .pin = {"file:p"}};
  config.auth.root_token.text = "file:t";
  config.listener.tls_certificate = "c";
  config.listener.tls_key = "k";
  return config;
}

TEST(ValidateConfig, RefusesToAskForCertificatesWithoutTls) {
  Config config = ValidTlsConfig();
  config.listener.tls_certificate = config.listener.tls_key = "";
  EXPECT_THAT(ValidateConfig(config), IsOk());
  for (const char* demand : {"request", "require"}) {
    config.listener.tls_client_certificates = demand;
    EXPECT_THAT(ValidateConfig(config),
                HasError(kInvalid, HasSubstr("tls_client_certificates needs")))
        << demand;
  }
}

TEST(ValidateConfig, RefusesAnAuthorityWhoseCertificatesAreOnlyRequested) {
  Config config = ValidTlsConfig();
  config.listener.tls_client_ca = "ca";
  for (const char* demand : {"none", "require"}) {
    config.listener.tls_client_certificates = demand;
    EXPECT_THAT(ValidateConfig(config), IsOk()) << demand;
  }
  config.listener.tls_client_certificates = "request";
  EXPECT_THAT(ValidateConfig(config), HasError(kInvalid, HasSubstr("cannot be \"request\"")));
}

TEST(ParseConfig, RefusesAnUnknownDemandForCertificates) {
  EXPECT_THAT(ParseConfig(R"({"listener": {"tls_client_certificates": "optional"}})"),
              HasError(kInvalid, HasSubstr("tls_client_certificates")));
}

TEST(ParseConfig, ReadsFurtherTokensByName) {
  KMS_ASSERT_OK_AND_ASSIGN(const Config config, ParseConfig(R"({
    "hsm": {"token_label": "one"},
    "hsms": {"vault-2": {"token_label": "two", "network": true, "breaker_failures": 7},
             "vault-3": {}}
  })"));
  ASSERT_EQ(config.hsms.size(), 2U);
  EXPECT_EQ(config.hsms.at("vault-2").token_label, "two");
  EXPECT_TRUE(config.hsms.at("vault-2").network);
  EXPECT_EQ(config.hsms.at("vault-2").breaker_failures, 7U);
  EXPECT_EQ(config.hsms.at("vault-3"), (HsmConfig{.call_timeout = Milliseconds{0}}));
  EXPECT_EQ(config.hsm.token_label, "one");
}

TEST(ParseConfig, RefusesWhatATokenOfHsmsMayNotSay) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"hsms": []})", "hsms must be an object"},
      {R"({"hsms": {"b": "x"}})", "hsms.b must be an object"},
      {R"({"hsms": {"b": {"modul": "/m"}}})", "unknown key hsms.b.modul; did you mean hsms.b.module?"},
      {R"({"hsms": {"b": {"sessions": 0}}})", "hsms.b.sessions must be a whole number"},
      {R"({"hsms": {"b": {"start_timeout": "1s"}}})", "set hsm.start_timeout"},
      {R"({"hsms": {"b": {"call_timeout": "1ms"}}})", "hsms.b.call_timeout must be at least 10ms"},
      {R"({"hsms": {"b": {"pin": "1234"}}})", "hsms.b.pin must say where the secret is"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(ParseConfig(text), HasError(kInvalid, HasSubstr(message))) << text;
  }
}

TEST(ParseConfig, OnlyTheGraceMayLastForever) {
  KMS_ASSERT_OK_AND_ASSIGN(const Config config, ParseConfig(R"({"lease": {"grace": "forever"}})"));
  EXPECT_EQ(config.lease.grace, kForever);
  EXPECT_EQ(FormatDuration(config.lease.grace), "forever");
  EXPECT_THAT(ParseConfig(R"({"lease": {"interval": "forever"}})"),
              HasError(kInvalid, HasSubstr("lease.interval must be a duration")));
  EXPECT_THAT(ParseConfig(R"({"lease": {"grace": "never"}})"),
              HasError(kInvalid, HasSubstr("or \"forever\"")));
}

TEST(PrintConfig, ReadsTokensAndForeverBack) {
  Config config;
  config.hsm.token_label = "one";
  config.hsms["b"] = {.module = "/m", .token_label = "two", .pin = {"file:p"}, .max_calls = 3};
  config.hsms["c"] = {.token_label = "with \"quotes\"", .memory_limit_bytes = 0};
  config.lease.grace = kForever;
  const std::string text = PrintConfig(config);
  KMS_ASSERT_OK_AND_ASSIGN(const Config again, ParseConfig(text));
  EXPECT_EQ(again.hsms, config.hsms);
  EXPECT_EQ(again.hsm, config.hsm);
  EXPECT_EQ(again.lease.grace, kForever);
  EXPECT_EQ(PrintConfig(again), text);
}

// A configuration with one token more, named "b".
Config WithTwoTokens() {
  Config config = ValidTlsConfig();
  config.hsms["b"] = {.module = "/m", .token_label = "u", .pin = {"file:p"}};
  return config;
}

TEST(ValidateConfig, NamesWhatATokenLacks) {
  Config config = WithTwoTokens();
  EXPECT_THAT(ValidateConfig(config), IsOk());
  config.hsms["b"].pin.text = "";
  EXPECT_THAT(ValidateConfig(config), HasError(kInvalid, HasSubstr("hsms.b.pin is required")));
  config = WithTwoTokens();
  config.hsms["b"].breaker_first_pause = std::chrono::minutes{5};
  EXPECT_THAT(ValidateConfig(config),
              HasError(kInvalid, HasSubstr("hsms.b.breaker_longest_pause must not be shorter")));
}

TEST(ValidateConfig, RefusesNamesThatNoTokenMayHave) {
  for (const std::string& name :
       {std::string(), std::string("Vault"), std::string("-a"), std::string("a b"),
        std::string("a/b"), std::string(33, 'a')}) {
    Config config = WithTwoTokens();
    config.hsms[name] = {.module = "/m", .token_label = "v", .pin = {"file:p"}};
    EXPECT_THAT(ValidateConfig(config), HasError(kInvalid, HasSubstr("1 to 32 of a-z"))) << name;
  }
  Config config = WithTwoTokens();
  config.hsms["default"] = {.module = "/m", .token_label = "v", .pin = {"file:p"}};
  EXPECT_THAT(ValidateConfig(config), HasError(kInvalid, HasSubstr("the section hsm")));
}

TEST(ValidateConfig, RefusesOneTokenUnderTwoNames) {
  Config config = WithTwoTokens();
  config.hsms["b"].token_label = "t";
  EXPECT_THAT(ValidateConfig(config),
              HasError(kInvalid, HasSubstr("hsms.b and hsm name the same token \"t\"")));
  config.hsms["b"].token_serial = "2";  // one of them may still be the other
  EXPECT_THAT(ValidateConfig(config), HasError(kInvalid, HasSubstr("name the same token")));
  config.hsm.token_serial = "1";
  EXPECT_THAT(ValidateConfig(config), IsOk());
  config.hsm.token_serial = "2";
  EXPECT_THAT(ValidateConfig(config), HasError(kInvalid, HasSubstr("name the same token")));
}

TEST(ValidateConfig, TokensOfOneLabelMayBeReachedInTwoWays) {
  Config config = WithTwoTokens();
  config.hsms["b"].token_label = "t";
  config.hsms["b"].pass_environment = "SERVER=b";
  EXPECT_THAT(ValidateConfig(config), IsOk());
  config.hsms["b"].pass_environment = "";
  config.hsms["b"].module = "/n";
  EXPECT_THAT(ValidateConfig(config), IsOk());
}

TEST(ValidateConfig, RefusesAStateDirectoryForTwoTokens) {
  Config config = WithTwoTokens();
  config.hsm.softhsm_state_directory = "/s";
  EXPECT_THAT(ValidateConfig(config), IsOk());
  config.hsms["b"].softhsm_state_directory = "/s";
  EXPECT_THAT(ValidateConfig(config), HasError(kInvalid, HasSubstr("each needs its own")));
}

TEST(ValidateConfig, TheSectionHsmMayBeLeftOutWhenThereAreOthers) {
  Config config = WithTwoTokens();
  config.hsm = HsmConfig{};
  EXPECT_THAT(ValidateConfig(config), IsOk());
  EXPECT_FALSE(AllHsms(config).contains("default"));
  config.hsms.clear();
  EXPECT_THAT(ValidateConfig(config), HasError(kInvalid, HasSubstr("hsm.module is required")));
  EXPECT_TRUE(AllHsms(ValidTlsConfig()).contains("default"));
}

TEST(AllHsms, KnowsWhereEachTokenRemembersWhatItNeeds) {
  Config config = WithTwoTokens();
  config.store.path = "/var/lib/kms/store.db";
  config.hsm.softhsm_state_directory = "/s";
  EXPECT_EQ(AllHsms(config).at("b").state_directory, "/var/lib/kms");
  EXPECT_EQ(AllHsms(config).at("default").state_directory, "");
  config.hsms["b"].state_directory = "/own";
  EXPECT_EQ(AllHsms(config).at("b").state_directory, "/own");
}

TEST(AllHsms, ATokenThatSaysNoCallTimeoutHasThatOfTheSectionHsm) {
  KMS_ASSERT_OK_AND_ASSIGN(
      const Config config,
      ParseConfig(R"({"hsms": {"slow": {"call_timeout": "30s"}, "other": {}},
                      "hsm": {"module": "/m", "call_timeout": "250ms"}})"));
  const HsmConfigs all = AllHsms(config);
  EXPECT_EQ(all.at("slow").call_timeout, Milliseconds{30'000});
  EXPECT_EQ(all.at("other").call_timeout, Milliseconds{250});
  EXPECT_EQ(all.at("default").call_timeout, Milliseconds{250});
  KMS_ASSERT_OK_AND_ASSIGN(const Config again, ParseConfig(PrintConfig(config)));
  EXPECT_EQ(AllHsms(again), all);
}

TEST(ValidateConfig, NoCallMayHoldUpItsCallersForever) {
  Config config = WithTwoTokens();
  config.hsms["b"].call_timeout = Milliseconds{300'001};
  EXPECT_THAT(ValidateConfig(config),
              HasError(kInvalid, HasSubstr("hsms.b.call_timeout must be at most 5m")));
}

TEST(AllHsms, ATimeoutOfTheServiceMakesNoOtherToken) {
  Config config = WithTwoTokens();
  const HsmConfigs before = AllHsms(config);
  config.hsm.start_timeout = Milliseconds{250};
  EXPECT_EQ(AllHsms(config), before);
  config.hsm.sessions = 9;
  EXPECT_NE(AllHsms(config), before);
}

TEST(ParseDuration, RoundTrips) {
  for (const char* text : {"250ms", "5s", "90s", "10m", "1h", "30d"}) {
    KMS_ASSERT_OK_AND_ASSIGN(const Milliseconds duration, ParseDuration(text));
    EXPECT_EQ(FormatDuration(duration), text);
  }
  EXPECT_EQ(FormatDuration(Milliseconds{0}), "0ms");
}

TEST(LoadConfig, NamesTheMissingFile) {
  EXPECT_THAT(LoadConfig("/nonexistent/kms.json"),
              HasError(ErrorCode::kNotFound, HasSubstr("/nonexistent/kms.json")));
}

}  // namespace
}  // namespace kms::api
