// SPDX-License-Identifier: Apache-2.0
// Rows H1 to H8, H24 of what must be survived, over real workers: healed without a restart of
// anything, and never a wrong answer.
#include "tests/pkcs11/worker_healing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace kms::pkcs11 {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::InSeconds;
using testing::IsOk;

namespace fs = std::filesystem;

// ---- sessions, logins, tokens ------------------------------------------------------------------

TEST_F(WorkerHealing, H1_LostSessionsAreReplacedAndNoCallerSeesIt) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  module_.SetRules(
      "C_Encrypt n=5 return=0xb3\nC_DecryptInit n=20 return=0xb0\n"
      "C_Decrypt n=40 return=0xb3\nC_EncryptInit n=60 return=0x90");
  Load load(*device_, master_);
  ASSERT_TRUE(Eventually([&] { return load.right > 100; }));
  load.End();
  EXPECT_EQ(load.failed + load.wrong, 0);
  EXPECT_EQ(device_->Statistics().reconnects, 0U);
  EXPECT_EQ(device_->Statistics().worker_restarts, 0U);
}

TEST_F(WorkerHealing, H2_ALostLoginIsMadeGoodByOneLogin) {
  options_.token.sessions = 8;
  ASSERT_NO_FATAL_FAILURE(StartReady());
  Load load(*device_, master_, 8);
  module_.SetRules("C_DecryptInit once return=0x101");
  ASSERT_TRUE(Eventually([&] { return module_.CountCalls("C_Login") == 2; }));
  const int before = load.right;
  ASSERT_TRUE(Eventually([&] { return load.right > before + 20; }));
  load.End();
  EXPECT_EQ(load.failed + load.wrong, 0);
  EXPECT_EQ(module_.CountCalls("C_Login"), 2);
  EXPECT_EQ(device_->Statistics().worker_restarts, 0U);
}

// As when the HSM was restarted behind its module: one call after the other meets a dead session.
TEST_F(WorkerHealing, H1_AllSessionsAndTheLoginLostAtOnceAreSeenByNoCaller) {
  options_.token.sessions = 8;
  ASSERT_NO_FATAL_FAILURE(StartReady());
  Load load(*device_, master_, 8);
  for (int loss = 1; loss <= 3; ++loss) {
    const int before = load.right;
    ASSERT_TRUE(Eventually([&] { return load.right > before + 20; }));
    module_.SetRules("C_DecryptInit once lose from=" + std::to_string(loss));
    ASSERT_TRUE(Eventually([&] { return module_.CountAnswers("C_Login", CKR_OK) == 1 + loss; }));
  }
  load.End();
  EXPECT_EQ(load.failed + load.wrong, 0);
  EXPECT_EQ(module_.CountAnswers("C_Login", CKR_OK), 4);
  EXPECT_EQ(module_.CountCalls("C_Finalize"), 0);
  EXPECT_EQ(device_->Statistics().worker_restarts, 0U);
}

TEST_F(WorkerHealing, H2_ALogoutOfAllSessionsIsMadeGoodByOneLogin) {
  options_.token.sessions = 8;
  ASSERT_NO_FATAL_FAILURE(StartReady());
  Load load(*device_, master_, 8);
  module_.SetRules("C_Decrypt once logout");
  ASSERT_TRUE(Eventually([&] { return module_.CountCalls("C_Login") == 2; }));
  const int before = load.right;
  ASSERT_TRUE(Eventually([&] { return load.right > before + 20; }));
  load.End();
  EXPECT_EQ(load.failed + load.wrong, 0);
  EXPECT_EQ(module_.CountCalls("C_Login"), 2);
  EXPECT_EQ(module_.CountCalls("C_Finalize"), 0);
}

TEST_F(WorkerHealing, H3_ATokenThatGoesAndComesBackHealsWithinFiveSeconds) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const SecretBytes key = testing::RandomKey(32);
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped, Wrap(key));
  const std::string away = token_.directory() + "/away";
  fs::rename(token_.tokens(), away);
  EXPECT_FALSE(Check(InMilliseconds(500)).has_value());
  ASSERT_TRUE(Eventually([this] { return device_->Statistics().state == DeviceState::kDown; }));
  fs::rename(away, token_.tokens());
  const auto back = steady_clock::now();
  EXPECT_TRUE(Heals());
  EXPECT_LT(steady_clock::now() - back, std::chrono::seconds(6));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                           device_->Unwrap(master_, wrapped, {}, InSeconds(20)));
  EXPECT_TRUE(opened == key) << "found again by its id";
  EXPECT_EQ(device_->Statistics().worker_restarts, 0U);
}

TEST_F(WorkerHealing, H3_ATokenThatIsAwayWhileItsWorkerIsReplacedHealsToo) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const std::string away = token_.directory() + "/away";
  fs::rename(token_.tokens(), away);
  fs::create_directory(token_.tokens());
  KillWorkers();
  EXPECT_FALSE(Check(InMilliseconds(500)).has_value());
  fs::remove_all(token_.tokens());
  fs::rename(away, token_.tokens());
  EXPECT_TRUE(Heals());
}

TEST_F(WorkerHealing, H4_AModuleThatIsDeadUntilInitialisedAnewIs) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  module_.SetRules("C_Decrypt once dead");
  EXPECT_FALSE(Check(InSeconds(2)).has_value());
  EXPECT_TRUE(Heals());
  EXPECT_GE(module_.CountCalls("C_Finalize"), 1);
  EXPECT_TRUE(Eventually([this] { return device_->Statistics().reconnects == 1; }));
  EXPECT_EQ(device_->Statistics().worker_restarts, 0U);
}

TEST_F(WorkerHealing, H3_HandlesThatDoNotLastAreFoundAgainById) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  for (const char* const rule :
       {"C_DecryptInit n=1 return=0x60", "C_DecryptInit n=1 return=0x82"}) {
    module_.SetRules(rule);
    EXPECT_THAT(Check(), IsOk()) << rule;
  }
  EXPECT_EQ(device_->Statistics().reconnects, 0U);
}

// ---- hanging, slow and failing modules ---------------------------------------------------------

TEST_F(WorkerHealing, H6_AStuckWorkerIsKilledAndNeverFinalised) {
  ASSERT_NO_FATAL_FAILURE(StartReady(milliseconds(200)));
  module_.SetRules("C_Decrypt hang");
  EXPECT_FALSE(Check(InMilliseconds(100)).has_value());
  EXPECT_EQ(device_->Statistics().abandoned_calls, 1U);
  const int finalised = module_.CountCalls("C_Finalize");
  ASSERT_TRUE(Eventually([this] { return device_->Statistics().worker_restarts == 1; }));
  EXPECT_EQ(module_.CountCalls("C_Finalize"), finalised);
  module_.SetRules("");
  EXPECT_TRUE(Heals());
}

TEST_F(WorkerHealing, H7_ATokenThatIsSlowAndCappedServesWhatItCanAndRefusesTheRestAtOnce) {
  options_.max_waiting = 4;
  options_.token.sessions = 2;
  ASSERT_NO_FATAL_FAILURE(StartReady());
  module_.SetRules("C_Decrypt delay=100 limit=20");
  std::atomic<int> served = 0;
  std::atomic<int> refused = 0;
  const auto start = steady_clock::now();
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 12; ++caller) {
    callers.emplace_back([&] {
      const Status status = Check(InSeconds(10));
      served += status.has_value() ? 1 : 0;
      refused += !status.has_value() && status.error().public_message == "HSM is busy" ? 1 : 0;
    });
  }
  callers.clear();
  EXPECT_GE(served, 4);
  EXPECT_EQ(served + refused, 12);
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(WorkerHealing, H8_OneCallInAHundredFailsAndNoCallerSeesIt) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  module_.SetRules("C_Decrypt rate=1% return=0x5\nC_Encrypt rate=1% return=0x6");
  Load load(*device_, master_);
  ASSERT_TRUE(Eventually([&] { return load.right + load.failed > 500; }));
  load.End();
  EXPECT_EQ(load.wrong, 0);
  EXPECT_EQ(load.failed, 0);
}

TEST_F(WorkerHealing, H8_DeviceErrorsUnderLoadHealAndNeverCostAWrongAnswer) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  module_.SetRules("C_Decrypt rate=2% return=0x30\nC_Encrypt rate=2% return=0x31");
  Load load(*device_, master_);
  ASSERT_TRUE(Eventually([&] { return device_->Statistics().reconnects >= 3; }));
  module_.SetRules("");
  const int before = load.right;
  EXPECT_TRUE(Eventually([&] { return load.right > before + 20; }));
  load.End();
  EXPECT_EQ(load.wrong, 0);
  EXPECT_EQ(device_->Statistics().worker_restarts, 0U);
}

TEST_F(WorkerHealing, H24_AStormOfCallersWhileTheModuleIsInitialisedAnewCrashesNothing) {
  options_.token.sessions = 8;
  ASSERT_NO_FATAL_FAILURE(StartReady());
  Load load(*device_, master_, 12);
  for (std::uint64_t storm = 1; storm <= 3; ++storm) {
    module_.SetRules("C_Encrypt n=5 dead\n# " + std::to_string(storm));
    ASSERT_TRUE(Eventually([&] { return device_->Statistics().reconnects >= storm; }));
    module_.SetRules("");
    const int before = load.right;
    ASSERT_TRUE(Eventually([&] { return load.right > before + 20; }));
  }
  load.End();
  EXPECT_EQ(load.wrong, 0);
  EXPECT_EQ(device_->Statistics().worker_restarts, 0U) << "drained before each C_Finalize";
}

// A process per token: initialising one anew, or killing it, is nothing to another.
TEST_F(WorkerHealing, H24_TroubleOfOneTokenIsNothingToItsNeighbour) {
  ASSERT_NO_FATAL_FAILURE(StartReady(milliseconds(200)));
  testing::SoftHsmToken other("neighbour");
  ASSERT_TRUE(other.ok());
  testing::FaultyModule other_module(other.directory(), testing::kSoftHsmModule);
  WorkerOptions options = WorkerOptionsFor(other.options());
  options.token.module_path = other_module.path();
  KMS_ASSERT_OK_AND_ASSIGN(const auto neighbour, WorkerDevice::Start(std::move(options)));
  ASSERT_THAT(neighbour->AwaitReady(InSeconds(20)), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(
      const MasterKeyRecord master,
      neighbour->GenerateMasterKey(Uuid::Random(), 1, "neighbour", InSeconds(20)));
  const int finalised = other_module.CountCalls("C_Finalize");
  Load load(*neighbour, master);
  for (const char* const trouble :
       {"C_Decrypt once dead", "C_Decrypt once exit=5", "C_Decrypt hang"}) {
    module_.SetRules(trouble);
    IgnoreError(Check(InMilliseconds(100)), "it may be made again in time");
    module_.SetRules("");
    EXPECT_TRUE(Heals()) << trouble;
  }
  ASSERT_TRUE(Eventually([&] { return load.right > 100; }));
  load.End();
  EXPECT_EQ(load.failed + load.wrong, 0);
  EXPECT_EQ(other_module.CountCalls("C_Finalize"), finalised);
  EXPECT_EQ(neighbour->Statistics().worker_restarts, 0U);
}

}  // namespace
}  // namespace kms::pkcs11
