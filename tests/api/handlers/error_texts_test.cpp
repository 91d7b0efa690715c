// SPDX-License-Identifier: Apache-2.0
// Every error text that the contract lists (transit-api 4 to 7), verbatim, with its status: clients
// match on both. One group per endpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/base/base64.h"
#include "kms/crypto/import_blob.h"
#include "kms/crypto/key_export.h"
#include "kms/crypto/key_import.h"
#include "kms/crypto/rsa_encryption.h"
#include "tests/support/api_service.h"
#include "tests/support/asymmetric_keys.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Row {
  const char* request;  // verb and path below the environment
  std::string body;
  const char* text;
  int status = 400;
};

// A body of one text member.
std::string With(const char* member, std::string_view value) {
  return R"({")" + std::string(member) + R"(":")" + std::string(value) + "\"}";
}

std::string Batch(const std::string& items) { return R"({"batch_input":[)" + items + "]}"; }

class ErrorTexts : public ::testing::Test {
 protected:
  void Make(const std::string& name, const std::string& type = "aes256-gcm96",
            const std::string& more = "") {
    const ApiAnswer made =
        api_.Post("/v1/dev/keys/" + name, R"({"type":")" + type + "\"" + more + "}");
    ASSERT_EQ(made.status, 200) << made.body;
  }

  // A key of five versions, of which 3 to 5 decrypt and 4 and 5 encrypt.
  void MakeVersions(const std::string& name, const std::string& type = "aes256-gcm96") {
    Make(name, type);
    for (int i = 0; i < 4; ++i) {
      api_.Post("/v1/dev/keys/" + name + "/rotate");
    }
    Configure(name, R"({"min_decryption_version":3,"min_encryption_version":4})");
  }
  void Configure(const std::string& name, const std::string& body) {
    const ApiAnswer done = api_.Post("/v1/dev/keys/" + name + "/config", body);
    ASSERT_EQ(done.status, 200) << done.body;
  }

  // A key of which only the public half is known.
  void ImportPublicHalf(const std::string& name, AsymmetricAlgorithm algorithm,
                        const std::string& type) {
    const std::string pem = ExportPublicKey(TestKey(algorithm), KeyFormat::kPem).value();
    std::string escaped;
    for (const char c : pem) {
      escaped += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    const ApiAnswer done =
        api_.Post("/v1/dev/keys/" + name + "/import",
                  R"({"type":")" + type + R"(","public_key":")" + escaped + "\"}");
    ASSERT_EQ(done.status, 204) << done.body;
  }

  ApiAnswer Send(const Row& row) {
    const std::string_view request = row.request;
    const std::size_t space = request.find(' ');
    const std::string_view verb = request.substr(0, space);
    const std::string path = "/v1/dev/" + std::string(request.substr(space + 1));
    if (verb == "GET") {
      return api_.Get(path);
    }
    return verb == "DELETE" ? api_.Delete(path) : api_.Post(path, row.body);
  }

  void ExpectRefused(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      const ApiAnswer answer = Send(row);
      EXPECT_EQ(answer.status, row.status) << row.request << " " << row.body << answer.body;
      EXPECT_EQ(answer.body, Errors(row.text)) << row.request << " " << row.body;
    }
  }

  // Rows whose text goes on with what the cryptographic library or the caller's key adds.
  void ExpectRefusedBeginning(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      const ApiAnswer answer = Send(row);
      EXPECT_EQ(answer.status, row.status) << row.request << answer.body;
      EXPECT_THAT(answer.body, StartsWith(R"({"errors":[")" + std::string(row.text)))
          << row.request;
    }
  }

  AsymmetricKey WrappingKey() {
    std::string pem = TextAfter(api_.Get("/v1/dev/wrapping_key").body, R"("public_key":")");
    for (std::size_t at = pem.find("\\n"); at != std::string::npos; at = pem.find("\\n")) {
      pem.replace(at, 2, "\n");
    }
    return ImportPublicKey(AsymmetricAlgorithm::kRsa4096, pem).value();
  }
  std::string Blob(ByteView target) {
    return Base64Encode(SealImportBlob(WrappingKey(), HashAlgorithm::kSha2_256, target).value());
  }

  // Rows whose text stands in an item of the batch; the status is the batch's.
  void ExpectItemRefused(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      const ApiAnswer answer = Send(row);
      EXPECT_EQ(answer.status, row.status) << row.request << " " << row.body << answer.body;
      EXPECT_THAT(answer.body, HasSubstr(R"("error":")" + std::string(row.text) + "\""))
          << row.request << " " << row.body;
    }
  }

  ApiService api_;
};

// 6.1
TEST_F(ErrorTexts, Create) {
  ExpectRefused({
      {"POST keys/x", With("type", "des"), "unknown key type des"},
      {"POST keys/x", R"({"auto_rotate_period":"59m"})",
       "auto rotate period must be 0 to disable or at least an hour"},
      {"POST keys/x", R"({"convergent_encryption":true})",
       "convergent encryption requires derivation to be enabled"},
      {"POST keys/x", R"({"key_size":32})", "key_size is not valid for algorithm aes256-gcm96"},
      {"POST keys/x", R"({"type":"ed25519","key_size":32})",
       "key_size is not valid for algorithm ed25519"},
      {"POST keys/x", R"({"type":"hmac","key_size":31})", "invalid key_size 31"},
      {"POST keys/x", R"({"type":"hmac","key_size":513})", "invalid key_size 513"},
      {"POST keys/x", R"({"type":"hmac","key_size":-1})", "invalid key_size -1"},
      {"POST keys/x", R"({"type":"ecdsa-p256","derived":true})",
       "key derivation and convergent encryption not supported for keys of type ecdsa-p256"},
      {"POST keys/x", R"({"type":"rsa-2048","derived":true})",
       "key derivation and convergent encryption not supported for keys of type rsa-2048"},
      {"POST keys/x", R"({"type":"hmac","derived":true})",
       "key derivation and convergent encryption not supported for keys of type hmac"},
      {"POST keys/x", R"({"type":"ecdsa-p521","derived":true,"convergent_encryption":true})",
       "key derivation and convergent encryption not supported for keys of type ecdsa-p521"},
      {"POST keys/x", R"({"type":"ed25519","derived":true,"convergent_encryption":true})",
       "convergent encryption not supported for keys of type ed25519"},
  });
  EXPECT_EQ(api_.Get("/v1/dev/keys/x").status, 404) << "nothing was made";
}

// 6.2, 6.3
TEST_F(ErrorTexts, ReadAndList) {
  Make("app");
  ExpectRefused({{"GET keys/app?context=%21", "", "failed to base64-decode context"}});
  api_.Post("/v1/dev/keys/app/config", R"({"deletion_allowed":true})");
  api_.Delete("/v1/dev/keys/app");
  for (const char* path : {"/v1/dev/keys/app", "/v1/dev/keys?list=true",
                           "/v1/dev/export/encryption-key/app"}) {
    const ApiAnswer nothing = api_.Get(path);
    EXPECT_EQ(nothing.status, 404) << path;
    EXPECT_EQ(nothing.body, "{\"errors\":[]}\n") << path;
  }
}

// 6.4, 6.6
TEST_F(ErrorTexts, DeleteAndRotate) {
  Make("app");
  ImportPublicHalf("foreign", AsymmetricAlgorithm::kEcdsaP256, "ecdsa-p256");
  ExpectRefused({
      {"DELETE keys/none", "", "error deleting policy none: could not delete key; not found"},
      {"DELETE keys/app", "", "error deleting policy app: deletion is not allowed for this key"},
      {"POST keys/none/rotate", "{}", "key not found"},
      {"POST keys/foreign/rotate", "{}",
       "imported key foreign does not allow rotation within Vault"},
  });
}

// 6.5
TEST_F(ErrorTexts, Configure) {
  MakeVersions("app");
  const char* config = "POST keys/app/config";
  ExpectRefused({
      {"POST keys/none/config", "{}", "no existing key named none could be found"},
      {config, R"({"min_decryption_version":-1})", "min decryption version cannot be negative"},
      {config, R"({"min_decryption_version":6})",
       "cannot set min decryption version of 6, latest key version is 5"},
      {config, R"({"min_encryption_version":-1})", "min encryption version cannot be negative"},
      {config, R"({"min_encryption_version":6})",
       "cannot set min encryption version of 6, latest key version is 5"},
      {config, R"({"min_decryption_version":4,"min_encryption_version":3})",
       "cannot set min encryption/decryption values; min encryption version of 3 must be greater "
       "than or equal to min decryption version of 4"},
      {config, R"({"auto_rotate_period":3599})",
       "auto rotate period must be 0 to disable or at least an hour"},
  });
  ASSERT_EQ(api_.Post("/v1/dev/keys/app/trim", R"({"min_available_version":3})").status, 200);
  ExpectRefused({
      {config, R"({"min_encryption_version":0})",
       "min encryption version should not be less than min available version"},
      {config, R"({"min_decryption_version":2})",
       "min decryption version should not be less then min available version"},
  });
  const ApiAnswer zero = api_.Post("/v1/dev/keys", "{}");
  EXPECT_EQ(zero.status, 405);
  Make("other");
  EXPECT_THAT(api_.Post("/v1/dev/keys/other/config", R"({"min_decryption_version":0})").body,
              HasSubstr("since Vault 0.3, transit key numbering starts at 1; forcing minimum to 1"));
}

// 6.7
TEST_F(ErrorTexts, Trim) {
  MakeVersions("app");
  Make("fresh");
  const char* trim = "POST keys/app/trim";
  ExpectRefused({
      {"POST keys/none/trim", R"({"min_available_version":1})", "invalid key name"},
      {trim, "{}", "missing min_available_version"},
      {"POST keys/fresh/trim", R"({"min_available_version":1})",
       "minimum available version cannot be set when minimum encryption version is not set"},
      {trim, R"({"min_available_version":5})",
       "minimum available version cannot be greater than minmum encryption version"},
      {trim, R"({"min_available_version":4})",
       "minimum available version cannot be greater than minimum decryption version"},
      {trim, R"({"min_available_version":0})", "minimum available version should be positive"},
  });
  ASSERT_EQ(api_.Post("/v1/dev/keys/app/trim", R"({"min_available_version":2})").status, 200);
  ExpectRefused({{trim, R"({"min_available_version":1})",
                  "minimum available version cannot be decremented"}});
}

// 6.8
TEST_F(ErrorTexts, ASoftDeletedKeyIsRefusedByEveryUse) {
  Make("app", "aes256-gcm96", R"(,"exportable":true,"allow_plaintext_backup":true)");
  Make("ed", "ed25519", R"(,"exportable":true)");
  const std::string sealed =
      TextAfter(api_.Post("/v1/dev/encrypt/app", R"({"plaintext":""})").body, R"("ciphertext":")");
  for (const char* name : {"app", "ed"}) {
    ASSERT_EQ(api_.Delete("/v1/dev/keys/" + std::string(name) + "/soft-delete").status, 200);
  }
  const char* refused = "refusing to use soft-deleted key";
  ExpectRefused({
      {"POST encrypt/app", R"({"plaintext":""})", refused},
      {"POST decrypt/app", With("ciphertext", sealed), refused},
      {"POST rewrap/app", With("ciphertext", sealed), refused},
      {"POST datakey/plaintext/app", "{}", refused},
      {"POST datakey/wrapped/app", "{}", refused},
      {"POST hmac/app", R"({"input":""})", refused},
      {"POST sign/ed", "{}", refused},
      {"POST verify/ed", R"({"signature":"vault:v1:AAAA"})", refused},
      {"POST verify/ed", R"({"hmac":"vault:v1:AAAA"})", refused},
      {"GET export/encryption-key/app", "", refused},
      {"GET backup/app", "", refused},
      {"POST keys/app/rotate", "{}", refused},
  });
  for (const char* path : {"/v1/dev/keys/app", "/v1/dev/keys?list=true"}) {
    EXPECT_EQ(api_.Get(path).status, 200) << path;
  }
}

// 6.9, 5.4
TEST_F(ErrorTexts, Encrypt) {
  MakeVersions("app");
  Make("derived", "aes256-gcm96", R"(,"derived":true)");
  Make("ec", "ecdsa-p256");
  Make("mac", "hmac");
  Make("rsa", "rsa-2048");
  const char* encrypt = "POST encrypt/app";
  ExpectRefused({
      {encrypt, "{}", "missing plaintext to encrypt"},
      {encrypt, With("plaintext", "a"), "illegal base64 data at input byte 1"},
      {encrypt, With("plaintext", "!"), "illegal base64 data at input byte 0"},
      {"POST encrypt/derived", R"({"plaintext":"","context":"!"})",
       "illegal base64 data at input byte 0"},
      {"POST encrypt/ec", R"({"plaintext":""})",
       "message encryption not supported for key type ecdsa-p256"},
      {"POST encrypt/mac", R"({"plaintext":""})",
       "message encryption not supported for key type hmac"},
      {encrypt, R"({"plaintext":"","key_version":-1})",
       "requested version for encryption is negative"},
      {encrypt, R"({"plaintext":"","key_version":6})",
       "requested version for encryption is higher than the latest key version"},
      {encrypt, R"({"plaintext":"","key_version":3})",
       "requested version for encryption is less than the minimum encryption key version"},
      {"POST encrypt/derived", R"({"plaintext":""})",
       "missing 'context' for key derivation; the key was created using a derived key, which means "
       "additional, per-request information must be included in order to perform operations with "
       "the key"},
      {"POST encrypt/rsa", R"({"plaintext":"","associated_data":"eA=="})",
       "'[0].associated_data' provided for non-AEAD cipher suite rsa-2048"},
      {"POST encrypt/rsa", With("plaintext", Base64Encode(Bytes(191))),
       "failed to RSA encrypt the plaintext: message too long for RSA key size"},
  });
  Configure("app", R"({"min_encryption_version":0})");
  ExpectRefused({{encrypt, R"({"plaintext":"","key_version":2})", "no such key version"}});
}

// 6.9: what an encrypt that finds no key says
TEST_F(ErrorTexts, EncryptWithoutAKey) {
  const char* encrypt = "POST encrypt/fresh";
  ExpectRefused({
      {encrypt, R"({"plaintext":"","type":"ecdsa-p256"})",
       "key type ecdsa-p256 not supported for this operation"},
      {encrypt, R"({"plaintext":"","type":"rsa-2048"})", "unknown key type rsa-2048"},
      {encrypt, R"({"plaintext":"","type":"ed25519"})", "unknown key type ed25519"},
      {encrypt, R"({"plaintext":"","type":"hmac"})", "unknown key type hmac"},
      {encrypt, R"({"plaintext":"","type":"des"})", "unknown key type des"},
      {encrypt, R"({"plaintext":"","convergent_encryption":true})",
       "convergent encryption requires derivation to be enabled, so context is required"},
  });
  ASSERT_EQ(api_.Post("/v1/dev/config/keys", R"({"disable_upsert":true})").status, 200);
  ExpectRefused({{encrypt, R"({"plaintext":""})", "encryption key not found"}});
  EXPECT_EQ(api_.Get("/v1/dev/keys/fresh").status, 404);
}

// 6.10, 5.1, 5.2
TEST_F(ErrorTexts, Decrypt) {
  MakeVersions("app");
  Make("chacha", "chacha20-poly1305");
  Make("xchacha", "xchacha20-poly1305");
  Make("ec", "ecdsa-p256");
  Make("rsa", "rsa-2048");
  const char* decrypt = "POST decrypt/app";
  const std::string garbage = "vault:v3:" + Base64Encode(Bytes(64));
  const std::string first = "vault:v1:" + Base64Encode(Bytes(64));
  ExpectRefused({
      {decrypt, "{}", "missing ciphertext to decrypt"},
      {"POST decrypt/none", With("ciphertext", garbage), "encryption key not found"},
      {decrypt, With("ciphertext", "x"), "invalid ciphertext: no prefix"},
      {decrypt, With("ciphertext", "vault:v3"), "invalid ciphertext: wrong number of fields"},
      {decrypt, With("ciphertext", "vault:vx:AAAA"),
       "invalid ciphertext: version number could not be decoded"},
      {decrypt, With("ciphertext", "vault:v6:AAAA"), "invalid ciphertext: version is too new"},
      {decrypt, With("ciphertext", "vault:v2:AAAA"),
       "ciphertext or signature version is disallowed by policy (too old)"},
      {decrypt, With("ciphertext", "vault:v3:A"), "invalid ciphertext: could not decode base64"},
      {decrypt, With("ciphertext", "vault:v3:AAAA"), "invalid ciphertext length"},
      {decrypt, With("ciphertext", garbage), "cipher: message authentication failed"},
      {"POST decrypt/chacha", With("ciphertext", first),
       "chacha20poly1305: message authentication failed"},
      {"POST decrypt/xchacha", With("ciphertext", first),
       "chacha20poly1305: message authentication failed"},
      {"POST decrypt/ec", With("ciphertext", first),
       "message decryption not supported for key type ecdsa-p256"},
      {"POST decrypt/rsa", With("ciphertext", "vault:v1:" + Base64Encode(Bytes(256))),
       "failed to RSA decrypt the ciphertext: crypto/rsa: decryption error"},
  });
  ImportPublicHalf("half", AsymmetricAlgorithm::kRsa2048, "rsa-2048");
  ExpectRefused({{"POST decrypt/half",
                  With("ciphertext", "vault:v1:" + Base64Encode(Bytes(256))),
                  "cannot decrypt ciphertext, key version does not have a private counterpart"}});
}

// 6.11
TEST_F(ErrorTexts, Rewrap) {
  MakeVersions("app");
  const std::string sealed =
      TextAfter(api_.Post("/v1/dev/encrypt/app", R"({"plaintext":""})").body, R"("ciphertext":")");
  const std::string rest = R"(","key_version":)";
  ExpectRefused({
      {"POST rewrap/app", "{}", "missing ciphertext to decrypt"},
      {"POST rewrap/none", With("ciphertext", sealed), "encryption key not found"},
      {"POST rewrap/app", With("ciphertext", "x"), "invalid ciphertext: no prefix"},
      {"POST rewrap/app", R"({"ciphertext":")" + sealed + rest + "3}",
       "requested version for encryption is less than the minimum encryption key version"},
      {"POST rewrap/app", R"({"ciphertext":")" + sealed + rest + "6}",
       "requested version for encryption is higher than the latest key version"},
  });
}

// 6.12
TEST_F(ErrorTexts, DataKey) {
  Make("app");
  Make("derived", "aes256-gcm96", R"(,"derived":true)");
  Make("rsa", "rsa-2048");
  ExpectRefused({
      {"POST datakey/raw/app", "{}", "Invalid path, must be 'plaintext' or 'wrapped'"},
      {"POST datakey/plaintext/app", R"({"bits":192})", "invalid bit length"},
      {"POST datakey/plaintext/none", "{}", "encryption key not found"},
      {"POST datakey/plaintext/derived", R"({"context":"!"})", "failed to base64-decode context"},
      {"POST datakey/plaintext/rsa", R"({"associated_data":"eA=="})",
       "'associated_data' provided for non-AEAD cipher suite rsa-2048"},
  });
  EXPECT_EQ(api_.Get("/v1/dev/keys/none").status, 404) << "no data key makes a key";
}

// 6.13, 6.14
TEST_F(ErrorTexts, RandomAndHash) {
  ExpectRefused({
      {"POST random/platform/x", "{}",
       "error parsing url-set byte count: not a decimal number"},
      {"POST random", R"({"bytes":0})", "'bytes' cannot be less than 1"},
      {"POST random", R"({"bytes":131073})", "'bytes' should be less than 131072"},
      {"POST random", With("format", "raw"),
       "unsupported encoding format \"raw\"; must be \"hex\" or \"base64\""},
      {"POST random/dice/16", "{}",
       "unsupported entropy source \"dice\"; must be \"platform\" or \"seal\", or "
       "\"all\""},
      {"POST hash", "{}", "input missing"},
      {"POST hash", With("input", "!"),
       "unable to decode input as base64: illegal base64 data at input byte 0"},
      {"POST hash/sha1", With("input", ""), "unsupported algorithm sha1"},
      {"POST hash/md5", With("input", ""), "unsupported algorithm md5"},
      {"POST hash", R"({"input":"","format":"raw"})",
       "unsupported encoding format \"raw\"; must be \"hex\" or \"base64\""},
  });
}

// 6.15
TEST_F(ErrorTexts, Hmac) {
  MakeVersions("app");
  const char* hmac = "POST hmac/app";
  ExpectRefused({
      {"POST hmac/none", R"({"input":""})", "encryption key not found"},
      {hmac, "{}", "missing input for HMAC"},
      {hmac, With("input", "!"),
       "unable to decode input as base64: illegal base64 data at input byte 0"},
      {hmac, R"({"input":"","algorithm":"none"})", "unsupported algorithm none"},
      {hmac, R"({"input":"","key_version":3})",
       "cannot generate HMAC: version is too old (disallowed by policy)"},
      {hmac, R"({"input":"","key_version":6})",
       "key version does not exist; latest key version is 5"},
      {hmac, Batch(""), "missing batch input to process"},
  });
  Configure("app", R"({"min_encryption_version":0})");
  ExpectRefused({
      {hmac, R"({"input":"","key_version":-1})",
       "key version does not exist (cannot be negative)"},
      {hmac, R"({"input":"","key_version":2})", "no such key version"},
  });
}

// 6.16
TEST_F(ErrorTexts, Sign) {
  MakeVersions("ec", "ecdsa-p256");
  Make("derived", "ed25519", R"(,"derived":true)");
  Make("rsa", "rsa-2048");
  Make("app");
  ImportPublicHalf("half", AsymmetricAlgorithm::kEcdsaP256, "ecdsa-p256");
  const char* sign = "POST sign/ec";
  const char* none =
      "hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15";
  ExpectRefused({
      {sign, With("hash_algorithm", "md5"), "invalid hash algorithm \"md5\""},
      {"POST sign/ec/md5", "{}", "invalid hash algorithm \"md5\""},
      {"POST sign/none/md5", "{}", "invalid hash algorithm \"md5\""},
      {sign, With("marshaling_algorithm", "der"), "invalid marshaling type \"der\""},
      {sign, With("salt_length", "x"), "salt length neither 'auto', 'hash', nor an int: x"},
      {sign, R"({"salt_length":-2})", "salt length is invalid: -2"},
      {"POST sign/none", "{}", "signing key not found"},
      {"POST sign/app", "{}", "key type aes256-gcm96 does not support signing"},
      {sign, With("hash_algorithm", "none"), none},
      {sign, R"({"hash_algorithm":"none","prehashed":true})", none},
      {"POST sign/derived/none", R"({"signature_algorithm":"pkcs1v15"})", none},
      {sign, With("input", "!"),
       "unable to decode input as base64: illegal base64 data at input byte 0"},
      {"POST sign/derived", With("context", "!"), "failed to base64-decode context"},
      {sign, Batch(""), "missing batch input to process"},
      {sign, With("batch_input", "x"),
       "failed to parse batch input: source data must be an array or slice"},
      {sign, R"({"key_version":-1})", "requested version for signing is negative"},
      {sign, R"({"key_version":6})",
       "requested version for signing is higher than the latest key version"},
      {sign, R"({"key_version":3})",
       "requested version for signing is less than the minimum encryption key version"},
      {"POST sign/half", "{}", "requested version for signing does not contain a private part"},
      {"POST sign/rsa", R"({"salt_length":223})", "requested salt length 223 is invalid"},
      {"POST sign/rsa", With("signature_algorithm", "dice"),
       "unsupported rsa signature algorithm dice"},
      {"POST sign/derived", "{}",
       "missing 'context' for key derivation; the key was created using a derived key, which means "
       "additional, per-request information must be included in order to perform operations with "
       "the key"},
  });
  Configure("ec", R"({"min_encryption_version":0})");
  ExpectRefused({{sign, R"({"key_version":2})", "no such key version"}});
  ExpectItemRefused({
      {sign, Batch("{}"), "missing input", 200},
      {"POST sign/rsa", R"({"salt_length":223,"batch_input":[{"input":""}]})",
       "requested salt length 223 is invalid", 200},
      {"POST sign/rsa", R"({"signature_algorithm":"dice","batch_input":[{"input":""}]})",
       "unsupported rsa signature algorithm dice", 200},
  });
}

// 6.17, 5.6
TEST_F(ErrorTexts, VerifyASignature) {
  MakeVersions("ec", "ecdsa-p256");
  Make("rsa", "rsa-2048");
  Make("app");
  const char* verify = "POST verify/ec";
  const auto with = [](const std::string& more) {
    return R"({"signature":"vault:v3:AAAA",)" + more + "}";
  };
  ExpectRefused({
      {verify, "{}", "neither a 'signature' nor an 'hmac' were given to verify"},
      {verify, R"({"hmac":"","signature":""})", "provide one of 'signature' or 'hmac'"},
      {verify, Batch(""), "missing batch input to process"},
      {verify, Batch(R"({"hmac":"a"},{"signature":"b"})"),
       "elements of batch_input must all provide 'signature' or all provide 'hmac'"},
      {verify, Batch(R"({"hmac":"a"},{})"), "some elements of batch_input are missing 'hmac'"},
      {verify, Batch(R"({"signature":"a"},{})"),
       "some elements of batch_input are missing 'signature'"},
      {verify, Batch("{}"), "no batch_input elements have 'signature' or 'hmac'"},
      {verify, with(R"("hash_algorithm":"md5")"), "invalid hash algorithm \"md5\""},
      {verify, with(R"("marshaling_algorithm":"der")"), "invalid marshaling type \"der\""},
      {verify, with(R"("salt_length":"x")"),
       "salt length neither 'auto', 'hash', nor an int: x"},
      {verify, with(R"("salt_length":-2)"), "salt length is invalid: -2"},
      {"POST verify/none", with(R"("input":"")"), "signature verification key not found"},
      {"POST verify/app", with(R"("input":"")"),
       "key type aes256-gcm96 does not support verification"},
      {verify, with(R"("hash_algorithm":"none")"),
       "hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15"},
      {verify, with(R"("input":"!")"),
       "unable to decode input as base64: illegal base64 data at input byte 0"},
      {verify, with(R"("context":"!")"), "failed to base64-decode context"},
      {verify, With("signature", "x"), "invalid signature: no prefix"},
      {verify, With("signature", "vault:v3"), "invalid signature: wrong number of fields"},
      {verify, With("signature", "vault:vx:AAAA"),
       "invalid signature: version number could not be decoded"},
      {verify, With("signature", "vault:v6:AAAA"), "invalid signature: version is too new"},
      {verify, With("signature", "vault:v2:AAAA"),
       "ciphertext or signature version is disallowed by policy (too old)"},
      {verify, With("signature", "vault:v3:A"), "invalid base64 signature value"},
      {verify, R"({"marshaling_algorithm":"jws","signature":"vault:v3:AA=="})",
       "invalid base64 signature value"},
      {verify, With("signature", "vault:v3:AAAA"), "supplied signature is invalid"},
      {verify, With("signature", "vault:v3:MAYCAQECAQEA"),
       "supplied signature contains extra data"},
      {"POST verify/rsa", R"({"signature":"vault:v1:AAAA","salt_length":223})",
       "requested salt length 223 is invalid"},
      {"POST verify/rsa", R"({"signature":"vault:v1:AAAA","signature_algorithm":"dice"})",
       "unsupported rsa signature algorithm dice"},
  });
  ExpectItemRefused({
      {verify, Batch(R"({"signature":"x"})"), "missing input", 200},
      {verify, Batch(R"({"signature":"x","input":""})"), "invalid signature: no prefix", 200},
  });
}

// 6.17
TEST_F(ErrorTexts, VerifyAnHmac) {
  MakeVersions("app");
  const char* verify = "POST verify/app";
  ExpectRefused({
      {"POST verify/none", With("hmac", "h"), "encryption key not found"},
      {verify, R"({"hmac":"h","hash_algorithm":"none"})", "unsupported algorithm none"},
      {verify, R"({"hmac":"h","input":"!"})",
       "unable to decode input as base64: illegal base64 data at input byte 0"},
      {verify, With("hmac", ""), "invalid HMAC to verify: no prefix"},
      {verify, With("hmac", "vault:v3"), "invalid HMAC: wrong number of fields"},
      {verify, With("hmac", "vault:vx:AAAA"),
       "invalid HMAC: version number could not be decoded"},
      {verify, With("hmac", "vault:v6:AAAA"), "invalid HMAC: version is too new"},
      {verify, With("hmac", "vault:v2:AAAA"),
       "cannot verify HMAC: version is too old (disallowed by policy)"},
      {verify, With("hmac", "vault:v3:!"),
       "unable to decode verification HMAC as base64: illegal base64 data at input byte 0"},
  });
}

// 6.18, 5.9
TEST_F(ErrorTexts, Export) {
  Make("kept");
  Make("app", "aes256-gcm96", R"(,"exportable":true)");
  Make("ec", "ecdsa-p256", R"(,"exportable":true)");
  Make("rsa", "rsa-2048", R"(,"exportable":true)");
  api_.Post("/v1/dev/keys/ec/rotate");
  Configure("ec", R"({"min_decryption_version":2})");
  ExpectRefused({
      {"GET export/secret/app", "", "invalid export type: secret"},
      {"GET export/encryption-key/app?format=jwk", "", "invalid format: jwk"},
      {"GET export/encryption-key/kept", "", "private key material is not exportable"},
      {"GET export/hmac-key/kept", "", "private key material is not exportable"},
      {"GET export/encryption-key/ec", "", "encryption not supported for the key"},
      {"GET export/signing-key/app", "", "signing not supported for the key"},
      {"GET export/certificate-chain/app", "",
       "certificate chain not supported for keys that do not support signing"},
      {"GET export/encryption-key/app/x", "", "invalid key version"},
      {"GET export/signing-key/ec/1", "",
       "version for export is below minimum decryption version"},
      {"GET export/encryption-key/app/2", "", "version does not exist or cannot be found"},
      {"GET export/public-key/app", "",
       "unknown key type aes256-gcm96 for export type public-key"},
      {"GET export/certificate-chain/ec/2", "",
       "selected key version does not have a certificate chain imported"},
      {"GET export/signing-key/rsa?format=raw", "",
       "unknown key format for rsa key; supported values are ``, `der`, or `pem`"},
      {"GET export/signing-key/ec?format=raw", "",
       "unknown key format for ec key; supported values are ``, `der`, or `pem`"},
      {"GET export/hmac-key/app?format=pem", "",
       "unknown format for HMAC key; supported values are `` or `raw`"},
  });
}

// 6.19
TEST_F(ErrorTexts, ByokExport) {
  Make("kept");
  Make("rsa", "rsa-2048");
  ExpectRefused({
      {"GET byok-export/none/kept", "", "no such destination key to export to"},
      {"GET byok-export/rsa/none", "", "no such source key for export"},
      {"GET byok-export/rsa/kept", "", "key is not exportable"},
  });
}

// 6.21, 6.22
TEST_F(ErrorTexts, Import) {
  Make("app");
  ImportPublicHalf("half", AsymmetricAlgorithm::kEcdsaP256, "ecdsa-p256");
  const char* import = "POST keys/fresh/import";
  const char* version = "POST keys/half/import_version";
  ExpectRefused({
      {import, R"({"type":"des","ciphertext":"AAAA"})", "unknown key type: des"},
      {import, R"({"hash_function":"md5","ciphertext":"AAAA"})", "unknown hash function: md5"},
      {"POST keys/app/import", R"({"ciphertext":"AAAA"})",
       "the import path cannot be used with an existing key; use import-version to rotate an "
       "existing imported key"},
      {import, R"({"convergent_encryption":false,"ciphertext":"AAAA"})",
       "import cannot be used on keys with convergent encryption enabled"},
      {import, R"({"auto_rotate_period":"2h","ciphertext":"AAAA"})",
       "allow_rotation must be set to true if auto-rotation is enabled"},
      {import, R"({"ciphertext":"AAAA","public_key":"x"})",
       "only one of the following fields, ciphertext and public_key, can be set"},
      {import, R"({"type":"aes256-gcm96","public_key":"x"})",
       "provided type does not support public_key import"},
      {import, R"({"ciphertext":"AAAA"})", "provided ciphertext is too short"},
      {"POST keys/none/import_version", R"({"ciphertext":"AAAA"})",
       "no key found with name none; to import a new key, use the import/ endpoint"},
      {"POST keys/app/import_version", R"({"ciphertext":"AAAA"})",
       "the import_version endpoint can only be used with an imported key"},
      {version, R"({"ciphertext":"AAAA"})", "provided ciphertext is too short"},
  });
  EXPECT_EQ(api_.Get("/v1/dev/keys/fresh").status, 404);
}

// 5.8, 6.21, 6.22: what is found wrong inside a blob
TEST_F(ErrorTexts, ImportOfBlobs) {
  ImportPublicHalf("half", AsymmetricAlgorithm::kEcdsaP256, "ecdsa-p256");
  const Bytes& p256 = TestKeyPkcs8(AsymmetricAlgorithm::kEcdsaP256);
  const Bytes& rsa = TestKeyPkcs8(AsymmetricAlgorithm::kRsa2048);
  const auto import = [this](const char* type, ByteView target) {
    return R"({"type":")" + std::string(type) + R"(","ciphertext":")" + Blob(target) + "\"}";
  };
  const auto version = [this](ByteView target) {
    return R"({"version":1,"ciphertext":")" + Blob(target) + "\"}";
  };
  Bytes short_ephemeral =
      OaepEncrypt(WrappingKey(), HashAlgorithm::kSha2_256, Bytes(16, 1)).value();
  short_ephemeral.resize(short_ephemeral.size() + 40);
  ExpectRefused({
      {"POST keys/x/import", With("ciphertext", Base64Encode(Bytes(552))),
       "crypto/rsa: decryption error"},
      {"POST keys/x/import", With("ciphertext", Base64Encode(short_ephemeral)),
       "expected ephemeral AES key to be 256-bit"},
      {"POST keys/x/import", import("aes256-gcm96", Bytes(16, 1)),
       "error importing key: invalid key size 16 bytes for key type aes256-gcm96"},
      {"POST keys/x/import", import("hmac", Bytes(31, 1)),
       "error importing key: invalid key size 31 bytes for key type hmac"},
      {"POST keys/half/import_version",
       version(TestKeyPkcs8(AsymmetricAlgorithm::kEcdsaP256, 1)),
       "cannot import key, key pair does not match"},
      {"POST keys/half/import_version",
       R"({"version":1,"public_key":"x"})",
       "cannot add a public key to a key version that already has a public key set"},
  });
  ExpectRefusedBeginning({
      {"POST keys/x/import", import("ecdsa-p256", Bytes(100, 1)),
       "error importing key: error parsing asymmetric key: "},
      {"POST keys/x/import", import("ecdsa-p256", rsa),
       "error importing key: invalid key type: expected "},
      {"POST keys/x/import", import("rsa-2048", p256),
       "error importing key: invalid key type: expected "},
      {"POST keys/x/import", import("ecdsa-p384", p256),
       "error importing key: invalid curve: expected "},
      {"POST keys/x/import", import("rsa-3072", rsa),
       "error importing key: invalid key size: expected "},
  });
  ASSERT_EQ(api_.Post("/v1/dev/keys/half/import_version", version(p256)).status, 204);
  ExpectRefused({{"POST keys/half/import_version", version(p256),
                  "private key imported, key version cannot be updated"}});
}

// 6.23: three refusals stay 500, because clients tell them by it (8.3)
TEST_F(ErrorTexts, BackupAndRestore) {
  Make("kept");
  Make("exportable", "aes256-gcm96", R"(,"exportable":true)");
  Make("app", "aes256-gcm96", R"(,"exportable":true,"allow_plaintext_backup":true)");
  const std::string blob =
      TextAfter(api_.Get("/v1/dev/backup/app").body, R"("backup":")");
  ExpectRefused({
      {"GET backup/none", "", "key \"none\" not found", 404},
      {"GET backup/kept", "",
       "1 error occurred:\n\t* exporting is disallowed on the policy\n\n", 500},
      {"GET backup/exportable", "",
       "1 error occurred:\n\t* plaintext backup is disallowed on the policy\n\n", 500},
      {"POST restore", "{}", "'backup' must be supplied"},
      {"POST restore", With("backup", blob),
       "1 error occurred:\n\t* key \"app\" already exists\n\n", 500},
  });
}

// 6.24
TEST_F(ErrorTexts, CacheConfig) {
  for (const char* size : {"9", "1", "-1"}) {
    ExpectRefused({{"POST cache-config", R"({"size":)" + std::string(size) + "}",
                    "size must be 0 or a value greater or equal to 10"}});
  }
}

// 6.26
TEST_F(ErrorTexts, Certificates) {
  Make("app");
  Make("ec", "ecdsa-p256");
  Make("derived", "ed25519", R"(,"derived":true)");
  ExpectRefused({
      {"POST keys/none/csr", "{}", "key with provided name 'none' not found"},
      {"POST keys/app/csr", "{}", "key type 'aes256-gcm96' does not support signing"},
      {"POST keys/derived/csr", "{}",
       "operation not supported for keys with derivation enabled"},
      {"POST keys/ec/csr", With("csr", "x"), "could not decode PEM CSR"},
      {"POST keys/ec/set-certificate", With("certificate_chain", "x"),
       "could not decode a PEM block in the certificate chain"},
      {"POST keys/none/set-certificate", With("certificate_chain", "x"),
       "key with provided name 'none' not found"},
      {"POST keys/app/set-certificate", With("certificate_chain", "x"),
       "key type 'aes256-gcm96' does not support signing"},
  });
}

// 7.2, 3.3
TEST_F(ErrorTexts, Batches) {
  Make("app");
  Make("derived", "aes256-gcm96", R"(,"derived":true)");
  const char* encrypt = "POST encrypt/app";
  const char* decrypt = "POST decrypt/app";
  ExpectRefused({
      {encrypt, Batch(""), "missing batch input to process"},
      {decrypt, Batch(""), "missing batch input to process"},
      {"POST rewrap/app", Batch(""), "missing batch input to process"},
      {encrypt, Batch("{}"), "failed to parse batch input: '[0].plaintext' missing plaintext to encrypt"},
      {decrypt, Batch(R"({"ciphertext":"x"},{})"),
       "failed to parse batch input: '[1].ciphertext' missing ciphertext to decrypt"},
      {encrypt, Batch(R"({"plaintext":"","key_version":"x"})"),
       "failed to parse batch input: '[0].key_version' expected type 'int', got unconvertible type "
       "'string'"},
      {encrypt, Batch(R"({"plaintext":""},{"plaintext":""},"x")"),
       "failed to parse batch input: [2] expected a map, got 'string'"},
      {encrypt, With("batch_input", "x"),
       "failed to parse batch input: source data must be an array or slice, got string"},
      {encrypt, Batch(R"({},{"plaintext":7})"),
       "failed to parse batch input: '[0].plaintext' missing plaintext to encrypt\n"
       "'[1].plaintext' expected type 'string', got unconvertible type 'json.Number'"},
      {"POST encrypt/derived", Batch(R"({"plaintext":"","context":"eA=="},{"plaintext":""})"),
       "context should be set either in all the request blocks or in none"},
      {"POST decrypt/none", Batch(R"({"ciphertext":"x"})"), "encryption key not found"},
  });
  ExpectItemRefused({
      {encrypt, Batch(R"({"plaintext":"!"},{"plaintext":""})"),
       "illegal base64 data at input byte 0", 400},
      {decrypt, Batch(R"({"ciphertext":"x"})"), "invalid ciphertext: no prefix", 400},
      {"POST rewrap/app", Batch(R"({"ciphertext":"x"})"), "invalid ciphertext: no prefix", 200},
      {encrypt,
       R"({"partial_failure_response_code":207,"batch_input":[{"plaintext":"!"},{"plaintext":""}]})",
       "illegal base64 data at input byte 0", 207},
  });
  const ApiAnswer overridden = api_.Post(
      "/v1/dev/encrypt/app",
      R"({"partial_failure_response_code":7,"batch_input":[{"plaintext":"!"},{"plaintext":""}]})");
  EXPECT_EQ(overridden.status, 400);
  EXPECT_THAT(overridden.body,
              HasSubstr("invalid HTTP response code override from partial_failure_response_code, "
                        "reverting to 400"));
}

// 3.1, 3.2
TEST_F(ErrorTexts, Fields) {
  Make("app");
  ExpectRefused({
      {"POST keys/app/config", R"({"min_decryption_version":"x"})",
       "Field validation failed: error converting input for field \"min_decryption_version\": "
       "expected an integer"},
      {"POST sign/app", R"({"prehashed":"maybe"})",
       "Field validation failed: error converting input for field \"prehashed\": expected a "
       "boolean"},
  });
  const ApiAnswer warned = api_.Post("/v1/dev/hmac/app", R"({"input":"","name":"x","b":1,"a":2})");
  EXPECT_THAT(warned.body, HasSubstr("Endpoint ignored these unrecognized parameters: [a b]"));
  EXPECT_THAT(warned.body,
              HasSubstr("Endpoint replaced the value of these parameters with the values captured "
                        "from the endpoint's path: [name]"));
}

}  // namespace
}  // namespace kms::testing
