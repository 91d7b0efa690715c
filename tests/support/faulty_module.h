// SPDX-License-Identifier: Apache-2.0
// FaultyModule: a copy of p11fault.so in a directory of the test, with its rules and its log.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

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
    return static_cast<int>(LinesWith(function + " ").size());
  }
  // How many of them returned `result`.
  [[nodiscard]] int CountAnswers(const std::string& function, unsigned long result) const {
    std::ostringstream line;
    line << function << " 0x" << std::hex << result;
    return static_cast<int>(std::ranges::count(LinesWith(function + " "), line.str()));
  }
  // The errno of the last `call=name` that was tried, 0 when it was allowed; -1: none was.
  [[nodiscard]] int ErrnoOf(const std::string& name) const {
    const std::vector<std::string> lines = LinesWith("CALL " + name + " ");
    return lines.empty() ? -1 : std::stoi(lines.back().substr(lines.back().rfind(' ')));
  }

 private:
  [[nodiscard]] std::vector<std::string> LinesWith(const std::string& start) const {
    std::ifstream log(log_);
    std::vector<std::string> lines;
    for (std::string line; std::getline(log, line);) {
      if (line.starts_with(start)) lines.push_back(line);
    }
    return lines;
  }

  const std::string path_;
  const std::string control_;
  const std::string log_;
  int changes_ = 0;
};

}  // namespace kms::testing
