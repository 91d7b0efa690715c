// SPDX-License-Identifier: Apache-2.0
// WorkerDevice over real worker processes, Token and SoftHSM: the contract, and what a library that
// exits, crashes, hangs, lies about lengths or refuses the PIN costs.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/pkcs11/worker_faults.h"

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
using testing::SoftHsmToken;

WorkerOptions OptionsFor(const SoftHsmToken& token) { return WorkerOptionsFor(token.options()); }

DeviceUnderTest MakeOverSoftHsm() {
  const auto token = std::make_shared<SoftHsmToken>();
  auto device = WorkerDevice::Start(OptionsFor(*token));
  EXPECT_THAT(device, IsOk());
  EXPECT_THAT((*device)->AwaitReady(InSeconds(20)), IsOk());
  return {token, *std::move(device)};
}

INSTANTIATE_TEST_SUITE_P(WorkerOverSoftHsm, MasterKeyDeviceContract,
                         ::testing::Values(DeviceFactory{"Process", MakeOverSoftHsm}),
                         testing::DeviceFactoryName);

using WorkerOverFaultyModule = WorkerFaults;

TEST_F(WorkerOverFaultyModule, H4_KilledWorkerHealsAndTheCallerSeesNothing) {
  StartReady();
  const std::vector<pid_t> workers = Workers();
  ASSERT_EQ(workers.size(), 1U);
  ::kill(workers.front(), SIGKILL);
  const auto start = steady_clock::now();
  EXPECT_THAT(Check(), IsOk());
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(device_->Statistics().worker_restarts, 1U);
  EXPECT_EQ(device_->Statistics().failed_calls, 0U);
}

TEST_F(WorkerOverFaultyModule, H4_BrokenPipeInTheLibraryDoesNotEndTheWorker) {
  StartReady();
  module_.SetRules("C_Decrypt once signal=13");
  EXPECT_THAT(Check(), IsOk());
  EXPECT_EQ(device_->Statistics().worker_restarts, 0U);
}

TEST_F(WorkerOverFaultyModule, H4_WorkerIgnoresTheSignalsThatEndKmsd) {
  StartReady();
  for (const pid_t worker : Workers()) {
    ::kill(worker, SIGTERM);
    ::kill(worker, SIGINT);
  }
  EXPECT_THAT(Check(), IsOk());
  EXPECT_EQ(device_->Statistics().worker_restarts, 0U);
}

TEST_F(WorkerOverFaultyModule, H5_LibraryThatExitsCostsOnlyTheWorker) {
  StartReady();
  module_.SetRules("C_Decrypt once exit=5");
  EXPECT_THAT(Check(), IsOk());
  EXPECT_EQ(device_->Statistics().worker_restarts, 1U);
  EXPECT_THAT(Check(), IsOk());
}

TEST_F(WorkerOverFaultyModule, H5_LibraryThatAbortsCostsOnlyTheWorker) {
  StartReady();
  module_.SetRules("C_Decrypt once signal=6");
  EXPECT_THAT(Check(), IsOk());
  EXPECT_EQ(device_->Statistics().worker_restarts, 1U);
}

TEST_F(WorkerOverFaultyModule, H5_LibraryThatCrashesCostsOnlyTheWorker) {
  StartReady();
  module_.SetRules("C_Decrypt once signal=11");
  EXPECT_THAT(Check(), IsOk());
  EXPECT_EQ(device_->Statistics().worker_restarts, 1U);
}

TEST_F(WorkerOverFaultyModule, H5_LibraryThatAlwaysExitsIsReportedAndHealsWhenItStops) {
  StartReady();
  module_.SetRules("C_Initialize exit=5");
  for (const pid_t worker : Workers()) {
    ::kill(worker, SIGKILL);
  }
  ASSERT_TRUE(Eventually([&] { return device_->Statistics().worker_restarts >= 3; }));
  EXPECT_THAT(Check(InSeconds(5)), HasError(ErrorCode::kUnavailable));
  module_.SetRules("");
  EXPECT_THAT(device_->AwaitReady(InSeconds(5)), IsOk());
  EXPECT_THAT(Check(), IsOk());
}

TEST_F(WorkerOverFaultyModule, H6_HangingCallMissesItsDeadlineAndCostsTheWorker) {
  StartReady(milliseconds(300));
  module_.SetRules("C_Decrypt hang");
  const auto start = steady_clock::now();
  EXPECT_THAT(Check(steady_clock::now() + milliseconds(300)), HasError(ErrorCode::kUnavailable));
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(2));
  ASSERT_TRUE(Eventually([&] { return device_->Statistics().worker_restarts >= 1; }));
  module_.SetRules("");
  EXPECT_TRUE(Eventually([&] { return Check(InSeconds(2)).has_value(); }));
}

TEST_F(WorkerOverFaultyModule, H6_EndsWithinASecondWhileTheLibraryHangs) {
  StartReady();
  module_.SetRules("C_Decrypt hang");
  EXPECT_FALSE(Check(steady_clock::now() + milliseconds(100)).has_value());
  const auto start = steady_clock::now();
  device_.reset();
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(1));
  EXPECT_TRUE(Workers().empty());
}

TEST_F(WorkerOverFaultyModule, H6_EndsWithinASecondWhileTheLibraryHangsAtItsStart) {
  module_.SetRules("C_Initialize hang");
  Start();
  EXPECT_THAT(device_->AwaitReady(steady_clock::now() + milliseconds(300)),
              HasError(ErrorCode::kUnavailable));
  const auto start = steady_clock::now();
  device_.reset();
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(1));
  EXPECT_TRUE(Workers().empty());
}

TEST_F(WorkerOverFaultyModule, H4_WorkersKilledUnderLoadNeverCostAWrongAnswer) {
  StartReady();
  std::atomic<bool> stop = false;
  std::atomic<int> right = 0;
  std::atomic<int> wrong = 0;
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      while (!stop) {
        const SecretBytes key = testing::RandomKey(32);
        const auto wrapped = device_->Wrap(master_, key, {}, InSeconds(20));
        const auto opened = wrapped.has_value()
                                ? device_->Unwrap(master_, *wrapped, {}, InSeconds(20))
                                : Result<SecretBytes>(wrapped.error());
        right += opened.has_value() && *opened == key ? 1 : 0;
        wrong += opened.has_value() && !(*opened == key) ? 1 : 0;
      }
    });
  }
  for (std::uint64_t kill = 1; kill <= 5; ++kill) {
    const int before = right;
    ASSERT_TRUE(Eventually([&] { return right > before + 20; }));
    for (const pid_t worker : Workers()) {
      ::kill(worker, SIGKILL);
    }
    ASSERT_TRUE(Eventually([&] { return device_->Statistics().worker_restarts >= kill; }));
  }
  stop = true;
  callers.clear();
  EXPECT_EQ(wrong, 0);
  EXPECT_THAT(Check(), IsOk());
}

TEST_F(WorkerOverFaultyModule, H6_StoppedWorkerIsReplaced) {
  StartReady(milliseconds(200));
  for (const pid_t worker : Workers()) {
    ::kill(worker, SIGSTOP);
  }
  EXPECT_THAT(Check(steady_clock::now() + milliseconds(200)), HasError(ErrorCode::kUnavailable));
  EXPECT_TRUE(Eventually([&] { return Check(InSeconds(2)).has_value(); }));
  EXPECT_EQ(device_->Statistics().worker_restarts, 1U);
}

TEST_F(WorkerOverFaultyModule, H9_WrongPinIsTriedOnceEvenWhenTheWorkerDies) {
  testing::WriteTestFile(token_.pin_file(), "wrong-pin\n");
  Start();
  EXPECT_THAT(device_->AwaitReady(InSeconds(20)), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_EQ(module_.CountCalls("C_Login"), 1);
  EXPECT_EQ(device_->Statistics().state, DeviceState::kLockedOut);
  for (const pid_t worker : Workers()) {
    ::kill(worker, SIGKILL);
  }
  ASSERT_TRUE(Eventually([] { return Workers().empty(); }));
  EXPECT_THAT(device_->Random(16, InSeconds(2)), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_EQ(module_.CountCalls("C_Login"), 1);

  testing::WriteTestFile(token_.pin_file(), std::string(testing::kTestPin) + "\n");
  EXPECT_TRUE(Eventually([&] { return device_->Random(16, InSeconds(2)).has_value(); }));
  EXPECT_EQ(module_.CountCalls("C_Login"), 2);
}

TEST_F(WorkerOverFaultyModule, H10_LockedPinNeedsAnOperator) {
  module_.SetRules("C_Login return=0xa4");
  Start();
  EXPECT_THAT(device_->AwaitReady(InSeconds(20)), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_EQ(module_.CountCalls("C_Login"), 1);
  EXPECT_EQ(device_->Statistics().state, DeviceState::kLockedOut);
}

TEST_F(WorkerOverFaultyModule, H10_PinThatTheTokenLockedStaysLockedForTheRightOne) {
  module_.SetRules("pin tries=1");
  testing::WriteTestFile(token_.pin_file(), "wrong-pin\n");
  Start();
  EXPECT_THAT(device_->AwaitReady(InSeconds(20)), HasError(ErrorCode::kFailedPrecondition));
  testing::WriteTestFile(token_.pin_file(), std::string(testing::kTestPin) + "\n");
  ASSERT_TRUE(Eventually([&] { return module_.CountCalls("C_Login") == 2; }));
  EXPECT_THAT(device_->Random(16, InSeconds(5)), HasError(ErrorCode::kFailedPrecondition));
  // The worker refuses by itself; its supervisor hears of the state with the next statistics.
  EXPECT_TRUE(Eventually([&] { return device_->Statistics().state == DeviceState::kLockedOut; }));
}

TEST_F(WorkerOverFaultyModule, H10_SessionsInUseGoOnWhenThePinIsLockedMeanwhile) {
  StartReady();
  module_.SetRules("C_Login return=0xa4");
  EXPECT_THAT(Check(), IsOk());
}

TEST_F(WorkerOverFaultyModule, H19_OutputOfWrongLengthIsRefused) {
  StartReady();
  const SecretBytes key = testing::RandomKey(32);
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped,
                           device_->Wrap(master_, key, {}, InSeconds(20)));
  for (const std::string length : {"+1", "-1", "0", "100000", "unavailable"}) {
    module_.SetRules("C_Decrypt length=" + length);
    EXPECT_FALSE(device_->Unwrap(master_, wrapped, {}, InSeconds(3)).has_value()) << length;
  }
  module_.SetRules("");
  ASSERT_TRUE(Eventually([&] { return Check(InSeconds(2)).has_value(); }));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                           device_->Unwrap(master_, wrapped, {}, InSeconds(20)));
  EXPECT_TRUE(opened == key);
}

TEST_F(WorkerOverFaultyModule, H20_WrapThatDoesNotOpenIsRefused) {
  StartReady();
  module_.SetRules("C_Encrypt flip");
  EXPECT_FALSE(device_->Wrap(master_, testing::RandomKey(32), {}, InSeconds(5)).has_value());
}

TEST(WorkerProcess, PinFromADescriptorServesEveryWorker) {
  SoftHsmToken token;
  ASSERT_TRUE(token.ok());
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const std::string pin = testing::kTestPin;
  ASSERT_EQ(::write(pipe_ends[1], pin.data(), pin.size()), static_cast<ssize_t>(pin.size()));
  ::close(pipe_ends[1]);
  WorkerOptions options = OptionsFor(token);
  options.token.pin = {PinSource::Kind::kDescriptor, std::to_string(pipe_ends[0])};
  KMS_ASSERT_OK_AND_ASSIGN(const auto device, WorkerDevice::Start(std::move(options)));
  ASSERT_THAT(device->AwaitReady(InSeconds(20)), IsOk());
  for (const pid_t worker : Workers()) {
    ::kill(worker, SIGKILL);
  }
  EXPECT_THAT(device->Random(16, InSeconds(20)), IsOk());
  EXPECT_EQ(device->Statistics().worker_restarts, 1U);
}

TEST(WorkerProcess, HasNoForeignDescriptorsAndACleanEnvironment) {
  SoftHsmToken token;
  ASSERT_TRUE(token.ok());
  ASSERT_EQ(::setenv("KMS_TEST_CANARY", "secret", 1), 0);
  const std::string leaked = token.directory() + "/leaked";
  const int foreign = ::open(leaked.c_str(), O_CREAT | O_RDWR, S_IRUSR | S_IWUSR);
  ASSERT_GE(foreign, 0);
  KMS_ASSERT_OK_AND_ASSIGN(const auto device, WorkerDevice::Start(OptionsFor(token)));
  ASSERT_THAT(device->AwaitReady(InSeconds(20)), IsOk());
  ASSERT_EQ(Workers().size(), 1U);
  const std::string proc = "/proc/" + std::to_string(Workers().front());
  for (const auto& entry : std::filesystem::directory_iterator(proc + "/fd")) {
    std::error_code gone;
    EXPECT_NE(std::filesystem::read_symlink(entry.path(), gone).string(), leaked);
  }
  std::ifstream environment(proc + "/environ");
  const std::string text((std::istreambuf_iterator<char>(environment)), {});
  EXPECT_THAT(text, HasSubstr("SOFTHSM2_CONF="));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("CANARY")));
  std::ifstream limits(proc + "/limits");
  const std::string limit_text((std::istreambuf_iterator<char>(limits)), {});
  EXPECT_THAT(limit_text, ::testing::ContainsRegex("Max core file size +0 +0"));
  std::ifstream status(proc + "/status");
  const std::string status_text((std::istreambuf_iterator<char>(status)), {});
  EXPECT_THAT(status_text, HasSubstr("NoNewPrivs:\t1"));
  ::close(foreign);
  ::unsetenv("KMS_TEST_CANARY");
}

TEST(WorkerProcess, EndsByItselfWhenTheOtherEndCloses) {
  KMS_ASSERT_OK_AND_ASSIGN(
      const auto worker,
      SpawnWorker({.program = kWorkerProgram, .arguments = {}, .environment = {}}));
  EXPECT_FALSE(worker->WaitForEnd(steady_clock::now()));
  worker->Close();
  EXPECT_TRUE(worker->WaitForEnd(InSeconds(10)));
  EXPECT_EQ(worker->ending(), "exited with status 0");
}

TEST(WorkerProcess, SaysHowAWorkerWasKilled) {
  KMS_ASSERT_OK_AND_ASSIGN(
      const auto worker,
      SpawnWorker({.program = kWorkerProgram, .arguments = {}, .environment = {}}));
  worker->Kill();
  EXPECT_TRUE(worker->WaitForEnd(InSeconds(10)));
  EXPECT_EQ(worker->ending(), "was killed by signal 9");
}

TEST(WorkerProcess, ProgramThatIsMissingIsReported) {
  SoftHsmToken token;
  ASSERT_TRUE(token.ok());
  WorkerOptions options = OptionsFor(token);
  options.program = token.directory() + "/absent";
  KMS_ASSERT_OK_AND_ASSIGN(const auto device, WorkerDevice::Start(std::move(options)));
  EXPECT_THAT(device->AwaitReady(steady_clock::now() + milliseconds(300)),
              HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(device->Statistics().state_reason, HasSubstr("absent"));
}

}  // namespace

}  // namespace kms::pkcs11
