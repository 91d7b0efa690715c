// SPDX-License-Identifier: Apache-2.0
// VendorToken: a fresh token of some PKCS#11 module, ready to be bound, with whatever servers it
// needs, all of which end with it.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "pkcs11/token_options.h"
#include "tests/support/kmsd_process.h"
#include "tests/support/softhsm_fixture.h"

namespace kms::testing {

class VendorToken {
 public:
  VendorToken() = default;
  VendorToken(const VendorToken&) = delete;
  VendorToken& operator=(const VendorToken&) = delete;
  virtual ~VendorToken() = default;

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] const pkcs11::TokenOptions& options() const { return options_; }
  // Variables that the module needs, "NAME=value"; set in this process too.
  [[nodiscard]] const std::vector<std::string>& environment() const { return environment_; }

 protected:
  void Export(const std::string& name, const std::string& value) {
    ::setenv(name.c_str(), value.c_str(), 1);
    environment_.push_back(name + "=" + value);
  }
  // The file with the user PIN that options().pin names.
  void WritePin(const std::string& path) {
    WriteTestFile(path, std::string(kTestPin) + "\n");
    options_.pin = {pkcs11::PinSource::Kind::kFile, path};
  }

  pkcs11::TokenOptions options_;
  std::vector<std::string> environment_;
  bool ok_ = false;
};

// A server that ends with its owner. Its output lies in `log`.
class HelperServer {
 public:
  HelperServer(const std::vector<std::string>& arguments, const std::string& log)
      : pid_(SpawnProgram(arguments, log + ".out", log + ".err")) {}
  HelperServer(const HelperServer&) = delete;
  HelperServer& operator=(const HelperServer&) = delete;
  ~HelperServer() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    if (WaitForExit(pid_, std::chrono::seconds(2)) >= 0) return;
    ::kill(pid_, SIGKILL);
    WaitForExit(pid_, std::chrono::seconds(2));
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  const pid_t pid_;
};

inline bool Installed(const std::vector<std::string>& files) {
  std::error_code error;
  for (const std::string& file : files) {
    if (!std::filesystem::exists(file, error)) return false;
  }
  return true;
}

}  // namespace kms::testing
