// SPDX-License-Identifier: Apache-2.0
// PEM text (RFC 7468) as Go's encoding/pem writes and reads it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms::internal {

enum class PemEnding : std::uint8_t { kNewline, kNone };

// Lines of 64 characters between the two boundaries.
std::string EncodePem(std::string_view label, ByteView content, PemEnding ending);
// The same in secret memory throughout. Errors: kUnavailable.
Result<SecretBytes> EncodeSecretPem(std::string_view label, ByteView content, PemEnding ending);

struct PemBlock {
  std::string_view label;  // a view of the text
  Bytes content;
  std::string_view rest;  // what follows the block
};

// The first block of `text`; what stands before it is passed over, whitespace inside is ignored.
// nullopt when there is none, or when it is not well-formed; headers (RFC 1421) are not taken.
// Not for private keys: the content is ordinary memory.
std::optional<PemBlock> DecodePem(std::string_view text);

}  // namespace kms::internal
