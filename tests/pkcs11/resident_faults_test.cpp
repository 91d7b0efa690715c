// SPDX-License-Identifier: Apache-2.0
// Keys that live in a token that misbehaves: SoftHSM behind the fault module.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <utility>
#include <vector>

#include "kms/crypto/aead.h"
#include "kms/crypto/key_agreement.h"
#include "kms/crypto/signature.h"
#include "pkcs11/attributes.h"
#include "pkcs11/resident_object.h"
#include "pkcs11/resident_use.h"
#include "tests/pkcs11/token_faults.h"

namespace kms::pkcs11 {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::testing::HasSubstr;

class ResidentFaults : public TokenFaults {
 protected:
  ResidentKeyRecord Make(ResidentKeyType type) {
    auto record =
        token_->GenerateResidentKey(Uuid::Random(), type, "kms/test/keys/app/1", InSeconds(60));
    EXPECT_THAT(record, IsOk());
    return record.value_or(ResidentKeyRecord{});
  }
  Result<Bytes> Sign(const ResidentKeyRecord& key) {
    return token_->ResidentSign(key, {.digest = Bytes(32, 5)}, InSeconds(20));
  }
  Result<ResidentCiphertext> Encrypt(const ResidentKeyRecord& key) {
    return token_->ResidentEncrypt(key, key_, context_, InSeconds(20));
  }
  Status Opens(const ResidentKeyRecord& key, const ResidentCiphertext& ciphertext) {
    const auto opened = token_->ResidentDecrypt(key, ciphertext, context_, InSeconds(20));
    if (!opened.has_value()) return opened.error();
    return *opened == key_ ? Ok() : Status(Internal("another plaintext"));
  }
  // Whether the token comes to the secret that a fresh peer comes to.
  Status Agrees(const ResidentKeyRecord& key) {
    const AsymmetricAlgorithm algorithm = *AsymmetricAlgorithmOf(key.type);
    const AsymmetricKey peer = KMS_TRY(AsymmetricKey::Generate(algorithm));
    const Bytes peer_public = KMS_TRY(peer.PublicKey());
    const AsymmetricKey own = KMS_TRY(AsymmetricKey::FromPublicKey(algorithm, key.public_key));
    const SecretBytes of_peer = KMS_TRY(internal::EcdhSharedSecret(peer, own));
    const SecretBytes of_token = KMS_TRY(token_->ResidentAgree(key, peer_public, InSeconds(20)));
    return of_token == of_peer ? Ok() : Status(Internal("another secret"));
  }
  // Secrets of sessions that are left in the token.
  std::size_t CountLooseSecrets() {
    std::size_t count = 0;
    WithRawSession([&](Session& session) {
      AttributeList wanted;
      wanted.Number(CKA_CLASS, CKO_SECRET_KEY).Number(CKA_KEY_TYPE, CKK_GENERIC_SECRET);
      const auto found = session.Find(wanted.span());
      ASSERT_THAT(found, IsOk());
      count = found->size();
    });
    return count;
  }
  std::size_t CountObjects(const Bytes& id) {
    std::size_t count = 0;
    WithRawSession([&](Session& session) {
      const auto found = FindResidentObjects(session, id);
      ASSERT_THAT(found, IsOk());
      count = found->secrets.size() + found->publics.size();
    });
    return count;
  }
};

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

// ---- key agreement -----------------------------------------------------------------------------

TEST_F(ResidentFaults, KeyAgreementLeavesNoSecretInTheToken) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP256);
  for (int round = 0; round < 5; ++round) {
    EXPECT_THAT(Agrees(key), IsOk());
  }
  for (const char* const rule :
       {"C_GetAttributeValue n=3 return=0x11", "C_DeriveKey once late=0x30"}) {
    faults_->SetRules(rule);
    IgnoreError(Agrees(key), "it may fail");
    faults_->SetRules("");
    ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
    EXPECT_THAT(Agrees(key), IsOk()) << rule;
  }
  EXPECT_EQ(CountLooseSecrets(), 0U);
}

TEST_F(ResidentFaults, H1_KeyAgreementSurvivesLostSessionsAndLogins) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP384);
  for (const char* const rule :
       {"C_DeriveKey once return=0xb3", "C_DeriveKey once return=0x60",
        "C_DestroyObject once return=0xb3", "C_FindObjectsInit once return=0xb3"}) {
    faults_->SetRules(rule);
    EXPECT_THAT(Agrees(key), IsOk()) << rule;
  }
  ASSERT_NO_FATAL_FAILURE(LogOutBehindItsBack());
  EXPECT_THAT(Agrees(key), IsOk());
}

TEST_F(ResidentFaults, H3_KeyAgreementFailsWithADyingTokenAndIsBackWithIt) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP256);
  ASSERT_THAT(Agrees(key), IsOk());
  for (const char* const call : {"n=1", "n=2", "n=3"}) {
    faults_->SetRules(std::string("C_DeriveKey ") + call + " return=0x30");
    EXPECT_THAT(Agrees(key), HasError(ErrorCode::kUnavailable)) << call;
    faults_->SetRules("");
    ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
    EXPECT_THAT(Agrees(key), IsOk()) << call;
  }
}

// Of one agreement: the right to derive, the known answer, the secret and the same again.
constexpr const char* kReadsOfSecrets[] = {"n=2", "n=3", "n=4"};

TEST_F(ResidentFaults, H20_ASecretWithAFlippedBitIsNotUsed) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP256);
  ASSERT_THAT(Agrees(key), IsOk());
  for (const char* const read : kReadsOfSecrets) {
    faults_->SetRules(std::string("C_GetAttributeValue ") + read + " flip");
    EXPECT_THAT(Agrees(key), HasError(ErrorCode::kUnavailable, HasSubstr("another secret")))
        << read;
    faults_->SetRules("");
    EXPECT_THAT(Agrees(key), IsOk()) << read;
  }
  faults_->SetRules("C_GetAttributeValue flip");
  EXPECT_THAT(Agrees(key), HasError(ErrorCode::kUnavailable));
  const ResidentKeyRecord signer = Make(ResidentKeyType::kEcdsaP384);
  EXPECT_THAT(Sign(signer), IsOk());
  faults_->SetRules("");
  EXPECT_THAT(Agrees(signer),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("made without key agreement")));
}

TEST_F(ResidentFaults, H19_SecretsOfImpossibleLengthsAreDeviceErrors) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP521);
  for (const char* const read : kReadsOfSecrets) {
    for (const char* const length : {"+1", "-1", "0", "100000", "unavailable"}) {
      ASSERT_THAT(Agrees(key), IsOk()) << "proves the key anew, which reads more";
      faults_->SetRules(std::string("C_GetAttributeValue ") + read + " length=" + length);
      EXPECT_THAT(Agrees(key), HasError(ErrorCode::kUnavailable)) << read << " " << length;
      faults_->SetRules("");
      ASSERT_THAT(token_->AwaitReady(InSeconds(20)), IsOk());
    }
  }
  EXPECT_THAT(Agrees(key), IsOk());
}

TEST_F(ResidentFaults, H21_ATokenWithoutEcdhMakesKeysThatSign) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  faults_->SetRules("C_DeriveKey return=0x70");
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP256);
  EXPECT_THAT(Sign(key), IsOk());
  WithRawSession([&](Session& session) {
    const auto found = FindResidentObjects(session, key.id);
    ASSERT_THAT(found, IsOk());
    ASSERT_EQ(found->secrets.size(), 1U);
    EXPECT_FALSE(session.ReadFlag(found->secrets.front(), CKA_DERIVE).value());
  });
  faults_->SetRules("");
  EXPECT_THAT(Agrees(key),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("made without key agreement")));
  const ResidentKeyRecord later = Make(ResidentKeyType::kEcdsaP256);
  EXPECT_THAT(Agrees(later), IsOk()) << "the token has it now";
  faults_->SetRules("C_DeriveKey return=0x70");
  token_.reset();
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_THAT(Agrees(later),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("does not agree on keys")));
  EXPECT_THAT(Sign(later), IsOk());
}

TEST_F(ResidentFaults, ATokenThatWantsThePointInAnOctetStringAgrees) {
  // The first form is refused as modules do that want the other.
  faults_->SetRules("C_DeriveKey n=1 return=0x71");
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP256);
  faults_->SetRules("C_DeriveKey n=1 return=0x70");
  EXPECT_THAT(Agrees(key), IsOk());
  EXPECT_THAT(Agrees(key), IsOk());
}

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
  WithRawSession(
      [&](Session& session) {
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

// ---- external keys ------------------------------------------------------------------------------

class ExternalKeys : public ResidentFaults {
 protected:
  // Makes an EC pair as an operator does, with what `change` adds to the private half.
  void MakePair(const std::string& label, const Bytes& id, bool extractable, bool unwraps,
                bool signs = true, bool derives = false) {
    constexpr std::uint8_t kP256[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
    WithRawSession([&](Session& session) {
      AttributeList of_public;
      of_public.Data(CKA_EC_PARAMS, kP256).Flag(CKA_TOKEN, true).Flag(CKA_VERIFY, true);
      of_public.Data(CKA_ID, id).Data(CKA_LABEL, AsBytes(label));
      AttributeList of_private;
      of_private.Flag(CKA_TOKEN, true).Flag(CKA_PRIVATE, true).Flag(CKA_SENSITIVE, true);
      of_private.Flag(CKA_EXTRACTABLE, extractable).Flag(CKA_SIGN, signs);
      of_private.Flag(CKA_DERIVE, derives);
      of_private.Flag(CKA_UNWRAP, unwraps).Flag(CKA_DECRYPT, false);
      of_private.Data(CKA_ID, id).Data(CKA_LABEL, AsBytes(label));
      ASSERT_THAT(session.GenerateKeyPair(CKM_EC_KEY_PAIR_GEN, of_public.span(), of_private.span()),
                  IsOk());
    });
  }
  Result<ResidentKeyRecord> Find(const std::string& reference) {
    return token_->FindResidentKey(reference, InSeconds(20));
  }
};

TEST_F(ExternalKeys, AreFoundByLabelAndId) {
  MakePair("app-signing", {0x0a, 0x0b}, /*extractable=*/false, /*unwraps=*/false);
  ASSERT_NO_FATAL_FAILURE(StartReady());
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentKeyRecord by_label, Find("app-signing"));
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentKeyRecord by_id, Find("id=0A0b"));
  EXPECT_EQ(by_label, by_id);
  EXPECT_EQ(by_label.type, ResidentKeyType::kEcdsaP256);
  EXPECT_EQ(by_label.id, (Bytes{0x0a, 0x0b}));
  EXPECT_THAT(Sign(by_label), IsOk());
}

TEST_F(ExternalKeys, AgreeWhereTheyMay) {
  MakePair("both", {1}, /*extractable=*/false, /*unwraps=*/false, /*signs=*/true,
           /*derives=*/true);
  MakePair("agrees", {2}, /*extractable=*/false, /*unwraps=*/false, /*signs=*/false,
           /*derives=*/true);
  MakePair("signs", {3}, /*extractable=*/false, /*unwraps=*/false);
  MakePair("nothing", {4}, /*extractable=*/false, /*unwraps=*/false, /*signs=*/false);
  ASSERT_NO_FATAL_FAILURE(StartReady());
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentKeyRecord both, Find("both"));
  EXPECT_THAT(Agrees(both), IsOk());
  EXPECT_THAT(Sign(both), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentKeyRecord agrees, Find("agrees"));
  EXPECT_THAT(Agrees(agrees), IsOk());
  EXPECT_THAT(Sign(agrees), HasError(ErrorCode::kInvalidArgument));
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentKeyRecord signs, Find("signs"));
  EXPECT_THAT(Agrees(signs),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("made without key agreement")));
  EXPECT_THAT(Find("nothing"), HasError(ErrorCode::kFailedPrecondition, HasSubstr("CKA_SIGN")));
}

TEST_F(ExternalKeys, ThatMayLeaveTheTokenAreRefused) {
  MakePair("loose", {1}, /*extractable=*/true, /*unwraps=*/false);
  MakePair("wrapper", {2}, /*extractable=*/false, /*unwraps=*/true);
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_THAT(Find("loose"),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("CKA_EXTRACTABLE")));
  EXPECT_THAT(Find("wrapper"), HasError(ErrorCode::kFailedPrecondition, HasSubstr("CKA_UNWRAP")));
}

TEST_F(ExternalKeys, H12_OfOneNameAreAmbiguous) {
  MakePair("twice", {1}, /*extractable=*/false, /*unwraps=*/false);
  MakePair("twice", {2}, /*extractable=*/false, /*unwraps=*/false);
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_THAT(Find("twice"), HasError(ErrorCode::kFailedPrecondition, HasSubstr("2 keys")));
  EXPECT_THAT(Find("id=01"), IsOk());
}

TEST_F(ExternalKeys, C15_MasterKeysAndAuditKeysAreNotLent) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  auto master = token_->GenerateMasterKey(Uuid::Random(), 1, "kms/prod/1", InSeconds(10));
  ASSERT_THAT(master, IsOk());
  ASSERT_THAT(token_->SigningPublicKey(InSeconds(10)), IsOk());
  EXPECT_THAT(Find("kms/prod/1"), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(Find("id=" + HexEncode(master->id.View())), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(Find("kms audit signing key"), HasError(ErrorCode::kFailedPrecondition));
}

TEST_F(ExternalKeys, ReferencesThatAreNoneAreRefused) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  for (const char* const reference : {"id=", "id=0", "id=xy"}) {
    EXPECT_THAT(Find(reference), HasError(ErrorCode::kInvalidArgument)) << reference;
  }
  EXPECT_THAT(Find("id=00"), HasError(ErrorCode::kNotFound));
}

}  // namespace
}  // namespace kms::pkcs11
