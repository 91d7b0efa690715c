// SPDX-License-Identifier: Apache-2.0
// Calls of a process that is about to stop: a token that hangs is waited for once, and no longer.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/pkcs11/worker_faults.h"

namespace kms::pkcs11 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::HasError;
using testing::InSeconds;
using testing::IsOk;

class WorkerStop : public WorkerFaults {
 protected:
  // Calls from several threads, each with a minute.
  void CallFrom(int threads) {
    for (int thread = 0; thread < threads; ++thread) {
      threads_.emplace_back([this] {
        ++waiting_;
        failed_ += Check(InSeconds(60)).has_value() ? 0 : 1;
      });
    }
    EXPECT_TRUE(Eventually([&] { return waiting_ == threads; }));
  }

  std::atomic<int> waiting_ = 0;
  std::atomic<int> failed_ = 0;
  std::vector<std::jthread> threads_;
};

TEST_F(WorkerStop, H6_CallsUnderWayToAHungTokenAreGivenUpAtOnce) {
  ASSERT_NO_FATAL_FAILURE(StartReady(seconds(60)));
  module_.SetRules("C_Decrypt hang");
  CallFrom(6);
  const auto begin = steady_clock::now();
  device_->LimitCalls(milliseconds(200));
  threads_.clear();
  EXPECT_LT(steady_clock::now() - begin, seconds(5));
  EXPECT_EQ(failed_, 6);
  EXPECT_THAT(Check(InSeconds(60)), HasError(ErrorCode::kUnavailable)) << "and later ones too";
  EXPECT_LT(steady_clock::now() - begin, seconds(5));
  EXPECT_TRUE(Eventually([] { return Workers().empty(); })) << "the worker is ended";
}

TEST_F(WorkerStop, H6_ALaterCallThatHangsIsGivenUpAfterItsPatience) {
  ASSERT_NO_FATAL_FAILURE(StartReady(seconds(60)));
  device_->LimitCalls(milliseconds(200));
  module_.SetRules("C_Decrypt hang");
  const auto begin = steady_clock::now();
  EXPECT_THAT(Check(InSeconds(60)), HasError(ErrorCode::kUnavailable));
  EXPECT_GE(steady_clock::now() - begin, milliseconds(200));
  EXPECT_LT(steady_clock::now() - begin, seconds(5));
}

TEST_F(WorkerStop, ATokenThatAnswersServesToTheEnd) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  device_->LimitCalls(seconds(5));
  for (int call = 0; call < 20; ++call) {
    EXPECT_THAT(Check(InSeconds(60)), IsOk());
  }
  EXPECT_EQ(Workers().size(), 1U);
}

// A worker that takes its time to start is no answer either.
TEST_F(WorkerStop, H6_NobodyWaitsForAWorkerThatDoesNotStart) {
  module_.SetRules("C_Initialize hang");
  ASSERT_NO_FATAL_FAILURE(Start());
  const auto begin = steady_clock::now();
  device_->LimitCalls(milliseconds(200));
  EXPECT_THAT(device_->Random(16, InSeconds(60)), HasError(ErrorCode::kUnavailable));
  EXPECT_LT(steady_clock::now() - begin, seconds(5));
}

}  // namespace
}  // namespace kms::pkcs11
