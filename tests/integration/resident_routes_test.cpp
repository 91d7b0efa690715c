// SPDX-License-Identifier: Apache-2.0
// Every route of a key, asked of a key in software and of one of the same type in the HSM of the
// real kmsd: both answer alike, but for what is listed here with its text.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>

#include "kms/base/base64.h"
#include "tests/support/kmsd_process.h"
#include "tests/support/openssl_command.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAreArray;

struct RouteRow {
  const char* name;
  const char* method;
  const char* path;  // "{key}" and the names of what was kept are replaced, in the body too
  const char* body;
  const char* keep = "";  // this member of the answer is kept under its name
};

// In this order: later rows need what earlier ones made.
constexpr RouteRow kRows[] = {
    {"read", "GET", "keys/{key}", ""},
    {"encrypt", "POST", "encrypt/{key}", R"({"plaintext":"{data}"})", "ciphertext"},
    {"encrypt v1", "POST", "encrypt/{key}", R"({"plaintext":"{data}","key_version":1})"},
    {"encrypt batch", "POST", "encrypt/{key}",
     R"({"batch_input":[{"plaintext":"{data}"},{"plaintext":"?"},{"plaintext":"","reference":"r"}]})"},
    {"encrypt aad", "POST", "encrypt/{key}",
     R"({"plaintext":"{data}","associated_data":"{data}"})"},
    {"encrypt pkcs1v15", "POST", "encrypt/{key}",
     R"({"plaintext":"{data}","padding_scheme":"pkcs1v15"})", "ciphertext_pkcs1v15"},
    {"encrypt with verification", "POST", "encrypt/{key}",
     R"({"plaintext":"{data}","verify":true})"},
    {"encrypt in a missing version", "POST", "encrypt/{key}",
     R"({"plaintext":"{data}","key_version":9})"},
    {"decrypt", "POST", "decrypt/{key}", R"({"ciphertext":"{ciphertext}"})", "plaintext"},
    {"decrypt batch", "POST", "decrypt/{key}",
     R"({"batch_input":[{"ciphertext":"{ciphertext}"},{"ciphertext":"vault:v1:AAAA"}]})"},
    {"decrypt damaged", "POST", "decrypt/{key}", R"({"ciphertext":"{ciphertext}AAAA"})"},
    {"decrypt of a missing version", "POST", "decrypt/{key}", R"({"ciphertext":"vault:v9:AAAA"})"},
    {"data key", "POST", "datakey/plaintext/{key}", "{}"},
    {"wrapped data key", "POST", "datakey/wrapped/{key}", R"({"bits":512})"},
    {"data keys", "POST", "datakeys/plaintext/{key}", R"({"count":3})"},
    {"sign", "POST", "sign/{key}", R"({"input":"{data}"})", "signature"},
    {"verify", "POST", "verify/{key}", R"({"input":"{data}","signature":"{signature}"})", "valid"},
    {"verify other data", "POST", "verify/{key}", R"({"input":"AAAA","signature":"{signature}"})",
     "valid"},
    {"sign batch", "POST", "sign/{key}",
     R"({"batch_input":[{"input":"{data}"},{"input":"?"},{"input":""}]})"},
    {"sign prehashed", "POST", "sign/{key}",
     R"({"input":"{digest}","prehashed":true,"hash_algorithm":"sha2-256"})"},
    {"sign prehashed of a wrong length", "POST", "sign/{key}",
     R"({"input":"{data}","prehashed":true,"hash_algorithm":"sha2-256"})"},
    {"sign pkcs1v15", "POST", "sign/{key}",
     R"({"input":"{data}","signature_algorithm":"pkcs1v15"})", "signature"},
    {"verify pkcs1v15", "POST", "verify/{key}",
     R"({"input":"{data}","signature_algorithm":"pkcs1v15","signature":"{signature}"})", "valid"},
    {"sign pss hash", "POST", "sign/{key}",
     R"({"input":"{data}","signature_algorithm":"pss","salt_length":"hash"})"},
    {"sign pss salt 7", "POST", "sign/{key}",
     R"({"input":"{data}","signature_algorithm":"pss","salt_length":"7"})"},
    {"sign pss salt too long", "POST", "sign/{key}",
     R"({"input":"{data}","signature_algorithm":"pss","salt_length":"4000"})"},
    {"sign bare", "POST", "sign/{key}",
     R"({"input":"{data}","signature_algorithm":"pkcs1v15","hash_algorithm":"none","prehashed":true})"},
    {"sign jws", "POST", "sign/{key}", R"({"input":"{data}","marshaling_algorithm":"jws"})",
     "signature"},
    {"verify jws", "POST", "verify/{key}",
     R"({"input":"{data}","marshaling_algorithm":"jws","signature":"{signature}"})", "valid"},
    {"sign sha1", "POST", "sign/{key}/sha1", R"({"input":"{data}"})"},
    {"sign sha2-224", "POST", "sign/{key}/sha2-224", R"({"input":"{data}"})"},
    {"sign sha2-384", "POST", "sign/{key}/sha2-384", R"({"input":"{data}"})"},
    {"sign sha2-512", "POST", "sign/{key}/sha2-512", R"({"input":"{data}"})"},
    {"sign sha3-224", "POST", "sign/{key}/sha3-224", R"({"input":"{data}"})"},
    {"sign sha3-256", "POST", "sign/{key}/sha3-256", R"({"input":"{data}"})"},
    {"sign sha3-384", "POST", "sign/{key}/sha3-384", R"({"input":"{data}"})"},
    {"sign sha3-512", "POST", "sign/{key}/sha3-512", R"({"input":"{data}"})"},
    {"sign unknown hash", "POST", "sign/{key}/md5", R"({"input":"{data}"})"},
    {"sign in a missing version", "POST", "sign/{key}", R"({"input":"{data}","key_version":9})"},
    {"hmac", "POST", "hmac/{key}", R"({"input":"{data}"})", "hmac"},
    {"hmac batch", "POST", "hmac/{key}/sha2-512", R"({"batch_input":[{"input":"{data}"}]})"},
    {"verify hmac", "POST", "verify/{key}", R"({"input":"{data}","hmac":"{hmac}"})"},
    {"csr", "POST", "keys/{key}/csr", "{}", "csr"},
    {"csr of a missing version", "POST", "keys/{key}/csr", R"({"version":9})"},
    {"csr of a wrong template", "POST", "keys/{key}/csr", R"({"csr":"x"})"},
    {"certificate of another key", "POST", "keys/{key}/set-certificate",
     R"({"certificate_chain":"{chain}"})"},
    {"derive key", "POST", "derive-key/derived-{key}",
     R"({"base_key_name":"{key}","peer_public_key":"{peer}","derived_key_type":"aes256-gcm96"})"},
    {"derive key with a wrong peer", "POST", "derive-key/wrong-{key}",
     R"({"base_key_name":"{key}","peer_public_key":"{wrong_peer}","derived_key_type":"hmac"})"},
    {"export encryption key", "GET", "export/encryption-key/{key}", ""},
    {"export signing key", "GET", "export/signing-key/{key}", ""},
    {"export hmac key", "GET", "export/hmac-key/{key}", ""},
    {"export public key", "GET", "export/public-key/{key}/1", ""},
    {"export certificates", "GET", "export/certificate-chain/{key}", ""},
    {"byok-export of it", "GET", "byok-export/receiver/{key}", ""},
    {"byok-export to it", "GET", "byok-export/{key}/sender", ""},
    {"backup", "GET", "backup/{key}", ""},
    {"import over it", "POST", "keys/{key}/import",
     R"({"ciphertext":"AAAA","type":"aes256-gcm96"})"},
    {"import a version", "POST", "keys/{key}/import_version", R"({"ciphertext":"AAAA"})"},
    {"config exportable", "POST", "keys/{key}/config", R"({"exportable":true})"},
    {"config plaintext backup", "POST", "keys/{key}/config", R"({"allow_plaintext_backup":true})"},
    {"config rotation", "POST", "keys/{key}/config", R"({"auto_rotate_period":"30d"})"},
    {"rotate", "POST", "keys/{key}/rotate", "{}"},
    {"rotate to an external key", "POST", "keys/{key}/rotate",
     R"({"external_key_ref":"default:x"})"},
    {"rewrap", "POST", "rewrap/{key}", R"({"ciphertext":"{ciphertext}"})", "ciphertext"},
    {"rewrap batch", "POST", "rewrap/{key}",
     R"({"batch_input":[{"ciphertext":"{ciphertext}"},{"ciphertext":"x"}]})"},
    {"config versions", "POST", "keys/{key}/config",
     R"({"min_decryption_version":2,"min_encryption_version":2,"deletion_allowed":true})"},
    {"sign in a version below the minimum", "POST", "sign/{key}",
     R"({"input":"{data}","key_version":1})"},
    {"decrypt of a version below the minimum", "POST", "decrypt/{key}",
     R"({"ciphertext":"vault:v1:AAAA"})"},
    {"decrypt of the new version", "POST", "decrypt/{key}", R"({"ciphertext":"{ciphertext}"})",
     "plaintext"},
    {"trim", "POST", "keys/{key}/trim", R"({"min_available_version":2})"},
    {"soft delete", "DELETE", "keys/{key}/soft-delete", ""},
    {"encrypt when soft-deleted", "POST", "encrypt/{key}", R"({"plaintext":"{data}"})"},
    {"sign when soft-deleted", "POST", "sign/{key}", R"({"input":"{data}"})"},
    {"csr when soft-deleted", "POST", "keys/{key}/csr", "{}"},
    {"rotate when soft-deleted", "POST", "keys/{key}/rotate", "{}"},
    {"undo soft delete", "POST", "keys/{key}/soft-delete-restore", "{}"},
    {"sign again", "POST", "sign/{key}", R"({"input":"{data}"})"},
    {"delete", "DELETE", "keys/{key}", ""},
    {"read when deleted", "GET", "keys/{key}", ""},
};

void ReplaceAll(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

std::string Escaped(const std::string& text) {
  const std::string quoted = json(text).dump();
  return quoted.substr(1, quoted.size() - 2);
}

// One key that walks over all rows.
class Walker {
 public:
  Walker(HttpClient& client, std::string key, std::map<std::string, std::string> known)
      : client_(client), key_(std::move(key)), kept_(std::move(known)) {}

  // Status, and the names of what is answered or the texts of what is refused.
  std::string Walk(const RouteRow& row) {
    const HttpReply reply =
        client_.Send(row.method, "/v1/dev/" + Filled(row.path, false), Filled(row.body, true));
    const json answer = json::parse(reply.body, nullptr, false);
    std::set<std::string> parts;
    Collect(answer, row.keep, parts);
    std::string outcome = std::to_string(reply.status);
    for (const std::string& part : parts) {
      outcome += "; " + part;
    }
    ReplaceAll(outcome, key_, "{key}");
    return outcome;
  }

 private:
  std::string Filled(const char* pattern, bool in_json) const {
    std::string text = pattern;
    ReplaceAll(text, "{key}", key_);
    for (const auto& [name, value] : kept_) {
      ReplaceAll(text, "{" + name + "}", in_json ? Escaped(value) : value);
    }
    return text;
  }
  void Collect(const json& answer, const std::string& keep, std::set<std::string>& parts) {
    if (!answer.is_object()) {
      return;
    }
    for (const json& error : answer.value("errors", json::array())) {
      parts.insert(error.get<std::string>());
    }
    const json data = answer.value("data", json());
    if (!data.is_object()) {
      return;
    }
    if (data.contains("supports_signing")) {
      parts.insert("the key");  // its members: tests/api/handlers/resident_test.cpp
      return;
    }
    for (const auto& member : data.items()) {
      parts.insert(member.key());
    }
    for (const json& item : data.value("batch_results", json::array())) {
      parts.insert(item.value("error", std::string("one of them done")));
    }
    if (data.contains(keep)) {
      kept_[keep] = data[keep].is_string() ? data[keep].get<std::string>() : data[keep].dump();
    }
    if (data.contains("valid")) {
      parts.insert(data["valid"].get<bool>() ? "verifies" : "does not verify");
    }
    if (data.contains("plaintext") && keep == "plaintext") {
      parts.insert("plaintext " + data["plaintext"].get<std::string>());
    }
  }

  HttpClient& client_;
  const std::string key_;
  std::map<std::string, std::string> kept_;
};

// What is done of every type in software, and how it is refused in an HSM.
constexpr const char* kRefused[] = {
    "hmac: 400; HMAC is not supported for keys that live in an HSM; use a key of type hmac",
    "hmac batch: 400; HMAC is not supported for keys that live in an HSM; use a key of type hmac",
    "verify hmac: 400; HMAC is not supported for keys that live in an HSM; use a key of type hmac",
    "export encryption key: 400; private key material is not exportable: the key lives in an HSM "
    "and cannot leave it",
    "export signing key: 400; private key material is not exportable: the key lives in an HSM and "
    "cannot leave it",
    "export hmac key: 400; private key material is not exportable: the key lives in an HSM and "
    "cannot leave it",
    "byok-export of it: 400; key is not exportable: it lives in an HSM and cannot leave it",
    "backup: 400; a key that lives in an HSM cannot be backed up: it never leaves the HSM; back up "
    "the HSM instead",
    "config exportable: 400; a key that lives in an HSM cannot be made exportable or backed up: it "
    "never leaves the HSM",
    "config plaintext backup: 400; a key that lives in an HSM cannot be made exportable or backed "
    "up: it never leaves the HSM",
};

struct TypeRow {
  const char* type;
  const char* curve;  // of the peer
};
void PrintTo(const TypeRow& row, std::ostream* out) { *out << row.type; }

class RoutesOfResidentKeys : public ::testing::TestWithParam<TypeRow> {
 protected:
  static void SetUpTestSuite() {
    directory_ = std::make_unique<TemporaryDirectory>();
    kmsd_ = std::make_unique<KmsdProcess>(KMS_BINARY_DIR, directory_->path() + "/state");
    ASSERT_TRUE(kmsd_->Start()) << kmsd_->Log();
    client_ = kmsd_->NewClient();
    Create("receiver", {{"type", "rsa-2048"}});
    Create("sender", {{"type", "aes256-gcm96"}, {"exportable", true}});
  }
  static void TearDownTestSuite() {
    client_.reset();
    kmsd_.reset();
    directory_.reset();
  }

  static void Create(const std::string& name, const json& fields) {
    const HttpReply reply = client_->Post("/v1/dev/keys/" + name, fields.dump());
    ASSERT_EQ(reply.status, 200) << reply.body;
  }
  // What is known before the first row.
  std::map<std::string, std::string> Known() {
    const std::string curve = GetParam().curve;
    const std::string other = curve == "P-384" ? "P-256" : "P-384";
    EXPECT_TRUE(openssl_.Run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:" + curve +
                             " -out peer.key"));
    EXPECT_TRUE(openssl_.Run("pkey -in peer.key -pubout -out peer.pem"));
    EXPECT_TRUE(openssl_.Run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:" + other +
                             " -out other.key"));
    EXPECT_TRUE(openssl_.Run("pkey -in other.key -pubout -out other.pem"));
    EXPECT_TRUE(
        openssl_.Run("req -x509 -key peer.key -days 9 -subj /CN=x -out chain.pem "
                     "-addext basicConstraints=critical,CA:FALSE"));
    return {{"data", Base64Encode(AsBytes("order 17: 3 apples"))},
            {"digest", Base64Encode(Bytes(32, 7))},
            {"ciphertext", "vault:v1:AAAA"},
            {"signature", "vault:v1:AAAA"},
            {"hmac", "vault:v1:AAAA"},
            {"peer", openssl_.Text("peer.pem")},
            {"wrong_peer", openssl_.Text("other.pem")},
            {"chain", openssl_.Text("chain.pem")}};
  }

  static inline std::unique_ptr<TemporaryDirectory> directory_;
  static inline std::unique_ptr<KmsdProcess> kmsd_;
  static inline std::unique_ptr<HttpClient> client_;
  OpensslCommand openssl_;
};

TEST_P(RoutesOfResidentKeys, AnswerAsThoseOfKeysInSoftwareButForWhatIsListed) {
  const std::string type = GetParam().type;
  Create("soft-" + type, {{"type", type}, {"exportable", true}, {"allow_plaintext_backup", true}});
  Create("hard-" + type, {{"type", type}, {"protection", "hsm"}});
  const std::map<std::string, std::string> known = Known();
  Walker soft(*client_, "soft-" + type, known);
  Walker hard(*client_, "hard-" + type, known);
  std::vector<std::string> differences;
  for (const RouteRow& row : kRows) {
    const std::string in_software = soft.Walk(row);
    const std::string in_hsm = hard.Walk(row);
    if (in_software != in_hsm) {
      differences.push_back(std::string(row.name) + ": " + in_hsm);
    }
  }
  EXPECT_THAT(differences, ElementsAreArray(kRefused));
}

std::string TypeName(const ::testing::TestParamInfo<TypeRow>& row) {
  std::string name = row.param.type;
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(
    Types, RoutesOfResidentKeys,
    ::testing::Values(TypeRow{"aes256-gcm96", "P-256"}, TypeRow{"rsa-2048", "P-256"},
                      TypeRow{"rsa-3072", "P-256"}, TypeRow{"rsa-4096", "P-256"},
                      TypeRow{"ecdsa-p256", "P-256"}, TypeRow{"ecdsa-p384", "P-384"},
                      TypeRow{"ecdsa-p521", "P-521"}),
    TypeName);

}  // namespace
}  // namespace kms::testing
