// SPDX-License-Identifier: Apache-2.0
// RevisionCache: what was made of stored entries, for as long as they are the same revision.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "kms/base/mutex.h"
#include "kms/store/store.h"

namespace kms {

// The caller learns the revision from the store each time, so nothing stale is ever used.
// Thread rule: any thread.
template <typename T>
class RevisionCache {
 public:
  using Handle = std::shared_ptr<const T>;

  explicit RevisionCache(std::size_t max_entries) : max_entries_(max_entries) {}

  // Null unless it has the entry at `path` as of exactly `revision`.
  [[nodiscard]] Handle Find(const std::string& path, Revision revision) const {
    const ScopedLock lock(mutex_);
    const auto found = entries_.find(path);
    return found != entries_.end() && found->second.first == revision ? found->second.second
                                                                      : nullptr;
  }
  // Forgets everything first when it is full.
  void Put(const std::string& path, Revision revision, Handle value) {
    const ScopedLock lock(mutex_);
    if (entries_.size() >= max_entries_ && !entries_.contains(path)) {
      entries_.clear();
    }
    entries_[path] = {revision, std::move(value)};
  }

 private:
  const std::size_t max_entries_;
  mutable Mutex mutex_;
  std::map<std::string, std::pair<Revision, Handle>> entries_ KMS_GUARDED_BY(mutex_);
};

}  // namespace kms
