// SPDX-License-Identifier: Apache-2.0
#include "kms/base/short_slices.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <thread>

namespace kms {
namespace {

// sched_runtime of sched_getattr(2); 0 where the kernel tells none.
std::uint64_t SliceNs() {
  std::array<std::uint64_t, 6> attributes{};  // 48 bytes, of which the fourth word is the runtime
  EXPECT_EQ(::syscall(SYS_sched_getattr, 0, attributes.data(), sizeof(attributes), 0U), 0);
  return attributes.at(3);
}

TEST(ShortSlices, ChangeTheSliceOfTheirThreadAndNothingElse) {
  const std::uint64_t others = SliceNs();
  std::thread([&] {
    ASSERT_EQ(::setpriority(PRIO_PROCESS, 0, 3), 0);
    AskForShortSlices();
    EXPECT_EQ(::sched_getscheduler(0), SCHED_OTHER);
    EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), 3);
    if (others == 0) {
      GTEST_SKIP() << "the kernel knows no slices of threads";
    }
    EXPECT_EQ(SliceNs(), 100'000U);
  }).join();
  EXPECT_EQ(SliceNs(), others);
}

}  // namespace
}  // namespace kms
