// SPDX-License-Identifier: Apache-2.0
// kmsctl key import, export, csr, set-certificate, derive: what is sent, what is printed.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "kms/base/base64.h"
#include "kms/crypto/import_blob.h"
#include "kms/crypto/rsa_encryption.h"
#include "tests/support/asymmetric_keys.h"
#include "tests/support/matchers.h"
#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr AsymmetricAlgorithm kWrapping = AsymmetricAlgorithm::kRsa4096;

class KeyTransferCommands : public KmsctlTest {
 protected:
  void ReplyWrappingKey() {
    ReplyData({{"public_key", "-----BEGIN PUBLIC KEY-----\n" +
                                  Base64Encode(TestKey(kWrapping).PublicKey().value()) +
                                  "\n-----END PUBLIC KEY-----\n"}});
  }
  // What the server finds in the ciphertext of the last request.
  Bytes OpenLastBlob(HashAlgorithm hash = HashAlgorithm::kSha2_256) {
    const nlohmann::json body = Json(server_.requests().back().body);
    const Bytes bytes = Base64Decode(body.value("ciphertext", "")).value();
    const ImportBlob blob = SplitImportBlob(bytes, 512).value();
    const SecretBytes ephemeral =
        OaepDecrypt(TestKey(kWrapping), hash, blob.wrapped_ephemeral).value();
    return CopyOf(OpenImportTarget(ephemeral, blob.wrapped_target).value().View());
  }
  std::string FileWith(const std::string& content) {
    WriteFile(directory_.path() + "/file", content);
    return directory_.path() + "/file";
  }

  TemporaryDirectory directory_;
};

TEST_F(KeyTransferCommands, ImportWrapsTheKeyUnderTheServersKey) {
  ReplyWrappingKey();
  ReplyRaw(204, "");
  const std::string raw(32, 'k');
  const ToolRun run = Run({"key", "import", "cards", "--env", "prod", "--raw-file", FileWith(raw),
                           "--allow-rotation", "--exportable"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "imported key cards in prod\n");
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].target, "/v1/prod/wrapping_key");
  EXPECT_EQ(requests[1].target, "/v1/prod/keys/cards/import");
  nlohmann::json body = Json(requests[1].body);
  EXPECT_EQ(OpenLastBlob(), CopyOf(AsBytes(raw)));
  body.erase("ciphertext");
  EXPECT_EQ(body, (nlohmann::json{{"type", "aes256-gcm96"},
                                  {"hash_function", "SHA256"},
                                  {"allow_rotation", true},
                                  {"exportable", true}}));
}

TEST_F(KeyTransferCommands, ImportReadsHexBase64AndStandardInput) {
  const Bytes key(32, 0xab);
  std::string hex;
  for (int i = 0; i < 32; ++i) {
    hex += i == 7 ? "AB\n" : "ab";
  }
  ReplyWrappingKey();
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"key", "import", "a", "--hex"}, hex).status, 0);
  EXPECT_EQ(OpenLastBlob(), key);
}

TEST_F(KeyTransferCommands, ImportTakesPemFromStandardInput) {
  ReplyWrappingKey();
  ReplyRaw(204, "");
  const Bytes& pkcs8 = TestKeyPkcs8(AsymmetricAlgorithm::kEcdsaP256);
  const std::string pem =
      "-----BEGIN PRIVATE KEY-----\n" + Base64Encode(pkcs8) + "\n-----END PRIVATE KEY-----\n";
  const ToolRun run = Run({"key", "import", "a", "--type", "ecdsa-p256"}, pem);
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OpenLastBlob(), pkcs8);
}

TEST_F(KeyTransferCommands, ANewVersionIsReadAsTheKeysTypeSays) {
  ReplyData({{"type", "ed25519"}});
  ReplyWrappingKey();
  ReplyRaw(204, "");
  const std::string seed(32, 's');
  const ToolRun run = Run({"key", "import", "a", "--new-version", "--raw-file", FileWith(seed)});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "imported a version of key a in dev\n");
  EXPECT_EQ(server_.requests().back().target, "/v1/dev/keys/a/import_version");
  EXPECT_EQ(AsymmetricKey::FromPkcs8(AsymmetricAlgorithm::kEd25519, OpenLastBlob())
                .value()
                .Ed25519Seed()
                .value(),
            SecretBytes::CopyOf(AsBytes(seed)).value());
}

TEST_F(KeyTransferCommands, APublicKeyIsSentAsItIs) {
  ReplyRaw(204, "");
  EXPECT_EQ(
      Run({"key", "import", "a", "--type", "rsa-2048", "--public-key", FileWith("PEM")}).status, 0);
  EXPECT_EQ(Json(OnlyRequest().body),
            (nlohmann::json{{"type", "rsa-2048"}, {"public_key", "PEM"}}));
}

TEST_F(KeyTransferCommands, ImportRefusesWhatItCannotReadBeforeItAsksTheServer) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> rows = {
      {{"--raw-file", FileWith("x"), "--pem", FileWith("x")}, "give one of"},
      {{"--type", "rsa-2048", "--raw-file", FileWith("x")}, "has no raw form"},
      {{"--pem", FileWith("x")}, "is raw bytes"},
      {{"--type", "ecdsa-p256", "--pem", FileWith("x")}, "no private key in PEM format"},
      {{"--type", "ecdsa-p256", "--der", FileWith("x")}, "not a private key"},
      {{"--hex", "--raw-file", FileWith("x")}, "not hexadecimal"},
      {{"--raw-file", directory_.path() + "/none"}, "cannot read"},
  };
  for (const auto& [options, text] : rows) {
    std::vector<std::string> line = {"key", "import", "a"};
    line.insert(line.end(), options.begin(), options.end());
    const ToolRun run = Run(line);
    EXPECT_EQ(run.status, 2) << text;
    EXPECT_THAT(run.err, HasSubstr(text));
  }
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(KeyTransferCommands, AWeakWrappingKeyGetsNoKey) {
  ReplyData(
      {{"public_key", "-----BEGIN PUBLIC KEY-----\n" +
                          Base64Encode(TestKey(AsymmetricAlgorithm::kRsa2048).PublicKey().value()) +
                          "\n-----END PUBLIC KEY-----\n"}});
  const ToolRun run = Run({"key", "import", "a", "--raw-file", FileWith(std::string(32, 'k'))});
  EXPECT_EQ(run.status, 1);
  EXPECT_EQ(server_.requests().size(), 1U);
}

TEST_F(KeyTransferCommands, ExportPrintsOneKeyAndWritesFilesForTheirOwnerAlone) {
  ReplyData({{"name", "a"}, {"type", "aes256-gcm96"}, {"keys", {{"2", "c2VjcmV0"}}}});
  const ToolRun run = Run({"key", "export", "a", "--type", "encryption-key"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "c2VjcmV0\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/export/encryption-key/a/latest");
  const std::string file = directory_.path() + "/out";
  EXPECT_EQ(Run({"key", "export", "a", "--type", "signing-key", "--format", "pem", "--version", "2",
                 "--out", file})
                .out,
            "");
  EXPECT_EQ(server_.requests().back().target, "/v1/dev/export/signing-key/a/2?format=pem");
  EXPECT_EQ(ReadFile(file), "c2VjcmV0\n");
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(KeyTransferCommands, ExportOfAllVersionsIsAnObject) {
  ReplyData({{"keys", {{"1", "b25l"}, {"2", "dHdv"}}}});
  const ToolRun run = Run({"key", "export", "a", "--wrap-for", "site-b", "--version", "all"});
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/byok-export/site-b/a");
  EXPECT_EQ(Json(run.out), (nlohmann::json{{"1", "b25l"}, {"2", "dHdv"}}));
}

TEST_F(KeyTransferCommands, ExportNeedsATypeOrADestination) {
  EXPECT_EQ(Run({"key", "export", "a"}).status, 2);
  EXPECT_EQ(Run({"key", "export", "a", "--type", "public-key", "--wrap-for", "b"}).status, 2);
  EXPECT_EQ(Run({"key", "export", "a", "--type", "everything"}).status, 2);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(KeyTransferCommands, ARefusedExportLeavesNoFile) {
  ReplyError(400, "private key material is not exportable");
  const std::string file = directory_.path() + "/out";
  const ToolRun run = Run({"key", "export", "a", "--type", "signing-key", "--out", file});
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, HasSubstr("not exportable"));
  EXPECT_NE(::access(file.c_str(), F_OK), 0);
}

TEST_F(KeyTransferCommands, CsrSetCertificateAndDeriveSendTheirFiles) {
  ReplyData({{"csr", "PEM\n"}, {"certificate_chain", "PEM"}});
  EXPECT_EQ(Run({"key", "csr", "web", "--template", FileWith("T"), "--version", "3"}).out, "PEM\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/keys/web/csr");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"csr", "T"}, {"version", 3}}));
  EXPECT_EQ(Run({"key", "set-certificate", "web", "--chain", FileWith("C")}).status, 0);
  EXPECT_EQ(server_.requests().back().target, "/v1/dev/keys/web/set-certificate");
  EXPECT_EQ(Json(server_.requests().back().body), (nlohmann::json{{"certificate_chain", "C"}}));
  EXPECT_EQ(Run({"key", "derive", "shared", "--base", "mine", "--peer", FileWith("P")}).status, 0);
  EXPECT_EQ(server_.requests().back().target, "/v1/dev/derive-key/shared");
  EXPECT_EQ(Json(server_.requests().back().body),
            (nlohmann::json{{"base_key_name", "mine"},
                            {"peer_public_key", "P"},
                            {"derived_key_type", "aes256-gcm96"}}));
}

}  // namespace
}  // namespace kms::testing
