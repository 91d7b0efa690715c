// SPDX-License-Identifier: Apache-2.0
// The envelope string `vault:v<version>:<base64>` (transit-api 5.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"

namespace kms {

struct ParsedCiphertext {
  KeyVersionNumber version = 0;
  std::string_view payload;  // base64, not yet decoded; points into the text
};

// Errors, kInvalidArgument with the texts of transit-api 5.1: "invalid ciphertext: no prefix",
// "invalid ciphertext: wrong number of fields", "invalid ciphertext: version number could not be
// decoded". Only digits without sign or leading zero are a version; 0 is read as 1.
Result<ParsedCiphertext> ParseCiphertext(std::string_view text);

// Checks a parsed version against a key: "invalid ciphertext: version is too new", "ciphertext or
// signature version is disallowed by policy (too old)". Errors: kInvalidArgument.
Status CheckCiphertextVersion(const ParsedCiphertext& ciphertext, const KeyPolicy& policy);

// Decodes a payload into `out` (at least Base64DecodedBound(payload.size()) bytes) and returns how
// many bytes were written. One rule for the spelling: CR and LF anywhere are skipped, as clients
// that fold long lines need; everything else is the canonical spelling, so a changed character is
// never ignored (failures A5, C9). Errors: kInvalidArgument "invalid ciphertext: could not decode
// base64".
Result<std::size_t> DecodeCiphertextPayload(std::string_view payload, MutableByteView out);

// Appends "vault:v<version>:" and the base64 of `payload`.
void AppendCiphertext(KeyVersionNumber version, ByteView payload, std::string& out);

}  // namespace kms
