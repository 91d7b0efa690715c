// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/list_keys.h"

#include <algorithm>

#include "kms/operations/key_storage.h"

namespace kms {

namespace {

constexpr std::size_t kPage = 1000;

}  // namespace

Result<std::vector<std::string>> ListKeys(Environment& environment, std::string_view after,
                                          std::size_t limit) {
  std::vector<std::string> names;
  std::string last = after.empty() ? std::string{} : KeyPath(after);
  while (limit == 0 || names.size() < limit) {
    const std::size_t page = limit == 0 ? kPage : std::min(kPage, limit - names.size());
    const std::vector<ListedEntry> entries =
        KMS_TRY(environment.store().List(kKeysPrefix, last, page));
    for (const ListedEntry& entry : entries) {
      names.push_back(entry.path.substr(kKeysPrefix.size()));
    }
    if (entries.size() < page) {
      break;
    }
    last = entries.back().path;
  }
  return names;
}

}  // namespace kms
