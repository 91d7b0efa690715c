// SPDX-License-Identifier: Apache-2.0
// A page that the kernel zeroes in a forked child (MADV_WIPEONFORK) holds the number; a counter
// outside it remembers which numbers were used before the fork.
#include "kms/crypto/fork_generation.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace kms {

namespace {

using Number = std::atomic<std::uint64_t>;

Number* MakeWipedPage() {
  const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED || ::madvise(page, size, MADV_WIPEONFORK) != 0) {
    std::abort();  // Linux has it since 4.14; without it a child would repeat its parent's secrets
  }
  return new (page) Number(0);  // NOLINT: lives as long as the process
}

}  // namespace

std::uint64_t ForkGeneration() {
  static Number& current = *MakeWipedPage();
  static Number last{0};
  const std::uint64_t known = current.load(std::memory_order_acquire);
  if (known != 0) [[likely]] {
    return known;
  }
  std::uint64_t seen = 0;
  const std::uint64_t fresh = last.fetch_add(1, std::memory_order_relaxed) + 1;
  return current.compare_exchange_strong(seen, fresh, std::memory_order_acq_rel) ? fresh : seen;
}

}  // namespace kms
