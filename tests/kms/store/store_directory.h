// SPDX-License-Identifier: Apache-2.0
// StoreDirectory: a temporary directory for one store file, removed at the end of the test.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace kms::testing {

class StoreDirectory {
 public:
  StoreDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kms_store_XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data()) == nullptr ? "" : pattern;
  }
  ~StoreDirectory() {
    std::error_code ignored;  // a leftover directory does no harm
    std::filesystem::remove_all(directory_, ignored);
  }
  StoreDirectory(const StoreDirectory&) = delete;
  StoreDirectory& operator=(const StoreDirectory&) = delete;

  [[nodiscard]] std::string path() const { return directory_ + "/store.db"; }

 private:
  std::string directory_;
};

}  // namespace kms::testing
