// SPDX-License-Identifier: Apache-2.0
#include "tests/support/kmsd_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

extern char** environ;

namespace kms::testing {

namespace {

constexpr std::chrono::milliseconds kPollInterval{5};
constexpr std::string_view kListening = "listening on http://127.0.0.1:";

}  // namespace

pid_t SpawnProgram(const std::vector<std::string>& arguments, const std::string& output_path,
                   const std::string& error_path) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));  // posix_spawn does not write to it
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND;
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, output_path.c_str(), kFlags, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, error_path.c_str(), kFlags, 0600);
  pid_t pid = -1;
  if (::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ) != 0) {
    pid = -1;
  }
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

int WaitForExit(pid_t pid, std::chrono::milliseconds timeout) {
  int status = 0;
  const bool ended =
      Eventually([&] { return ::waitpid(pid, &status, WNOHANG) == pid; }, timeout);
  if (!ended) {
    return -1;
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int RunProgram(const std::vector<std::string>& arguments, std::string* output,
               std::chrono::milliseconds timeout) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/output";
  const pid_t pid = SpawnProgram(arguments, path, path);
  if (pid < 0) {
    return -1;
  }
  const int status = WaitForExit(pid, timeout);
  if (status == -1) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  if (output != nullptr) {
    *output = ReadFile(path);
  }
  return status;
}

bool Eventually(const std::function<bool()>& condition, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    std::this_thread::sleep_for(kPollInterval);
  }
  return true;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

KmsdProcess::KmsdProcess(std::string binary_directory, std::string state_directory)
    : binary_directory_(std::move(binary_directory)),
      state_directory_(std::move(state_directory)),
      output_path_(state_directory_ + ".out"),
      error_path_(state_directory_ + ".err") {}

KmsdProcess::~KmsdProcess() {
  Kill();
  ::unlink(output_path_.c_str());
  ::unlink(error_path_.c_str());
}

bool KmsdProcess::Start(const std::vector<std::string>& extra_arguments) {
  std::vector<std::string> arguments = {binary_directory_ + "/kmsd", "dev", "--listen",
                                        "127.0.0.1:0", "--state-dir", state_directory_};
  arguments.insert(arguments.end(), extra_arguments.begin(), extra_arguments.end());
  return Launch(std::move(arguments));
}

bool KmsdProcess::Serve(const std::string& config_path) {
  return Launch({binary_directory_ + "/kmsd", "serve", "--config", config_path});
}

bool KmsdProcess::Launch(std::vector<std::string> arguments) {
  ::unlink(output_path_.c_str());
  ::unlink(error_path_.c_str());
  exit_status_ = -1;
  port_ = 0;
  pid_ = SpawnProgram(arguments, output_path_, error_path_);
  Eventually(
      [&] {
        const std::string text = Log();
        const std::size_t found = text.find(kListening);
        if (found != std::string::npos && text.find('\n', found) != std::string::npos) {
          port_ = static_cast<std::uint16_t>(std::atoi(text.c_str() + found + kListening.size()));
        }
        return port_ != 0 || !running();
      },
      std::chrono::seconds{60});
  return port_ != 0 && running();
}

bool KmsdProcess::running() {
  if (pid_ < 0) {
    return false;
  }
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == pid_) {
    exit_status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    pid_ = -1;
  }
  return pid_ > 0;
}

void KmsdProcess::Kill() {
  if (running()) {
    ::kill(pid_, SIGKILL);
    exit_status_ = WaitForExit(pid_, std::chrono::seconds{10});
    pid_ = -1;
  }
}

int KmsdProcess::Terminate(std::chrono::milliseconds timeout) {
  if (!running()) {
    return exit_status_;
  }
  ::kill(pid_, SIGTERM);
  const int status = WaitForExit(pid_, timeout);
  if (status != -1) {
    pid_ = -1;
    exit_status_ = status;
  }
  return status;
}

std::vector<pid_t> KmsdProcess::workers() const {
  std::vector<pid_t> pids;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) +
                                                              "/task")) {
    std::istringstream list(ReadFile(task.path().string() + "/children"));
    for (pid_t pid = 0; list >> pid;) {
      pids.push_back(pid);
    }
  }
  return pids;
}

std::string KmsdProcess::token() const {
  std::string text = ReadFile(state_directory_ + "/root-token");
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  return text;
}

std::string KmsdProcess::Log() const { return ReadFile(output_path_) + ReadFile(error_path_); }

std::unique_ptr<HttpClient> KmsdProcess::NewClient() const {
  return std::make_unique<HttpClient>(port_, token());
}

}  // namespace kms::testing
