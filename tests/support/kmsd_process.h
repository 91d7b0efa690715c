// SPDX-License-Identifier: Apache-2.0
// KmsdProcess: the real kmsd binary on a real SoftHSM token in a directory of its own.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/http_client.h"
#include "tests/support/temporary_directory.h"

namespace kms::testing {

// Starts a program with standard output and error going to files; never a shell.
pid_t SpawnProgram(const std::vector<std::string>& arguments, const std::string& output_path,
                   const std::string& error_path);
// Exit status (128 + signal when killed), or nothing within `timeout`.
int WaitForExit(pid_t pid, std::chrono::milliseconds timeout);  // -1: still running
// Runs a program to its end. Returns its exit status; `output` gets both streams.
int RunProgram(const std::vector<std::string>& arguments, std::string* output,
               std::chrono::milliseconds timeout = std::chrono::seconds{60});
// Polls until `condition` holds. False when `timeout` passes first.
bool Eventually(const std::function<bool()>& condition,
                std::chrono::milliseconds timeout = std::chrono::seconds{15});
std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& content);

class KmsdProcess {
 public:
  // `binary_directory` holds kmsd; `state_directory` may hold an earlier run's state.
  KmsdProcess(std::string binary_directory, std::string state_directory);
  ~KmsdProcess();
  KmsdProcess(const KmsdProcess&) = delete;
  KmsdProcess& operator=(const KmsdProcess&) = delete;

  // Starts `kmsd dev --listen 127.0.0.1:0` with extra arguments and waits until it listens.
  // False when it ended instead: see exit_status() and Log().
  bool Start(const std::vector<std::string>& extra_arguments = {});
  // Starts `kmsd serve --config` with this file.
  bool Serve(const std::string& config_path);

  void Kill();  // SIGKILL and reap
  // SIGTERM and reap; the exit status, -1 when it did not end within `timeout`.
  int Terminate(std::chrono::milliseconds timeout = std::chrono::seconds{10});

  [[nodiscard]] bool running();
  [[nodiscard]] int exit_status() const { return exit_status_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Process ids of the HSM workers (children).
  [[nodiscard]] std::vector<pid_t> workers() const;
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string token() const;
  [[nodiscard]] std::string Log() const;  // both streams so far
  [[nodiscard]] const std::string& state_directory() const { return state_directory_; }
  [[nodiscard]] std::unique_ptr<HttpClient> NewClient() const;

 private:
  bool Launch(std::vector<std::string> arguments);
  std::string binary_directory_;
  std::string state_directory_;
  std::string output_path_;
  std::string error_path_;
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
  int exit_status_ = -1;
};

}  // namespace kms::testing
