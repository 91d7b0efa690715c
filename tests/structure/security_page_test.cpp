// SPDX-License-Identifier: Apache-2.0
// Every test that api/SECURITY.md names exists.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

namespace {

namespace fs = std::filesystem;

std::string ReadAll(const fs::path& file) {
  std::ifstream text(file);
  return {std::istreambuf_iterator<char>(text), {}};
}

bool IsWordCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Takes a word, and before it blanks, off the front of `text`.
std::string TakeWord(std::string_view& text) {
  std::size_t begin = 0;
  while (begin < text.size() && (text[begin] == ' ' || text[begin] == '\n')) {
    ++begin;
  }
  std::size_t end = begin;
  while (end < text.size() && IsWordCharacter(text[end])) {
    ++end;
  }
  std::string word(text.substr(begin, end - begin));
  text.remove_prefix(end);
  return word;
}

// "Suite.Name" of every TEST, TEST_F and TEST_P in `text`.
void AddTests(std::string_view text, std::set<std::string>& tests) {
  for (const std::string_view macro : {"TEST(", "TEST_F(", "TEST_P("}) {
    for (std::size_t at = text.find(macro); at != std::string_view::npos;
         at = text.find(macro, at + 1)) {
      std::string_view rest = text.substr(at + macro.size());
      const std::string suite = TakeWord(rest);
      if (rest.starts_with(',')) {
        rest.remove_prefix(1);
        tests.insert(suite + "." + TakeWord(rest));
      }
    }
  }
}

std::set<std::string> TestsOfTheTree() {
  std::set<std::string> tests;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(KMS_SOURCE_DIR) / "tests")) {
    if (entry.path().extension() == ".cpp" || entry.path().extension() == ".h") {
      AddTests(ReadAll(entry.path()), tests);
    }
  }
  return tests;
}

// What stands between backticks and has the form of a test's name.
std::set<std::string> NamedOn(std::string_view page) {
  std::set<std::string> named;
  for (std::size_t at = page.find('`'); at != std::string_view::npos; at = page.find('`', at + 1)) {
    std::string_view rest = page.substr(at + 1);
    const std::string suite = TakeWord(rest);
    if (suite.empty() || suite[0] < 'A' || suite[0] > 'Z' || !rest.starts_with('.')) {
      continue;
    }
    rest.remove_prefix(1);
    const std::string name = TakeWord(rest);
    if (!name.empty() && name[0] >= 'A' && name[0] <= 'Z' && rest.starts_with('`')) {
      named.insert(suite + "." + name);
    }
  }
  return named;
}

TEST(SecurityPage, NamesTestsThatExist) {
  const std::string page = ReadAll(fs::path(KMS_SOURCE_DIR) / "api" / "SECURITY.md");
  const std::set<std::string> tests = TestsOfTheTree();
  const std::set<std::string> named = NamedOn(page);
  EXPECT_GT(named.size(), 80U);
  for (const std::string& test : named) {
    EXPECT_TRUE(tests.contains(test)) << test;
  }
}

}  // namespace
