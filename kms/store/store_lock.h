// SPDX-License-Identifier: Apache-2.0
// StoreLock: the operating system's promise that one process, once, uses a store file.
#pragma once

#include <string>
#include <utility>

#include "kms/base/result.h"

namespace kms {

// Holds `<path>.lock` locked for its life; the lock ends with the process, however it ends.
// The store file itself is never opened here: closing any descriptor of it would drop the locks
// that SQLite holds on it.
class StoreLock {
 public:
  // Errors: kFailedPrecondition when the store is in use (by this process or another, which the
  // message names), kUnavailable when the lock file cannot be made.
  static Result<StoreLock> Acquire(const std::string& store_path);

  StoreLock(StoreLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  StoreLock& operator=(StoreLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;
  ~StoreLock();

 private:
  explicit StoreLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace kms
