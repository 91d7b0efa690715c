// SPDX-License-Identifier: Apache-2.0
// Keys that the openssl program made move into a real kmsd, work there as they did outside, and
// come out again in every form; between environments they move wrapped.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "kms/base/base64.h"
#include "tests/support/kmsd_process.h"
#include "tests/support/openssl_command.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kKmsctl = std::string{KMS_BINARY_DIR} + "/kmsctl";

struct Pair {
  std::string type;
  std::string make;  // arguments of openssl, writing the file given to kmsctl to key.file
  std::string file_option;
  std::string verify;  // arguments of openssl that verify `signature` over `message`
};

const std::vector<Pair>& Pairs() {
  static const std::vector<Pair> pairs = {
      {"rsa-2048", "genrsa -traditional -out key.file 2048", "--pem",
       "dgst -sha256 -verify public.pem -sigopt rsa_padding_mode:pss -signature signature message"},
      {"ecdsa-p256", "ecparam -name prime256v1 -genkey -noout -out key.file", "--pem",
       "dgst -sha256 -verify public.pem -signature signature message"},
      {"ecdsa-p384",
       "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -outform DER -out key.file", "--der",
       "dgst -sha256 -verify public.pem -signature signature message"},
      {"ed25519", "genpkey -algorithm ED25519 -out key.file", "--pem",
       "pkeyutl -verify -rawin -in message -pubin -inkey public.pem -sigfile signature"},
  };
  return pairs;
}

class KeyTransferTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    ::setenv("KMS_ADDR", ("http://127.0.0.1:" + std::to_string(kmsd_.port())).c_str(), 1);
    ::setenv("KMS_TOKEN", kmsd_.token().c_str(), 1);
    client_ = kmsd_.NewClient();
  }
  void TearDown() override {
    ::unsetenv("KMS_ADDR");
    ::unsetenv("KMS_TOKEN");
  }

  std::string Ctl(std::vector<std::string> arguments, int expected_status = 0) {
    arguments.insert(arguments.begin(), {kKmsctl, "--timeout", "300"});
    std::string output;
    EXPECT_EQ(RunProgram(arguments, &output, std::chrono::seconds{300}), expected_status)
        << ::testing::PrintToString(arguments) << "\n"
        << output;
    return output;
  }
  // The data of an answer that must be `status`.
  json Data(const HttpReply& reply, int status = 200) {
    EXPECT_EQ(reply.status, status) << reply.body;
    const json body = json::parse(reply.body, nullptr, false);
    return body.is_object() && body.contains("data") ? body["data"] : json();
  }
  json Post(const std::string& path, const json& body, int status = 200) {
    return Data(client_->Post("/v1/" + path, body.dump()), status);
  }
  // What follows "vault:v1:", decoded.
  static Bytes PayloadOf(const std::string& text) {
    EXPECT_THAT(text, StartsWith("vault:v1:"));
    return Base64Decode(text.substr(9)).value_or(Bytes());
  }
  std::string File(const std::string& name) const { return openssl_.Path(name); }

  void ExpectSignaturesOf(const Pair& pair) {
    openssl_.Write("message", "hello");
    const json data = Post("dev/sign/" + pair.type, {{"input", Base64Encode(AsBytes("hello"))}});
    openssl_.Write("signature", PayloadOf(data.value("signature", "")));
    EXPECT_TRUE(openssl_.Run(pair.verify)) << pair.type;
  }
  // Every private form that is exported is the key that went in.
  void ExpectExportsOf(const Pair& pair) {
    for (const char* format : {"", "pem", "der"}) {
      std::vector<std::string> arguments = {"key",         "export", pair.type,       "--type",
                                            "signing-key", "--out",  File("exported")};
      if (*format != '\0') {
        arguments.insert(arguments.end(), {"--format", format});
      }
      Ctl(arguments);
      struct stat status{};
      ASSERT_EQ(::stat(File("exported").c_str(), &status), 0);
      EXPECT_EQ(status.st_mode & 0777U, 0600U);
      if (pair.type == "ed25519" && *format == '\0') {  // raw, which openssl does not read
        EXPECT_EQ(openssl_.Text("exported").size(), 89U);
        continue;
      }
      const std::string form = std::string(format) == "der" ? " -inform DER" : "";
      if (!form.empty()) {
        ASSERT_TRUE(openssl_.Run("base64 -d -A -in exported -out exported.der"));
      }
      ASSERT_TRUE(
          openssl_.Run("pkey -pubout" + form + " -in exported" + (form.empty() ? "" : ".der")))
          << pair.type << " " << format;
      EXPECT_EQ(openssl_.Output(), openssl_.Text("public.pem")) << pair.type << " " << format;
    }
  }
  void ExpectCertificateOf(const Pair& pair) {
    Ctl({"key", "csr", pair.type, "--template", File("template.csr"), "--out", File("made.csr")});
    ASSERT_TRUE(openssl_.Run("req -in made.csr -verify -noout")) << pair.type;
    ASSERT_TRUE(
        openssl_.Run("x509 -req -in made.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
                     "-days 9 -out leaf.pem"));
    openssl_.Write("chain.pem", openssl_.Text("leaf.pem") + openssl_.Text("ca.pem"));
    Ctl({"key", "set-certificate", pair.type, "--chain", File("chain.pem")});
    const json key = Data(client_->Get("/v1/dev/keys/" + pair.type));
    const std::string chain = openssl_.Text("chain.pem");
    EXPECT_EQ(key["keys"]["1"].value("certificate_chain", "") + "\n", chain) << pair.type;
    EXPECT_EQ(Ctl({"key", "export", pair.type, "--type", "certificate-chain"}), chain);
  }

  TemporaryDirectory directory_;
  KmsdProcess kmsd_{KMS_BINARY_DIR, directory_.path() + "/state"};
  std::unique_ptr<HttpClient> client_;
  OpensslCommand openssl_;
};

TEST_F(KeyTransferTest, OpensslsKeysSignComeOutAgainAndGetCertificates) {
  ASSERT_TRUE(
      openssl_.Run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 "
                   "-keyout ca.key -out ca.pem -subj /CN=authority"));
  ASSERT_TRUE(
      openssl_.Run("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "
                   "t.key -out template.csr -subj /CN=web.example"));
  for (const Pair& pair : Pairs()) {
    SCOPED_TRACE(pair.type);
    ASSERT_TRUE(openssl_.Run(pair.make));
    ASSERT_TRUE(openssl_.Run("pkey -pubout -in key.file -out public.pem" +
                             std::string(pair.file_option == "--der" ? " -inform DER" : "")));
    Ctl({"key", "import", pair.type, "--type", pair.type, pair.file_option, File("key.file"),
         "--exportable"});
    ExpectSignaturesOf(pair);
    ExpectExportsOf(pair);
    ExpectCertificateOf(pair);
  }
}

TEST_F(KeyTransferTest, ABlobThatOpensslMadeImports) {
  openssl_.Write("wrapping.pem",
                 Data(client_->Get("/v1/dev/wrapping_key")).value("public_key", ""));
  const Bytes target(32, 0x42);
  openssl_.Write("target", target);
  ASSERT_TRUE(openssl_.Run("rand -out ephemeral 32"));
  ASSERT_TRUE(openssl_.Run(
      "pkeyutl -encrypt -pubin -inkey wrapping.pem -in ephemeral -out first -pkeyopt "
      "rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha512 -pkeyopt rsa_mgf1_md:sha512"));
  ASSERT_TRUE(openssl_.Run("enc -id-aes256-wrap-pad -iv A65959A6 -in target -out second -K " +
                           HexEncode(openssl_.Content("ephemeral"))));
  const std::string blob = Base64Encode(AsBytes(openssl_.Text("first") + openssl_.Text("second")));
  Post("dev/keys/aes/import",
       {{"ciphertext", blob}, {"hash_function", "SHA512"}, {"exportable", true}}, 204);
  EXPECT_EQ(Ctl({"key", "export", "aes", "--type", "encryption-key"}), Base64Encode(target) + "\n");
  Post("dev/keys/flipped/import",
       {{"ciphertext", (blob[0] == 'A' ? "B" : "A") + blob.substr(1)}, {"hash_function", "SHA512"}},
       400);
}

TEST_F(KeyTransferTest, U4_KeysMoveBetweenEnvironmentsOnlyWrappedForTheOther) {
  openssl_.Write("raw.hex", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n");
  Ctl({"key", "import", "app", "--raw-file", File("raw.hex"), "--hex", "--exportable"});
  const std::string ciphertext =
      Post("dev/encrypt/app", {{"plaintext", Base64Encode(AsBytes("kept"))}})
          .value("ciphertext", "");
  openssl_.Write("staging.pem",
                 Data(client_->Get("/v1/staging/wrapping_key")).value("public_key", ""));
  Ctl({"key", "import", "staging", "--type", "rsa-4096", "--public-key", File("staging.pem")});
  std::string blob = Ctl({"key", "export", "app", "--wrap-for", "staging"});
  blob.pop_back();

  Post("dev/keys/again/import", {{"ciphertext", blob}}, 400);  // it is not for this one
  Post("staging/keys/app/import", {{"ciphertext", blob}}, 204);
  EXPECT_EQ(Post("staging/decrypt/app", {{"ciphertext", ciphertext}}).value("plaintext", ""),
            Base64Encode(AsBytes("kept")));

  // A version more, its bytes through standard input's file, and the old one still decrypts.
  openssl_.Write("next", std::string(32, 'n'));
  Ctl({"key", "import", "app", "--env", "staging", "--new-version", "--raw-file", File("next")});
  EXPECT_EQ(Post("staging/decrypt/app", {{"ciphertext", ciphertext}}).value("plaintext", ""),
            Base64Encode(AsBytes("kept")));
  EXPECT_THAT(
      Ctl({"key", "import", "bad", "--type", "ecdsa-p256", "--pem", File("staging.pem")}, 2),
      HasSubstr("no private key in PEM format"));
}

}  // namespace
}  // namespace kms::testing
