// SPDX-License-Identifier: Apache-2.0
// Hedged nonces: the first bytes of HMAC-SHA-256(per-process secret, getrandom || counter ||
// SHA-256(associated data length || associated data || message)). A cloned or rewound machine
// repeats one only for an identical message (design.md 3; failures C1).
#pragma once

#include "kms/base/bytes.h"

namespace kms {

// Fills `nonce` (1..32 bytes). Any thread; no lock.
void FillHedgedNonce(MutableByteView nonce, ByteView message, ByteView associated_data);

}  // namespace kms
