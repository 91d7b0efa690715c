// SPDX-License-Identifier: Apache-2.0
// `kmsd verify-audit`: proves audit logs offline.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kms/base/result.h"

namespace kms::api {

struct VerifyAuditOptions {
  std::vector<std::string> files;             // oldest first
  std::vector<std::string> public_key_files;  // DER or PEM; empty: the key of the first checkpoint
  bool earlier_files_may_be_missing = false;
  std::uint64_t at_least_seq = 0;
  bool json = false;
};

// Prints what was found to standard output. Errors: kCorrupted when the log does not verify,
// kNotFound and kInvalidArgument for files that cannot be read.
Status VerifyAudit(const VerifyAuditOptions& options);

}  // namespace kms::api
