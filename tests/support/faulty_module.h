// SPDX-License-Identifier: Apache-2.0
// FaultyModule: a copy of p11fault.so in a directory of the test, with its rules and its log.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace kms::testing {

// The rules are described in tests/support/p11fault/rules.h.
class FaultyModule {
 public:
  // Forwards to `real_module`; everything lies in `directory`, which must outlive it.
  FaultyModule(const std::string& directory, const std::string& real_module)
      : path_(directory + "/p11fault.so"),
        control_(directory + "/p11fault.rules"),
        log_(directory + "/p11fault.log") {
    std::error_code error;
    std::filesystem::copy_file(KMS_BINARY_DIR "/p11fault.so", path_, error);
    EXPECT_FALSE(error) << error.message();
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all, error);
    std::ofstream(path_ + ".conf")
        << "module=" << real_module << "\ncontrol=" << control_ << "\nlog=" << log_ << "\n";
    SetRules("");
  }

  [[nodiscard]] const std::string& path() const { return path_; }

  // Replaces all rules at once.
  void SetRules(const std::string& rules) {
    const std::string draft = control_ + ".draft";
    std::ofstream(draft, std::ios::trunc) << rules << "\n# " << ++changes_ << "\n";
    std::filesystem::rename(draft, control_);
  }

  // How many calls of `function` have returned, in all processes.
  [[nodiscard]] int CountCalls(const std::string& function) const {
    std::ifstream log(log_);
    std::string line;
    int count = 0;
    while (std::getline(log, line)) {
      count += line.starts_with(function + " ") ? 1 : 0;
    }
    return count;
  }

 private:
  const std::string path_;
  const std::string control_;
  const std::string log_;
  int changes_ = 0;
};

}  // namespace kms::testing
