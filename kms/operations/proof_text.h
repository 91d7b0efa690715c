// SPDX-License-Identifier: Apache-2.0
// The text form of what verify is given, an HMAC or a signature: "vault:v<version>:<payload>".
#pragma once

#include <string_view>

#include "kms/base/result.h"
#include "kms/keys/key.h"

namespace kms {

struct ProofText {
  KeyVersionNumber version = 0;
  std::string_view payload;  // not yet decoded; points into the text
};

// What the contract says of each fault (transit-api 6.17); static texts.
struct ProofFaults {
  std::string_view no_prefix;
  std::string_view wrong_fields;
  std::string_view bad_version;
  std::string_view too_new;
  std::string_view too_old;
};

// Only digits without sign or leading zero are a version. Errors: kInvalidArgument, the first three
// faults.
Result<ProofText> ParseProof(std::string_view text, const ProofFaults& faults);

// The version that a proof claims; lives as long as `key`. Errors: kInvalidArgument, the last two
// faults.
Result<const KeyVersion*> FindProofVersion(const Key& key, KeyVersionNumber version,
                                           const ProofFaults& faults);

}  // namespace kms
