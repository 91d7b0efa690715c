// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/hash.h"

#include <string>

namespace kms {

namespace {

// More of a wrong name helps nobody to find the mistake.
constexpr std::size_t kMaxEchoedName = 64;

Error Unsupported(std::string_view name) {
  return InvalidArgument("unsupported algorithm " + std::string(name.substr(0, kMaxEchoedName)));
}

}  // namespace

Result<HashAlgorithm> ParseHashName(std::string_view name) {
  const std::optional<HashAlgorithm> algorithm = FindHash(name);
  if (!algorithm.has_value()) {
    return Unsupported(name);
  }
  return *algorithm;
}

Result<HashValue> Hash(std::string_view algorithm, ByteView input) {
  const HashAlgorithm hash = KMS_TRY(ParseHashName(algorithm));
  if (!TraitsOf(hash).collision_resistant) {
    return Unsupported(algorithm);
  }
  return ComputeHash(hash, input);
}

}  // namespace kms
