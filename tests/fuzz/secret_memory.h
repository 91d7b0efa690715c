// SPDX-License-Identifier: Apache-2.0
// PrepareSecretMemory: what a fuzz target does first.
#pragma once

#include <openssl/rand.h>

#include <cstdint>
#include <cstdlib>

#include "kms/base/secret_bytes.h"

namespace kms::testing {

// OpenSSL's generators are made before the secret memory is: they would lie in it, where the leak
// detector does not look, and what they point to would pass for lost.
inline void PrepareSecretMemory() {
  static const bool prepared = [] {
    std::uint8_t byte = 0;
    return RAND_bytes(&byte, 1) == 1 && RAND_priv_bytes(&byte, 1) == 1 &&
           InitializeSecretMemory().has_value();
  }();
  if (!prepared) {
    std::abort();
  }
}

}  // namespace kms::testing
