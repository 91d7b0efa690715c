// SPDX-License-Identifier: Apache-2.0
// One attempt per PIN value, over real workers: whatever ends in between, kmsd included.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "pkcs11/refused_pin.h"
#include "tests/pkcs11/worker_faults.h"

namespace kms::pkcs11 {
namespace {

using testing::HasError;
using ::testing::HasSubstr;
using testing::InSeconds;
using testing::IsOk;
using testing::WriteTestFile;

class WorkerPin : public WorkerFaults {
 protected:
  void SetPin(const std::string& pin) { WriteTestFile(token_.pin_file(), pin + "\n"); }
  // A new kmsd: a new supervisor and a new worker.
  void Restart() {
    device_.reset();
    ASSERT_NO_FATAL_FAILURE(Start());
  }
  void ExpectRefusedAfter(int logins) {
    EXPECT_THAT(device_->AwaitReady(InSeconds(20)), HasError(ErrorCode::kFailedPrecondition));
    EXPECT_TRUE(
        Eventually([this] { return device_->Statistics().state == DeviceState::kLockedOut; }));
    EXPECT_EQ(module_.CountCalls("C_Login"), logins);
  }
  bool Serves() {
    return Eventually([this] { return device_->Random(16, InSeconds(2)).has_value(); });
  }
};

TEST_F(WorkerPin, H9_ARestartDoesNotTryARefusedPinAgain) {
  SetPin("wrong-pin");
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_NO_FATAL_FAILURE(ExpectRefusedAfter(1));
  for (int restart = 0; restart < 3; ++restart) {
    ASSERT_NO_FATAL_FAILURE(Restart());
    ASSERT_NO_FATAL_FAILURE(ExpectRefusedAfter(1));
  }
  EXPECT_THAT(device_->Statistics().state_reason, HasSubstr("remove"));
  SetPin(testing::kTestPin);
  EXPECT_TRUE(Serves());
  EXPECT_EQ(module_.CountCalls("C_Login"), 2);
}

TEST_F(WorkerPin, H9_EachWrongPinIsTriedOnce) {
  SetPin("wrong-pin-1");
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_NO_FATAL_FAILURE(ExpectRefusedAfter(1));
  device_.reset();
  SetPin("wrong-pin-2");
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_NO_FATAL_FAILURE(ExpectRefusedAfter(2));
  ASSERT_NO_FATAL_FAILURE(Restart());
  ExpectRefusedAfter(2);
}

TEST_F(WorkerPin, H9_AnOperatorWhoRemovesTheFileGetsOneMoreAttempt) {
  SetPin("wrong-pin");
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_NO_FATAL_FAILURE(ExpectRefusedAfter(1));
  EXPECT_TRUE(std::filesystem::remove(RefusedPin(options_.token).file()));
  EXPECT_TRUE(Eventually([this] { return module_.CountCalls("C_Login") == 2; }));
  EXPECT_TRUE(
      Eventually([this] { return std::filesystem::exists(RefusedPin(options_.token).file()); }));
}

TEST_F(WorkerPin, H9_ALoginThatKilledItsWorkerIsNotRepeatedOnceTheTokenCountedIt) {
  SetPin("wrong-pin");
  module_.SetRules("C_Login after exit=5");
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_TRUE(
      Eventually([this] { return device_->Statistics().state == DeviceState::kLockedOut; }));
  EXPECT_THAT(device_->Statistics().state_reason, HasSubstr("without an answer"));
  EXPECT_EQ(device_->Statistics().worker_restarts, 1U);
  module_.SetRules("");
  SetPin(testing::kTestPin);
  EXPECT_TRUE(Serves());
}

TEST_F(WorkerPin, H5_ALoginThatKilledItsWorkerIsRepeatedWhenNothingWasCounted) {
  module_.SetRules("C_Login once exit=5");
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_EQ(device_->Statistics().worker_restarts, 1U);
  EXPECT_THAT(Check(), IsOk());
}

TEST_F(WorkerPin, H6_AHangingLoginIsKilledAndRepeatedWhenNothingWasCounted) {
  module_.SetRules("C_Login once hang");
  options_.stuck_call_grace = std::chrono::milliseconds(200);
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_FALSE(device_->Random(16, InMilliseconds(100)).has_value());
  for (const pid_t worker : Workers()) ::kill(worker, SIGKILL);
  EXPECT_TRUE(Serves());
}

TEST_F(WorkerPin, H10_APinThatWasUnlockedIsTriedByTheNextProcess) {
  module_.SetRules("C_Login return=0xa4");
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_NO_FATAL_FAILURE(ExpectRefusedAfter(1));
  module_.SetRules("");
  ASSERT_NO_FATAL_FAILURE(Restart());
  EXPECT_TRUE(Serves());
}

}  // namespace
}  // namespace kms::pkcs11
