// SPDX-License-Identifier: Apache-2.0
// The three verbs on callers' data, as one table: what goes in, what comes out.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "tools/kmsctl/json_body.h"

namespace kms::tools {

struct DataVerb {
  std::string_view name;          // as on the command line and in the path
  std::string_view input_field;   // of request and batch item
  std::string_view output_field;  // of answer and batch result
  bool input_is_plaintext;        // raw bytes, sent as base64
  bool output_is_plaintext;
  std::string_view past_tense;
};

inline constexpr DataVerb kEncrypt{"encrypt", "plaintext", "ciphertext", true, false, "encrypted"};
inline constexpr DataVerb kDecrypt{"decrypt", "ciphertext", "plaintext", false, true, "decrypted"};
inline constexpr DataVerb kRewrap{"rewrap", "ciphertext", "ciphertext", false, false, "rewrapped"};

// What goes with every input of one call.
struct DataParameters {
  std::string associated_data;   // raw bytes; empty: none
  std::int64_t key_version = 0;  // 0: the latest
  std::string context;           // raw bytes, for derived keys; empty: none
  bool checksums = true;         // sent with everything and demanded of the answer
};

// Adds the fields of one input to the object that `body` has open.
void AddInput(JsonBody& body, const DataVerb& verb, std::string_view input,
              const DataParameters& parameters);

// Takes the result out of an answer's data or a batch result; a plaintext is decoded, unless
// `keep_base64`, and wiped where it came from.
// Errors: kInternal when the field is missing or not base64.
Result<PlaintextBuffer> TakeOutput(nlohmann::json& result, const DataVerb& verb, bool keep_base64);

// Without white space at the ends: ciphertexts come from files and pipes with a line end.
std::string_view TrimCiphertext(std::string_view text);

}  // namespace kms::tools
