// SPDX-License-Identifier: Apache-2.0
// SecretSource: where the operator put a secret. Configurations name places, never secrets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

inline constexpr std::size_t kLongestSecret = 255;  // bytes

struct SecretSource {
  enum class Kind : std::uint8_t {
    kFile,               // `value` is a path; 0600 or stricter, owned by this user or root
    kSystemdCredential,  // `value` names a file below $CREDENTIALS_DIRECTORY
    kDescriptor,         // `value` is an inherited file descriptor's number
    kEnvironment,        // `value` names a variable; it is unset after reading
  };
  Kind kind = Kind::kFile;
  std::string value;
};

// The secret without one trailing line end. A descriptor is read to its end and closed, an
// environment variable is wiped and unset: they can be read once. `what` names the secret in
// errors ("HSM PIN"). Errors: kFailedPrecondition, naming what to correct: missing, empty, longer
// than kLongestSecret, holding NUL, or readable by others.
Result<SecretBytes> ReadSecret(const SecretSource& source, std::string_view what);

}  // namespace kms
