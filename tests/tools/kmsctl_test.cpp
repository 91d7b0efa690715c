// SPDX-License-Identifier: Apache-2.0
// What holds for every command of kmsctl: exit statuses, tokens, help, completion.
#include <gmock/gmock.h>

#include <future>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ExitStatuses : public KmsctlTest {};

TEST_F(ExitStatuses, FollowTheStatusOfTheAnswer) {
  const std::map<int, int> expected = {{400, 5}, {401, 4}, {403, 4}, {405, 5}, {409, 5},
                                       {412, 5}, {413, 5}, {429, 6}, {500, 1}, {501, 1},
                                       {502, 6}, {503, 6}, {504, 6}, {302, 1}};
  for (const auto& [http, exit] : expected) {
    ScriptedHttpServer server([status = http](const ScriptedRequest&) {
      return ScriptedReply{status, "{\"errors\":[\"some text\"]}"};
    });
    const ToolRun run = Run({"key", "show", "k", "--address", server.url()});
    EXPECT_EQ(run.status, exit) << "HTTP " << http;
    EXPECT_THAT(run.err, HasSubstr("some text")) << "HTTP " << http;
  }
}

TEST_F(ExitStatuses, KnowTheTextsThatMeanNotFound) {
  for (const char* text :
       {"encryption key not found", "key not found", "no existing key named k could be found",
        "error deleting policy k: could not delete key; not found", "invalid key name",
        "No secret engine mount at k/", "1 error occurred:\n\t* encryption key not found\n\n"}) {
    ScriptedHttpServer server([text](const ScriptedRequest&) {
      return ScriptedReply{400, nlohmann::json{{"errors", {text}}}.dump()};
    });
    EXPECT_EQ(Run({"key", "rotate", "k", "--address", server.url()}).status, 3) << text;
  }
}

TEST_F(ExitStatuses, AMissingKeyIsNotFound) {
  Reply(404, {{"errors", nlohmann::json::array()}});
  EXPECT_EQ(Run({"key", "show", "k"}).status, 3);
}

TEST_F(ExitStatuses, ADeniedCallAsksForTheToken) {
  ReplyError(403, "1 error occurred:\n\t* permission denied\n\n");
  const ToolRun run = Run({"key", "show", "k"});
  EXPECT_EQ(run.status, 4);
  EXPECT_THAT(run.err, AllOf(HasSubstr("kmsctl: permission denied"), HasSubstr("KMS_TOKEN")));
}

TEST_F(ExitStatuses, NobodyListening) {
  std::string url;
  {
    const ScriptedHttpServer gone([](const ScriptedRequest&) { return ScriptedReply{}; });
    url = gone.url();
  }
  const ToolRun run = Run({"status", "--address", url});
  EXPECT_EQ(run.status, 7);
  EXPECT_THAT(run.err, AllOf(HasSubstr("is kmsd running?"), HasSubstr("kmsd dev"),
                             HasSubstr("KMS_ADDR"), HasSubstr(url)));
}

TEST_F(ExitStatuses, AConnectionThatEndsIsANetworkFailure) {
  ReplyRaw(0, "");
  EXPECT_EQ(Run({"key", "rotate", "k"}).status, 7);
}

TEST_F(ExitStatuses, AnAnswerThatIsNotJsonIsAFailureNotACrash) {
  for (const char* body : {"<html>", "[]", "null", "\"x\"", "{\"data\":", "{\"data\":[1]}"}) {
    ScriptedHttpServer server([body](const ScriptedRequest&) { return ScriptedReply{200, body}; });
    for (const std::vector<std::string>& line :
         {std::vector<std::string>{"encrypt", "k", "x"}, {"status"}, {"datakey", "k"}}) {
      std::vector<std::string> arguments = line;
      arguments.insert(arguments.end(), {"--address", server.url()});
      EXPECT_EQ(Run(arguments).status, 1) << line[0] << " " << body;
    }
  }
}

TEST_F(ExitStatuses, OddShapesOfDataNeverCrashAView) {
  for (const char* body :
       {"{\"data\":{\"keys\":5}}", "{\"data\":{\"keys\":{\"x\":[]}}}", "{\"data\":null}",
        "{\"data\":{\"keys\":[{}]}}", "{\"data\":{\"device\":5,\"environments\":[1,{}]}}",
        "{\"data\":{\"dev/\":{\"type\":\"transit\",\"options\":7}}}"}) {
    ScriptedHttpServer server([body](const ScriptedRequest&) { return ScriptedReply{200, body}; });
    for (const std::vector<std::string>& line : {std::vector<std::string>{"key", "show", "k"},
                                                 {"key", "list"},
                                                 {"env", "list"},
                                                 {"env", "show", "dev"},
                                                 {"hsm", "status"}}) {
      std::vector<std::string> arguments = line;
      arguments.insert(arguments.end(), {"--address", server.url()});
      const ToolRun run = Run(arguments);
      EXPECT_EQ(run.status, 0) << line[0] << " " << body << " " << run.err;
    }
  }
}

TEST_F(ExitStatuses, AWrongCommandLineIsTwoAndSendsNothing) {
  for (const std::vector<std::string>& line :
       {std::vector<std::string>{},
        {"nonsense"},
        {"key"},
        {"key", "create"},
        {"status", "--nonsense"},
        {"key", "config", "k", "--min-decryption-version", "x"},
        {"status", "--timeout", "0"},
        {"status", "--token", "hvs.x"},
        {"status", "--address", "nonsense"}}) {
    EXPECT_EQ(Run(line).status, 2) << (line.empty() ? "" : line.back());
  }
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(ExitStatuses, ErrorsAreJsonWhenJsonWasAskedFor) {
  ReplyError(503, "Vault is sealed");
  const ToolRun run = Run({"--json", "key", "show", "k"});
  EXPECT_EQ(run.out, "");
  const nlohmann::json error = Json(run.err)["error"];
  EXPECT_EQ(error["status"], "unavailable");
  EXPECT_EQ(error["exit_status"], 6);
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("Vault is sealed"));
}

class Tokens : public KmsctlTest {};

TEST_F(Tokens, GoIntoTheHeaderAndNowhereElse) {
  ReplyData({{"ciphertext", "vault:v1:a"}});
  const ToolRun run = Run({"encrypt", "k", "x", "--json"});
  EXPECT_EQ(OnlyRequest().Header("X-Vault-Token"), kToken);
  EXPECT_THAT(run.out + run.err + OnlyRequest().target + OnlyRequest().body,
              Not(HasSubstr(kToken)));
}

TEST_F(Tokens, AreInNoArgumentThatOthersCanRead) {
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  ScriptedHttpServer server([released](const ScriptedRequest&) {
    released.wait_for(std::chrono::seconds(30));
    return ScriptedReply{200, "{\"data\":{\"keys\":[]}}"};
  });
  const TemporaryDirectory directory;
  WriteFile(directory.path() + "/token", std::string(kToken) + "\n");
  ToolProcess process(CommandLine({"key", "list", "--token-file", directory.path() + "/token",
                                   "--address", server.url()}),
                      {}, {});
  ASSERT_TRUE(server.WaitForRequests(1, std::chrono::seconds(20)));
  const std::string arguments = ReadFile("/proc/" + std::to_string(process.pid()) + "/cmdline");
  release.set_value();
  EXPECT_EQ(process.Finish().status, 0);
  EXPECT_EQ(server.requests()[0].Header("X-Vault-Token"), kToken);
  EXPECT_THAT(arguments, AllOf(HasSubstr("--token-file"), Not(HasSubstr(kToken))));
}

TEST_F(Tokens, ThatCouldForgeAHeaderAreRefused) {
  const ToolRun run = Run({"status"}, {}, {{"KMS_TOKEN", "a\r\nX-Evil: 1"}});
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, Not(HasSubstr("X-Evil")));
  EXPECT_TRUE(server_.requests().empty());
}

class Help : public KmsctlTest {
 protected:
  static std::vector<std::vector<std::string>> EveryCommand() {
    return {{"status"},        {"version"},       {"env"},           {"env", "create"},
            {"env", "list"},   {"env", "show"},   {"env", "config"}, {"env", "delete"},
            {"key"},           {"key", "create"}, {"key", "list"},   {"key", "show"},
            {"key", "rotate"}, {"key", "config"}, {"key", "trim"},   {"key", "delete"},
            {"encrypt"},       {"decrypt"},       {"rewrap"},        {"datakey"},
            {"hsm"},           {"hsm", "status"}, {"hsm", "list"},   {"hsm", "show"},
            {"hsm", "add"},    {"hsm", "remove"}, {"hsm", "reload"}, {"hsm", "test"},
            {"hsm", "lost"},
            {"env", "lease"},  {"completion"}};
  }
};

TEST_F(Help, OfTheProgramHoldsTheTableOfExitStatuses) {
  const ToolRun run = Run({"--help"});
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.out, AllOf(HasSubstr("Exit statuses:\n  0  done\n"),
                             HasSubstr("\n  7  no answer"), HasSubstr("Examples:")));
}

TEST_F(Help, OfEveryCommandHasExamples) {
  for (std::vector<std::string> line : EveryCommand()) {
    line.emplace_back("--help");
    const ToolRun run = Run(line);
    EXPECT_EQ(run.status, 0) << line[0];
    EXPECT_THAT(run.out, AllOf(HasSubstr("Examples:\n  "), HasSubstr("kmsctl " + line[0])))
        << line[0];
  }
}

TEST_F(Help, VersionNeedsNoServer) {
  EXPECT_THAT(Run({"version"}, {}, {{"KMS_ADDR", "http://127.0.0.1:1"}}).out,
              ::testing::StartsWith("kmsctl 0."));
  EXPECT_TRUE(Json(Run({"version", "--json"}).out).contains("version"));
}

class Completion : public KmsctlTest {
 protected:
  // What bash offers after these words.
  std::string Offer(const std::string& words, int index) {
    WriteFile(directory_.path() + "/script", Run({"completion", "bash"}).out);
    std::string output;
    RunProgram({"/bin/bash", "-c",
                "source " + directory_.path() + "/script; COMP_WORDS=(" + words + "); COMP_CWORD=" +
                    std::to_string(index) + "; _kmsctl; echo \"${COMPREPLY[@]}\""},
               &output);
    return output;
  }
  TemporaryDirectory directory_;
};

TEST_F(Completion, BashScriptParses) {
  WriteFile(directory_.path() + "/script", Run({"completion", "bash"}).out);
  std::string output;
  EXPECT_EQ(RunProgram({"/bin/bash", "-n", directory_.path() + "/script"}, &output), 0) << output;
  EXPECT_EQ(output, "");
}

TEST_F(Completion, BashOffersCommandsVerbsAndOptions) {
  EXPECT_EQ(Offer("kmsctl rew", 1), "rewrap\n");
  EXPECT_EQ(Offer("kmsctl key ro", 2), "rotate\n");
  EXPECT_EQ(Offer("kmsctl --json env d", 3), "delete\n");
  EXPECT_EQ(Offer("kmsctl key trim --min", 3), "--min-available-version\n");
  EXPECT_EQ(Offer("kmsctl key trim --addr", 3), "--address\n");
}

TEST_F(Completion, ZshScriptOffersEveryCommand) {
  const std::string script = Run({"completion", "zsh"}).out;
  EXPECT_THAT(script, ::testing::StartsWith("#compdef kmsctl\n"));
  EXPECT_THAT(script, AllOf(HasSubstr("\"key trim\") candidates=("), HasSubstr("'rotate:Add a"),
                            HasSubstr("'--min-available-version:The oldest")));
}

TEST_F(Completion, RefusesOtherShells) { EXPECT_EQ(Run({"completion", "fish"}).status, 2); }

}  // namespace
}  // namespace kms::testing
