// SPDX-License-Identifier: Apache-2.0
// Published and frozen vectors: hexadecimal, and the files of tests/vectors.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"

namespace kms::testing {

// Either case; "-" is empty.
inline Bytes FromHex(std::string_view text) {
  Bytes bytes;
  if (text == "-") {
    return bytes;
  }
  for (std::size_t index = 0; index + 1 < text.size(); index += 2) {
    bytes.push_back(
        static_cast<std::uint8_t>(std::stoul(std::string(text.substr(index, 2)), nullptr, 16)));
  }
  return bytes;
}

// The words of each line of tests/vectors/<name>; empty lines and those with '#' are left out.
inline std::vector<std::vector<std::string>> ReadVectors(const std::string& name) {
  std::ifstream file(std::string(KMS_SOURCE_DIR) + "/tests/vectors/" + name);
  EXPECT_TRUE(file.is_open()) << name;
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::vector<std::string> row;
    for (std::string word; words >> word;) {
      row.push_back(word);
    }
    if (!row.empty() && row.front().front() != '#') {
      rows.push_back(row);
    }
  }
  return rows;
}

}  // namespace kms::testing
