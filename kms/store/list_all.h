// SPDX-License-Identifier: Apache-2.0
// ListAll: everything below a prefix, where that is little.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "kms/store/store.h"

namespace kms {

// Returns every entry of a Store or SealedStore whose path starts with `prefix`, in bytewise order.
// They are read a page at a time, so not all at the same moment, and are all in memory then: keys
// and tokens are too many for this. Errors: those of the store's List.
template <typename AnyStore>
Result<std::vector<ListedEntry>> ListAll(AnyStore& store, std::string_view prefix) {
  constexpr std::size_t kEntriesPerPage = 500;
  std::vector<ListedEntry> all;
  while (true) {
    const std::string after = all.empty() ? std::string() : all.back().path;
    std::vector<ListedEntry> page = KMS_TRY(store.List(prefix, after, kEntriesPerPage));
    const bool last = page.size() < kEntriesPerPage;
    std::ranges::move(page, std::back_inserter(all));
    if (last) {
      return all;
    }
  }
}

}  // namespace kms
