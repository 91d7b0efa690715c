// SPDX-License-Identifier: Apache-2.0
// Keys that live in a token that misbehaves: signatures and ciphertexts.
#include "tests/pkcs11/resident_faults.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kms/crypto/aead.h"
#include "pkcs11/resident_use.h"

namespace kms::pkcs11 {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::testing::HasSubstr;

TEST_F(ResidentFaults, H1_LostSessionsAndLoginsAreMadeGood) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord signer = Make(ResidentKeyType::kEcdsaP256);
  const ResidentKeyRecord cipher = Make(ResidentKeyType::kAes256Gcm);
  for (const char* const rule :
       {"C_Sign once return=0xb3", "C_SignInit once return=0xb0", "C_SignInit once return=0x60",
        "C_FindObjectsInit once return=0xb3"}) {
    faults_->SetRules(rule);
    EXPECT_THAT(Sign(signer), IsOk()) << rule;
  }
  for (const char* const rule : {"C_Encrypt once return=0xb3", "C_EncryptInit once return=0x82"}) {
    faults_->SetRules(rule);
    EXPECT_THAT(Encrypt(cipher), IsOk()) << rule;
  }
  ASSERT_NO_FATAL_FAILURE(LogOutBehindItsBack());
  EXPECT_THAT(Sign(signer), IsOk());
  EXPECT_THAT(Encrypt(cipher), IsOk());
}

// The key is proven again after a login: with its encryption lost and then its decryption.
TEST_F(ResidentFaults, H2_ALoginThatIsLostTwiceInOneCallCostsTwoLoginsAndNoReconnection) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kAes256Gcm);
  const int logins = faults_->CountCalls("C_Login");
  faults_->SetRules("C_EncryptInit once return=0x101\nC_DecryptInit once return=0x101");
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentCiphertext ciphertext, Encrypt(key));
  EXPECT_EQ(faults_->CountAnswers("C_DecryptInit", CKR_USER_NOT_LOGGED_IN), 1);
  EXPECT_EQ(faults_->CountCalls("C_Login"), logins + 2);
  EXPECT_EQ(faults_->CountCalls("C_Finalize"), 0);
  EXPECT_THAT(Opens(key, ciphertext), IsOk());
}

TEST_F(ResidentFaults, H1_SessionsThatAreLostTwiceInOneCallAreMadeGood) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kAes256Gcm);
  faults_->SetRules("C_EncryptInit n=1 return=0xb3\nC_EncryptInit n=2 return=0xb0");
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentCiphertext ciphertext, Encrypt(key));
  EXPECT_EQ(faults_->CountAnswers("C_EncryptInit", CKR_SESSION_CLOSED), 1);
  EXPECT_THAT(Opens(key, ciphertext), IsOk());
}

TEST_F(ResidentFaults, H3_KeysAreFoundAgainAfterAReconnection) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord signer = Make(ResidentKeyType::kEcdsaP256);
  const ResidentKeyRecord cipher = Make(ResidentKeyType::kAes256Gcm);
  const ResidentKeyRecord rsa = Make(ResidentKeyType::kRsa2048);
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentCiphertext sealed, Encrypt(cipher));
  faults_->SetRules("C_Sign once return=0x30");
  EXPECT_THAT(Sign(signer), HasError(ErrorCode::kUnavailable));
  ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
  EXPECT_THAT(Sign(signer), IsOk());
  EXPECT_THAT(Opens(cipher, sealed), IsOk());
  token_.reset();
  faults_->SetRules("");
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_THAT(Sign(signer), IsOk());
  EXPECT_THAT(Opens(cipher, sealed), IsOk());
  EXPECT_THAT(
      token_->ResidentSign(
          rsa, {ResidentSignatureScheme::kRsaPss, HashAlgorithm::kSha2_256, Bytes(32, 1), 32},
          InSeconds(20)),
      IsOk());
}

TEST_F(ResidentFaults, H19_ImpossibleLengthsAreDeviceErrors) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord signer = Make(ResidentKeyType::kEcdsaP256);
  const ResidentKeyRecord cipher = Make(ResidentKeyType::kAes256Gcm);
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentCiphertext sealed, Encrypt(cipher));
  ASSERT_THAT(Sign(signer), IsOk());
  const std::vector<std::pair<std::string, std::function<bool()>>> uses = {
      {"C_Sign", [&] { return Sign(signer).has_value(); }},
      {"C_Encrypt", [&] { return Encrypt(cipher).has_value(); }},
      {"C_Decrypt", [&] { return Opens(cipher, sealed).has_value(); }}};
  for (const char* const length : {"+1", "-1", "0", "100000", "unavailable"}) {
    for (const auto& [function, use] : uses) {
      faults_->SetRules(function + " once length=" + length);
      EXPECT_FALSE(use()) << function << " " << length;
      ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
      EXPECT_TRUE(use()) << function << " after " << length;
    }
  }
  EXPECT_THAT(Sign(signer), IsOk());
  EXPECT_THAT(Opens(cipher, sealed), IsOk());
}

TEST_F(ResidentFaults, H20_ASignatureThatDoesNotVerifyIsNotGivenOut) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord signer = Make(ResidentKeyType::kEcdsaP256);
  const ResidentKeyRecord rsa = Make(ResidentKeyType::kRsa2048);
  const auto sign_by_rsa = [&](ResidentSignatureScheme scheme) {
    return token_->ResidentSign(rsa, {scheme, HashAlgorithm::kSha2_256, Bytes(32, 1), 32},
                                InSeconds(20));
  };
  ASSERT_THAT(Sign(signer), IsOk());
  ASSERT_THAT(sign_by_rsa(ResidentSignatureScheme::kRsaPss), IsOk());
  faults_->SetRules("C_Sign flip");
  EXPECT_THAT(Sign(signer), HasError(ErrorCode::kUnavailable, HasSubstr("does not verify")));
  EXPECT_THAT(sign_by_rsa(ResidentSignatureScheme::kRsaPss), HasError(ErrorCode::kUnavailable));
  faults_->SetRules("");
  EXPECT_THAT(Sign(signer), IsOk());
  EXPECT_THAT(sign_by_rsa(ResidentSignatureScheme::kRsaPkcs1v15), IsOk());
}

TEST_F(ResidentFaults, H20_ACipherThatFlipsBitsMakesNoKey) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  faults_->SetRules("C_Encrypt flip");
  const Uuid id = Uuid::Random();
  EXPECT_FALSE(token_
                   ->GenerateResidentKey(id, ResidentKeyType::kAes256Gcm, "kms/test/keys/app/1",
                                         InSeconds(20))
                   .has_value());
}

// ---- nonces, mechanisms and objects -------------------------------------------------------------

TEST_F(ResidentFaults, NoncesOfTheTokensOwnAreKept) {
  faults_->SetRules("C_EncryptInit iv=overwrite");
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kAes256Gcm);
  EXPECT_EQ(key.nonce_bytes, 12);
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentCiphertext sealed, Encrypt(key));
  EXPECT_EQ(sealed.nonce.size(), 12U);
  EXPECT_THAT(Opens(key, sealed), IsOk());
  faults_->SetRules("");
  EXPECT_THAT(Opens(key, sealed), IsOk());
}

TEST_F(ResidentFaults, AppendedNoncesAreKept) {
  faults_->SetRules("C_EncryptInit iv=append");
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kAes256Gcm);
  EXPECT_EQ(key.nonce_bytes, 16);
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentCiphertext sealed, Encrypt(key));
  EXPECT_EQ(sealed.nonce.size(), 16U);
  EXPECT_EQ(sealed.ciphertext.size(), key_.size() + 16);
  EXPECT_THAT(Opens(key, sealed), IsOk());
  // The token takes ours now: what is stored could not be told apart.
  faults_->SetRules("");
  EXPECT_THAT(Encrypt(key), HasError(ErrorCode::kUnavailable, HasSubstr("another length")));
  EXPECT_THAT(Opens(key, sealed), IsOk());
}

TEST_F(ResidentFaults, H21_ATokenWithoutTheMechanismKeepsNothing) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  faults_->SetRules("C_EncryptInit return=0x70");
  const Uuid id = Uuid::Random();
  EXPECT_THAT(token_->GenerateResidentKey(id, ResidentKeyType::kAes256Gcm, "kms/test/keys/app/1",
                                          InSeconds(20)),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("AES-GCM")));
  EXPECT_EQ(CountObjects(CopyOf(id.View())), 0U);
  faults_->SetRules("C_GenerateKeyPair return=0x70");
  EXPECT_THAT(token_->GenerateResidentKey(id, ResidentKeyType::kEcdsaP384, "kms/test/keys/app/1",
                                          InSeconds(20)),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("makes no ecdsa-p384 keys")));
}

TEST_F(ResidentFaults, H25_ARepeatedGenerationMakesNoSecondKey) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  for (const ResidentKeyType type :
       {ResidentKeyType::kEcdsaP256, ResidentKeyType::kAes256Gcm, ResidentKeyType::kRsa2048}) {
    for (const char* const rule :
         {"C_GenerateKeyPair once late=0x30", "C_GenerateKey once late=0x30",
          "C_CopyObject once late=0x30", "C_GetAttributeValue n=5 return=0x30",
          "C_SignInit once return=0x30"}) {
      const Uuid id = Uuid::Random();
      faults_->SetRules(rule);
      IgnoreError(token_->GenerateResidentKey(id, type, "kms/test/keys/app/1", InSeconds(30)),
                  "it may fail");
      faults_->SetRules("");
      ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
      KMS_ASSERT_OK_AND_ASSIGN(
          const ResidentKeyRecord record,
          token_->GenerateResidentKey(id, type, "kms/test/keys/app/1", InSeconds(30)));
      EXPECT_EQ(CountObjects(record.id), type == ResidentKeyType::kAes256Gcm ? 1U : 2U)
          << ResidentKeyTypeName(type) << " " << rule;
    }
  }
}

TEST_F(ResidentFaults, H11_AMissingKeyNeedsAnOperator) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP256);
  WithRawSession([&](Session& session) {
    ASSERT_THAT(DestroyResidentObjects(session, key.id, key.label), IsOk());
  });
  EXPECT_THAT(Sign(key), HasError(ErrorCode::kFailedPrecondition, HasSubstr("has no key")));
}

TEST_F(ResidentFaults, C10_ManyDamagedCiphertextsCostNoReconnection) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kAes256Gcm);
  KMS_ASSERT_OK_AND_ASSIGN(ResidentCiphertext sealed, Encrypt(key));
  sealed.ciphertext.front() ^= 1U;
  for (int round = 0; round < 50; ++round) {
    EXPECT_THAT(Opens(key, sealed), HasError(ErrorCode::kDecryptionFailed));
  }
  EXPECT_EQ(token_->Statistics().reconnects, 0U);
}

TEST_F(ResidentFaults, OwnKeysAreAsTheyMustBe) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kRsa2048);
  WithRawSession([&](Session& session) {
    const auto found = FindResidentObjects(session, key.id);
    ASSERT_THAT(found, IsOk());
    ASSERT_EQ(found->secrets.size(), 1U);
    const CK_OBJECT_HANDLE secret = found->secrets.front();
    for (const auto& [type, value] :
         {std::pair{CKA_TOKEN, true}, std::pair{CKA_PRIVATE, true}, std::pair{CKA_SENSITIVE, true},
          std::pair{CKA_ALWAYS_SENSITIVE, true}, std::pair{CKA_NEVER_EXTRACTABLE, true},
          std::pair{CKA_EXTRACTABLE, false}, std::pair{CKA_LOCAL, true},
          std::pair{CKA_MODIFIABLE, false}, std::pair{CKA_UNWRAP, false},
          std::pair{CKA_DERIVE, false}}) {
      EXPECT_EQ(session.ReadFlag(secret, type).value(), value) << std::hex << type;
    }
  });
}

// ---- against OpenSSL ----------------------------------------------------------------------------

TEST_F(ResidentFaults, GcmOfTheTokenIsGcmOfOpenSsl) {
  WithRawSession([&](Session& session) {
    const Bytes value(32, 0x2a);
    AttributeList attributes;
    attributes.Number(CKA_CLASS, CKO_SECRET_KEY)
        .Number(CKA_KEY_TYPE, CKK_AES)
        .Flag(CKA_TOKEN, false)
        .Flag(CKA_ENCRYPT, true)
        .Flag(CKA_DECRYPT, true)
        .Data(CKA_VALUE, value);
    KMS_ASSERT_OK_AND_ASSIGN(const CK_OBJECT_HANDLE handle,
                             session.CreateObject(attributes.span()));
    const BoundResident key{.handle = handle};
    const Bytes plaintext(100, 7);
    KMS_ASSERT_OK_AND_ASSIGN(const ResidentCiphertext sealed,
                             EncryptGcm(session, key, plaintext, context_));
    Bytes opened(plaintext.size());
    EXPECT_THAT(Aead::OpenOnce(AeadAlgorithm::kAes256Gcm, value, sealed.nonce, context_,
                               sealed.ciphertext, opened),
                IsOk());
    EXPECT_EQ(opened, plaintext);
    ResidentCiphertext ours{.nonce = Bytes(12, 1), .ciphertext = Bytes(plaintext.size() + 16)};
    ASSERT_THAT(Aead::SealOnce(AeadAlgorithm::kAes256Gcm, value, ours.nonce, context_, plaintext,
                               ours.ciphertext),
                IsOk());
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes by_token, DecryptGcm(session, key, ours, context_));
    EXPECT_TRUE(EqualInConstantTime(by_token.View(), plaintext));
  });
}

}  // namespace
}  // namespace kms::pkcs11
