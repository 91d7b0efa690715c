// SPDX-License-Identifier: Apache-2.0
// Rows H1 to H26 of what must be survived, over real workers: healed without a restart of anything,
// and never a wrong answer.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pkcs11/attributes.h"
#include "pkcs11/master_key.h"
#include "pkcs11/module.h"
#include "pkcs11/session.h"
#include "tests/pkcs11/worker_faults.h"

namespace kms::pkcs11 {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasError;
using ::testing::HasSubstr;
using testing::InSeconds;
using testing::IsOk;

namespace fs = std::filesystem;

// Calls from several threads, judged one by one.
class Load {
 public:
  Load(WorkerDevice& device, const MasterKeyRecord& master, int threads = 4) {
    for (int thread = 0; thread < threads; ++thread) {
      threads_.emplace_back([this, &device, &master] {
        while (!stop_) Once(device, master);
      });
    }
  }
  void End() {
    stop_ = true;
    threads_.clear();
  }

  std::atomic<int> right = 0;
  std::atomic<int> wrong = 0;
  std::atomic<int> failed = 0;

 private:
  void Once(WorkerDevice& device, const MasterKeyRecord& master) {
    const SecretBytes key = testing::RandomKey(32);
    const auto wrapped = device.Wrap(master, key, {}, InSeconds(20));
    const auto opened = wrapped.has_value() ? device.Unwrap(master, *wrapped, {}, InSeconds(20))
                                            : Result<SecretBytes>(wrapped.error());
    right += opened.has_value() && *opened == key ? 1 : 0;
    wrong += opened.has_value() && !(*opened == key) ? 1 : 0;
    failed += opened.has_value() ? 0 : 1;
  }

  std::atomic<bool> stop_ = false;
  std::vector<std::jthread> threads_;
};

class WorkerHealing : public WorkerFaults {
 protected:
  // Runs `act` on the token itself, with a logged-in session; the worker must be gone.
  template <typename Act>
  void WithRawSession(Act act) {
    ASSERT_EQ(device_, nullptr);
    ::setenv("SOFTHSM2_CONF", options_.token.softhsm_config.c_str(), 1);
    KMS_ASSERT_OK_AND_ASSIGN(const auto module, Module::Load(testing::kSoftHsmModule));
    ASSERT_TRUE(module->Initialize("").ok());
    std::vector<TokenFacts> tokens;
    ASSERT_TRUE(module->ListTokens(tokens).ok());
    {
      KMS_ASSERT_OK_AND_ASSIGN(Session session, Session::Open(*module, tokens.front().slot));
      const SecretBytes pin = SecretBytes::CopyOf(AsBytes(testing::kTestPin)).value();
      ASSERT_TRUE(session.Login(CKU_USER, pin).ok());
      act(session);
    }
    ASSERT_TRUE(module->Finalize().ok());
  }
  void StartAgain() {
    device_.reset();
    ASSERT_NO_FATAL_FAILURE(Start());
    ASSERT_THAT(device_->AwaitReady(InSeconds(20)), IsOk());
  }
  // SoftHSM's configuration with one more line, as of the next initialisation.
  void Configure(const std::string& line) {
    std::ofstream(options_.token.softhsm_config, std::ios::app) << line << "\n";
  }
  void KillWorkers() {
    for (const pid_t worker : Workers()) ::kill(worker, SIGKILL);
  }
};

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
  for (const char* const rule : {"C_DecryptInit n=1 return=0x60", "C_DecryptInit n=1 return=0x82"}) {
    module_.SetRules(rule);
    EXPECT_THAT(Check(), IsOk()) << rule;
  }
  EXPECT_EQ(device_->Statistics().reconnects, 0U);
}

// ---- hanging, slow and failing modules
// -----------------------------------------------------------

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

// ---- master keys -------------------------------------------------------------------------------

TEST_F(WorkerHealing, H11_AMissingMasterKeyIsNamedAndNoneIsMade) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  device_.reset();
  WithRawSession([&](Session& session) {
    EXPECT_THAT(DestroyMasterKeyObjects(session, master_.id, master_.label), IsOk());
  });
  ASSERT_NO_FATAL_FAILURE(StartAgain());
  EXPECT_THAT(Check(), HasError(ErrorCode::kFailedPrecondition, HasSubstr(master_.id.ToString())));
  EXPECT_THAT(Wrap(testing::RandomKey(32)), HasError(ErrorCode::kFailedPrecondition));
  device_.reset();
  WithRawSession([&](Session& session) {
    EXPECT_THAT(FindMasterKeyObject(session, master_.id), HasError(ErrorCode::kNotFound));
  });
}

TEST_F(WorkerHealing, H11_AnObjectThatVanishesForAMomentIsFoundAgain) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  KillWorkers();
  module_.SetRules("C_FindObjects rate=30% drop");
  IgnoreError(Check(InSeconds(5)), "found or not");
  module_.SetRules("");
  EXPECT_TRUE(Heals());
}

TEST_F(WorkerHealing, H12_TwoKeysOfOneIdAreRefusedAndNamed) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  device_.reset();
  WithRawSession([&](Session& session) {
    EXPECT_THAT(GenerateMasterKeyObject(session, {.id = master_.id, .label = "intruder"},
                                        ExtraAttributes::kNone),
                IsOk());
  });
  ASSERT_NO_FATAL_FAILURE(StartAgain());
  EXPECT_THAT(Check(), HasError(ErrorCode::kFailedPrecondition, HasSubstr("intruder")));
}

// Another key under the recorded id: what a swapped token directory amounts to.
TEST_F(WorkerHealing, H13_AnotherKeyUnderTheRecordedIdWrapsAndOpensNothing) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped, Wrap(testing::RandomKey(32)));
  EXPECT_THAT(device_->DestroyMasterKey(master_, InSeconds(20)), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const MasterKeyRecord impostor,
                           device_->GenerateMasterKey(master_.id, 1, "impostor", InSeconds(20)));
  EXPECT_THAT(device_->CheckSentinel(impostor, InSeconds(20)), IsOk());
  EXPECT_THAT(Check(), HasError(ErrorCode::kCorrupted));
  EXPECT_THAT(Wrap(testing::RandomKey(32)), HasError(ErrorCode::kCorrupted));
  EXPECT_FALSE(device_->Unwrap(master_, wrapped, {}, InSeconds(20)).has_value());
}

TEST_F(WorkerHealing, H16_AMasterKeyThatMayLeaveTheTokenIsRefused) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  device_.reset();
  master_.id = Uuid::Random();
  AttributeList list;
  list.Number(CKA_CLASS, CKO_SECRET_KEY).Number(CKA_KEY_TYPE, CKK_AES).Number(CKA_VALUE_LEN, 32);
  list.Data(CKA_ID, master_.id.View()).Flag(CKA_TOKEN, true).Flag(CKA_PRIVATE, true);
  list.Flag(CKA_SENSITIVE, true).Flag(CKA_EXTRACTABLE, true);
  list.Flag(CKA_ENCRYPT, true).Flag(CKA_DECRYPT, true).Flag(CKA_WRAP, false);
  list.Flag(CKA_UNWRAP, false);
  WithRawSession([&](Session& session) {
    EXPECT_THAT(session.GenerateKey(CKM_AES_KEY_GEN, list.span()), IsOk());
  });
  ASSERT_NO_FATAL_FAILURE(StartAgain());
  EXPECT_THAT(Check(), HasError(ErrorCode::kFailedPrecondition, HasSubstr("CKA_EXTRACTABLE")));
}

TEST_F(WorkerHealing, H17_ATokenWithFewSessionsIsServedWithThoseItGrants) {
  module_.SetRules("sessions max=5");
  options_.token.sessions = 16;
  ASSERT_NO_FATAL_FAILURE(StartReady());
  Load load(*device_, master_, 8);
  ASSERT_TRUE(Eventually([&] { return load.right + load.failed > 100; }));
  load.End();
  EXPECT_EQ(load.failed + load.wrong, 0);
  EXPECT_LE(device_->Statistics().sessions_open, 5U);
}

TEST_F(WorkerHealing, H21_AMechanismThatIsGoneAfterAnUpgradeIsNamed) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  Configure("slots.mechanisms = CKM_AES_KEY_GEN,CKM_AES_KEY_WRAP");
  KillWorkers();
  EXPECT_TRUE(Eventually([this] {
    const Status status = Check(InSeconds(5));
    return !status.has_value() && status.error().code == ErrorCode::kFailedPrecondition;
  }));
}

TEST_F(WorkerHealing, H21_ATokenWithoutAnyMechanismIsRefusedWithTheReport) {
  Configure("slots.mechanisms = CKM_SHA256");
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_THAT(device_->AwaitReady(InSeconds(20)), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(device_->Statistics().state_reason, HasSubstr("gcm-encrypt"));
}

TEST_F(WorkerHealing, H22_AFullTokenIsACleanErrorAndALaterTrySucceeds) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const Uuid id = Uuid::Random();
  module_.SetRules("C_GenerateKey return=0x31");
  EXPECT_THAT(device_->GenerateMasterKey(id, 2, "second", InSeconds(5)),
              HasError(ErrorCode::kResourceExhausted));
  module_.SetRules("");
  EXPECT_TRUE(Eventually(
      [&] { return device_->GenerateMasterKey(id, 2, "second", InSeconds(5)).has_value(); }));
  EXPECT_THAT(Check(), IsOk());
}

// The real thing: SoftHSM on a file system of 64 KiB.
TEST_F(WorkerHealing, H22_AFullDiskOfTheTokenLeavesNoHalfMadeKey) {
  const std::string moved = token_.directory() + "/moved";
  fs::rename(token_.tokens(), moved);
  fs::create_directory(token_.tokens());
  if (::mount("tmpfs", token_.tokens().c_str(), "tmpfs", 0, "size=64k") != 0) {
    fs::remove(token_.tokens());
    fs::rename(moved, token_.tokens());
    GTEST_SKIP() << "needs the right to mount";
  }
  fs::copy(moved, token_.tokens(), fs::copy_options::recursive);
  StartReady();
  int made = 0;
  while (!HasFatalFailure() && made < 64 &&
         device_->GenerateMasterKey(Uuid::Random(), 2, "filler", InSeconds(5)).has_value()) {
    ++made;
  }
  EXPECT_LT(made, 64) << "the disk never filled";
  EXPECT_TRUE(Heals()) << "the keys there are still serve";
  device_.reset();
  ::umount2(token_.tokens().c_str(), MNT_DETACH);
}

TEST_F(WorkerHealing, H26_AProofThatIsWrongInItsValueAloneIsNoProof) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  module_.SetRules("C_Decrypt flip");
  EXPECT_THAT(Check(InSeconds(5)), HasError(ErrorCode::kCorrupted));
  module_.SetRules("");
  EXPECT_TRUE(Heals());
}

}  // namespace
}  // namespace kms::pkcs11
