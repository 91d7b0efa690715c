// SPDX-License-Identifier: Apache-2.0
// OpensslCommand: the `openssl` program as the other side of an interoperability test.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>

#include "kms/base/bytes.h"

namespace kms::testing {

// Runs in a directory of its own, which goes with the object. Thread rule: like a plain value.
class OpensslCommand {
 public:
  OpensslCommand() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kms-openssl-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data()) == nullptr ? "" : pattern;
    EXPECT_FALSE(directory_.empty());
  }
  ~OpensslCommand() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  OpensslCommand(const OpensslCommand&) = delete;
  OpensslCommand& operator=(const OpensslCommand&) = delete;

  // Runs `openssl <arguments>` through the shell in the directory.
  ::testing::AssertionResult Run(const std::string& arguments) {
    const std::string command =
        "cd " + directory_.string() + " && openssl " + arguments + " >out 2>messages";
    if (std::system(command.c_str()) == 0) {
      return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << "openssl " << arguments << ": " << Text("messages");
  }

  void Write(const std::string& name, ByteView content) {
    std::ofstream file(directory_ / name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(content.data()),
               static_cast<std::streamsize>(content.size()));
    EXPECT_TRUE(file.flush().good()) << name;
  }
  void Write(const std::string& name, std::string_view content) { Write(name, AsBytes(content)); }

  [[nodiscard]] std::string Text(const std::string& name) const {
    std::ifstream file(directory_ / name, std::ios::binary);
    EXPECT_TRUE(file.is_open()) << name;
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] Bytes Content(const std::string& name) const { return CopyOf(AsBytes(Text(name))); }
  [[nodiscard]] std::string Path(const std::string& name) const { return directory_ / name; }
  // What the last command printed.
  [[nodiscard]] std::string Output() const { return Text("out"); }

 private:
  std::filesystem::path directory_;
};

}  // namespace kms::testing
