// SPDX-License-Identifier: Apache-2.0
// kmsctl sign, verify: requests, output, exit statuses.
#include <gmock/gmock.h>

#include "kms/base/base64.h"
#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kSignature = "vault:v1:MEUCIQCr+/w=";

class SignCommands : public KmsctlTest {};

TEST_F(SignCommands, SignSendsTheInputInBase64AndPrintsTheSignature) {
  ReplyData({{"signature", kSignature}, {"key_version", 1}});
  const std::string input("a\0b\n", 4);
  const ToolRun run = Run({"sign", "releases"}, input);
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, std::string(kSignature) + "\n");
  EXPECT_EQ(OnlyRequest().method, "POST");
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/sign/releases/sha2-256");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"input", Base64Encode(AsBytes(input))}}));
}

TEST_F(SignCommands, SignPassesEveryOption) {
  ReplyData({{"signature", kSignature}, {"key_version", 2}});
  const ToolRun run =
      Run({"sign", "k", "hello", "--hash", "sha2-512", "--prehashed", "--marshaling", "jws",
           "--signature-algorithm", "pss", "--salt-length", "32", "--context", "tenant",
           "--key-version", "2", "-e", "prod", "--json"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(Json(run.out), (nlohmann::json{{"signature", kSignature}, {"key_version", 2}}));
  EXPECT_EQ(OnlyRequest().target, "/v1/prod/sign/k/sha2-512");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"input", "aGVsbG8="},
                                                      {"prehashed", "true"},
                                                      {"marshaling_algorithm", "jws"},
                                                      {"signature_algorithm", "pss"},
                                                      {"salt_length", "32"},
                                                      {"context", "dGVuYW50"},
                                                      {"key_version", 2}}));
}

TEST_F(SignCommands, SignReadsAFile) {
  ReplyData({{"signature", kSignature}});
  const TemporaryDirectory directory;
  WriteFile(directory.path() + "/data", "hello");
  EXPECT_EQ(Run({"sign", "k", "--in", directory.path() + "/data"}).status, 0);
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"input", "aGVsbG8="}}));
}

TEST_F(SignCommands, WrongOptionsAreRefusedBeforeAnythingIsSent) {
  const std::vector<std::vector<std::string>> wrong = {
      {"sign"},
      {"sign", "k", "x", "--marshaling", "der"},
      {"sign", "k", "x", "--signature-algorithm", "dsa"},
      {"sign", "k", "x", "--in", "/dev/null"},
      {"sign", "k", "x", "--key-version", "latest"},
      {"verify", "k"},
      {"verify", "k", kSignature, "x", "--key-version", "1"}};
  for (const auto& arguments : wrong) {
    EXPECT_EQ(Run(arguments).status, 2) << ::testing::PrintToString(arguments);
  }
  EXPECT_THAT(server_.requests(), IsEmpty());
}

TEST_F(SignCommands, AValidSignatureEndsWithStatusZero) {
  ReplyData({{"valid", true}});
  const ToolRun run =
      Run({"verify", "releases", std::string(kSignature) + "\n", "hello", "--context", "tenant"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "valid\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/verify/releases/sha2-256");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"input", "aGVsbG8="},
                                                      {"signature", kSignature},
                                                      {"context", "dGVuYW50"}}));
}

TEST_F(SignCommands, ASignatureThatDoesNotMatchEndsWithStatusFive) {
  ReplyData({{"valid", false}});
  for (const bool json : {false, true}) {
    std::vector<std::string> arguments = {"verify", "releases", kSignature, "hello"};
    if (json) {
      arguments.emplace_back("--json");
    }
    const ToolRun run = Run(arguments);
    EXPECT_EQ(run.status, 5);
    EXPECT_THAT(run.out, IsEmpty());
    EXPECT_THAT(run.err, HasSubstr("does not belong to this input"));
  }
}

TEST_F(SignCommands, AMissingKeyIsNotFoundAndAWrongTypeIsExplained) {
  ReplyError(400, "signing key not found");
  ReplyError(400, "signature verification key not found");
  ReplyError(400, "key type aes256-gcm96 does not support signing");
  EXPECT_EQ(Run({"sign", "k", "x"}).status, 3);
  EXPECT_EQ(Run({"verify", "k", kSignature, "x"}).status, 3);
  const ToolRun run = Run({"sign", "k", "x"});
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, HasSubstr("--type ed25519"));
}

TEST_F(SignCommands, AnAnswerWithoutItsMemberIsReported) {
  ReplyData({{"other", 1}});
  const std::vector<std::vector<std::string>> commands = {{"sign", "k", "x"},
                                                          {"verify", "k", kSignature, "x"}};
  for (const auto& arguments : commands) {
    const ToolRun run = Run(arguments);
    EXPECT_EQ(run.status, 1) << arguments[0];
    EXPECT_THAT(run.err, HasSubstr("is this the address of a key service?")) << arguments[0];
  }
}

TEST_F(SignCommands, CompletionKnowsThem) {
  const ToolRun run = Run({"completion", "bash"});
  EXPECT_THAT(run.out, HasSubstr("--signature-algorithm"));
  EXPECT_THAT(run.out, HasSubstr("--salt-length"));
}

}  // namespace
}  // namespace kms::testing
