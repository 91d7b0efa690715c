// SPDX-License-Identifier: Apache-2.0
// Workers that leak: replaced in order, and their callers see no more than the delay.
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "tests/pkcs11/worker_faults.h"
#include "tests/support/thread_worker.h"

namespace kms::pkcs11 {
namespace {

using std::chrono::milliseconds;
using testing::HasError;
using ::testing::HasSubstr;
using testing::InSeconds;
using testing::IsOk;
using testing::ThreadWorkers;

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20U;

// Over workers that are threads: they take what a test says.
class WorkerMemory : public ::testing::Test {
 protected:
  void StartReady(milliseconds shortest_life = milliseconds(0)) {
    WorkerOptions options;
    options.launcher = workers_.launcher();
    options.token.memory_limit_bytes = 100 * kMebibyte;
    options.shortest_life = shortest_life;
    auto device = WorkerDevice::Start(std::move(options));
    ASSERT_THAT(device, IsOk());
    device_ = *std::move(device);
    ASSERT_THAT(device_->AwaitReady(InSeconds(20)), IsOk());
  }
  // Until the supervisor has seen it.
  bool Takes(std::uint64_t bytes) {
    workers_.memory_bytes = bytes;
    return Eventually([&] { return device_->Statistics().worker_memory_bytes == bytes; });
  }
  std::future<bool> RandomInBackground() {
    return std::async(std::launch::async,
                      [this] { return device_->Random(16, InSeconds(20)).has_value(); });
  }

  ThreadWorkers workers_;
  std::unique_ptr<WorkerDevice> device_;
};

TEST_F(WorkerMemory, AWorkerAboveItsLimitIsReplacedOnce) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  workers_.memory_bytes = 101 * kMebibyte;
  ASSERT_TRUE(Eventually([&] { return workers_.launches == 2; }));
  workers_.memory_bytes = 0;
  EXPECT_THAT(device_->Random(16, InSeconds(20)), IsOk());
  EXPECT_EQ(device_->Statistics().worker_replacements, 1U);
  EXPECT_EQ(device_->Statistics().failed_calls, 0U);
}

TEST_F(WorkerMemory, AWorkerAtItsLimitStays) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  ASSERT_TRUE(Takes(100 * kMebibyte));
  ASSERT_TRUE(Takes(99 * kMebibyte));
  EXPECT_EQ(workers_.launches, 1);
  EXPECT_EQ(device_->Statistics().worker_replacements, 0U);
}

TEST_F(WorkerMemory, CallsUnderWayEndBeforeTheWorkerDoes) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  workers_.device->SetStuck(true);
  std::future<bool> under_way = RandomInBackground();
  ASSERT_TRUE(Eventually([&] { return workers_.device->calls() == 1; }));
  ASSERT_TRUE(Takes(101 * kMebibyte));
  std::future<bool> waiting = RandomInBackground();
  workers_.memory_bytes = 1;
  workers_.device->SetStuck(false);
  EXPECT_TRUE(under_way.get());
  EXPECT_TRUE(waiting.get());
  EXPECT_EQ(workers_.device->calls(), 2U) << "neither was made twice";
  EXPECT_EQ(workers_.launches, 2);
}

TEST_F(WorkerMemory, ACallThatDoesNotEndInTimeIsMadeAgainByTheNextWorker) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  workers_.device->SetStuck(true);
  std::future<bool> under_way = RandomInBackground();
  ASSERT_TRUE(Eventually([&] { return workers_.device->calls() == 1; }));
  ASSERT_TRUE(Takes(101 * kMebibyte));
  workers_.memory_bytes = 1;
  ASSERT_TRUE(Eventually([&] { return workers_.device->calls() == 2; }));
  workers_.device->SetStuck(false);
  EXPECT_TRUE(under_way.get());
  EXPECT_EQ(device_->Statistics().worker_replacements, 1U);
}

TEST_F(WorkerMemory, AYoungWorkerIsNotReplacedForALimitThatIsTooSmall) {
  ASSERT_NO_FATAL_FAILURE(StartReady(std::chrono::hours(1)));
  ASSERT_TRUE(Takes(500 * kMebibyte));
  EXPECT_THAT(device_->Random(16, InSeconds(20)), IsOk());
  ASSERT_TRUE(Takes(501 * kMebibyte));
  EXPECT_EQ(workers_.launches, 1);
}

TEST_F(WorkerMemory, UnknownMemoryCostsNothing) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  ASSERT_TRUE(Takes(1));
  ASSERT_TRUE(Takes(0));
  EXPECT_EQ(workers_.launches, 1);
}

// Over real processes.
TEST_F(WorkerFaults, ALibraryThatLeaksCostsItsWorkerAndNoCall) {
  options_.token.memory_limit_bytes = 128 * kMebibyte;
  options_.shortest_life = milliseconds(0);
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_TRUE(Eventually([&] { return device_->Statistics().worker_memory_bytes > kMebibyte; }));
  const std::vector<pid_t> first = Workers();
  module_.SetRules("C_GenerateRandom leak=16384");
  ASSERT_TRUE(Eventually([&] {
    EXPECT_THAT(device_->Random(16, InSeconds(20)), IsOk());
    return device_->Statistics().worker_replacements >= 1;
  }));
  module_.SetRules("");
  EXPECT_THAT(Check(), IsOk());
  EXPECT_EQ(device_->Statistics().failed_calls, 0U);
  EXPECT_NE(Workers(), first);
  EXPECT_TRUE(
      Eventually([&] { return device_->Statistics().worker_memory_bytes < 128 * kMebibyte; }));
}

}  // namespace
}  // namespace kms::pkcs11
