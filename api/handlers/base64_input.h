// SPDX-License-Identifier: Apache-2.0
// A caller's `input` field: base64 of data that may be secret.
#pragma once

#include <string>
#include <string_view>

#include "kms/base/base64.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms::api {

// Errors: kInvalidArgument "unable to decode input as base64: ...".
inline Status DecodeInput(std::string_view text, PlaintextBuffer& input) {
  const MutableByteView room = input.Reset(Base64DecodedBound(text.size()));
  const Result<std::size_t> size = Base64DecodeInto(text, room);
  if (!size) {
    input.Wipe();
    return InvalidArgument("unable to decode input as base64: " + size.error().public_message);
  }
  input.Truncate(*size);
  return Ok();
}

}  // namespace kms::api
