// SPDX-License-Identifier: Apache-2.0
// Reads /proc/PID/status and the CPU clock of the process.
#include "tools/bench/server_process.h"

#include <sys/resource.h>
#include <time.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace kms::tools {

namespace {

std::chrono::nanoseconds ToNanoseconds(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

// The process's CPU clock; it counts threads that ended, too.
Result<std::chrono::nanoseconds> CpuOf(int pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) {
    return InvalidArgument("there is no process " + std::to_string(pid));
  }
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

Result<ProcessUsage> ReadProcessUsage(int pid) {
  const std::string directory = "/proc/" + std::to_string(pid);
  std::ifstream status(directory + "/status");
  if (!status.is_open()) {
    return InvalidArgument("there is no process " + std::to_string(pid));
  }
  ProcessUsage usage;
  for (std::string line; std::getline(status, line);) {
    const auto number = [&line](std::size_t prefix) {
      return std::strtoull(line.c_str() + prefix, nullptr, 10);
    };
    if (line.starts_with("VmRSS:")) {
      usage.resident_bytes = number(6) * 1024;
    } else if (line.starts_with("VmHWM:")) {
      usage.peak_resident_bytes = number(6) * 1024;
    } else if (line.starts_with("Threads:")) {
      usage.threads = number(8);
    }
  }
  usage.cpu = KMS_TRY(CpuOf(pid));
  return usage;
}

std::chrono::nanoseconds OwnCpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return ToNanoseconds(usage.ru_utime) + ToNanoseconds(usage.ru_stime);
}

}  // namespace kms::tools
