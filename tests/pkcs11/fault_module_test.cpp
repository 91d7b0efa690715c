// SPDX-License-Identifier: Apache-2.0
// The fault module itself: every rule does what rules.h says of it, and a Token copes with what is
// no fault but a vendor's way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "pkcs11/module.h"
#include "pkcs11/session.h"
#include "tests/pkcs11/token_faults.h"

namespace kms::pkcs11 {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class FaultModule : public TokenFaults {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(TokenFaults::SetUp());
    if (IsSkipped()) return;
    ::setenv("SOFTHSM2_CONF", options_.softhsm_config.c_str(), 1);
    auto module = Module::Load(faults_->path());
    ASSERT_THAT(module, IsOk());
    module_ = *std::move(module);
    ASSERT_NO_FATAL_FAILURE(Initialize());
  }
  void TearDown() override {
    if (module_ == nullptr) return;
    faults_->SetRules("");
    static_cast<void>(module_->Finalize());
  }
  void Initialize() {
    ASSERT_TRUE(module_->Initialize("").ok());
    std::vector<TokenFacts> tokens;
    ASSERT_TRUE(module_->ListTokens(tokens).ok());
    slot_ = tokens.front().slot;
  }
  // The return value of C_GenerateRandom in a session of its own.
  CK_RV Random(std::vector<CK_BYTE>* out = nullptr) {
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    const Rv opened = module_->OpenSession(slot_, session);
    if (!opened.ok()) return opened.value;
    std::vector<CK_BYTE> bytes(16);
    const CK_RV rv = module_->functions().C_GenerateRandom(session, bytes.data(), bytes.size());
    module_->CloseSession(session);
    if (out != nullptr) *out = bytes;
    return rv;
  }

  std::unique_ptr<Module> module_;
  CK_SLOT_ID slot_ = 0;
};

TEST_F(FaultModule, ReturnsForTheCallsOfARange) {
  faults_->SetRules("C_GenerateRandom n=2 return=0x30\nC_GenerateRandom from=4 return=0x31");
  std::vector<CK_RV> returned;
  for (int call = 0; call < 5; ++call) returned.push_back(Random());
  EXPECT_THAT(returned, ::testing::ElementsAre(CKR_OK, CKR_DEVICE_ERROR, CKR_OK, CKR_DEVICE_MEMORY,
                                               CKR_DEVICE_MEMORY));
}

TEST_F(FaultModule, FailsTheGivenShareOfTheCalls) {
  faults_->SetRules("C_GenerateRandom rate=50% return=0x30");
  int failed = 0;
  for (int call = 0; call < 200; ++call) failed += Random() == CKR_OK ? 0 : 1;
  EXPECT_GT(failed, 50);
  EXPECT_LT(failed, 150);
}

TEST_F(FaultModule, LimitsTheCallsASecondOfAllThreadsTogether) {
  faults_->SetRules("C_GenerateRandom limit=100");
  const auto start = steady_clock::now();
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this] {
      for (int call = 0; call < 10; ++call) EXPECT_EQ(Random(), CKR_OK);
    });
  }
  threads.clear();
  EXPECT_GE(steady_clock::now() - start, milliseconds(380));
}

TEST_F(FaultModule, IsDeadUntilInitialisedAnew) {
  faults_->SetRules("C_GenerateRandom once dead");
  EXPECT_EQ(Random(), CKR_DEVICE_ERROR);
  faults_->SetRules("");
  TokenFacts facts;
  EXPECT_EQ(module_->ReadToken(slot_, facts).value, CKR_DEVICE_ERROR);
  EXPECT_EQ(Random(), CKR_DEVICE_ERROR);
  EXPECT_TRUE(module_->Initialize("").ok()) << "already initialised";
  EXPECT_EQ(Random(), CKR_DEVICE_ERROR);
  EXPECT_TRUE(module_->Finalize().ok());
  ASSERT_NO_FATAL_FAILURE(Initialize());
  EXPECT_EQ(Random(), CKR_OK);
}

TEST_F(FaultModule, DropsSlotsAndObjects) {
  faults_->SetRules("C_GetSlotList drop");
  std::vector<TokenFacts> tokens;
  EXPECT_TRUE(module_->ListTokens(tokens).ok());
  EXPECT_TRUE(tokens.empty());
}

TEST_F(FaultModule, CapsSessions) {
  faults_->SetRules("sessions max=1");
  CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
  ASSERT_TRUE(module_->OpenSession(slot_, session).ok());
  EXPECT_EQ(Random(), CKR_SESSION_COUNT);
  module_->CloseSession(session);
  EXPECT_EQ(Random(), CKR_OK);
}

TEST_F(FaultModule, TriesSystemCallsAndSaysWhatCameOfThem) {
  faults_->SetRules("C_GenerateRandom once call=unix\nC_GenerateRandom once call=fork");
  EXPECT_EQ(Random(), CKR_OK);
  EXPECT_EQ(faults_->ErrnoOf("unix"), 0);
  EXPECT_EQ(faults_->ErrnoOf("fork"), 0) << "nothing refuses it in this process";
  EXPECT_EQ(faults_->ErrnoOf("exec"), -1);
}

TEST_F(FaultModule, ChangesOutputs) {
  faults_->SetRules("C_GenerateRandom constant");
  std::vector<CK_BYTE> bytes;
  EXPECT_EQ(Random(&bytes), CKR_OK);
  EXPECT_EQ(bytes, std::vector<CK_BYTE>(16, 0x42));
}

TEST_F(FaultModule, H23_RefusesCallsOfAForkedProcess) {
  ASSERT_EQ(Random(), CKR_OK);
  EXPECT_EXIT(::_exit(Random() == CKR_CRYPTOKI_NOT_INITIALIZED ? 0 : 1),
              ::testing::ExitedWithCode(0), "");
}

// ---- what a Token makes of a vendor's IVs ------------------------------------------------------

TEST_F(TokenFaults, AnIvOfTheTokensOwnIsRecordedAndOpens) {
  faults_->SetRules("C_EncryptInit iv=overwrite");
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped, Wrap(master));
  EXPECT_EQ(wrapped.nonce_origin, NonceOrigin::kReplaced);
  EXPECT_EQ(wrapped.nonce.size(), 12U);
  faults_->SetRules("");
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                           token_->Unwrap(master, wrapped, context_, InSeconds(10)));
  EXPECT_TRUE(opened == key_);
}

TEST_F(TokenFaults, AnAppendedIvIsRecordedAndOpens) {
  faults_->SetRules("C_EncryptInit iv=append");
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped, Wrap(master));
  EXPECT_EQ(wrapped.nonce_origin, NonceOrigin::kAppended);
  EXPECT_EQ(wrapped.nonce.size(), 16U);
  EXPECT_EQ(wrapped.blob.size(), std::size_t{wrapped.key_bytes} + 16);
  faults_->SetRules("");
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                           token_->Unwrap(master, wrapped, context_, InSeconds(10)));
  EXPECT_TRUE(opened == key_);
}

}  // namespace
}  // namespace kms::pkcs11
