// SPDX-License-Identifier: Apache-2.0
// Keys that live in the HSM of the real kmsd: openssl verifies what they sign, and pkcs11-tool sees
// them come and go.
#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "kms/base/base64.h"
#include "kms/crypto/aead.h"
#include "kms/crypto/hkdf.h"
#include "tests/support/kmsd_process.h"
#include "tests/support/matchers.h"
#include "tests/support/openssl_command.h"

namespace kms::testing {
namespace {

using nlohmann::json;

constexpr int kRefusedStatus = 5;  // of kmsctl: the service refused the request
const std::string kData = "order 17: 3 apples\n";

class ResidentKeysOfKmsd : public ::testing::Test {
 protected:
  void SetUp() override { Start(); }

  void Start() {
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    client_ = kmsd_.NewClient();
  }

  json Call(const std::string& path, const json& body = json::object(), int status = 200) {
    const HttpReply reply = client_->Post("/v1/dev/" + path, body.dump());
    EXPECT_EQ(reply.status, status) << path << reply.body;
    const json answer = json::parse(reply.body, nullptr, false);
    return answer.is_object() && answer.contains("data") ? answer["data"] : json::object();
  }

  // Private and secret keys in the token whose label begins so, as another program sees them.
  int CountInToken(const std::string& label) {
    const std::string state = kmsd_.state_directory();
    std::string output;
    const std::string command = "SOFTHSM2_CONF=" + state +
                                "/softhsm2.conf pkcs11-tool --module "
                                "/usr/lib/softhsm/libsofthsm2.so --login --pin \"$(cat " +
                                state + "/pin)\" --list-objects";
    EXPECT_EQ(RunProgram({"/bin/sh", "-c", command}, &output), 0) << output;
    int count = 0;
    bool secret = false;
    for (std::size_t start = 0; start < output.size();) {
      const std::size_t end = std::min(output.find('\n', start), output.size());
      const std::string line = output.substr(start, end - start);
      start = end + 1;
      if (!line.starts_with(' ')) {
        secret = line.starts_with("Private Key Object") || line.starts_with("Secret Key Object");
      }
      count += secret && line.find("label:") != std::string::npos &&
                       line.find(" " + label) != std::string::npos
                   ? 1
                   : 0;
    }
    return count;
  }

  TemporaryDirectory directory_;
  KmsdProcess kmsd_{KMS_BINARY_DIR, directory_.path() + "/state"};
  std::unique_ptr<HttpClient> client_;
  OpensslCommand openssl_;
};

TEST_F(ResidentKeysOfKmsd, LiveAndEndInTheToken) {
  for (const char* const type : {"ecdsa-p256", "rsa-2048", "aes256-gcm96"}) {
    Call(std::string("keys/") + type, {{"type", type}, {"protection", "hsm"}});
    EXPECT_EQ(CountInToken(std::string("kms/dev/keys/") + type + "/1"), 1) << type;
  }
  // What they sign is verified by somebody else.
  openssl_.Write("data", kData);
  for (const auto& [key, options] :
       {std::pair{"ecdsa-p256", ""},
        std::pair{"rsa-2048", "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max "}}) {
    const json answer = Call(std::string("sign/") + key, {{"input", Base64Encode(AsBytes(kData))}});
    const std::string text = answer["signature"].get<std::string>();
    openssl_.Write("signature", Base64Decode(text.substr(text.rfind(':') + 1)).value());
    const json info = json::parse(client_->Get(std::string("/v1/dev/keys/") + key).body);
    openssl_.Write("public", info["data"]["keys"]["1"]["public_key"].get<std::string>());
    EXPECT_TRUE(openssl_.Run("dgst -verify public -signature signature -sha256 " +
                             std::string(options) + "data"))
        << key;
  }
  const std::string ciphertext =
      Call("encrypt/aes256-gcm96", {{"plaintext", Base64Encode(AsBytes(kData))}})["ciphertext"];
  const std::string wrapped =
      Call("encrypt/rsa-2048", {{"plaintext", Base64Encode(AsBytes(kData))}})["ciphertext"];

  // A restart finds them again; rotation adds a version in the token.
  ASSERT_EQ(kmsd_.Terminate(), 0) << kmsd_.Log();
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_EQ(Call("decrypt/aes256-gcm96", {{"ciphertext", ciphertext}})["plaintext"],
            Base64Encode(AsBytes(kData)));
  EXPECT_EQ(Call("decrypt/rsa-2048", {{"ciphertext", wrapped}})["plaintext"],
            Base64Encode(AsBytes(kData)));
  Call("keys/aes256-gcm96/rotate");
  EXPECT_EQ(CountInToken("kms/dev/keys/aes256-gcm96/2"), 1);
  const std::string rewrapped =
      Call("rewrap/aes256-gcm96", {{"ciphertext", ciphertext}})["ciphertext"];
  EXPECT_TRUE(rewrapped.starts_with("vault:v2:"));

  // Trimmed and deleted versions are gone from the token, and nothing else is.
  Call("keys/aes256-gcm96/config",
       {{"min_decryption_version", 2}, {"min_encryption_version", 2}, {"deletion_allowed", true}});
  Call("keys/aes256-gcm96/trim", {{"min_available_version", 2}});
  EXPECT_EQ(CountInToken("kms/dev/keys/aes256-gcm96/1"), 0);
  EXPECT_EQ(Call("decrypt/aes256-gcm96", {{"ciphertext", rewrapped}})["plaintext"],
            Base64Encode(AsBytes(kData)));
  EXPECT_EQ(client_->Send("DELETE", "/v1/dev/keys/aes256-gcm96").status, 204);
  EXPECT_EQ(CountInToken("kms/dev/keys/aes256-gcm96"), 0);
  EXPECT_EQ(CountInToken("kms/dev/keys/ecdsa-p256/1"), 1);
  EXPECT_EQ(CountInToken("kms/dev/1"), 1) << "the master key of the environment";
}

TEST_F(ResidentKeysOfKmsd, SurviveAKill) {
  Call("keys/app", {{"type", "ecdsa-p256"}, {"protection", "hsm"}});
  kmsd_.Kill();
  ASSERT_NO_FATAL_FAILURE(Start());
  const json answer = Call("sign/app", {{"input", Base64Encode(AsBytes(kData))}});
  EXPECT_TRUE(answer["signature"].get<std::string>().starts_with("vault:v1:"));
  EXPECT_EQ(CountInToken("kms/dev/keys/app/1"), 1);
}

// ---- with kmsctl
// ---------------------------------------------------------------------------------

class ResidentKeysByKmsctl : public ResidentKeysOfKmsd {
 protected:
  std::string Ctl(const std::vector<std::string>& arguments, int status = 0) {
    std::vector<std::string> command = {
        "/usr/bin/env", "KMS_ADDR=http://127.0.0.1:" + std::to_string(kmsd_.port()),
        "KMS_TOKEN=" + kmsd_.token(), std::string(KMS_BINARY_DIR) + "/kmsctl"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    std::string output;
    EXPECT_EQ(RunProgram(command, &output), status) << output;
    return output;
  }
  void CreateInHsm(const std::string& name, const std::string& type) {
    Ctl({"key", "create", name, "--type", type, "--protection", "hsm", "-e", "dev"});
  }
};

TEST_F(ResidentKeysByKmsctl, GetCertificatesOfAnAuthority) {
  ASSERT_TRUE(
      openssl_.Run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 "
                   "-keyout ca.key -out ca.pem -subj /CN=authority"));
  ASSERT_TRUE(
      openssl_.Run("req -new -newkey rsa:2048 -nodes -keyout t.key -out t.csr -subj "
                   "/O=Example/CN=web -addext subjectAltName=DNS:web.example"));
  for (const char* const type : {"ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048"}) {
    const std::string name = std::string("web-") + type;
    CreateInHsm(name, type);
    Ctl({"key", "csr", name, "--template", openssl_.Path("t.csr"), "--out",
         openssl_.Path("made.csr"), "-e", "dev"});
    EXPECT_TRUE(openssl_.Run("req -in made.csr -verify -noout")) << type;
    ASSERT_TRUE(openssl_.Run(
        "x509 -req -in made.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -out leaf.pem"));
    const std::string chain = openssl_.Text("leaf.pem") + openssl_.Text("ca.pem");
    openssl_.Write("chain.pem", chain);
    Ctl({"key", "set-certificate", name, "--chain", openssl_.Path("chain.pem"), "-e", "dev"});
    // What the key signs is verified by its certificate, after a restart too.
    openssl_.Write("data", kData);
    const std::string text =
        Call("sign/" + name, {{"input", Base64Encode(AsBytes(kData))},
                              {"signature_algorithm", "pkcs1v15"}})["signature"];
    openssl_.Write("signature", Base64Decode(text.substr(text.rfind(':') + 1)).value());
    ASSERT_TRUE(openssl_.Run("x509 -in leaf.pem -noout -pubkey"));
    openssl_.Write("public", openssl_.Output());
    EXPECT_TRUE(openssl_.Run("dgst -verify public -signature signature -sha256 data")) << type;
  }
  ASSERT_EQ(kmsd_.Terminate(), 0) << kmsd_.Log();
  ASSERT_NO_FATAL_FAILURE(Start());
  const json exported = json::parse(
      client_->Get("/v1/dev/export/certificate-chain/web-ecdsa-p384/latest").body)["data"]["keys"];
  EXPECT_THAT(exported["1"].get<std::string>(), ::testing::HasSubstr("BEGIN CERTIFICATE"));
  EXPECT_EQ(CountInToken("kms/dev/keys/web-ecdsa-p384/1"), 1);
  // A certificate of another key is refused.
  EXPECT_THAT(Ctl({"key", "set-certificate", "web-ecdsa-p256", "--chain",
                   openssl_.Path("chain.pem"), "-e", "dev"},
                  kRefusedStatus),
              ::testing::HasSubstr("does not match the selected key version"));
}

TEST_F(ResidentKeysByKmsctl, AgreeOnAKeyWithAPeer) {
  for (const auto& [type, curve] :
       {std::pair{"ecdsa-p256", "P-256"}, std::pair{"ecdsa-p384", "P-384"},
        std::pair{"ecdsa-p521", "P-521"}}) {
    const std::string mine = std::string("mine-") + type;
    const std::string shared = std::string("shared-") + type;
    CreateInHsm(mine, type);
    ASSERT_TRUE(openssl_.Run(std::string("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:") +
                             curve + " -out peer.key"));
    ASSERT_TRUE(openssl_.Run("pkey -in peer.key -pubout -out peer.pem"));
    Ctl({"key", "derive", shared, "--base", mine, "--peer", openssl_.Path("peer.pem"), "-e",
         "dev"});
    const std::string ciphertext =
        Call("encrypt/" + shared, {{"plaintext", Base64Encode(AsBytes(kData))}})["ciphertext"];

    // The peer comes to the same key by openssl: HKDF-SHA-256 of the shared secret.
    const json info = json::parse(client_->Get("/v1/dev/keys/" + mine).body);
    openssl_.Write("mine.pem", info["data"]["keys"]["1"]["public_key"].get<std::string>());
    ASSERT_TRUE(openssl_.Run("pkeyutl -derive -inkey peer.key -peerkey mine.pem -out secret"));
    const SecretBytes secret = SecretBytes::CopyOf(openssl_.Content("secret")).value();
    const SecretBytes key = HkdfSha256(secret.View(), {}, {}, 32).value();
    const Bytes message = Base64Decode(ciphertext.substr(ciphertext.rfind(':') + 1)).value();
    Bytes opened(message.size() - 12 - 16);
    EXPECT_THAT(Aead::OpenOnce(AeadAlgorithm::kAes256Gcm, key.View(), ByteView(message).first(12),
                               {}, ByteView(message).subspan(12), opened),
                IsOk())
        << type;
    EXPECT_EQ(AsText(opened), kData) << type;
  }
  EXPECT_THAT(Ctl({"key", "derive", "wrong", "--base", "mine-ecdsa-p256", "--peer",
                   openssl_.Path("peer.pem"), "-e", "dev"},
                  kRefusedStatus),
              ::testing::HasSubstr("error parsing peer public key"));
}

}  // namespace
}  // namespace kms::testing
