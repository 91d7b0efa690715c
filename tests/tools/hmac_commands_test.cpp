// SPDX-License-Identifier: Apache-2.0
// kmsctl random, hash, hmac, verify-hmac: requests, output, exit statuses.
#include <gmock/gmock.h>

#include "kms/base/base64.h"
#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kHmac = "vault:v1:zBjSL54sEQ5Nf6crZLIjOZ7JqXTw8JIITO3Thd9hq4E=";

class HmacCommands : public KmsctlTest {};

TEST_F(HmacCommands, RandomAsksForThirtyTwoBytesOfThePlatform) {
  ReplyData({{"random_bytes", "AAECAw=="}});
  const ToolRun run = Run({"random"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "AAECAw==\n");
  EXPECT_EQ(OnlyRequest().method, "POST");
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/random/platform/32");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"format", "base64"}}));
}

TEST_F(HmacCommands, RandomPassesEveryOption) {
  ReplyData({{"random_bytes", "00ff"}});
  const ToolRun run = Run(
      {"random", "--bytes", "2", "--source", "seal", "--format", "hex", "-e", "prod", "--json"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(Json(run.out), (nlohmann::json{{"random_bytes", "00ff"}}));
  EXPECT_EQ(OnlyRequest().target, "/v1/prod/random/seal/2");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"format", "hex"}}));
}

TEST_F(HmacCommands, WrongOptionsAreRefusedBeforeAnythingIsSent) {
  const std::vector<std::vector<std::string>> wrong = {{"random", "--bytes", "0"},
                                                       {"random", "--bytes", "131073"},
                                                       {"random", "--source", "dice"},
                                                       {"random", "--format", "raw"},
                                                       {"hash", "x", "--format", "raw"},
                                                       {"hash", "x", "--in", "/dev/null"},
                                                       {"hmac"},
                                                       {"verify-hmac", "orders"}};
  for (const auto& arguments : wrong) {
    EXPECT_EQ(Run(arguments).status, 2) << arguments[0];
  }
  EXPECT_THAT(server_.requests(), IsEmpty());
}

TEST_F(HmacCommands, HashSendsTheInputInBase64AndPrintsTheSum) {
  ReplyData({{"sum", "ba7816bf"}});
  const std::string input("a\0b\n", 4);
  const ToolRun run = Run({"hash", "--algorithm", "sha3-256"}, input);
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "ba7816bf\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/hash/sha3-256");
  EXPECT_EQ(Json(OnlyRequest().body),
            (nlohmann::json{{"input", Base64Encode(AsBytes(input))}, {"format", "hex"}}));
}

TEST_F(HmacCommands, HmacNamesKeyHashAndVersion) {
  ReplyData({{"hmac", kHmac}});
  const ToolRun run = Run({"hmac", "orders", "hello", "--algorithm", "sha1", "--key-version", "2"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, std::string(kHmac) + "\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/hmac/orders/sha1");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"input", "aGVsbG8="}, {"key_version", 2}}));
}

TEST_F(HmacCommands, AMissingKeyIsNotFound) {
  ReplyError(400, "encryption key not found");
  const ToolRun run = Run({"hmac", "orders", "hello"});
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.out, IsEmpty());
}

TEST_F(HmacCommands, AValidHmacEndsWithStatusZero) {
  ReplyData({{"valid", true}});
  const ToolRun run = Run({"verify-hmac", "orders", std::string(kHmac) + "\n", "hello"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "valid\n");
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/verify/orders/sha2-256");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"input", "aGVsbG8="}, {"hmac", kHmac}}));
}

TEST_F(HmacCommands, AnHmacThatDoesNotMatchEndsWithStatusFive) {
  ReplyData({{"valid", false}});
  for (const bool json : {false, true}) {
    std::vector<std::string> arguments = {"verify-hmac", "orders", kHmac, "hello"};
    if (json) {
      arguments.emplace_back("--json");
    }
    const ToolRun run = Run(arguments);
    EXPECT_EQ(run.status, 5);
    EXPECT_THAT(run.out, IsEmpty());
    EXPECT_THAT(run.err, HasSubstr("does not belong to this input"));
  }
}

TEST_F(HmacCommands, AnAnswerWithoutItsMemberIsReported) {
  ReplyData({{"other", 1}});
  const std::vector<std::vector<std::string>> commands = {
      {"random"}, {"hash", "x"}, {"hmac", "k", "x"}, {"verify-hmac", "k", kHmac, "x"}};
  for (const auto& arguments : commands) {
    const ToolRun run = Run(arguments);
    EXPECT_EQ(run.status, 1) << arguments[0];
    EXPECT_THAT(run.err, HasSubstr("is this the address of a key service?")) << arguments[0];
  }
}

}  // namespace
}  // namespace kms::testing
