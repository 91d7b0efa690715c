// SPDX-License-Identifier: Apache-2.0
// Every test that api/SECURITY.md names exists.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

std::string ReadAll(const fs::path& file) {
  std::ifstream text(file);
  return {std::istreambuf_iterator<char>(text), {}};
}

// "Suite.Name" of every TEST, TEST_F and TEST_P.
std::set<std::string> TestsOfTheTree() {
  static const std::regex kTest(R"(TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\))");
  std::set<std::string> tests;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(KMS_SOURCE_DIR) / "tests")) {
    if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") {
      continue;
    }
    const std::string text = ReadAll(entry.path());
    for (auto match = std::sregex_iterator(text.begin(), text.end(), kTest);
         match != std::sregex_iterator(); ++match) {
      tests.insert((*match)[1].str() + "." + (*match)[2].str());
    }
  }
  return tests;
}

TEST(SecurityPage, NamesTestsThatExist) {
  static const std::regex kNamed(R"(`([A-Z]\w+\.[A-Z]\w+)`)");
  const std::string page = ReadAll(fs::path(KMS_SOURCE_DIR) / "api" / "SECURITY.md");
  const std::set<std::string> tests = TestsOfTheTree();
  std::size_t named = 0;
  for (auto match = std::sregex_iterator(page.begin(), page.end(), kNamed);
       match != std::sregex_iterator(); ++match) {
    ++named;
    EXPECT_TRUE(tests.contains((*match)[1].str())) << (*match)[1].str();
  }
  EXPECT_GT(named, 80U);
}

}  // namespace
