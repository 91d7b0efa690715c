// SPDX-License-Identifier: Apache-2.0
// Keys that live in an HSM, and external keys, over the whole API.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/api_service.h"

namespace kms::api {
namespace {

using testing::ApiAnswer;
using testing::ApiService;
using testing::Errors;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TextAfter;

constexpr std::string_view kHello = "aGVsbG8=";

class ResidentKeys : public ::testing::Test {
 protected:
  ApiAnswer Create(const std::string& name, const std::string& fields) {
    return service_.Post("/v1/transit/keys/" + name, "{" + fields + "}");
  }
  std::string Encrypt(const std::string& name) {
    const ApiAnswer answer = service_.Post("/v1/transit/encrypt/" + name,
                                           R"({"plaintext":")" + std::string(kHello) + "\"}");
    EXPECT_EQ(answer.status, 200) << answer.body;
    return TextAfter(answer.body, R"("ciphertext":")");
  }
  ApiAnswer Decrypt(const std::string& name, const std::string& ciphertext) {
    return service_.Post("/v1/transit/decrypt/" + name, R"({"ciphertext":")" + ciphertext + "\"}");
  }
  [[nodiscard]] std::size_t Objects() const {
    return service_.device.token()->resident_keys.size();
  }

  ApiService service_;
};

TEST_F(ResidentKeys, AreCreatedAndDescribed) {
  const ApiAnswer answer = Create("app", R"("type":"ecdsa-p256","protection":"hsm")");
  ASSERT_EQ(answer.status, 200) << answer.body;
  for (const char* const member :
       {R"("type":"ecdsa-p256")", R"("protection":"hsm")", R"("hsm":"default")",
        R"("exportable":false)", R"("supports_signing":true)", R"("supports_derivation":false)",
        R"("name":"P-256")", "BEGIN PUBLIC KEY"}) {
    EXPECT_THAT(answer.body, HasSubstr(member));
  }
  EXPECT_EQ(Objects(), 1U);
  EXPECT_THAT(service_.Get("/v1/transit/keys/app").body, HasSubstr(R"("protection":"hsm")"));
  Create("soft", "");
  EXPECT_THAT(service_.Get("/v1/transit/keys/soft").body, Not(HasSubstr("protection")))
      << "other clients see what they always saw";
}

TEST_F(ResidentKeys, EncryptDecryptAndRewrapInTheSameForm) {
  ASSERT_EQ(Create("app", R"("protection":"hsm")").status, 200);
  const std::string ciphertext = Encrypt("app");
  EXPECT_TRUE(ciphertext.starts_with("vault:v1:"));
  EXPECT_THAT(Decrypt("app", ciphertext).body, HasSubstr(std::string(kHello)));
  ASSERT_EQ(service_.Post("/v1/transit/keys/app/rotate").status, 200);
  const ApiAnswer rewrapped =
      service_.Post("/v1/transit/rewrap/app", R"({"ciphertext":")" + ciphertext + "\"}");
  EXPECT_THAT(rewrapped.body, HasSubstr("vault:v2:"));
  EXPECT_THAT(Decrypt("app", TextAfter(rewrapped.body, R"("ciphertext":")")).body,
              HasSubstr(std::string(kHello)));
  const ApiAnswer batch =
      service_.Post("/v1/transit/decrypt/app", R"({"batch_input":[{"ciphertext":")" + ciphertext +
                                                   R"("},{"ciphertext":"vault:v1:AAAA"}]})");
  EXPECT_THAT(batch.body, HasSubstr(std::string(kHello)));
  EXPECT_THAT(batch.body, HasSubstr("invalid ciphertext"));
}

TEST_F(ResidentKeys, GoThroughThePool) {
  ASSERT_EQ(Create("app", R"("protection":"hsm")").status, 200);
  Encrypt("app");
  bool deferred = false;
  const ApiAnswer answer =
      service_.CallOnLoop(ApiService::WithToken({HttpMethod::kPost,
                                                 "/v1/transit/encrypt/app",
                                                 R"({"plaintext":")" + std::string(kHello) + "\"}",
                                                 {}}),
                          &deferred);
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_TRUE(deferred) << "a call to an HSM must not hold up the loop";
}

TEST_F(ResidentKeys, SignAndVerify) {
  ASSERT_EQ(Create("app", R"("type":"rsa-2048","protection":"hsm")").status, 200);
  for (const char* const algorithm : {"pss", "pkcs1v15"}) {
    const std::string fields =
        R"("input":")" + std::string(kHello) + R"(","signature_algorithm":")" + algorithm + "\"";
    const ApiAnswer signature = service_.Post("/v1/transit/sign/app", "{" + fields + "}");
    ASSERT_EQ(signature.status, 200) << signature.body;
    const ApiAnswer verdict = service_.Post(
        "/v1/transit/verify/app",
        "{" + fields + R"(,"signature":")" + TextAfter(signature.body, R"("signature":")") + "\"}");
    EXPECT_THAT(verdict.body, HasSubstr(R"("valid":true)"));
  }
}

TEST_F(ResidentKeys, OfATokenThatIsAwayAnswer503AndOthersGoOn) {
  ASSERT_EQ(Create("app", R"("protection":"hsm")").status, 200);
  ASSERT_EQ(Create("soft", "").status, 200);
  const std::string ciphertext = Encrypt("app");
  service_.device.SetPresent(false);
  EXPECT_EQ(Decrypt("app", ciphertext).status, 503);
  EXPECT_EQ(Create("late", R"("protection":"hsm")").status, 503);
  Encrypt("soft");
  service_.device.SetPresent(true);
}

TEST_F(ResidentKeys, TrimAndDeletionDestroyTheObjects) {
  ASSERT_EQ(Create("app", R"("protection":"hsm")").status, 200);
  ASSERT_EQ(service_.Post("/v1/transit/keys/app/rotate").status, 200);
  EXPECT_EQ(Objects(), 2U);
  ASSERT_EQ(service_
                .Post("/v1/transit/keys/app/config",
                      R"({"min_decryption_version":2,"min_encryption_version":2,)"
                      R"("deletion_allowed":true})")
                .status,
            200);
  ASSERT_EQ(service_.Post("/v1/transit/keys/app/trim", R"({"min_available_version":2})").status,
            200);
  EXPECT_EQ(Objects(), 1U);
  ASSERT_EQ(service_.Delete("/v1/transit/keys/app").status, 204);
  EXPECT_EQ(Objects(), 0U);
}

TEST_F(ResidentKeys, OfADeletedEnvironmentAreDestroyed) {
  ASSERT_EQ(service_.Post("/v1/dev/keys/app", R"({"protection":"hsm"})").status, 200);
  EXPECT_EQ(Objects(), 1U);
  ASSERT_EQ(service_.Delete("/v1/sys/mounts/dev").status, 204);
  EXPECT_EQ(Objects(), 0U);
}

TEST_F(ResidentKeys, RefuseWhatTheyCannot) {
  const struct {
    const char* fields;
    const char* text;
  } kRows[] = {
      {R"("protection":"vault")", R"(protection must be "software" or "hsm")"},
      {R"("hsm":"default")", R"(hsm is only for keys of protection "hsm")"},
      {R"("protection":"hsm","hsm":"elsewhere")",
       "HSM elsewhere does not serve this environment; it is served by default"},
      {R"("protection":"hsm","type":"hmac")",
       "key type hmac cannot be protected by an HSM; choose aes256-gcm96, rsa-2048, rsa-3072, "
       "rsa-4096, ecdsa-p256, ecdsa-p384 or ecdsa-p521"},
      {R"("protection":"hsm","derived":true)",
       "key derivation and convergent encryption not supported for keys protected by an HSM"},
      {R"("protection":"hsm","exportable":true)",
       "keys protected by an HSM cannot be exportable or backed up: they never leave the HSM"},
      {R"("external_key_ref":"default:x")",
       "must provide type=external-key to use external_key_ref"},
      {R"("type":"external-key")",
       "must provide external_key_ref to create policy of type external-key"},
      {R"("type":"external-key","external_key_ref":"default:x","auto_rotate_period":"30d")",
       "cannot enable auto-rotation with external keys"},
      {R"("type":"external-key","external_key_ref":"default:x","protection":"software")",
       "external keys are protected by their HSM, not by software"},
  };
  for (const auto& row : kRows) {
    const ApiAnswer answer = Create("app", row.fields);
    EXPECT_EQ(answer.status, 400) << row.fields;
    EXPECT_EQ(answer.body, Errors(row.text));
  }
  EXPECT_EQ(Objects(), 0U);
}

TEST_F(ResidentKeys, AreNeverMadeOnDemand) {
  const ApiAnswer answer =
      service_.Post("/v1/transit/encrypt/new",
                    R"({"plaintext":")" + std::string(kHello) + R"(","protection":"hsm"})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(Objects(), 0U);
}

TEST_F(ResidentKeys, NeverLeave) {
  ASSERT_EQ(Create("app", R"("type":"ecdsa-p256","protection":"hsm")").status, 200);
  const ApiAnswer exported = service_.Get("/v1/transit/export/signing-key/app");
  EXPECT_EQ(exported.status, 400);
  EXPECT_THAT(exported.body, HasSubstr("private key material is not exportable"));
  EXPECT_EQ(service_.Get("/v1/transit/export/public-key/app").status, 200);
  EXPECT_EQ(service_.Get("/v1/transit/backup/app").status, 400);
  EXPECT_EQ(service_.Post("/v1/transit/keys/app/config", R"({"exportable":true})").status, 400);
  EXPECT_EQ(
      service_.Post("/v1/transit/hmac/app", R"({"input":")" + std::string(kHello) + "\"}").status,
      400);
}

TEST_F(ResidentKeys, ReferToExternalKeysWhereThatIsAllowed) {
  ASSERT_TRUE(service_.device.token()
                  ->resident_keys.Generate({7}, ResidentKeyType::kEcdsaP256, "app-old")
                  .has_value());
  ASSERT_TRUE(service_.device.token()
                  ->resident_keys.Generate({8}, ResidentKeyType::kEcdsaP256, "app-new")
                  .has_value());
  const std::string fields = R"("type":"external-key","external_key_ref":"default:app-old")";
  EXPECT_EQ(Create("app", fields).status, 403);
  const auto tune = [&](const std::string& option) {
    return service_.Post("/v1/sys/mounts/transit/tune",
                         R"({"options":{"external_keys":")" + option + R"("}})");
  };
  EXPECT_EQ(tune("app-*").status, 400);
  ASSERT_EQ(tune("default:app-*").status, 204);

  const ApiAnswer made = Create("app", fields);
  ASSERT_EQ(made.status, 200) << made.body;
  for (const char* const member :
       {R"("type":"external-key")", R"("keys":{"1":"default:app-old"})", R"("protection":"hsm")",
        R"("external_key_type":"ecdsa-p256")"}) {
    EXPECT_THAT(made.body, HasSubstr(member));
  }
  EXPECT_EQ(service_.Post("/v1/transit/keys/app/rotate").status, 400);
  const ApiAnswer rotated =
      service_.Post("/v1/transit/keys/app/rotate", R"({"external_key_ref":"default:app-new"})");
  ASSERT_EQ(rotated.status, 200) << rotated.body;
  EXPECT_THAT(rotated.body, HasSubstr(R"("keys":{"1":"default:app-old","2":"default:app-new"})"));
  const ApiAnswer signature =
      service_.Post("/v1/transit/sign/app", R"({"input":")" + std::string(kHello) + "\"}");
  EXPECT_THAT(signature.body, HasSubstr("vault:v2:"));
  EXPECT_EQ(service_.Post("/v1/transit/keys/app/config", R"({"auto_rotate_period":"30d"})").status,
            400);
  ASSERT_EQ(service_.Post("/v1/transit/keys/app/config", R"({"deletion_allowed":true})").status,
            200);
  ASSERT_EQ(service_.Delete("/v1/transit/keys/app").status, 204);
  EXPECT_EQ(Objects(), 2U) << "they were there before";
}

// Who administers one environment does not give it the keys of other programs, nor a longer life
// without its HSM.
class SudoOptions : public ResidentKeys {
 protected:
  void SetUp() override {
    ASSERT_EQ(Tune(ApiService::kToken, R"("external_keys":"default:app-*")").status, 204);
    const std::string paths = R"(path "sys/mounts/+/tune" { capabilities = ["update")";
    const std::string creates = R"(path "sys/mounts/+" { capabilities = ["create", "update")";
    plain_ = service_.TokenWith("plain", paths + "] } " + creates + "] }");
    chief_ = service_.TokenWith("chief", paths + ", \"sudo\"] } " + creates + ", \"sudo\"] }");
  }
  ApiAnswer Tune(std::string_view token, const std::string& options) {
    return service_.CallAs(token, {HttpMethod::kPost, "/v1/sys/mounts/transit/tune",
                                   R"({"options":{)" + options + "}}", {}});
  }
  ApiAnswer Make(std::string_view token, const std::string& name, const std::string& options) {
    return service_.CallAs(token, {HttpMethod::kPost, "/v1/sys/mounts/" + name,
                                   R"({"type":"transit","options":{)" + options + "}}", {}});
  }
  std::string plain_;
  std::string chief_;
};

TEST_F(SudoOptions, ExternalKeysAreWidenedWithSudoAlone) {
  const ApiAnswer refused = Tune(plain_, R"("external_keys":"default:*","disable_upsert":"true")");
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(refused.body, HasSubstr("allowing more external keys needs sudo on this path"));
  const std::string mount = service_.Get("/v1/sys/mounts/transit").body;
  EXPECT_THAT(mount, HasSubstr(R"("external_keys":"default:app-*")"));
  EXPECT_THAT(mount, Not(HasSubstr("disable_upsert"))) << "nothing of it was stored";
  EXPECT_EQ(Tune(plain_, R"("external_keys":"default:app-1")").status, 204) << "less is no harm";
  EXPECT_EQ(Tune(plain_, R"("external_keys":"")").status, 204);
  EXPECT_EQ(Tune(plain_, R"("external_keys":"default:app-1")").status, 403);
  EXPECT_EQ(Tune(chief_, R"("external_keys":"default:*")").status, 204);
}

TEST_F(SudoOptions, TheLeaseIsChangedWithSudoAlone) {
  for (const std::string option :
       {R"("lease_grace":"forever")", R"("lease_grace":"1s")", R"("lease_interval":"1h")"}) {
    const ApiAnswer refused = Tune(plain_, option);
    EXPECT_EQ(refused.status, 403) << option;
    EXPECT_THAT(refused.body, HasSubstr("needs sudo on this path"));
  }
  EXPECT_EQ(Tune(chief_, R"("lease_grace":"forever")").status, 204);
  EXPECT_EQ(Tune(plain_, R"("lease_grace":"forever")").status, 204) << "as it is already";
  EXPECT_EQ(Tune(plain_, R"("lease_grace":"")").status, 403);
}

TEST_F(SudoOptions, OtherOptionsNeedNone) {
  EXPECT_EQ(Tune(plain_, R"("verify_encrypt":"true")").status, 204);
}

TEST_F(SudoOptions, HoldForNewEnvironmentsToo) {
  EXPECT_EQ(Make(plain_, "team", R"("external_keys":"default:*")").status, 403);
  EXPECT_EQ(Make(plain_, "team", R"("lease_grace":"forever")").status, 403);
  EXPECT_EQ(service_.environments().Find("team"), nullptr);
  EXPECT_EQ(Make(plain_, "team", R"("verify_encrypt":"true")").status, 204);
  EXPECT_EQ(Make(chief_, "chiefs", R"("lease_grace":"forever")").status, 204);
}

}  // namespace
}  // namespace kms::api
