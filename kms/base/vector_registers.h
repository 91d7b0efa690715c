// SPDX-License-Identifier: Apache-2.0
// What copying a key leaves in the processor's vector registers: wiped before other code, the dynamic
// linker among it, saves them to a stack.
#pragma once

namespace kms {

// Zeroes every vector register that a called function may change, as the calling convention has it.
// Does nothing on processors without AVX. A few nanoseconds; any thread.
void ClearVectorRegisters();

}  // namespace kms
