// SPDX-License-Identifier: Apache-2.0
// Randomness from the kernel, which is reseeded when a virtual machine is cloned.
#pragma once

#include "kms/base/bytes.h"

namespace kms {

// Fills `out` from getrandom(2). Terminates the process if the kernel refuses: there is no safe
// way to go on without randomness. Any thread.
void FillRandom(MutableByteView out);

}  // namespace kms
