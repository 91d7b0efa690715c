// SPDX-License-Identifier: Apache-2.0
// Locks among processes that use one SoftHSM: it rewrites token files at every login, without
// regard for others and not atomically.
#pragma once

#include <memory>
#include <string>

#include "kms/base/clock.h"
#include "kms/base/result.h"

namespace kms::pkcs11 {

// An flock(2), held until destroyed or until the process ends.
class FileLock {
 public:
  // Waits until `deadline`. Errors: kUnavailable when another process holds it;
  // kFailedPrecondition when the file cannot be made.
  static Result<std::unique_ptr<FileLock>> Acquire(const std::string& path, Deadline deadline);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  const int fd_;
};

// Held from C_Initialize to C_Login, and while the token directory is copied.
std::string LoginLockPath(const std::string& state_directory);
// Held for the life of the process that uses the token.
std::string OwnerLockPath(const std::string& state_directory, const std::string& token_label);

}  // namespace kms::pkcs11
