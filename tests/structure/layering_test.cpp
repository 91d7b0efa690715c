// SPDX-License-Identifier: Apache-2.0
// The arrows of the house: which folder may include which, and where third-party headers may stand.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Include {
  std::string file;    // relative to the source root
  std::string target;  // what stands between the quotes or angle brackets
  bool quoted = false;
};

std::string RoomOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::vector<Include> ReadIncludes(const fs::path& root, const fs::path& file) {
  std::vector<Include> includes;
  std::ifstream text(file);
  for (std::string line; std::getline(text, line);) {
    if (!line.starts_with("#include ")) {
      continue;
    }
    const std::size_t open = line.find_first_of("<\"");
    const std::size_t close = line.find_first_of(">\"", open + 1);
    includes.push_back({fs::relative(file, root).string(),
                        line.substr(open + 1, close - open - 1), line[open] == '"'});
  }
  return includes;
}

std::vector<Include> AllIncludes() {
  const fs::path root = KMS_SOURCE_DIR;
  std::vector<Include> includes;
  for (const char* top : {"kms", "pkcs11", "api", "tools"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      const std::string extension = entry.path().extension().string();
      if (extension == ".h" || extension == ".cpp") {
        const std::vector<Include> found = ReadIncludes(root, entry.path());
        includes.insert(includes.end(), found.begin(), found.end());
      }
    }
  }
  return includes;
}

// Room → rooms it may include, beside itself. A room that is not listed fails the test.
const std::map<std::string, std::set<std::string>> kArrows = {
    {"kms/base", {}},
    {"kms/crypto", {"kms/base"}},
    {"kms/keys", {"kms/base", "kms/crypto"}},
    {"kms/store", {"kms/base", "kms/crypto", "kms/keys"}},
    {"kms/audit", {"kms/base", "kms/crypto", "kms/keys"}},
    {"kms/auth", {"kms/base", "kms/crypto", "kms/keys"}},
    {"kms/master", {"kms/base", "kms/crypto", "kms/keys", "kms/store"}},
    {"kms/identity",
     {"kms/base", "kms/crypto", "kms/keys", "kms/store", "kms/master", "kms/auth", "kms/audit"}},
    {"kms/recovery", {"kms/base", "kms/crypto", "kms/keys", "kms/store", "kms/master"}},
    {"kms/operations",
     {"kms/base", "kms/crypto", "kms/keys", "kms/store", "kms/master", "kms/auth", "kms/audit",
      "kms/recovery"}},
    {"kms/backup",
     {"kms/base", "kms/crypto", "kms/keys", "kms/store", "kms/master", "kms/audit",
      "kms/operations"}},
    {"kms/tasks",
     {"kms/base", "kms/crypto", "kms/keys", "kms/store", "kms/master", "kms/auth", "kms/audit",
      "kms/operations", "kms/backup"}},
    {"pkcs11", {"kms/base", "kms/crypto", "kms/master"}},
    {"api/config", {"kms/base"}},
    {"api/front", {"kms/base"}},
    {"api/outbound", {"kms/base", "kms/auth"}},
    {"api/pipeline",
     {"api/front", "kms/base", "kms/crypto", "kms/keys", "kms/store", "kms/master", "kms/auth",
      "kms/audit", "kms/identity", "kms/operations", "kms/backup", "kms/tasks"}},
    {"api/handlers",
     {"api/front", "api/pipeline", "kms/base", "kms/crypto", "kms/keys", "kms/store", "kms/master",
      "kms/auth", "kms/audit", "kms/identity", "kms/operations", "kms/recovery", "kms/backup",
      "kms/tasks"}},
    {"tools/common", {"kms/base"}},
    {"tools/kmsctl", {"kms/base", "kms/crypto", "kms/keys", "kms/auth", "tools/common"}},
    {"tools/bench", {"kms/base", "tools/common"}},
};

TEST(Layering, ArrowsPointToTheDomain) {
  for (const Include& include : AllIncludes()) {
    const std::string room = RoomOf(include.file);
    if (!include.quoted || room == "api") {  // the composition root sees everything
      continue;
    }
    const std::string target = RoomOf(include.target);
    ASSERT_TRUE(kArrows.contains(room)) << include.file << " is in a room without a rule";
    EXPECT_TRUE(target == room || kArrows.at(room).contains(target))
        << include.file << " includes " << include.target;
  }
}

// Third-party header prefix → the folders or files that may include it.
const std::map<std::string, std::vector<std::string>> kHomes = {
    {"httplib.h", {"api/front/httplib_lane.cpp", "tools/kmsctl/http_client.cpp"}},
    {"nlohmann/json.hpp", {"api/", "kms/audit/", "kms/auth/", "kms/keys/", "tools/", "pkcs11/"}},
    {"simdjson.h", {"api/pipeline/", "kms/audit/"}},
    {"sqlite3.h", {"kms/store/"}},
    {"curl/", {"api/outbound/"}},
    {"p11-kit/", {"pkcs11/"}},
    {"libp11.h", {"pkcs11/"}},
    {"CLI/", {"api/main.cpp", "tools/"}},
    {"spdlog/", {"api/"}},
    {"prometheus/", {"api/"}},
    {"openssl/ssl.h", {"api/front/", "tools/"}},
    {"dlfcn.h", {"pkcs11/"}},
    {"argon2.h", {"kms/auth/password_hash.cpp"}},
    {"seccomp.h", {"pkcs11/"}},
};

TEST(Layering, ThirdPartyHeadersStayInTheirRoom) {
  for (const Include& include : AllIncludes()) {
    for (const auto& [header, homes] : kHomes) {
      if (include.quoted || !include.target.starts_with(header)) {
        continue;
      }
      bool at_home = false;
      for (const std::string& home : homes) {
        at_home = at_home || include.file.starts_with(home);
      }
      EXPECT_TRUE(at_home) << include.file << " includes <" << include.target << ">";
    }
  }
}

TEST(Layering, JsonStaysOutOfHeaders) {
  for (const Include& include : AllIncludes()) {
    const bool json = include.target == "nlohmann/json.hpp" || include.target == "simdjson.h";
    EXPECT_FALSE(json && include.file.ends_with(".h")) << include.file;
  }
}

TEST(Layering, EveryFileStartsWithItsLicence) {
  const fs::path root = KMS_SOURCE_DIR;
  for (const char* top : {"kms", "pkcs11", "api", "tools", "tests"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cpp") {
        continue;
      }
      std::ifstream text(entry.path());
      std::string line;
      std::getline(text, line);
      EXPECT_EQ(line, "// SPDX-License-Identifier: Apache-2.0") << entry.path();
    }
  }
}

// C11: secrets are compared in constant time; memcmp has no business in this code.
TEST(Layering, C11_NobodyComparesWithMemcmp) {
  const fs::path root = KMS_SOURCE_DIR;
  for (const char* top : {"kms", "pkcs11", "api"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      std::ifstream text(entry.path());
      for (std::string line; std::getline(text, line);) {
        const std::size_t found = line.find("memcmp(");
        EXPECT_TRUE(found == std::string::npos || line.find("CRYPTO_memcmp(") + 7 == found)
            << entry.path() << ": " << line;
      }
    }
  }
}

}  // namespace
