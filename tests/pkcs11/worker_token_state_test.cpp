// SPDX-License-Identifier: Apache-2.0
// Rows H11 to H26 of what must be survived, over real workers: a token that does not hold, grant or
// answer what it did.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>
#include <string>

#include "pkcs11/attributes.h"
#include "pkcs11/master_key.h"
#include "tests/pkcs11/worker_healing.h"

namespace kms::pkcs11 {
namespace {

using testing::HasError;
using ::testing::HasSubstr;
using testing::InSeconds;
using testing::IsOk;

namespace fs = std::filesystem;

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
