// SPDX-License-Identifier: Apache-2.0
// Tells a forked child from its parent without a system call.
#pragma once

#include <cstdint>

namespace kms {

// A number that stays the same within a process and differs in a forked child, however it was
// forked. What a process must not share with its children is made anew when it changes. Any thread.
std::uint64_t ForkGeneration();

}  // namespace kms
