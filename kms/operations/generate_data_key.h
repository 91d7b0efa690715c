// SPDX-License-Identifier: Apache-2.0
// A data key for the caller's own encryption, in clear and encrypted (transit-api 6.12).
#pragma once

#include <cstdint>
#include <string>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/keys/key.h"

namespace kms {

struct DataKeyInput {
  std::int64_t bits = 256;  // 128, 256 or 512
  ByteView associated_data;
  std::int64_t key_version = 0;  // 0: the latest
  ByteView context = {};  // derived keys need it, others ignore it
};

// Puts the raw data key into `plaintext`, appends its encryption to `ciphertext`, returns the
// version. Errors: kInvalidArgument "invalid bit length" and those of Encrypt. Any thread.
Result<KeyVersionNumber> GenerateDataKey(const Key& key, const DataKeyInput& input,
                                         PlaintextBuffer& plaintext, std::string& ciphertext);

}  // namespace kms
