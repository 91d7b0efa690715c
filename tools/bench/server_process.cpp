// SPDX-License-Identifier: Apache-2.0
// Reads /proc/PID/status and /proc/PID/task/*/schedstat.
#include "tools/bench/server_process.h"

#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace kms::tools {

namespace {

std::chrono::nanoseconds ToNanoseconds(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

std::chrono::nanoseconds CpuOfThreads(const std::string& directory) {
  std::chrono::nanoseconds total{0};
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(directory, failure), end;
       !failure && entry != end; entry.increment(failure)) {
    std::ifstream file(entry->path() / "schedstat");
    std::int64_t on_cpu = 0;
    if (file >> on_cpu) {
      total += std::chrono::nanoseconds(on_cpu);
    }
  }
  return total;
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
  usage.cpu = CpuOfThreads(directory + "/task");
  return usage;
}

std::chrono::nanoseconds OwnCpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return ToNanoseconds(usage.ru_utime) + ToNanoseconds(usage.ru_stime);
}

}  // namespace kms::tools
