// SPDX-License-Identifier: Apache-2.0
// Signatures of the real kmsd and the openssl command line, each verified by the other.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "kms/base/base64.h"
#include "tests/support/kmsd_process.h"
#include "tests/support/openssl_command.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const std::string kData = "order 17: 3 apples\n";

// How both sides say the same.
struct Way {
  const char* hash;     // the service's
  const char* digest;   // openssl's
  const char* scheme;   // of RSA
  const char* salt;
  const char* options;  // openssl's
};

constexpr Way kEc[] = {{"sha2-256", "-sha256", "", "auto", ""},
                       {"sha2-512", "-sha512", "", "auto", ""},
                       {"sha3-256", "-sha3-256", "", "auto", ""},
                       {"sha1", "-sha1", "", "auto", ""}};
constexpr const char* kPss = "-sigopt rsa_padding_mode:pss ";
constexpr Way kRsa[] = {
    {"sha2-256", "-sha256", "pkcs1v15", "auto", ""},
    {"sha3-512", "-sha3-512", "pkcs1v15", "auto", ""},
    {"sha2-256", "-sha256", "pss", "auto", "-sigopt rsa_pss_saltlen:max"},
    {"sha2-384", "-sha384", "pss", "hash", "-sigopt rsa_pss_saltlen:digest"},
    {"sha2-512", "-sha512", "", "20", "-sigopt rsa_pss_saltlen:20"},
};

std::string OptionsOf(const Way& way) {
  const bool salted = std::string_view(way.options).starts_with("-sigopt");
  return " " + std::string(way.digest) + " " + (salted ? kPss : "") + way.options + " ";
}

class SignaturesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    client_ = kmsd_.NewClient();
    openssl_.Write("data", kData);
  }

  json Call(const std::string& path, const json& body, int status = 200) {
    const HttpReply reply = client_->Post("/v1/dev/" + path, body.dump());
    EXPECT_EQ(reply.status, status) << path << reply.body;
    const json answer = json::parse(reply.body, nullptr, false);
    return answer.is_object() && answer.contains("data") ? answer["data"] : json::object();
  }
  std::string PublicKey(const std::string& key) {
    const json answer = json::parse(client_->Get("/v1/dev/keys/" + key).body, nullptr, false);
    return answer["data"]["keys"]["1"]["public_key"].get<std::string>();
  }

  static json BodyOf(const Way& way) {
    return {{"input", Base64Encode(AsBytes(kData))},
            {"hash_algorithm", way.hash},
            {"signature_algorithm", way.scheme},
            {"salt_length", way.salt}};
  }

  // What the service signed, with its public key, in the files "signature" and "public".
  void SignHere(const std::string& key, const json& body) {
    const json signed_here = Call("sign/" + key, body);
    const std::string text = signed_here["signature"].get<std::string>();
    openssl_.Write("signature", Base64Decode(text.substr(text.rfind(':') + 1)).value());
    openssl_.Write("public", PublicKey(key));
  }

  bool VerifyHere(const std::string& key, json body) {
    body["signature"] = "vault:v1:" + Base64Encode(openssl_.Content("signature"));
    return Call("verify/" + key, body)["valid"].get<bool>();
  }

  void ExpectOpensslVerifies(const std::string& key, const Way& way) {
    SignHere(key, BodyOf(way));
    const std::string command = "dgst -verify public -signature signature" + OptionsOf(way);
    EXPECT_TRUE(openssl_.Run(command + "data")) << key << way.hash;
    openssl_.Write("other", kData + "!");
    EXPECT_FALSE(openssl_.Run(command + "other")) << key << way.hash;
  }

  // A key that openssl made and of which the service knows the public half.
  void MakeThere(const std::string& key, const std::string& type, const std::string& options) {
    ASSERT_TRUE(openssl_.Run("genpkey -out private " + options));
    ASSERT_TRUE(openssl_.Run("pkey -in private -pubout -out public"));
    Call("keys/" + key + "/import", {{"type", type}, {"public_key", openssl_.Text("public")}}, 204);
  }
  void ExpectServiceVerifies(const std::string& key, const Way& way) {
    ASSERT_TRUE(
        openssl_.Run("dgst -sign private -out signature" + OptionsOf(way) + "data"));
    EXPECT_TRUE(VerifyHere(key, BodyOf(way))) << key << way.hash;
    json other = BodyOf(way);
    other["input"] = "";
    EXPECT_FALSE(VerifyHere(key, other)) << key << way.hash;
  }

  TemporaryDirectory directory_;
  KmsdProcess kmsd_{KMS_BINARY_DIR, directory_.path() + "/state"};
  std::unique_ptr<HttpClient> client_;
  OpensslCommand openssl_;
};

TEST_F(SignaturesTest, OpensslVerifiesWhatTheServiceSigned) {
  for (const char* type : {"ecdsa-p256", "ecdsa-p384", "ecdsa-p521"}) {
    Call(std::string("keys/") + type, {{"type", type}});
    for (const Way& way : kEc) {
      ExpectOpensslVerifies(type, way);
    }
  }
  for (const char* type : {"rsa-2048", "rsa-3072"}) {
    Call(std::string("keys/") + type, {{"type", type}});
    for (const Way& way : kRsa) {
      ExpectOpensslVerifies(type, way);
    }
  }
}

TEST_F(SignaturesTest, TheServiceVerifiesWhatOpensslSigned) {
  const std::pair<const char*, const char*> curves[] = {
      {"ecdsa-p256", "P-256"}, {"ecdsa-p384", "P-384"}, {"ecdsa-p521", "P-521"}};
  for (const auto& [type, curve] : curves) {
    MakeThere(type, type, "-algorithm EC -pkeyopt ec_paramgen_curve:" + std::string(curve));
    for (const Way& way : kEc) {
      ExpectServiceVerifies(type, way);
    }
  }
  MakeThere("rsa", "rsa-2048", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
  for (const Way& way : kRsa) {
    ExpectServiceVerifies("rsa", way);
  }
}

// RFC 8410: the 32 bytes stand at the end of SubjectPublicKeyInfo.
TEST_F(SignaturesTest, Ed25519InBothDirections) {
  const json body = {{"input", Base64Encode(AsBytes(kData))}};
  Call("keys/ed", {{"type", "ed25519"}});
  SignHere("ed", body);
  Bytes spki = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
  const Bytes raw = Base64Decode(PublicKey("ed")).value();
  spki.insert(spki.end(), raw.begin(), raw.end());
  openssl_.Write("public", spki);
  EXPECT_TRUE(openssl_.Run("pkeyutl -verify -pubin -inkey public -keyform DER -rawin -in data "
                           "-sigfile signature"));
  MakeThere("foreign", "ed25519", "-algorithm ED25519");
  ASSERT_TRUE(openssl_.Run("pkeyutl -sign -inkey private -rawin -in data -out signature"));
  EXPECT_TRUE(VerifyHere("foreign", body));
  EXPECT_FALSE(VerifyHere("ed", body));
}

TEST_F(SignaturesTest, KmsctlSignsAndVerifiesFiles) {
  const std::string kmsctl = std::string(KMS_BINARY_DIR) + "/kmsctl";
  ::setenv("KMS_ADDR", ("http://127.0.0.1:" + std::to_string(kmsd_.port())).c_str(), 1);
  ::setenv("KMS_TOKEN", kmsd_.token().c_str(), 1);
  const std::string file = directory_.path() + "/data";
  WriteFile(file, kData);
  std::string output;
  EXPECT_EQ(RunProgram({kmsctl, "key", "create", "releases", "--type", "ecdsa-p384"}, &output), 0)
      << output;
  std::string signature;
  ASSERT_EQ(RunProgram({kmsctl, "sign", "releases", "--in", file, "--hash", "sha2-384",
                        "--marshaling", "jws"},
                       &signature),
            0)
      << signature;
  const std::vector<std::string> verify = {kmsctl,       "verify",   "releases", signature,
                                           "--hash",     "sha2-384", "--marshaling", "jws",
                                           "--in",       file};
  EXPECT_EQ(RunProgram(verify, &output), 0) << output;
  WriteFile(file, kData + "!");
  EXPECT_EQ(RunProgram(verify, &output), 5);
  EXPECT_THAT(output, HasSubstr("does not belong to this input"));
  ::unsetenv("KMS_ADDR");
  ::unsetenv("KMS_TOKEN");
}

}  // namespace
}  // namespace kms::testing
