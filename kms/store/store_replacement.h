// SPDX-License-Identifier: Apache-2.0
// StoreReplacement: puts another store file in the place of a SQLite store that nobody uses, at
// once or not at all.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/store/store.h"
#include "kms/store/store_lock.h"

namespace kms {

struct LiveStore {
  bool exists = false;
  bool readable = false;
  Revision revision = 0;
  std::optional<Bytes> root;  // the value of its entry "root"
};

// Holds the store's lock for its life. Thread rule: one thread.
class StoreReplacement {
 public:
  // Errors: kFailedPrecondition when the store is in use, kUnavailable.
  static Result<StoreReplacement> Begin(const std::string& store_path);

  // What stands there now. Changes nothing. Errors: kUnavailable.
  Result<LiveStore> Inspect() const;

  // Puts the file `staged` (synced, in the same directory, without a log of its own) in the store's
  // place. What was there stays as kept(), unless it is the same, byte by byte: then nothing is
  // changed, and kept() is still what an earlier call left there. Whatever interrupts it, the old
  // store or the new one is there whole; `step` is told of each step. Errors: kUnavailable; the old
  // store is there then.
  Status Replace(const std::string& staged, const std::function<void(int step)>& step = {}) const;

  [[nodiscard]] std::string kept() const { return path_ + ".before-restore"; }

 private:
  StoreReplacement(std::string path, StoreLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  [[nodiscard]] Status SettleLog() const;
  [[nodiscard]] Status KeepOld() const;

  std::string path_;
  StoreLock lock_;
};

// Makes the names in the directory of `path` durable. Errors: kUnavailable.
Status SyncDirectoryOf(const std::string& path);

}  // namespace kms
