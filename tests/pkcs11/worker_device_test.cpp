// SPDX-License-Identifier: Apache-2.0
// WorkerDevice and its supervisor over workers that are threads: every way a worker can fail.
#include "pkcs11/worker_device.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "tests/contract/master_key_device_contract.h"
#include "tests/support/thread_worker.h"

namespace kms::pkcs11 {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::DeviceFactory;
using testing::DeviceUnderTest;
using testing::HasError;
using ::testing::HasSubstr;
using testing::InSeconds;
using testing::IsOk;
using testing::MasterKeyDeviceContract;
using testing::ThreadWorkers;

Deadline InMilliseconds(int count) { return steady_clock::now() + milliseconds(count); }

// Polls until `condition` holds; false after ten seconds.
bool Eventually(const std::function<bool()>& condition) {
  const Deadline deadline = InSeconds(10);
  while (!condition()) {
    if (steady_clock::now() > deadline) {
      return false;
    }
    std::this_thread::yield();
  }
  return true;
}

WorkerOptions OptionsFor(ThreadWorkers& workers) {
  WorkerOptions options;
  options.launcher = workers.launcher();
  return options;
}

std::unique_ptr<WorkerDevice> StartReady(WorkerOptions options) {
  auto device = WorkerDevice::Start(std::move(options));
  EXPECT_THAT(device, IsOk());
  EXPECT_THAT((*device)->AwaitReady(InSeconds(10)), IsOk());
  return *std::move(device);
}

DeviceUnderTest MakeOverThread() {
  const auto workers = std::make_shared<ThreadWorkers>();
  return {workers, StartReady(OptionsFor(*workers))};
}

INSTANTIATE_TEST_SUITE_P(WorkerOverFake, MasterKeyDeviceContract,
                         ::testing::Values(DeviceFactory{"Thread", MakeOverThread}),
                         testing::DeviceFactoryName);

// A wrap, an unwrap or whatever else may run on another thread and be looked at later.
std::future<bool> RandomInBackground(WorkerDevice& device, Deadline deadline) {
  return std::async(std::launch::async,
                    [&device, deadline] { return device.Random(16, deadline).has_value(); });
}

TEST(WorkerDevice, H4_CallLostWithItsWorkerIsMadeOnceMore) {
  ThreadWorkers workers;
  const auto device = StartReady(OptionsFor(workers));
  workers.device->SetStuck(true);
  std::future<bool> answered = RandomInBackground(*device, InSeconds(10));
  ASSERT_TRUE(Eventually([&] { return workers.device->calls() == 1; }));
  workers.EndWorker();
  workers.device->SetStuck(false);
  EXPECT_TRUE(answered.get());
  EXPECT_EQ(device->Statistics().worker_restarts, 1U);
  EXPECT_EQ(device->Statistics().failed_calls, 0U);
}

TEST(WorkerDevice, H4_CallLostTwiceFails) {
  ThreadWorkers workers;
  const auto device = StartReady(OptionsFor(workers));
  workers.device->SetStuck(true);
  std::future<bool> answered = RandomInBackground(*device, InSeconds(10));
  for (std::uint64_t attempt = 1; attempt <= 2; ++attempt) {
    ASSERT_TRUE(Eventually([&] { return workers.device->calls() == attempt; }));
    workers.EndWorker();
  }
  EXPECT_FALSE(answered.get());
  EXPECT_EQ(device->Statistics().failed_calls, 1U);
}

TEST(WorkerDevice, H5_IsReadyTwoSecondsAfterAWorkerEnded) {
  ThreadWorkers workers;
  const auto device = StartReady(OptionsFor(workers));
  workers.EndWorker();
  const auto start = steady_clock::now();
  EXPECT_THAT(device->Random(16, InSeconds(10)), IsOk());
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(2));
}

TEST(WorkerDevice, H6_HangingCallMissesItsDeadline) {
  ThreadWorkers workers;
  const auto device = StartReady(OptionsFor(workers));
  workers.device->SetStuck(true);
  const auto start = steady_clock::now();
  EXPECT_THAT(device->Random(16, InMilliseconds(50)),
              HasError(ErrorCode::kUnavailable, HasSubstr("in time")));
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_EQ(device->Statistics().abandoned_calls, 1U);
}

// A library that was taken over sends answers that nobody asked for, without end.
class Flood {
 public:
  explicit Flood(ThreadWorkers& workers) : socket_(workers.WorkerSocket()) {
    Bytes buffer(4096);
    const Result<ByteView> answer =
        EncodeReply(WorkerReply{.id = std::uint64_t{1} << 60U, .body = Done{}}, buffer);
    EXPECT_THAT(answer, IsOk());
    buffer.resize(answer.value_or(ByteView()).size());
    for (int thread = 0; thread < 2; ++thread) {
      threads_.emplace_back([this, frame = buffer] {
        // Until the connection has ended.
        while (::send(socket_.get(), frame.data(), frame.size(), MSG_NOSIGNAL) >= 0) {
        }
      });
    }
  }

 private:
  const UniqueFd socket_;
  std::vector<std::jthread> threads_;
};

TEST(WorkerDevice, H6_AWorkerThatFloodsAnswersIsStillWatched) {
  ThreadWorkers workers;
  WorkerOptions options = OptionsFor(workers);
  options.stuck_call_grace = milliseconds(100);
  const auto device = StartReady(std::move(options));
  workers.device->SetStuck(true);
  const Flood flood(workers);
  EXPECT_FALSE(device->Random(16, InMilliseconds(50)).has_value());
  EXPECT_TRUE(Eventually([&] { return workers.launches >= 2; })) << "the stuck one is replaced";
  workers.device->SetStuck(false);
}

TEST(WorkerDevice, AWorkerThatFloodsAnswersDoesNotHoldUpTheEnd) {
  ThreadWorkers workers;
  auto device = StartReady(OptionsFor(workers));
  const Flood flood(workers);
  EXPECT_THAT(device->Random(16, InSeconds(10)), IsOk());
  const auto start = steady_clock::now();
  device.reset();
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(WorkerDevice, H6_AbandonedCallsDoNotPileUp) {
  ThreadWorkers workers;
  WorkerOptions options = OptionsFor(workers);
  options.max_waiting = 3;
  const auto device = StartReady(std::move(options));
  workers.device->SetStuck(true);
  for (int call = 0; call < 3; ++call) {
    EXPECT_FALSE(device->Random(16, InMilliseconds(5)).has_value());
  }
  const auto start = steady_clock::now();
  EXPECT_THAT(device->Random(16, InSeconds(60)),
              HasError(ErrorCode::kUnavailable, HasSubstr("busy")));
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(1));
}

TEST(WorkerDevice, H6_StuckWorkerIsReplaced) {
  ThreadWorkers workers;
  WorkerOptions options = OptionsFor(workers);
  options.stuck_call_grace = milliseconds(50);
  const auto device = StartReady(std::move(options));
  workers.device->SetStuck(true);
  EXPECT_FALSE(device->Random(16, InMilliseconds(10)).has_value());
  ASSERT_TRUE(Eventually([&] { return workers.launches >= 2; }));
  EXPECT_THAT(device->Statistics().state_reason,
              ::testing::AnyOf(HasSubstr("stuck"), ::testing::IsEmpty(), HasSubstr("binding")));
  workers.device->SetStuck(false);
  EXPECT_THAT(device->Random(16, InSeconds(10)), IsOk());
}

TEST(WorkerDevice, H6_StatisticsAnswerWhileEveryCallHangs) {
  ThreadWorkers workers;
  const auto device = StartReady(OptionsFor(workers));
  workers.device->SetStuck(true);
  EXPECT_FALSE(device->Random(16, InMilliseconds(10)).has_value());
  EXPECT_EQ(device->Statistics().state, DeviceState::kReady);
  EXPECT_TRUE(Eventually([&] { return device->Statistics().sessions_in_use == 1; }));
}

TEST(WorkerDevice, H6_EndsWithinASecondWhileACallHangs) {
  ThreadWorkers workers;
  auto device = StartReady(OptionsFor(workers));
  workers.device->SetStuck(true);
  EXPECT_FALSE(device->Random(16, InMilliseconds(5)).has_value());
  const auto start = steady_clock::now();
  device.reset();
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(1));
}

TEST(WorkerDevice, H9_WorkerThatRefusedThePinIsNotReplacedUntilThePinChanges) {
  const std::filesystem::path pin_file =
      std::filesystem::temp_directory_path() / ("kms-pin-" + Uuid::Random().ToString());
  std::ofstream(pin_file) << "wrong";
  ThreadWorkers workers;
  WorkerOptions options = OptionsFor(workers);
  options.token.pin = {.kind = PinSource::Kind::kFile, .value = pin_file.string()};
  workers.device->SetState(DeviceState::kLockedOut, "the PIN was refused");
  KMS_ASSERT_OK_AND_ASSIGN(const auto device, WorkerDevice::Start(std::move(options)));
  EXPECT_THAT(device->AwaitReady(InSeconds(10)), HasError(ErrorCode::kFailedPrecondition));
  workers.EndWorker();
  ASSERT_TRUE(Eventually([&] {
    return !device->Random(16, InSeconds(1)).has_value() &&
           device->Statistics().state == DeviceState::kLockedOut;
  }));
  EXPECT_THAT(device->Random(16, InSeconds(1)), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_EQ(workers.launches, 1);
  EXPECT_EQ(device->Statistics().state_reason, "the PIN was refused");

  workers.device->SetPresent(true);
  std::ofstream(pin_file) << "corrected";
  EXPECT_THAT(device->AwaitReady(InSeconds(10)),
              ::testing::AnyOf(IsOk(), HasError(ErrorCode::kFailedPrecondition)));
  EXPECT_TRUE(Eventually([&] { return device->Random(16, InSeconds(1)).has_value(); }));
  EXPECT_EQ(workers.launches, 2);
  std::filesystem::remove(pin_file);
}

TEST(WorkerDevice, RefusedHelloNeedsAnOperator) {
  ThreadWorkers workers;
  workers.SetBindError(FailedPrecondition("no such module", "/nowhere.so"));
  KMS_ASSERT_OK_AND_ASSIGN(const auto device, WorkerDevice::Start(OptionsFor(workers)));
  EXPECT_THAT(device->AwaitReady(InSeconds(10)), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(device->Statistics().state_reason, HasSubstr("/nowhere.so"));
  EXPECT_EQ(device->Statistics().state, DeviceState::kFatalConfig);
}

TEST(WorkerDevice, WorkerThatCannotStartIsReportedAndTriedAgain) {
  ThreadWorkers workers;
  workers.SetLaunchError(Unavailable("HSM worker cannot be started", "no such file"));
  KMS_ASSERT_OK_AND_ASSIGN(const auto device, WorkerDevice::Start(OptionsFor(workers)));
  EXPECT_THAT(device->AwaitReady(InMilliseconds(300)), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(device->Statistics().state_reason, HasSubstr("no such file"));
  workers.SetLaunchError(std::nullopt);
  EXPECT_THAT(device->AwaitReady(InSeconds(10)), IsOk());
}

TEST(WorkerDevice, CallFailsFastWhileWorkersKeepEnding) {
  ThreadWorkers workers;
  workers.SetLaunchError(Unavailable("HSM worker cannot be started"));
  KMS_ASSERT_OK_AND_ASSIGN(const auto device, WorkerDevice::Start(OptionsFor(workers)));
  ASSERT_TRUE(Eventually([&] { return workers.launches >= 4; }));
  const auto start = steady_clock::now();
  EXPECT_THAT(device->Random(16, InSeconds(60)), HasError(ErrorCode::kUnavailable));
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(WorkerDevice, WorkerThatTalksNonsenseIsReplaced) {
  ThreadWorkers workers;
  const auto device = StartReady(OptionsFor(workers));
  workers.SendAsWorker(Bytes{1, 2, 3});
  ASSERT_TRUE(Eventually([&] { return workers.launches == 2; }));
  EXPECT_THAT(device->Random(16, InSeconds(10)), IsOk());
}

TEST(WorkerDevice, AnswerNobodyAskedForIsIgnored) {
  ThreadWorkers workers;
  const auto device = StartReady(OptionsFor(workers));
  Bytes buffer(kMaxWorkerFrameBytes);
  KMS_ASSERT_OK_AND_ASSIGN(const ByteView frame,
                           EncodeReply({.id = 1U << 30U, .body = Done()}, buffer));
  workers.SendAsWorker(frame);
  EXPECT_THAT(device->Random(16, InSeconds(10)), IsOk());
  EXPECT_EQ(workers.launches, 1);
}

TEST(WorkerDevice, MessageTooLargeForAFrameIsTheCallersFault) {
  ThreadWorkers workers;
  const auto device = StartReady(OptionsFor(workers));
  EXPECT_THAT(device->Sign(Bytes(kMaxWorkerFrameBytes), InSeconds(10)),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(device->Random(16, InSeconds(10)), IsOk());
  EXPECT_EQ(workers.launches, 1);
}

TEST(WorkerDevice, ErrorsOfTheTokenArriveWithCodeAndDetail) {
  ThreadWorkers workers;
  const auto device = StartReady(OptionsFor(workers));
  workers.device->FailCall(1, Corrupted("does not authenticate", "CKR_ENCRYPTED_DATA_INVALID"));
  const auto failed = device->Random(16, InSeconds(10));
  ASSERT_THAT(failed, HasError(ErrorCode::kCorrupted, "does not authenticate"));
  EXPECT_EQ(failed.error().detail, "CKR_ENCRYPTED_DATA_INVALID");
}

TEST(WorkerDevice, TokenStateReachesTheStatistics) {
  ThreadWorkers workers;
  const auto device = StartReady(OptionsFor(workers));
  workers.device->SetPresent(false);
  EXPECT_TRUE(Eventually([&] { return device->Statistics().state == DeviceState::kDown; }));
  EXPECT_THAT(device->Statistics().state_reason, HasSubstr("not present"));
  workers.device->SetPresent(true);
  EXPECT_THAT(device->AwaitReady(InSeconds(10)), IsOk());
}

TEST(WorkerDevice, AnswersInAnyOrder) {
  ThreadWorkers workers;
  const auto device = StartReady(OptionsFor(workers));
  std::vector<std::future<bool>> answers;
  for (int call = 0; call < 16; ++call) {
    answers.push_back(RandomInBackground(*device, InSeconds(20)));
  }
  for (std::future<bool>& answer : answers) {
    EXPECT_TRUE(answer.get());
  }
}

}  // namespace

}  // namespace kms::pkcs11
