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
