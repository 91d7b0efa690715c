// SPDX-License-Identifier: Apache-2.0
// Hash a caller's data without any key (transit-api 6.14).
#pragma once

#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/hash.h"

namespace kms {

// The hash that `name` means for HMACs. Errors: kInvalidArgument "unsupported algorithm NAME".
Result<HashAlgorithm> ParseHashName(std::string_view name);

// Errors: kInvalidArgument "unsupported algorithm NAME", also for sha1, which is not offered here.
Result<HashValue> Hash(std::string_view algorithm, ByteView input);

}  // namespace kms
