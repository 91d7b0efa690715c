// SPDX-License-Identifier: Apache-2.0
// AuditFile: the file an audit log writes to; a seam, so that full, failing and stalled disks can
// be tried.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kms/base/result.h"

namespace kms {

// Thread rule: one thread at a time. Errors of every call: kUnavailable.
class AuditFile {
 public:
  virtual ~AuditFile() = default;

  virtual Result<std::uint64_t> Size() = 0;
  // Returns up to `size` bytes from `offset`; fewer only at the end of the file.
  virtual Result<std::string> ReadAt(std::uint64_t offset, std::size_t size) = 0;
  // Writes all of `bytes`; after an error an unknown part of them is in the file.
  virtual Status WriteAt(std::uint64_t offset, std::string_view bytes) = 0;
  virtual Status Sync() = 0;
  virtual Status Truncate(std::uint64_t size) = 0;
  // Whether the path it was opened by still leads to this file (not moved, deleted, replaced).
  virtual bool IsStillNamed() = 0;
};

using AuditFileOpener = std::function<Result<std::unique_ptr<AuditFile>>()>;

// Opens or creates a regular file, mode 0600. Errors: kUnavailable, kFailedPrecondition (not a
// regular file).
Result<std::unique_ptr<AuditFile>> OpenAuditFile(const std::string& path);

}  // namespace kms
