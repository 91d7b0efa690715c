// SPDX-License-Identifier: Apache-2.0
// Keys in and out over the API: wrapping_key, import, import_version, export, byok-export, csr,
// set-certificate, derive-key: shapes, statuses, texts, and what never shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "kms/base/base64.h"
#include "kms/crypto/import_blob.h"
#include "kms/crypto/key_import.h"
#include "tests/support/api_service.h"
#include "tests/support/asymmetric_keys.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Unescaped(std::string text) {
  for (std::size_t at = text.find("\\n"); at != std::string::npos; at = text.find("\\n")) {
    text.replace(at, 2, "\n");
  }
  return text;
}

std::string Escaped(std::string text) {
  for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n')) {
    text.replace(at, 1, "\\n");
  }
  return text;
}

class KeyTransfer : public ::testing::Test {
 protected:
  std::string WrappingKeyPem(const std::string& environment = "dev") {
    const ApiAnswer answer = api_.Get("/v1/" + environment + "/wrapping_key");
    EXPECT_EQ(answer.status, 200) << answer.body;
    return Unescaped(TextAfter(answer.body, R"("public_key":")"));
  }
  std::string Blob(ByteView target, const std::string& environment = "dev") {
    const AsymmetricKey key =
        ImportPublicKey(AsymmetricAlgorithm::kRsa4096, WrappingKeyPem(environment)).value();
    return Base64Encode(SealImportBlob(key, HashAlgorithm::kSha2_256, target).value());
  }
  ApiAnswer Import(const std::string& name, const std::string& type, ByteView target,
                   const std::string& more = "") {
    return api_.Post(
        "/v1/dev/keys/" + name + "/import",
        R"({"type":")" + type + R"(","ciphertext":")" + Blob(target) + "\"" + more + "}");
  }
  static std::string PublicPem(AsymmetricAlgorithm algorithm) {
    return "-----BEGIN PUBLIC KEY-----\\n" + Base64Encode(TestKey(algorithm).PublicKey().value()) +
           "\\n-----END PUBLIC KEY-----\\n";
  }

  ApiService api_;
};

TEST_F(KeyTransfer, TheWrappingKeyIsPemAndStays) {
  const ApiAnswer first = api_.Get("/v1/dev/wrapping_key");
  const std::string pem = Unescaped(TextAfter(first.body, R"("public_key":")"));
  EXPECT_EQ(WithoutRequestId(first.body), Envelope(R"({"public_key":")" + Escaped(pem) + "\"}"));
  EXPECT_THAT(pem, AllOf(HasSubstr("-----BEGIN PUBLIC KEY-----\n"),
                         HasSubstr("\n-----END PUBLIC KEY-----\n")));
  EXPECT_EQ(WrappingKeyPem(), pem);
  EXPECT_NE(WrappingKeyPem("prod"), pem);
}

TEST_F(KeyTransfer, OnlyTheFirstRequestForTheWrappingKeyIsRecordedAsAChange) {
  const auto attempts = [this] {
    std::size_t count = 0;
    for (const std::string& record : api_.audit.records()) {
      count += record.find(R"("type":"request")") != std::string::npos &&
                       record.find("wrapping_key") != std::string::npos
                   ? 1U
                   : 0U;
    }
    return count;
  };
  api_.Get("/v1/dev/wrapping_key");
  EXPECT_EQ(attempts(), 1U);
  api_.Get("/v1/dev/wrapping_key");
  EXPECT_EQ(attempts(), 1U);
}

TEST_F(KeyTransfer, ImportAnswers204AndTheKeySaysThatItWasImported) {
  const ApiAnswer answer = Import("app", "AES256-GCM96", Bytes(32, 7), R"(,"allow_rotation":true)");
  EXPECT_EQ(answer.status, 204) << answer.body;
  EXPECT_EQ(answer.body, "");
  EXPECT_THAT(api_.Get("/v1/dev/keys/app").body,
              AllOf(HasSubstr(R"("type":"aes256-gcm96")"), HasSubstr(R"("imported_key":true)"),
                    HasSubstr(R"("imported_key_allow_rotation":true)")));
}

TEST_F(KeyTransfer, ImportVersionAnswers204AndAppends) {
  Import("app", "aes256-gcm96", Bytes(32, 7));
  const ApiAnswer answer = api_.Post("/v1/dev/keys/app/import_version",
                                     R"({"ciphertext":")" + Blob(Bytes(32, 8)) + "\"}");
  EXPECT_EQ(answer.status, 204) << answer.body;
  EXPECT_THAT(api_.Get("/v1/dev/keys/app").body, HasSubstr(R"("latest_version":2)"));
}

TEST_F(KeyTransfer, ErrorsOfImportAre400WithTheTextsOfTheReference) {
  const std::string pem = PublicPem(AsymmetricAlgorithm::kEcdsaP256);
  const std::string good = Blob(Bytes(32, 7));
  api_.Post("/v1/dev/keys/taken");
  const struct {
    std::string name;
    std::string body;
    std::string text;
  } rows[] = {
      {"k", R"({"type":"rsa-1024"})", "unknown key type: rsa-1024"},
      {"k", R"({"hash_function":"MD5","ciphertext":")" + good + "\"}",
       "unknown hash function: MD5"},
      {"k", R"({"convergent_encryption":false,"ciphertext":")" + good + "\"}",
       "import cannot be used on keys with convergent encryption enabled"},
      {"k", R"({"auto_rotate_period":"1h","ciphertext":")" + good + "\"}",
       "allow_rotation must be set to true if auto-rotation is enabled"},
      {"k", R"({"type":"ecdsa-p256","ciphertext":")" + good + R"(","public_key":")" + pem + "\"}",
       "only one of the following fields, ciphertext and public_key, can be set"},
      {"k", R"({"public_key":")" + pem + "\"}", "provided type does not support public_key import"},
      {"k", R"({"ciphertext":"AAAA"})", "provided ciphertext is too short"},
      {"taken", R"({"ciphertext":")" + good + "\"}",
       "the import path cannot be used with an existing key; use import-version to rotate an "
       "existing imported key"},
  };
  for (const auto& [name, body, text] : rows) {
    const ApiAnswer answer = api_.Post("/v1/dev/keys/" + name + "/import", body);
    EXPECT_EQ(answer.status, 400) << text;
    EXPECT_EQ(answer.body, Errors(text));
  }
  EXPECT_EQ(
      api_.Post("/v1/dev/keys/taken/import_version", R"({"ciphertext":")" + good + "\"}").body,
      Errors("the import_version endpoint can only be used with an imported key"));
  EXPECT_EQ(api_.Post("/v1/dev/keys/none/import_version", "{}").body,
            Errors("no key found with name none; to import a new key, use the import/ endpoint"));
}

// The keys themselves are built in tests/kms/crypto; here each kind answers 400 with its reason.
TEST_F(KeyTransfer, C14_BadKeysAreRefusedWithTheReason) {
  Bytes truncated = TestKeyPkcs8(AsymmetricAlgorithm::kEcdsaP256);
  truncated.pop_back();
  Bytes wrong_point = TestKeyPkcs8(AsymmetricAlgorithm::kEcdsaP256);
  wrong_point.back() ^= 1U;
  Bytes even_modulus = TestKeyPkcs8(AsymmetricAlgorithm::kRsa2048);
  even_modulus[40] ^= 0x40U;
  const struct {
    std::string type;
    Bytes target;
    std::string reason;
  } rows[] = {
      {"aes256-gcm96", Bytes(32, 0), "error importing key: "},
      {"aes256-gcm96", Bytes(31, 1),
       "error importing key: invalid key size 31 bytes for key type aes256-gcm96"},
      {"hmac", Bytes(16, 1), "error importing key: invalid key size 16 bytes for key type hmac"},
      {"ecdsa-p256", truncated, "error importing key: error parsing asymmetric key: "},
      {"ecdsa-p256", wrong_point, "error importing key: error parsing asymmetric key: "},
      {"rsa-2048", even_modulus, "error importing key: error parsing asymmetric key: "},
      {"ecdsa-p384", TestKeyPkcs8(AsymmetricAlgorithm::kEcdsaP256),
       "error importing key: invalid curve: expected P-384, got P-256"},
      {"ed25519", Bytes(32, 1), "error importing key: error parsing asymmetric key: "},
  };
  for (const auto& [type, target, reason] : rows) {
    const ApiAnswer answer = Import("bad", type, target);
    EXPECT_EQ(answer.status, 400) << reason;
    EXPECT_THAT(answer.body, HasSubstr(R"({"errors":[")" + reason));
    EXPECT_EQ(api_.Get("/v1/dev/keys/bad").status, 404) << reason;
  }
}

TEST_F(KeyTransfer, U4_ABlobOfAnotherEnvironmentIsRefused) {
  const std::string blob = Blob(Bytes(32, 7), "prod");
  WrappingKeyPem("dev");
  const ApiAnswer answer =
      api_.Post("/v1/dev/keys/app/import", R"({"ciphertext":")" + blob + "\"}");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body, Errors("crypto/rsa: decryption error"));
}

TEST_F(KeyTransfer, ExportHasTheShapeOfTheReferenceAndIsWiped) {
  Import("app", "aes256-gcm96", Bytes(32, 7), R"(,"exportable":true)");
  const std::string text = Base64Encode(Bytes(32, 7));
  for (const char* path : {"", "/1", "/v1", "/latest", "?format=raw"}) {
    const ApiAnswer answer = api_.Get("/v1/dev/export/encryption-key/app" + std::string(path));
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.holds_secret);
    EXPECT_EQ(WithoutRequestId(answer.body),
              Envelope(R"({"keys":{"1":")" + text + R"("},"name":"app","type":"aes256-gcm96"})"));
  }
}

TEST_F(KeyTransfer, ErrorsOfExportAre400AndAMissingKeyIs404WithoutText) {
  Import("app", "aes256-gcm96", Bytes(32, 7), R"(,"exportable":true)");
  const std::pair<const char*, const char*> rows[] = {
      {"export/private-key/app", "invalid export type: private-key"},
      {"export/encryption-key/app?format=jwk", "invalid format: jwk"},
      {"export/encryption-key/app/x", "invalid key version"},
      {"export/encryption-key/app/2", "version does not exist or cannot be found"},
      {"export/signing-key/app", "signing not supported for the key"},
      {"export/encryption-key/app?format=pem",
       "unknown format for HMAC key; supported values are `` or `raw`"},
      {"byok-export/none/app", "no such destination key to export to"},
      {"byok-export/app/none", "no such source key for export"},
      {"byok-export/app/app?hash=MD5", "unknown hash function: MD5"},
      {"byok-export/app/app", "unsupported key type in use; must be a rsa key"},
  };
  for (const auto& [path, text] : rows) {
    const ApiAnswer answer = api_.Get("/v1/dev/" + std::string(path));
    EXPECT_EQ(answer.status, 400) << path;
    EXPECT_EQ(answer.body, Errors(text)) << path;
  }
  const ApiAnswer missing = api_.Get("/v1/dev/export/encryption-key/none");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.body, "{\"errors\":[]}\n");
}

TEST_F(KeyTransfer, C15_NothingSecretLeavesAKeyThatIsNotExportable) {
  Import("app", "rsa-2048", TestKeyPkcs8(AsymmetricAlgorithm::kRsa2048));
  api_.Post("/v1/dev/keys/attacker/import", R"({"type":"rsa-2048","public_key":")" +
                                                PublicPem(AsymmetricAlgorithm::kRsa2048) + "\"}");
  for (const char* type : {"encryption-key", "signing-key", "hmac-key"}) {
    for (const char* format : {"", "?format=der", "?format=pem"}) {
      const ApiAnswer answer = api_.Get("/v1/dev/export/" + std::string(type) + "/app" + format);
      EXPECT_EQ(answer.body, Errors("private key material is not exportable"));
    }
  }
  EXPECT_EQ(api_.Get("/v1/dev/byok-export/attacker/app").body, Errors("key is not exportable"));
  EXPECT_EQ(api_.Get("/v1/dev/export/public-key/app").status, 200);
}

TEST_F(KeyTransfer, C15_TheWrappingKeyIsOutOfReach) {
  WrappingKeyPem();
  EXPECT_EQ(api_.List("/v1/dev/keys").status, 404) << "it is not listed";
  for (const char* name : {"import", "wrapping-key", "wrapping_key"}) {
    const std::string key(name);
    EXPECT_EQ(api_.Get("/v1/dev/keys/" + key).status, 404);
    EXPECT_EQ(api_.Get("/v1/dev/export/encryption-key/" + key).status, 404);
    EXPECT_EQ(api_.Delete("/v1/dev/keys/" + key).status, 400);
    EXPECT_EQ(api_.Post("/v1/dev/decrypt/" + key, R"({"ciphertext":"vault:v1:AAAA"})").status, 400);
  }
  EXPECT_EQ(api_.Get("/v1/dev/keys/import/wrapping-key").status, 404);
}

TEST_F(KeyTransfer, A17_ImportSetsWhatItDocumentsAndIgnoresTheRest) {
  const ApiAnswer answer = Import("app", "aes256-gcm96", Bytes(32, 7),
                                  R"(,"deletion_allowed":true,"latest_version":9,)"
                                  R"("min_decryption_version":5,"imported_key":false)");
  EXPECT_EQ(answer.status, 204) << answer.body;
  EXPECT_THAT(api_.Get("/v1/dev/keys/app").body,
              AllOf(HasSubstr(R"("deletion_allowed":false)"), HasSubstr(R"("latest_version":1)"),
                    HasSubstr(R"("min_decryption_version":1)"), HasSubstr(R"("exportable":false)"),
                    HasSubstr(R"("imported_key":true)")));
}

TEST_F(KeyTransfer, TheAuditTrailHoldsNoKeyAndNoBlob) {
  const std::string blob = Blob(Bytes(32, 7));
  api_.Post("/v1/dev/keys/app/import", R"({"exportable":true,"ciphertext":")" + blob + "\"}");
  api_.Get("/v1/dev/export/encryption-key/app");
  const std::string secret = Base64Encode(Bytes(32, 7));
  ASSERT_FALSE(api_.audit.records().empty());
  for (const std::string& record : api_.audit.records()) {
    EXPECT_THAT(record, AllOf(Not(HasSubstr(secret)), Not(HasSubstr(blob.substr(0, 40)))));
  }
}

TEST_F(KeyTransfer, CsrAndSetCertificateNameTheKey) {
  Import("web", "ecdsa-p256", TestKeyPkcs8(AsymmetricAlgorithm::kEcdsaP256));
  const ApiAnswer csr = api_.Post("/v1/dev/keys/web/csr");
  EXPECT_EQ(csr.status, 200);
  EXPECT_THAT(
      csr.body,
      HasSubstr(R"("data":{"name":"web","type":"ecdsa-p256","csr":"-----BEGIN CERTIFICATE)"));
  const ApiAnswer refused =
      api_.Post("/v1/dev/keys/web/set-certificate", R"({"certificate_chain":""})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.body,
            Errors("provided certificate chain did not contain any valid PEM encoded certificate"));
  EXPECT_EQ(api_.Post("/v1/dev/keys/none/csr").body,
            Errors("key with provided name 'none' not found"));
}

TEST_F(KeyTransfer, DeriveKeyAnswers204AndNamesWhatIsWrong) {
  Import("base", "ecdsa-p256", TestKeyPkcs8(AsymmetricAlgorithm::kEcdsaP256));
  const std::string peer = PublicPem(AsymmetricAlgorithm::kEcdsaP256);
  const ApiAnswer made = api_.Post("/v1/dev/derive-key/shared",
                                   R"({"base_key_name":"base","peer_public_key":")" + peer + "\"}");
  EXPECT_EQ(made.status, 204) << made.body;
  EXPECT_THAT(api_.Get("/v1/dev/keys/shared").body, HasSubstr(R"("imported_key":true)"));
  EXPECT_EQ(api_.Post("/v1/dev/derive-key/x", R"({"derived_key_type":"des"})").body,
            Errors("unknown key type des"));
  EXPECT_EQ(api_.Post("/v1/dev/derive-key/x", "{}").body, Errors("peer public key not provided"));
}

TEST_F(KeyTransfer, ASealedEnvironmentNeitherImportsNorExports) {
  Import("app", "aes256-gcm96", Bytes(32, 7), R"(,"exportable":true)");
  const std::string blob = Blob(Bytes(32, 8));
  ASSERT_TRUE(api_.environments().Seal("dev", "by a test").has_value());
  EXPECT_EQ(api_.Get("/v1/dev/wrapping_key").status, 503);
  EXPECT_EQ(api_.Get("/v1/dev/export/encryption-key/app").status, 503);
  EXPECT_EQ(api_.Post("/v1/dev/keys/b/import", R"({"ciphertext":")" + blob + "\"}").status, 503);
}

}  // namespace
}  // namespace kms::testing
