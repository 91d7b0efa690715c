// SPDX-License-Identifier: Apache-2.0
// What the server's process has used, CPU time of all its threads, resident memory.
#pragma once

#include <chrono>
#include <cstdint>

#include "kms/base/result.h"

namespace kms::tools {

struct ProcessUsage {
  std::chrono::nanoseconds cpu{0};
  std::uint64_t resident_bytes = 0;
  std::uint64_t peak_resident_bytes = 0;
  std::uint64_t threads = 0;
};

// The process alone, without its children; CPU in nanoseconds, not in ticks. Errors:
// kInvalidArgument when there is no such process.
Result<ProcessUsage> ReadProcessUsage(int pid);

// CPU time of this program so far.
std::chrono::nanoseconds OwnCpu();

}  // namespace kms::tools
