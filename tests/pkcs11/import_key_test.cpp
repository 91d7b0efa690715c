// SPDX-License-Identifier: Apache-2.0
// Import keys when the HSM misbehaves, is poor or was tampered with; on SoftHSM behind the fault
// module. What every device promises of them is in tests/contract.
#include "pkcs11/import_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "pkcs11/master_key.h"
#include "pkcs11/oaep.h"
#include "tests/pkcs11/token_faults.h"

namespace kms::pkcs11 {
namespace {

namespace fs = std::filesystem;

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StrEq;

constexpr HashAlgorithm kHash = HashAlgorithm::kSha2_256;
constexpr const char* kDoesNotOpen = "crypto/rsa: decryption error";

class ImportKeys : public TokenFaults {
 protected:
  Result<std::optional<ImportKeyRecord>> Generate(const Uuid& id) {
    return token_->GenerateImportKey(id, "import", InSeconds(60));
  }
  ImportKeyRecord MakeKey() {
    const auto made = Generate(Uuid::Random());
    EXPECT_THAT(made, IsOk());
    EXPECT_TRUE(made.has_value() && made->has_value());
    return made.has_value() ? made->value_or(ImportKeyRecord{}) : ImportKeyRecord{};
  }
  Bytes Ciphertext(const ImportKeyRecord& key) {
    return EncryptOaep(key.public_key, kHash, key_.View()).value();
  }
  Status Open(const ImportKeyRecord& key, Deadline deadline = InSeconds(20)) {
    const SecretBytes opened = KMS_TRY(
        token_->DecryptImport(key, kHash, Ciphertext(key), deadline));
    EXPECT_TRUE(opened == key_);
    return Ok();
  }
  // Tries until it succeeds or `deadline` passes.
  bool OpensBefore(const ImportKeyRecord& key, Deadline deadline) {
    while (std::chrono::steady_clock::now() < deadline) {
      IgnoreError(token_->AwaitReady(deadline), "the call tells");
      if (Open(key, deadline).has_value()) return true;
    }
    return false;
  }
  // An RSA key of that id in the token, beside the service, with what an import key must not have.
  void MakeRawKey(const Uuid& id, std::vector<CK_ATTRIBUTE_TYPE> wrongly_true, CK_ULONG bits) {
    const Bytes exponent = {1, 0, 1};
    AttributeList public_list;
    public_list.Flag(CKA_TOKEN, false).Number(CKA_MODULUS_BITS, bits);
    public_list.Data(CKA_PUBLIC_EXPONENT, exponent);
    AttributeList private_list;
    private_list.Flag(CKA_TOKEN, true).Flag(CKA_PRIVATE, true).Data(CKA_ID, id.View());
    private_list.Data(CKA_LABEL, AsBytes("import"));
    private_list.Flag(CKA_SENSITIVE, true).Flag(CKA_DECRYPT, true);
    for (const CK_ATTRIBUTE_TYPE type :
         {CKA_EXTRACTABLE, CKA_SIGN, CKA_UNWRAP, CKA_SIGN_RECOVER, CKA_DERIVE}) {
      const bool wrong = std::ranges::find(wrongly_true, type) != wrongly_true.end();
      private_list.Flag(type, wrong);
    }
    WithRawSession([&](Session& session) {
      EXPECT_THAT(session.GenerateKeyPair(CKM_RSA_PKCS_KEY_PAIR_GEN, public_list.span(),
                                          private_list.span()),
                  IsOk());
    });
  }
};

TEST_F(ImportKeys, TheTokenOpensWhatTheOpensslCommandEncrypted) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ImportKeyRecord key = MakeKey();
  const std::string base = world_->directory() + "/";
  std::ofstream(base + "public.der", std::ios::binary)
      .write(reinterpret_cast<const char*>(key.public_key.data()),
             static_cast<std::streamsize>(key.public_key.size()));
  ::kms::testing::WriteTestFile(base + "secret", "thirty-two bytes of key material");
  const std::string command =
      "openssl pkeyutl -encrypt -pubin -keyform DER -inkey " + base + "public.der -in " + base +
      "secret -out " + base + "wrapped -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 "
      "-pkeyopt rsa_mgf1_md:sha256";
  ASSERT_EQ(std::system(command.c_str()), 0);
  std::ifstream in(base + "wrapped", std::ios::binary);
  const std::string wrapped((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                           token_->DecryptImport(key, kHash, AsBytes(wrapped), InSeconds(20)));
  EXPECT_EQ(AsText(opened.View()), "thirty-two bytes of key material");
}

TEST_F(ImportKeys, SoftHsmTakesOffSha1ItselfAndLeavesTheRestToTheWorker) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ImportKeyRecord key = MakeKey();
  EXPECT_EQ(key.places, (std::array{OaepPlace::kToken, OaepPlace::kWorker, OaepPlace::kWorker,
                                    OaepPlace::kWorker, OaepPlace::kWorker}));
}

// ---- making ------------------------------------------------------------------------------------

struct FailingStep {
  const char* name;
  const char* rule;
};

class ImportKeySteps : public ImportKeys, public ::testing::WithParamInterface<FailingStep> {};

TEST_P(ImportKeySteps, H4_ADeviceErrorWhileMakingLeavesOneKeyToAdopt) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const Uuid id = Uuid::Random();
  faults_->SetRules(GetParam().rule);
  EXPECT_THAT(Generate(id), HasError(ErrorCode::kUnavailable));
  faults_->SetRules("");
  ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const auto made, Generate(id));
  ASSERT_TRUE(made.has_value());
  EXPECT_THAT(Open(*made), IsOk());
  EXPECT_THAT(ObjectFiles(/*token_objects=*/false), SizeIs(1));
}

INSTANTIATE_TEST_SUITE_P(
    Failing, ImportKeySteps,
    ::testing::Values(FailingStep{"Generation", "C_GenerateKeyPair once return=0x30"},
                      FailingStep{"GenerationThatWasDone", "C_GenerateKeyPair once late=0x30"},
                      FailingStep{"Copying", "C_CopyObject once return=0x30"},
                      FailingStep{"CopyingThatWasDone", "C_CopyObject once late=0x30"},
                      FailingStep{"ReadingAttributes", "C_GetAttributeValue once return=0x30"},
                      FailingStep{"KnownAnswerInit", "C_DecryptInit once return=0x30"},
                      FailingStep{"KnownAnswer", "C_Decrypt once return=0x32"}),
    [](const auto& parameter) { return std::string(parameter.param.name); });

TEST_F(ImportKeys, ATokenThatCopiesNoKeysMakesThemInPlace) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  faults_->SetRules("C_CopyObject return=0x54");
  const ImportKeyRecord key = MakeKey();
  EXPECT_THAT(Open(key), IsOk());
  EXPECT_THAT(ObjectFiles(/*token_objects=*/false), SizeIs(1));
}

TEST_F(ImportKeys, ATokenWithoutSuchKeysSaysThatItCannot) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  for (const char* const rule :
       {"C_GenerateKeyPair return=0x70", "C_GenerateKeyPair return=0x62"}) {
    faults_->SetRules(rule);
    KMS_ASSERT_OK_AND_ASSIGN(const auto made, Generate(Uuid::Random()));
    EXPECT_FALSE(made.has_value()) << rule;
  }
  EXPECT_EQ(token_->Statistics().reconnects, 0U);
}

TEST_F(ImportKeys, ATokenThatOpensNoOaepSaysThatItCannotAndKeepsNothing) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  faults_->SetRules("C_DecryptInit return=0x70");
  KMS_ASSERT_OK_AND_ASSIGN(const auto made, Generate(Uuid::Random()));
  EXPECT_FALSE(made.has_value());
  EXPECT_THAT(ObjectFiles(/*token_objects=*/false), SizeIs(0));
}

TEST_F(ImportKeys, AVagueFailureNeverMeansThatTheTokenCannot) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const Uuid id = Uuid::Random();
  for (const char* const rule :
       {"C_GenerateKeyPair return=0x5", "C_DecryptInit return=0x5", "C_Decrypt return=0x6"}) {
    faults_->SetRules(rule);
    EXPECT_THAT(Generate(id), HasError(ErrorCode::kUnavailable)) << rule;
    faults_->SetRules("");
    ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
  }
  KMS_ASSERT_OK_AND_ASSIGN(const auto made, Generate(id));
  EXPECT_TRUE(made.has_value());
}

TEST_F(ImportKeys, H6_MakingStopsNoOtherCallWhateverItChanges) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  faults_->SetRules("C_GenerateKeyPair hang");
  const std::uint64_t calls = token_->Statistics().calls;
  Result<std::optional<ImportKeyRecord>> made = Unavailable("not made yet");
  std::jthread maker([&] { made = Generate(Uuid::Random()); });
  const Deadline deadline = InSeconds(20);
  while ((token_->Statistics().calls == calls || token_->Statistics().sessions_in_use == 0) &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_THAT(Wrap(master), IsOk());
  EXPECT_THAT(token_->CheckSentinel(master, InSeconds(10)), IsOk());
  const MasterKeyRecord another = MakeMaster();
  EXPECT_THAT(token_->DestroyMasterKey(another, InSeconds(10)), IsOk());
  EXPECT_FALSE(token_->stuck());
  faults_->SetRules("");
  maker.join();
  EXPECT_THAT(made, IsOk());
}

TEST_F(ImportKeys, ASecondMakerWaitsNoLongerThanItsDeadline) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  faults_->SetRules("C_GenerateKeyPair hang");
  const Uuid id = Uuid::Random();
  std::jthread maker([&] { EXPECT_THAT(Generate(id), IsOk()); });
  const Deadline deadline = InSeconds(20);
  while (token_->Statistics().sessions_in_use == 0 &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_THAT(token_->GenerateImportKey(
                  id, "import", std::chrono::steady_clock::now() + std::chrono::milliseconds(50)),
              HasError(ErrorCode::kUnavailable, HasSubstr("another import key")));
  faults_->SetRules("");
  maker.join();
  EXPECT_THAT(ObjectFiles(/*token_objects=*/false), SizeIs(1));
}

TEST_F(ImportKeys, TheBackupCopyHoldsTheKey) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ImportKeyRecord key = MakeKey();
  token_.reset();
  fs::remove_all(world_->tokens());
  fs::copy(options_.softhsm_state_directory + "/backup", world_->tokens(),
           fs::copy_options::recursive);
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_THAT(Open(key), IsOk());
}

// ---- attributes --------------------------------------------------------------------------------

TEST_F(ImportKeys, H16_AKeyThatMayDoMoreIsRefusedByName) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ImportKeyRecord good = MakeKey();
  ImportKeyRecord bad = good;
  bad.id = Uuid::Random();
  MakeRawKey(bad.id, {CKA_EXTRACTABLE}, kImportKeyBits);
  EXPECT_THAT(Generate(bad.id),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("CKA_EXTRACTABLE")));
  EXPECT_THAT(Open(bad), HasError(ErrorCode::kFailedPrecondition, HasSubstr("CKA_EXTRACTABLE")));
  bad.id = Uuid::Random();
  MakeRawKey(bad.id, {CKA_SIGN, CKA_UNWRAP}, kImportKeyBits);
  EXPECT_THAT(Generate(bad.id),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("CKA_SIGN CKA_UNWRAP")));
  EXPECT_THAT(Open(bad), HasError(ErrorCode::kFailedPrecondition, HasSubstr("CKA_UNWRAP")));
  EXPECT_THAT(Open(good), IsOk());
}

TEST_F(ImportKeys, C15_TheTokenItselfRefusesEveryOtherUseOfTheKey) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ImportKeyRecord key = MakeKey();
  const MasterKeyRecord master = MakeMaster();
  WithRawSession([&](Session& session) {
    const CK_FUNCTION_LIST& calls = session.module().functions();
    KMS_ASSERT_OK_AND_ASSIGN(const auto found, FindImportKey(session, key.id));
    ASSERT_TRUE(found.has_value());
    CK_MECHANISM pkcs1{CKM_RSA_PKCS, nullptr, 0};
    CK_MECHANISM raw{CKM_RSA_X_509, nullptr, 0};
    EXPECT_NE(calls.C_SignInit(session.handle(), &raw, found->handle), CKR_OK);
    EXPECT_NE(calls.C_SignInit(session.handle(), &pkcs1, found->handle), CKR_OK);
    EXPECT_NE(calls.C_DecryptInit(session.handle(), &pkcs1, found->handle), CKR_OK);
    EXPECT_TRUE(session.ReadAttribute(found->handle, CKA_PRIVATE_EXPONENT).value().empty());
    KMS_ASSERT_OK_AND_ASSIGN(const CK_OBJECT_HANDLE wrapper,
                             FindMasterKeyObject(session, master.id));
    CK_MECHANISM wrap{kMechanismAesKw, nullptr, 0};
    Bytes out(8192);
    CK_ULONG size = out.size();
    EXPECT_NE(calls.C_WrapKey(session.handle(), &wrap, wrapper, found->handle, out.data(), &size),
              CKR_OK);
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE sign{CKA_SIGN, &yes, sizeof(yes)};
    EXPECT_NE(calls.C_SetAttributeValue(session.handle(), found->handle, &sign, 1), CKR_OK);
  });
}

TEST_F(ImportKeys, C15_AKeyOfAnotherSizeIsNoImportKeyAndIsNotDestroyed) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const Uuid id = Uuid::Random();
  MakeRawKey(id, {}, 3072);
  EXPECT_THAT(Generate(id), HasError(ErrorCode::kFailedPrecondition, HasSubstr("4096")));
  EXPECT_THAT(token_->DestroyImportKey(id, "import", InSeconds(10)),
              HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(ObjectFiles(/*token_objects=*/false), SizeIs(1));
}

TEST_F(ImportKeys, H12_TwoObjectsOfOneIdOpenNothingAndAreDestroyedTogether) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ImportKeyRecord key = MakeKey();
  MakeRawKey(key.id, {}, kImportKeyBits);
  EXPECT_THAT(Open(key), HasError(ErrorCode::kFailedPrecondition, HasSubstr("2 objects")));
  EXPECT_THAT(Generate(key.id), HasError(ErrorCode::kFailedPrecondition, HasSubstr("2 objects")));
  EXPECT_THAT(token_->DestroyImportKey(key.id, key.label, InSeconds(10)), IsOk());
  EXPECT_THAT(ObjectFiles(/*token_objects=*/false), SizeIs(0));
}

// ---- opening -----------------------------------------------------------------------------------

TEST_F(ImportKeys, H13_AnotherKeyUnderTheRecordedIdIsCorrupted) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ImportKeyRecord key = MakeKey();
  ImportKeyRecord other = key;
  other.public_key[100] ^= 1U;
  EXPECT_THAT(token_->DecryptImport(other, kHash, Ciphertext(key), InSeconds(10)),
              HasError(ErrorCode::kCorrupted));
  EXPECT_EQ(token_->Statistics().state, DeviceState::kReady);
}

TEST_F(ImportKeys, H3_AwayIsUnavailableAndHealsWhenTheTokenComesBack) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ImportKeyRecord key = MakeKey();
  fs::rename(world_->tokens(), world_->directory() + "/away");
  EXPECT_THAT(Open(key, std::chrono::steady_clock::now() + std::chrono::milliseconds(500)),
              HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(token_->DestroyImportKey(key.id, key.label, InSeconds(1)), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(token_->GenerateImportKey(key.id, "import", InSeconds(1)),
              HasError(ErrorCode::kUnavailable));
  fs::rename(world_->directory() + "/away", world_->tokens());
  EXPECT_TRUE(OpensBefore(key, InSeconds(20)));
}

TEST_F(ImportKeys, H1_H2_ALostSessionOrLoginIsMadeGood) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ImportKeyRecord key = MakeKey();
  for (const char* const rule :
       {"C_Decrypt once return=0xb3", "C_DecryptInit once return=0x90"}) {
    faults_->SetRules(rule);
    EXPECT_THAT(Open(key), IsOk()) << rule;
  }
  ASSERT_NO_FATAL_FAILURE(LogOutBehindItsBack());
  EXPECT_THAT(Open(key), IsOk());
  EXPECT_EQ(token_->Statistics().reconnects, 1U) << "of the login";
}

TEST_F(ImportKeys, H4_ADeviceErrorWhileOpeningIsUnavailableAndHeals) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ImportKeyRecord key = MakeKey();
  // A vague error that lasts is the device's too: the key does not open its own ciphertexts.
  for (const char* const rule : {"C_Decrypt once return=0x30", "C_Decrypt return=0x5"}) {
    faults_->SetRules(rule);
    EXPECT_THAT(Open(key), HasError(ErrorCode::kUnavailable)) << rule;
    faults_->SetRules("");
    EXPECT_TRUE(OpensBefore(key, InSeconds(20))) << rule;
  }
}

TEST_F(ImportKeys, H19_WrongLengthsAreDeviceErrorsAndHeal) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ImportKeyRecord key = MakeKey();
  for (const std::string length : {"+1", "-1", "0", "100000", "unavailable"}) {
    faults_->SetRules("C_Decrypt length=" + length);
    EXPECT_THAT(Open(key), HasError(ErrorCode::kUnavailable)) << length;
    faults_->SetRules("");
    EXPECT_TRUE(OpensBefore(key, InSeconds(20))) << length;
  }
}

TEST_F(ImportKeys, ARefusalOfTheTokenIsTheCiphertextsFaultWhileTheKeyWorks) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ImportKeyRecord key = MakeKey();
  for (const char* const rule : {"C_Decrypt once return=0x40", "C_Decrypt once return=0x5",
                                 "C_Decrypt once return=0x20"}) {
    faults_->SetRules(rule);
    EXPECT_THAT(Open(key), HasError(ErrorCode::kInvalidArgument, StrEq(kDoesNotOpen))) << rule;
  }
  EXPECT_EQ(token_->Statistics().reconnects, 0U);
}

TEST_F(ImportKeys, H11_AMissingKeyIsNamedAndNeverMadeAgain) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ImportKeyRecord key = MakeKey();
  WithRawSession([&](Session& session) {
    EXPECT_THAT(DestroyImportKeyObjects(session, key.id, key.label), IsOk());
  });
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(Open(key),
                HasError(ErrorCode::kFailedPrecondition, HasSubstr(key.id.ToString())));
  }
  EXPECT_THAT(ObjectFiles(/*token_objects=*/false), SizeIs(0));
}

}  // namespace
}  // namespace kms::pkcs11
