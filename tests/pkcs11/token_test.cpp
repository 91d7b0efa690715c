// SPDX-License-Identifier: Apache-2.0
// The real token when its HSM misbehaves: rows H1 to H20 on SoftHSM behind the fault module.
#include "pkcs11/token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "pkcs11/master_key.h"
#include "pkcs11/module.h"
#include "pkcs11/session.h"
#include "pkcs11/token_lock.h"
#include "tests/pkcs11/token_faults.h"

namespace kms::pkcs11 {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::SoftHsmToken;
using ::kms::testing::WriteTestFile;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

// SoftHSM stores an attribute as type, kind and length (8 bytes each, big-endian) and its value;
// that of CKA_VALUE starts with the IV of its CBC encryption, where a flipped bit flips one of the
// key.
void FlipBitOfStoredKey(const fs::path& object_file) {
  std::ifstream in(object_file, std::ios::binary);
  std::string content((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  in.close();
  const std::string head = std::string(7, '\0') + '\x11' + std::string(7, '\0') + '\x03';
  const std::size_t found = content.find(head);
  ASSERT_NE(found, std::string::npos);
  content[found + head.size() + 8] ^= 1;
  std::ofstream(object_file, std::ios::binary | std::ios::trunc) << content;
}

// ---- starting ----------------------------------------------------------------------------------

TEST_F(TokenFaults, RefusesOptionsThatCanNeverWork) {
  TokenOptions options = options_;
  options.token_label.clear();
  EXPECT_THAT(Token::Start(options), HasError(ErrorCode::kFailedPrecondition));
  options = options_;
  options.pinned_mechanism = "rot13";
  EXPECT_THAT(Token::Start(options), HasError(ErrorCode::kFailedPrecondition));
  options = options_;
  options.module_path = "libsofthsm2.so";
  EXPECT_THAT(Token::Start(options), HasError(ErrorCode::kFailedPrecondition));
  options = options_;
  options.pin.value.clear();
  EXPECT_THAT(Token::Start(options), HasError(ErrorCode::kFailedPrecondition));
}

TEST_F(TokenFaults, CallsFailAtOnceWhileTheTokenIsAbsent) {
  options_.token_label = "nobody";
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_THAT(token_->Random(16, InSeconds(5)), HasError(ErrorCode::kUnavailable));
  EXPECT_EQ(token_->Statistics().state, DeviceState::kDown);
  EXPECT_FALSE(token_->stuck());
}

TEST_F(TokenFaults, RefusesAnotherSerialNumber) {
  options_.token_serial = "0000000000000000";
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_THAT(token_->AwaitReady(InSeconds(20)), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_EQ(token_->Statistics().state, DeviceState::kFatalConfig);
  EXPECT_THAT(token_->Statistics().state_reason, HasSubstr("serial"));
  EXPECT_EQ(faults_->CountCalls("C_Login"), 0);
}

TEST_F(TokenFaults, RefusesTwoTokensOfOneLabel) {
  SoftHsmToken other("kms-test");
  ASSERT_TRUE(other.ok());
  for (const auto& entry : fs::directory_iterator(other.tokens())) {
    fs::copy(entry.path(), fs::path(world_->tokens()) / entry.path().filename());
  }
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_THAT(token_->AwaitReady(InSeconds(20)), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(token_->Statistics().state_reason, HasSubstr("several"));
}

// No restart: the operator has taken the second one away.
TEST_F(TokenFaults, LooksAgainAtATokenThatItRefused) {
  std::vector<fs::path> added;
  SoftHsmToken other("kms-test");
  ASSERT_TRUE(other.ok());
  for (const auto& entry : fs::directory_iterator(other.tokens())) {
    added.push_back(fs::path(world_->tokens()) / entry.path().filename());
    fs::copy(entry.path(), added.back());
  }
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_THAT(token_->AwaitReady(InSeconds(20)), HasError(ErrorCode::kFailedPrecondition));
  for (const fs::path& path : added) {
    fs::remove_all(path);
  }
  const Deadline deadline = InSeconds(20);
  while (!token_->AwaitReady(deadline).has_value() &&
         std::chrono::steady_clock::now() < deadline) {
    EXPECT_NE(token_->Statistics().state, DeviceState::kDown) << "refused all the while";
    std::this_thread::yield();
  }
  EXPECT_THAT(token_->AwaitReady(deadline), IsOk());
  EXPECT_EQ(faults_->CountCalls("C_Login"), 1);
}

TEST_F(TokenFaults, ASecondProcessWaitsForTheToken) {
  const auto owner = FileLock::Acquire(
      OwnerLockPath(options_.softhsm_state_directory, options_.token_label), InSeconds(1));
  ASSERT_THAT(owner, IsOk());
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_THAT(token_->AwaitReady(std::chrono::steady_clock::now()),
              HasError(ErrorCode::kUnavailable));
  EXPECT_EQ(faults_->CountCalls("C_Initialize"), 0);
}

TEST_F(TokenFaults, ServesWithTheSessionsItIsGranted) {
  faults_->SetRules("sessions max=5");
  options_.sessions = 16;
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  std::atomic<int> good = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] { good += Wrap(master).has_value() ? 1 : 0; });
  }
  threads.clear();
  EXPECT_EQ(good, 6);
}

// ---- sessions, login, token --------------------------------------------------------------------

TEST_F(TokenFaults, H1_ALostSessionIsReplacedAndTheCallerSeesNothing) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  for (const char* const rule :
       {"C_Encrypt once return=0xb3", "C_Encrypt once return=0xb0", "C_Decrypt once return=0xb3",
        "C_EncryptInit once return=0x90", "C_DecryptInit once return=0xb3"}) {
    faults_->SetRules(rule);
    EXPECT_THAT(Wrap(master), IsOk()) << rule;
  }
  EXPECT_EQ(token_->Statistics().reconnects, 0U);
}

TEST_F(TokenFaults, H1_ASessionLostTwiceIsReported) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  faults_->SetRules("C_Encrypt return=0xb3");
  EXPECT_THAT(Wrap(master), HasError(ErrorCode::kUnavailable));
  faults_->SetRules("");
  EXPECT_THAT(Wrap(master), IsOk());
}

TEST_F(TokenFaults, H2_ALostLoginIsMadeGoodOnceForAllCalls) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  ASSERT_NO_FATAL_FAILURE(LogOutBehindItsBack());
  std::atomic<int> good = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { good += Wrap(master).has_value() ? 1 : 0; });
  }
  threads.clear();
  EXPECT_EQ(good, 8);
  EXPECT_EQ(faults_->CountCalls("C_Login"), 2);
  EXPECT_EQ(faults_->CountCalls("C_Initialize"), 2) << "ours and libp11's, of the start";
}

TEST_F(TokenFaults, H2_SigningSurvivesALostLogin) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes before, token_->SigningPublicKey(InSeconds(10)));
  ASSERT_NO_FATAL_FAILURE(LogOutBehindItsBack());
  EXPECT_THAT(token_->Sign(context_, InSeconds(10)), IsOk());
  EXPECT_THAT(token_->SigningPublicKey(InSeconds(10)), ::kms::testing::IsOkAndHolds(before));
}

TEST_F(TokenFaults, H3_ATokenThatGoesAndComesBackHeals) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped, Wrap(master));
  fs::rename(world_->tokens(), world_->directory() + "/away");
  EXPECT_THAT(token_->Wrap(master, key_, context_,
                           std::chrono::steady_clock::now() + std::chrono::milliseconds(300)),
              HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(token_->DestroyMasterKey(master, InSeconds(1)), HasError(ErrorCode::kUnavailable));
  fs::rename(world_->directory() + "/away", world_->tokens());
  EXPECT_TRUE(WrapsBefore(master, InSeconds(5)));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                           token_->Unwrap(master, wrapped, context_, InSeconds(5)));
  EXPECT_TRUE(opened == key_);
}

TEST_F(TokenFaults, H4_ADeviceErrorIsHealedByInitialisingAnew) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  for (const char* const rule : {"C_Encrypt once return=0x30", "C_Encrypt once return=0x190",
                                 "C_Decrypt once return=0x32"}) {
    faults_->SetRules(rule);
    EXPECT_THAT(Wrap(master), HasError(ErrorCode::kUnavailable)) << rule;
    EXPECT_TRUE(WrapsBefore(master, InSeconds(5))) << rule;
  }
  EXPECT_EQ(token_->Statistics().reconnects, 3U);
}

// ---- PIN ---------------------------------------------------------------------------------------

TEST_F(TokenFaults, H9_AWrongPinIsTriedOnceUntilItsSourceChanges) {
  WriteTestFile(world_->pin_file(), "00000000");
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_THAT(token_->AwaitReady(InSeconds(20)), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_EQ(token_->Statistics().state, DeviceState::kLockedOut);
  EXPECT_THAT(token_->Random(16, InSeconds(1)), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_EQ(faults_->CountCalls("C_Login"), 1);
  WriteTestFile(world_->pin_file(), ::kms::testing::kTestPin);
  const Deadline deadline = InSeconds(10);
  while (!token_->AwaitReady(deadline).has_value() &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_THAT(token_->AwaitReady(deadline), IsOk());
  EXPECT_EQ(faults_->CountCalls("C_Login"), 2);
}

TEST_F(TokenFaults, H9_AMissingPinFileIsNamedAndNothingIsTried) {
  fs::remove(world_->pin_file());
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_THAT(token_->AwaitReady(InSeconds(20)), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(token_->Statistics().state_reason, HasSubstr("PIN"));
  EXPECT_EQ(faults_->CountCalls("C_Login"), 0);
}

TEST_F(TokenFaults, H10_AChangedPinStopsNothingUntilTheNextLoginAndThenIsTriedOnce) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  faults_->SetRules("C_Login return=0xa4");
  EXPECT_THAT(Wrap(master), IsOk()) << "sessions in use go on";
  ASSERT_NO_FATAL_FAILURE(LogOutBehindItsBack());
  EXPECT_THAT(Wrap(master), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(token_->AwaitReady(InSeconds(10)), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_EQ(token_->Statistics().state, DeviceState::kLockedOut);
  EXPECT_EQ(faults_->CountCalls("C_Login"), 2);
}

TEST_F(TokenFaults, H10_AnExpiredPinLocksOutAtTheStart) {
  faults_->SetRules("C_Login return=0xa3");
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_THAT(token_->AwaitReady(InSeconds(20)), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(token_->Statistics().state_reason, HasSubstr("CKR_PIN_EXPIRED"));
  EXPECT_EQ(faults_->CountCalls("C_Login"), 1);
}

// ---- master keys -------------------------------------------------------------------------------

TEST_F(TokenFaults, H11_AMissingMasterKeyIsNamedAndNeverMadeAgain) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  WithRawSession([&](Session& session) {
    EXPECT_THAT(DestroyMasterKeyObjects(session, master.id, master.label), IsOk());
  });
  EXPECT_THAT(Wrap(master),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr(master.id.ToString())));
  EXPECT_THAT(token_->CheckSentinel(master, InSeconds(10)),
              HasError(ErrorCode::kFailedPrecondition));
  token_.reset();
  WithRawSession([&](Session& session) {
    EXPECT_THAT(FindMasterKeyObject(session, master.id), HasError(ErrorCode::kNotFound));
  });
}

TEST_F(TokenFaults, H12_TwoObjectsOfOneIdAreRefused) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  token_.reset();
  WithRawSession([&](Session& session) {
    EXPECT_THAT(
        GenerateMasterKeyObject(session, {.id = master.id, .label = "intruder"},
                                ExtraAttributes::kNone),
        IsOk());
  });
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_THAT(Wrap(master), HasError(ErrorCode::kFailedPrecondition, HasSubstr("intruder")));
  EXPECT_THAT(token_->GenerateMasterKey(master.id, 1, "master", InSeconds(10)),
              HasError(ErrorCode::kFailedPrecondition));
}

TEST_F(TokenFaults, H13_ASilentlyDifferentMasterKeyIsCorruptedAndWrapsNothing) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  token_.reset();
  const auto files = ObjectFiles(/*token_objects=*/false);
  ASSERT_EQ(files.size(), 1U);
  FlipBitOfStoredKey(files.front());
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_THAT(token_->CheckSentinel(master, InSeconds(10)), HasError(ErrorCode::kCorrupted));
  EXPECT_THAT(Wrap(master), HasError(ErrorCode::kCorrupted));
  EXPECT_EQ(token_->Statistics().state, DeviceState::kReady) << "other keys are served";
}

// Whatever else is wrong with it: pkcs11-tool makes keys that may both encrypt and wrap.
TEST_F(TokenFaults, H16_AnExtractableMasterKeyIsRefused) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  MasterKeyRecord master = MakeMaster();
  for (const bool wraps_too : {false, true}) {
    master.id = Uuid::Random();
    AttributeList list;
    list.Number(CKA_CLASS, CKO_SECRET_KEY).Number(CKA_KEY_TYPE, CKK_AES).Number(CKA_VALUE_LEN, 32);
    list.Data(CKA_ID, master.id.View()).Flag(CKA_TOKEN, true).Flag(CKA_PRIVATE, true);
    list.Flag(CKA_SENSITIVE, true).Flag(CKA_EXTRACTABLE, true);
    list.Flag(CKA_ENCRYPT, true).Flag(CKA_DECRYPT, true).Flag(CKA_WRAP, wraps_too);
    list.Flag(CKA_UNWRAP, wraps_too);
    WithRawSession([&](Session& session) {
      EXPECT_THAT(session.GenerateKey(CKM_AES_KEY_GEN, list.span()), IsOk());
    });
    EXPECT_THAT(Wrap(master),
                HasError(ErrorCode::kFailedPrecondition, HasSubstr("CKA_EXTRACTABLE")));
    EXPECT_THAT(token_->GenerateMasterKey(master.id, 1, "master", InSeconds(10)),
                HasError(ErrorCode::kFailedPrecondition, HasSubstr("CKA_EXTRACTABLE")));
  }
}

TEST_F(TokenFaults, H19_WrongLengthsAreDeviceErrorsAndHeal) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  for (const std::string function : {"C_Encrypt", "C_Decrypt"}) {
    for (const std::string length : {"+1", "-1", "0", "100000", "unavailable"}) {
      faults_->SetRules(function + " length=" + length);
      EXPECT_THAT(Wrap(master), HasError(ErrorCode::kUnavailable)) << function << " " << length;
      faults_->SetRules("");
      EXPECT_TRUE(WrapsBefore(master, InSeconds(5))) << function << " " << length;
    }
  }
}

TEST_F(TokenFaults, H19_ABufferThatIsAlwaysTooSmallIsADeviceError) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  faults_->SetRules("C_Decrypt return=0x150");
  EXPECT_THAT(Wrap(master), HasError(ErrorCode::kUnavailable));
  faults_->SetRules("");
  EXPECT_TRUE(WrapsBefore(master, InSeconds(5)));
}

TEST_F(TokenFaults, H20_AWrapThatDoesNotOpenIsNeverReturned) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  faults_->SetRules("C_Encrypt flip");
  EXPECT_THAT(Wrap(master), HasError(ErrorCode::kUnavailable));
  EXPECT_FALSE(
      token_->GenerateMasterKey(Uuid::Random(), 1, "master", InSeconds(10)).has_value());
  faults_->SetRules("");
  EXPECT_TRUE(WrapsBefore(master, InSeconds(5)));
}

TEST_F(TokenFaults, H20_AnUnwrapToOtherBytesIsNeverCommitted) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  faults_->SetRules("C_Decrypt flip");
  EXPECT_FALSE(Wrap(master).has_value());
}

// ---- SoftHSM's files ---------------------------------------------------------------------------

TEST_F(TokenFaults, ATokenFileEmptiedByAKillInLoginIsPutBack) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  token_.reset();
  for (const fs::path& file : ObjectFiles(/*token_objects=*/true)) fs::resize_file(file, 0);
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_THAT(Wrap(master), IsOk());
}

TEST_F(TokenFaults, TheBackupCopyHoldsTheNewestMasterKey) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  token_.reset();
  fs::remove_all(world_->tokens());
  fs::copy(options_.softhsm_state_directory + "/backup", world_->tokens(),
           fs::copy_options::recursive);
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_THAT(token_->CheckSentinel(master, InSeconds(10)), IsOk());
}

// ---- a call that does not return ---------------------------------------------------------------

TEST_F(TokenFaults, H6_AHangingCallIsReportedAsStuck) {
  TokenTimings timings = QuickTimings();
  timings.stuck_grace = std::chrono::milliseconds(0);
  auto started = Token::Start(options_, timings);
  ASSERT_THAT(started, IsOk());
  token_ = std::move(*started);
  ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
  faults_->SetRules("C_GenerateRandom hang");
  std::jthread caller([&] {
    IgnoreError(token_->Random(16, std::chrono::steady_clock::now() +
                                       std::chrono::milliseconds(50)),
                "it hangs");
  });
  const Deadline deadline = InSeconds(10);
  while (!token_->stuck() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_TRUE(token_->stuck());
  EXPECT_EQ(token_->Statistics().abandoned_calls, 1U);
  faults_->SetRules("");
}

}  // namespace
}  // namespace kms::pkcs11
