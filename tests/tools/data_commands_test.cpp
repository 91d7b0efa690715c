// SPDX-License-Identifier: Apache-2.0
// kmsctl encrypt, decrypt, rewrap, datakey: requests, binary safety, files, lines.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "kms/base/base64.h"
#include "kms/crypto/crc32c.h"
#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Every byte value, line ends and zeros included, and no line end at the end.
std::string EveryByte() {
  std::string bytes = "\n\r\n";
  for (int i = 0; i < 70000; ++i) {
    bytes += static_cast<char>(i * 7 % 256);
  }
  return bytes;
}

std::string Base64(std::string_view text) { return Base64Encode(AsBytes(text)); }

class DataCommands : public KmsctlTest {
 protected:
  // One item of a batch, answered as a server that "encrypts" by a prefix.
  static nlohmann::json AnswerItem(const std::string& verb, const nlohmann::json& item) {
    if (verb == "encrypt") {
      return {{"ciphertext", "vault:v1:" + item["plaintext"].get<std::string>()}};
    }
    const auto ciphertext = item["ciphertext"].get<std::string>();
    if (!ciphertext.starts_with("vault:v")) {
      return {{"error", "invalid ciphertext: no prefix"}};
    }
    if (verb == "decrypt") {
      return {{"plaintext", ciphertext.substr(9)}};
    }
    return {{"ciphertext", "vault:v2:" + ciphertext.substr(9)}};
  }
  static ScriptedReply AnswerBatch(const ScriptedRequest& request) {
    const nlohmann::json body = nlohmann::json::parse(request.body);
    const std::string verb = request.target.substr(8, request.target.rfind('/') - 8);
    nlohmann::json results = nlohmann::json::array();
    bool failed = false;
    for (const nlohmann::json& item : body["batch_input"]) {
      results.push_back(AnswerItem(verb, item));
      failed = failed || results.back().contains("error");
    }
    const int status =
        failed && verb != "rewrap" && body.value("partial_failure_response_code", 0) == 0 ? 400
                                                                                          : 200;
    return {status, nlohmann::json{{"data", {{"batch_results", results}}}}.dump()};
  }
  ToolRun RunLines(std::vector<std::string> arguments, const std::string& input) {
    arguments.insert(arguments.end(), {"--lines", "--address", batch_server_.url()});
    return Run(arguments, input);
  }
  [[nodiscard]] std::string FilePath(const std::string& name) const {
    return directory_.path() + "/" + name;
  }

  TemporaryDirectory directory_;
  ScriptedHttpServer batch_server_{AnswerBatch};
};

TEST_F(DataCommands, EncryptSendsBase64AndPrintsTheCiphertext) {
  ReplyData({{"ciphertext", "vault:v1:abc"}, {"key_version", 1}});
  const ToolRun run = Run({"encrypt", "orders", "hello", "--aad", "row 7", "--key-version", "1"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(OnlyRequest().method, "POST");
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/encrypt/orders");
  EXPECT_EQ(Json(OnlyRequest().body),
            (nlohmann::json{{"plaintext", Base64("hello")},
                            {"plaintext_crc32c", Crc32c(AsBytes("hello"))},
                            {"associated_data", Base64("row 7")},
                            {"associated_data_crc32c", Crc32c(AsBytes("row 7"))},
                            {"key_version", 1}}));
  EXPECT_EQ(run.out, "vault:v1:abc\n");
}

TEST_F(DataCommands, EveryVerbSendsTheContextInBase64) {
  ReplyData({{"ciphertext", "vault:v1:abc"}, {"plaintext", "aGk="}, {"key_version", 1}});
  for (const char* verb : {"encrypt", "decrypt", "rewrap", "datakey"}) {
    std::vector<std::string> arguments = {verb, "orders", "--context", "tenant 42"};
    if (std::string_view(verb) != "datakey") {
      arguments.emplace_back("vault:v1:abc");
    }
    const ToolRun run = Run(arguments);
    EXPECT_EQ(run.status, 0) << verb << run.err;
  }
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 4U);
  for (const ScriptedRequest& request : requests) {
    EXPECT_EQ(Json(request.body)["context"], Base64("tenant 42")) << request.target;
  }
}

TEST_F(DataCommands, EveryLineIsSentWithTheContext) {
  const ToolRun run = RunLines({"encrypt", "orders", "--context", "t"}, "one\ntwo\n");
  EXPECT_EQ(run.status, 0) << run.err;
  const auto requests = batch_server_.requests();
  ASSERT_EQ(requests.size(), 1U);
  const nlohmann::json batch = Json(requests[0].body)["batch_input"];
  ASSERT_EQ(batch.size(), 2U);
  EXPECT_EQ(batch[0]["context"], Base64("t"));
  EXPECT_EQ(batch[1]["context"], Base64("t"));
}

TEST_F(DataCommands, EncryptOfNothingSendsTheEmptyPlaintext) {
  ReplyData({{"ciphertext", "vault:v1:abc"}});
  EXPECT_EQ(Run({"encrypt", "orders"}, "").status, 0);
  EXPECT_EQ(Json(OnlyRequest().body),
            (nlohmann::json{{"plaintext", ""}, {"plaintext_crc32c", 0}}));
}

TEST_F(DataCommands, StandardInputIsTakenByteForByte) {
  ReplyData({{"ciphertext", "vault:v1:abc"}});
  EXPECT_EQ(Run({"encrypt", "orders", "-"}, EveryByte()).status, 0);
  EXPECT_EQ(Json(OnlyRequest().body)["plaintext"], Base64(EveryByte()));
}

TEST_F(DataCommands, AFileAndAFileOfAadAreTakenByteForByte) {
  WriteFile(FilePath("plain"), EveryByte());
  ReplyData({{"ciphertext", "vault:v1:abc"}});
  EXPECT_EQ(
      Run({"encrypt", "orders", "--in", FilePath("plain"), "--aad-file", FilePath("plain")}).status,
      0);
  EXPECT_EQ(Json(OnlyRequest().body)["plaintext"], Base64(EveryByte()));
  EXPECT_EQ(Json(OnlyRequest().body)["associated_data"], Base64(EveryByte()));
}

TEST_F(DataCommands, DecryptGivesBackEveryByteAndNothingMore) {
  ReplyData({{"plaintext", Base64(EveryByte())}});
  const ToolRun run = Run({"decrypt", "orders"}, "vault:v1:abc\n");
  EXPECT_EQ(Json(OnlyRequest().body),
            (nlohmann::json{{"ciphertext", "vault:v1:abc"},
                            {"ciphertext_crc32c", Crc32c(AsBytes("vault:v1:abc"))}}));
  EXPECT_EQ(run.out, EveryByte());
}

TEST_F(DataCommands, DecryptToAFileIsPrivateAndWhole) {
  ReplyData({{"plaintext", Base64(EveryByte())}});
  const ToolRun run = Run({"decrypt", "orders", "vault:v1:abc", "--out", FilePath("plain")});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(ReadFile(FilePath("plain")), EveryByte());
  struct stat information{};
  ASSERT_EQ(::stat(FilePath("plain").c_str(), &information), 0);
  EXPECT_EQ(information.st_mode & 0777U, 0600U);
}

TEST_F(DataCommands, AFailureLeavesTheOutputFileAsItWas) {
  WriteFile(FilePath("plain"), "before");
  ReplyError(400, "cipher: message authentication failed");
  const ToolRun run = Run({"decrypt", "orders", "vault:v1:abc", "--out", FilePath("plain")});
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, HasSubstr("same --aad?"));
  EXPECT_EQ(ReadFile(FilePath("plain")), "before");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_.path()), {}), 1);
}

TEST_F(DataCommands, DecryptAsJsonAndBase64) {
  ReplyData({{"plaintext", Base64(EveryByte())}});
  EXPECT_EQ(Json(Run({"decrypt", "orders", "vault:v1:a", "--json"}).out),
            (nlohmann::json{{"plaintext", Base64(EveryByte())}}));
  EXPECT_EQ(Run({"decrypt", "orders", "vault:v1:a", "--base64"}).out, Base64(EveryByte()) + "\n");
}

TEST_F(DataCommands, RewrapSendsTheCiphertext) {
  ReplyData({{"ciphertext", "vault:v2:def"}, {"key_version", 2}});
  const ToolRun run = Run({"rewrap", "orders", "vault:v1:abc", "--json"});
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/rewrap/orders");
  EXPECT_EQ(Json(OnlyRequest().body),
            (nlohmann::json{{"ciphertext", "vault:v1:abc"},
                            {"ciphertext_crc32c", Crc32c(AsBytes("vault:v1:abc"))}}));
  EXPECT_EQ(Json(run.out), (nlohmann::json{{"ciphertext", "vault:v2:def"}, {"key_version", 2}}));
}

TEST_F(DataCommands, TwoInputsAreAUsageError) {
  WriteFile(FilePath("plain"), "x");
  EXPECT_EQ(Run({"encrypt", "orders", "hello", "--in", FilePath("plain")}).status, 2);
  EXPECT_EQ(Run({"encrypt", "orders", "--in", FilePath("missing")}).status, 2);
  EXPECT_EQ(Run({"encrypt", "orders", "hello", "--lines"}).status, 2);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(DataCommands, AnAnswerWithoutAResultIsAFailure) {
  ReplyData(nullptr);
  EXPECT_EQ(Run({"encrypt", "orders", "hello"}).status, 1);
  EXPECT_EQ(Run({"decrypt", "orders", "vault:v1:a"}).status, 1);
  EXPECT_EQ(Run({"datakey", "orders"}).status, 1);
}

TEST_F(DataCommands, LinesGoInBatchesAndComeBackInOrder) {
  std::string plain;
  std::string expected;
  for (int i = 0; i < 1003; ++i) {
    plain += "line " + std::to_string(i) + "\n";
    expected += "vault:v1:" + Base64("line " + std::to_string(i)) + "\n";
  }
  const ToolRun encrypted = RunLines({"encrypt", "k", "--batch-size", "100"}, plain);
  EXPECT_EQ(encrypted.status, 0) << encrypted.err;
  EXPECT_EQ(encrypted.out, expected);
  EXPECT_EQ(batch_server_.requests().size(), 11U);
  EXPECT_THAT(encrypted.err, HasSubstr("encrypted 1003 lines"));
  EXPECT_EQ(RunLines({"decrypt", "k"}, encrypted.out).out, plain);
}

TEST_F(DataCommands, TheLastLineNeedsNoLineEnd) {
  EXPECT_EQ(RunLines({"rewrap", "k"}, "vault:v1:a\r\nvault:v1:b").out, "vault:v2:a\nvault:v2:b\n");
}

TEST_F(DataCommands, ALineThatFailsIsNamedAndStaysInPlace) {
  WriteFile(FilePath("column"), "vault:v1:a\nbroken\n\nvault:v1:b\n");
  const ToolRun run =
      RunLines({"rewrap", "k", "--in", FilePath("column"), "--out", FilePath("column")}, "");
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, AllOf(HasSubstr("line 2: invalid ciphertext: no prefix"),
                             HasSubstr("1 of 4 lines failed"), Not(HasSubstr("line 3"))));
  EXPECT_EQ(ReadFile(FilePath("column")), "vault:v2:a\nbroken\n\nvault:v2:b\n");
}

TEST_F(DataCommands, DecryptAsksTheServerNotToFailTheWholeBatch) {
  const ToolRun run = RunLines({"decrypt", "k"}, "vault:v1:" + Base64("x") + "\nbroken\n");
  EXPECT_EQ(run.status, 5);
  EXPECT_EQ(run.out, "x\n\n");
  EXPECT_EQ(Json(batch_server_.requests()[0].body)["partial_failure_response_code"], 200);
}

TEST_F(DataCommands, APlaintextWithALineEndIsNotPassedOffAsTwoLines) {
  const std::string input = "vault:v1:" + Base64("a\nb") + "\n";
  const ToolRun refused = RunLines({"decrypt", "k"}, input);
  EXPECT_EQ(refused.status, 5);
  EXPECT_EQ(refused.out, "\n");
  EXPECT_THAT(refused.err, HasSubstr("--base64"));
  EXPECT_EQ(RunLines({"decrypt", "k", "--base64"}, input).out, Base64("a\nb") + "\n");
}

TEST_F(DataCommands, LinesAsJsonBearTheirNumber) {
  const ToolRun run = RunLines({"rewrap", "k", "--json"}, "vault:v1:a\nbroken\n");
  EXPECT_EQ(run.out,
            "{\"line\":1,\"ciphertext\":\"vault:v2:a\"}\n"
            "{\"line\":2,\"error\":\"invalid ciphertext: no prefix\"}\n");
}

TEST_F(DataCommands, ALostServerLeavesTheColumnAsItWas) {
  WriteFile(FilePath("column"), "vault:v1:a\n");
  ReplyRaw(0, "");
  const ToolRun run =
      Run({"rewrap", "k", "--lines", "--in", FilePath("column"), "--out", FilePath("column")});
  EXPECT_EQ(run.status, 7);
  EXPECT_EQ(ReadFile(FilePath("column")), "vault:v1:a\n");
}

TEST_F(DataCommands, DataKeyAsksForItsKind) {
  ReplyData({{"ciphertext", "vault:v1:abc"}, {"plaintext", "AAAA"}, {"key_version", 1}});
  EXPECT_THAT(Run({"datakey", "orders", "--bits", "512"}).out,
              AllOf(HasSubstr("AAAA"), HasSubstr("vault:v1:abc")));
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/datakey/plaintext/orders");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"bits", 512}}));
}

TEST_F(DataCommands, WrappedDataKeyHidesThePlaintext) {
  ReplyData({{"ciphertext", "vault:v1:abc"}, {"key_version", 1}});
  const ToolRun run = Run({"datakey", "orders", "--wrapped", "-e", "prod"});
  EXPECT_EQ(OnlyRequest().target, "/v1/prod/datakey/wrapped/orders");
  EXPECT_THAT(run.out, Not(HasSubstr("plaintext")));
}

TEST_F(DataCommands, DataKeyRefusesOtherSizes) {
  EXPECT_EQ(Run({"datakey", "orders", "--bits", "100"}).status, 2);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(DataCommands, ManyDataKeysComeInOneCall) {
  ReplyData({{"key_pairs",
              {{{"ciphertext", "vault:v1:abc"}, {"plaintext", "AAAA"}},
               {{"ciphertext", "vault:v1:def"}, {"plaintext", "BBBB"}}}},
             {"key_version", 1}});
  EXPECT_THAT(Run({"datakey", "orders", "--count", "2"}).out,
              AllOf(HasSubstr("AAAA"), HasSubstr("vault:v1:abc"), HasSubstr("BBBB"),
                    HasSubstr("vault:v1:def")));
  EXPECT_EQ(OnlyRequest().target, "/v1/dev/datakeys/plaintext/orders");
  EXPECT_EQ(Json(OnlyRequest().body), (nlohmann::json{{"bits", 256}, {"count", 2}}));
  EXPECT_EQ(Run({"datakey", "orders", "--count", "0"}).status, 2);
}

// ---- checksums ---------------------------------------------------------------------------------

nlohmann::json VerifiedEncryption(std::string_view ciphertext, std::uint32_t checksum) {
  return {{"ciphertext", ciphertext},
          {"ciphertext_crc32c", checksum},
          {"verified_plaintext_crc32c", true}};
}

TEST_F(DataCommands, AVerifiedAnswerIsTakenWithoutAWord) {
  ReplyData(VerifiedEncryption("vault:v1:abc", Crc32c(AsBytes("vault:v1:abc"))));
  ReplyData({{"plaintext", Base64("hello")},
             {"plaintext_crc32c", Crc32c(AsBytes("hello"))},
             {"verified_ciphertext_crc32c", true}});
  const ToolRun encrypted = Run({"encrypt", "orders", "hello"});
  EXPECT_EQ(encrypted.status, 0);
  EXPECT_EQ(encrypted.out, "vault:v1:abc\n");
  EXPECT_EQ(encrypted.err, "");
  const ToolRun decrypted = Run({"decrypt", "orders", "vault:v1:abc"});
  EXPECT_EQ(decrypted.out, "hello");
  EXPECT_EQ(decrypted.err, "");
}

TEST_F(DataCommands, ADamagedAnswerIsNotUsed) {
  WriteFile(FilePath("out"), "before");
  ReplyData(VerifiedEncryption("vault:v1:abd", Crc32c(AsBytes("vault:v1:abc"))));
  const ToolRun run = Run({"encrypt", "orders", "hello", "--out", FilePath("out")});
  EXPECT_NE(run.status, 0);
  EXPECT_EQ(ReadFile(FilePath("out")), "before");
  EXPECT_THAT(run.err, HasSubstr("does not match the server's ciphertext_crc32c"));
}

TEST_F(DataCommands, AServerWithoutChecksumsIsNamed) {
  ReplyData({{"ciphertext", "vault:v1:abc"}, {"key_version", 1}});
  constexpr char kNote[] = "this server does not know checksums";
  EXPECT_THAT(Run({"encrypt", "orders", "hello"}).err, HasSubstr(kNote));
  EXPECT_EQ(Run({"encrypt", "orders", "hello", "--no-checksums"}).err, "");
  EXPECT_EQ(Json(server_.requests().back().body), (nlohmann::json{{"plaintext", Base64("hello")}}));
}

TEST_F(DataCommands, AssociatedDataMustBeVerifiedToo) {
  nlohmann::json data = VerifiedEncryption("vault:v1:abc", Crc32c(AsBytes("vault:v1:abc")));
  ReplyData(data);
  data["verified_associated_data_crc32c"] = true;
  ReplyData(data);
  EXPECT_THAT(Run({"encrypt", "orders", "hello", "--aad", "row"}).err,
              HasSubstr("this server does not know checksums"));
  EXPECT_EQ(Run({"encrypt", "orders", "hello", "--aad", "row"}).err, "");
}

TEST_F(DataCommands, LinesAreNotedOnceAndRefusedOneByOne) {
  const ToolRun noted = RunLines({"encrypt", "k"}, "one\ntwo\n");
  const std::size_t first = noted.err.find("does not know checksums");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(noted.err.find("does not know checksums", first + 1), std::string::npos);
  EXPECT_EQ(RunLines({"encrypt", "k", "--no-checksums"}, "one\n").err, "encrypted 1 lines\n");
  nlohmann::json results = {VerifiedEncryption("vault:v1:abc", 1),
                            VerifiedEncryption("vault:v1:abc", Crc32c(AsBytes("vault:v1:abc")))};
  ReplyData({{"batch_results", results}});
  const ToolRun damaged = Run({"encrypt", "k", "--lines"}, "one\ntwo\n");
  EXPECT_EQ(damaged.status, 5);
  EXPECT_EQ(damaged.out, "\nvault:v1:abc\n");
  EXPECT_THAT(damaged.err, HasSubstr("line 1: what arrived does not match"));
}

}  // namespace
}  // namespace kms::testing
