// SPDX-License-Identifier: Apache-2.0
// Runs the built kmsctl (or kms-bench) against a scripted server and collects what it printed.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/kmsd_process.h"
#include "tests/support/scripted_http_server.h"

namespace kms::testing {

struct ToolRun {
  int status = -1;
  std::string out;
  std::string err;
};

// A program in a child process; standard streams are files, so that nothing can block.
class ToolProcess {
 public:
  using Variables = std::map<std::string, std::string>;

  // `arguments[0]` is the program's path. `terminal` replaces standard input when it is >= 0.
  ToolProcess(const std::vector<std::string>& arguments, const Variables& variables,
              const std::string& input, int terminal = -1) {
    WriteFile(Path("in"), input);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (terminal >= 0) {
      posix_spawn_file_actions_adddup2(&actions, terminal, 0);
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, Path("in").c_str(), O_RDONLY, 0);
    }
    constexpr int kCreate = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, 1, Path("out").c_str(), kCreate, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, Path("err").c_str(), kCreate, 0600);
    std::vector<std::string> settings;
    for (const auto& [name, value] : variables) {
      settings.push_back(name + "=" + value);
    }
    std::vector<char*> argv = Pointers(arguments);
    std::vector<std::string> owned_settings = settings;
    std::vector<char*> envp = Pointers(owned_settings);
    EXPECT_EQ(::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data()), 0);
    posix_spawn_file_actions_destroy(&actions);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }

  ToolRun Finish() {
    int state = 0;
    ::waitpid(pid_, &state, 0);
    const int status = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    return {status, ReadFile(Path("out")), ReadFile(Path("err"))};
  }

 private:
  [[nodiscard]] std::string Path(const std::string& name) const {
    return directory_.path() + "/" + name;
  }
  // The program does not write to these strings, whatever the C signature allows.
  static std::vector<char*> Pointers(const std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (const std::string& text : texts) {
      pointers.push_back(const_cast<char*>(text.c_str()));
    }
    pointers.push_back(nullptr);
    return pointers;
  }

  TemporaryDirectory directory_;
  pid_t pid_ = -1;
};

class KmsctlTest : public ::testing::Test {
 protected:
  static constexpr const char* kToken = "hvs.scripted-token-0123456789";

  // Replies are given in order; when they run out, the last one repeats.
  void Reply(int status, const nlohmann::json& body) { ReplyRaw(status, body.dump()); }
  void ReplyRaw(int status, const std::string& body) {
    const std::lock_guard lock(mutex_);
    replies_.push_back({status, body});
  }
  // An answer of the API with this data.
  void ReplyData(const nlohmann::json& data) {
    Reply(200, {{"data", data}, {"warnings", nullptr}});
  }
  void ReplyError(int status, const std::string& text) { Reply(status, {{"errors", {text}}}); }

  ToolRun Run(const std::vector<std::string>& arguments, const std::string& input = {},
              ToolProcess::Variables extra = {}) {
    return ToolProcess(CommandLine(arguments), Variables(std::move(extra)), input).Finish();
  }

  static std::vector<std::string> CommandLine(const std::vector<std::string>& arguments) {
    std::vector<std::string> line = {KMS_BINARY_DIR "/kmsctl"};
    line.insert(line.end(), arguments.begin(), arguments.end());
    return line;
  }
  ToolProcess::Variables Variables(ToolProcess::Variables extra = {}) const {
    extra.try_emplace("KMS_ADDR", server_.url());
    extra.try_emplace("KMS_TOKEN", kToken);
    return extra;
  }

  [[nodiscard]] ScriptedRequest OnlyRequest() const {
    const std::vector<ScriptedRequest> requests = server_.requests();
    EXPECT_EQ(requests.size(), 1U);
    return requests.empty() ? ScriptedRequest{} : requests.front();
  }
  [[nodiscard]] static nlohmann::json Json(const std::string& text) {
    nlohmann::json parsed = nlohmann::json::parse(text, nullptr, false);
    EXPECT_FALSE(parsed.is_discarded()) << text;
    return parsed;
  }

  ScriptedReply NextReply() {
    const std::lock_guard lock(mutex_);
    if (replies_.empty()) {
      return {500, "{\"errors\":[\"no reply was scripted\"]}"};
    }
    ScriptedReply reply = replies_.front();
    if (replies_.size() > 1) {
      replies_.pop_front();
    }
    return reply;
  }

  std::mutex mutex_;
  std::deque<ScriptedReply> replies_;  // guarded by mutex_
  ScriptedHttpServer server_{[this](const ScriptedRequest&) { return NextReply(); }};
};

}  // namespace kms::testing
