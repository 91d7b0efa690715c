// SPDX-License-Identifier: Apache-2.0
// RSA wraps that the token has not signed are not opened: the public key, which is stored in clear,
// is all that it takes to make one (D10).
#include "pkcs11/wrap_signature.h"

#include <gmock/gmock.h>

#include <fstream>
#include <string>

#include "kms/base/digest.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/signature.h"
#include "pkcs11/attributes.h"
#include "pkcs11/oaep.h"
#include "tests/pkcs11/token_faults.h"

namespace kms::pkcs11 {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::testing::AllOf;
using ::testing::HasSubstr;

class WrapSignature : public TokenFaults {
 protected:
  void SetUp() override {
    TokenFaults::SetUp();
    if (IsSkipped()) return;
    options_.pinned_mechanism = "oaep-sha256-raw";
  }
  // What somebody makes who has the store and no token.
  WrappedKey Forge(const MasterKeyRecord& master) const {
    Bytes bound(32, 0x66);
    const Sha256Digest digest = Sha256(context_);
    bound.insert(bound.end(), digest.begin(), digest.end());
    WrappedKey forged;
    forged.mechanism = master.mechanism;
    forged.master_key_id = master.id;
    forged.master_key_version = master.version;
    forged.key_bytes = 32;
    forged.blob = EncryptOaep(master.public_key, HashAlgorithm::kSha2_256, bound).value();
    return forged;
  }
  Result<SecretBytes> Unwrap(const MasterKeyRecord& master, const WrappedKey& wrapped) {
    return token_->Unwrap(master, wrapped, context_, InSeconds(10));
  }
  static CK_SLOT_ID Slot(Session& session) {
    CK_SESSION_INFO info{};
    EXPECT_EQ(session.module().functions().C_GetSessionInfo(session.handle(), &info), CKR_OK);
    return info.slotID;
  }
  // Takes mechanisms away from SoftHSM; with the next start.
  void Disable(const std::string& mechanisms) const {
    std::ofstream(options_.softhsm_config, std::ios::app)
        << "slots.mechanisms = -DUMMY," << mechanisms << "\n";
  }
  void ExpectForgeryRefused(const MasterKeyRecord& master, const WrappedKey& forged,
                            const std::string& text) {
    const auto before = faults_->CountCalls("C_Decrypt");
    EXPECT_THAT(Unwrap(master, forged), HasError(ErrorCode::kCorrupted, HasSubstr(text)));
    EXPECT_EQ(faults_->CountCalls("C_Decrypt"), before) << "it was opened";
  }
};

constexpr const char* kDamaged = "damaged or of another context";

TEST_F(WrapSignature, D10_AWrapOfThePublicKeyAloneIsNotOpened) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  ASSERT_EQ(master.mechanism, WrapMechanism::kOaepSha256Raw);
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey honest, Wrap(master));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened, Unwrap(master, honest));
  EXPECT_TRUE(opened == key_);

  WrappedKey forged = Forge(master);
  ExpectForgeryRefused(master, forged, "bears no signature");
  forged.signature = honest.signature;
  ExpectForgeryRefused(master, forged, kDamaged);
  forged.signature = master.sentinel.signature;
  ExpectForgeryRefused(master, forged, kDamaged);
  forged.signature = {0x30, 0x00};
  ExpectForgeryRefused(master, forged, kDamaged);
}

TEST_F(WrapSignature, D10_AWrapOfAnEarlierReleaseIsNotOpened) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(WrappedKey unsigned_wrap, Wrap(master));
  unsigned_wrap.signature.clear();
  EXPECT_THAT(Unwrap(master, unsigned_wrap),
              HasError(ErrorCode::kCorrupted,
                       AllOf(HasSubstr("wrap the key again"), HasSubstr("restore the store"))));
}

TEST_F(WrapSignature, D10_ASignatureIsOfOneContextOneMasterKeyAndOneBlob) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord first = MakeMaster();
  const MasterKeyRecord second = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped, Wrap(first));
  EXPECT_THAT(token_->Unwrap(first, wrapped, Bytes{1, 2, 4}, InSeconds(10)),
              HasError(ErrorCode::kCorrupted, HasSubstr(kDamaged)));
  WrappedKey moved = Forge(second);
  moved.signature = wrapped.signature;
  ExpectForgeryRefused(second, moved, kDamaged);
  WrappedKey shorter = wrapped;
  shorter.key_bytes = 16;
  ExpectForgeryRefused(first, shorter, kDamaged);
}

TEST_F(WrapSignature, D10_ASentinelOfThePublicKeyAloneProvesNothing) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  MasterKeyRecord master = MakeMaster();
  master.sentinel.signature.clear();
  EXPECT_THAT(token_->CheckSentinel(master, InSeconds(10)),
              HasError(ErrorCode::kCorrupted, HasSubstr("bears no signature")));
  EXPECT_THAT(Wrap(master), HasError(ErrorCode::kCorrupted));
}

// What the audit key signs is worth nothing here, were it the very statement, and the reverse.
TEST_F(WrapSignature, TheAuditKeySignsNoWrapsAndTheWrapKeyNoAudit) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  WrappedKey forged = Forge(master);
  const Bytes statement = WrapStatement(forged, context_);
  KMS_ASSERT_OK_AND_ASSIGN(forged.signature, token_->Sign(statement, InSeconds(10)));
  ExpectForgeryRefused(master, forged, kDamaged);

  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey honest, Wrap(master));
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes audit_key, token_->SigningPublicKey(InSeconds(10)));
  KMS_ASSERT_OK_AND_ASSIGN(
      const AsymmetricKey key,
      AsymmetricKey::FromPublicKey(AsymmetricAlgorithm::kEcdsaP256, audit_key));
  EXPECT_FALSE(
      VerifySignature(key, {}, WrapStatement(honest, context_), honest.signature).value_or(true));
}

TEST_F(WrapSignature, TheKeyStaysWithItsToken) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped, Wrap(master));
  token_.reset();
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_THAT(Unwrap(master, wrapped), IsOk());
  WithRawSession([](Session& session) {
    AttributeList wanted;
    wanted.Data(CKA_LABEL, AsBytes(kWrapKeyLabel));
    EXPECT_EQ(session.Find(wanted.span())->size(), 2U) << "one pair, whatever was started";
  });
}

TEST_F(WrapSignature, OneThatIsLostIsNamedAndItsWrapsStayClosed) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped, Wrap(master));
  token_.reset();
  WithRawSession([](Session& session) {
    AttributeList wanted;
    wanted.Data(CKA_LABEL, AsBytes(kWrapKeyLabel));
    const auto found = session.Find(wanted.span()).value();
    for (const CK_OBJECT_HANDLE object : found) EXPECT_THAT(session.DestroyObject(object), IsOk());
  });
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_THAT(Unwrap(master, wrapped), HasError(ErrorCode::kCorrupted)) << "by the new key";
}

// Two services that met a token for the first time at once; each has wraps already.
TEST_F(WrapSignature, SeveralOfThemAreAllTrusted) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey before, Wrap(master));
  token_.reset();
  WithRawSession([&](Session& session) {
    const auto first = FindWrapKeys(session, true);
    ASSERT_TRUE(first.has_value() && first->size() == 1);
    AttributeList rename;
    rename.Data(CKA_LABEL, AsBytes("hidden"));
    ASSERT_EQ(session.module().functions().C_SetAttributeValue(
                  session.handle(), first->front().handle, rename.span().data(), 1),
              CKR_OK);
    bool made = false;
    ASSERT_THAT(EnsureWrapKey(session, Slot(session), true, made), IsOk());
    EXPECT_TRUE(made);
    AttributeList back;
    back.Data(CKA_LABEL, AsBytes(kWrapKeyLabel));
    ASSERT_EQ(session.module().functions().C_SetAttributeValue(
                  session.handle(), first->front().handle, back.span().data(), 1),
              CKR_OK);
    EXPECT_EQ(FindWrapKeys(session, true)->size(), 2U);
  });
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_THAT(Unwrap(master, before), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey after, Wrap(master));
  EXPECT_THAT(Unwrap(master, after), IsOk());
}

TEST_F(WrapSignature, AnRsaKeySignsWhereTheTokenHasNoEcKeys) {
  // The first is the master key of the test; then come two templates of an EC pair.
  faults_->SetRules(
      "C_GenerateKeyPair n=2 return=0x70\n"
      "C_GenerateKeyPair n=3 return=0x70\n");
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const MasterKeyRecord master = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped, Wrap(master));
  EXPECT_EQ(wrapped.signature.size(), 384U);
  EXPECT_THAT(Unwrap(master, wrapped), IsOk());
  WrappedKey forged = Forge(master);
  forged.signature = wrapped.signature;
  ExpectForgeryRefused(master, forged, kDamaged);
}

TEST_F(WrapSignature, RsaIsNotOfferedWhereTheTokenSignsNothing) {
  Disable("CKM_ECDSA,CKM_RSA_PKCS");
  ASSERT_NO_FATAL_FAILURE(Start());
  const Status ready = token_->AwaitReady(InSeconds(20));
  ASSERT_THAT(ready, HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(Describe(ready.error()) + token_->Statistics().state_reason,
              HasSubstr("no key to sign its wraps with"));
}

// Warm calls ask the token nothing more than before; AES wraps are signed by nobody.
TEST_F(WrapSignature, AWarmUnwrapIsOneCallOfTheToken) {
  for (const char* mechanism : {"oaep-sha256-raw", "gcm-encrypt"}) {
    options_.pinned_mechanism = mechanism;
    ASSERT_NO_FATAL_FAILURE(StartReady());
    const MasterKeyRecord master = MakeMaster();
    KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped, Wrap(master));
    EXPECT_EQ(wrapped.signature.empty(), mechanism == std::string("gcm-encrypt"));
    EXPECT_EQ(master.sentinel.signature.empty(), wrapped.signature.empty());
    ASSERT_THAT(Unwrap(master, wrapped), IsOk());
    const auto searches = faults_->CountCalls("C_FindObjectsInit");
    const auto signatures = faults_->CountCalls("C_Sign");
    ASSERT_THAT(Unwrap(master, wrapped), IsOk());
    EXPECT_EQ(faults_->CountCalls("C_FindObjectsInit"), searches) << mechanism;
    EXPECT_EQ(faults_->CountCalls("C_Sign"), signatures) << mechanism;
    token_.reset();
  }
}

}  // namespace
}  // namespace kms::pkcs11
