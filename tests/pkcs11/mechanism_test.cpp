// SPDX-License-Identifier: Apache-2.0
// Negotiation, master-key objects and wrapping on a real SoftHSM token, session by session.
#include "pkcs11/mechanism.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pkcs11/master_key.h"
#include "pkcs11/negotiation.h"
#include "tests/support/matchers.h"
#include "tests/support/softhsm_fixture.h"

namespace kms::pkcs11 {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::SoftHsmToken;
using ::testing::HasSubstr;

// A module initialised and logged in for one test.
class Mechanism : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!::kms::testing::SoftHsmIsInstalled()) GTEST_SKIP() << "SoftHSM is not installed";
    token_ = std::make_unique<SoftHsmToken>();
    ASSERT_TRUE(token_->ok());
    KMS_ASSERT_OK_AND_ASSIGN(module_, Module::Load(::kms::testing::kSoftHsmModule));
    ASSERT_TRUE(module_->Initialize("").ok());
    std::vector<TokenFacts> tokens;
    ASSERT_TRUE(module_->ListTokens(tokens).ok());
    ASSERT_FALSE(tokens.empty());
    slot_ = tokens.front().slot;
    KMS_ASSERT_OK_AND_ASSIGN(anchor_, Session::Open(*module_, slot_));
    const SecretBytes pin = SecretBytes::CopyOf(AsBytes(::kms::testing::kTestPin)).value();
    ASSERT_TRUE(anchor_->Login(CKU_USER, pin).ok());
  }
  void TearDown() override {
    anchor_.reset();
    if (module_ != nullptr) {
      EXPECT_TRUE(module_->Finalize().ok());
    }
  }

  Session Open() { return Session::Open(*module_, slot_).value(); }
  GeneratedKey Generate(const Uuid& id, WrapMechanism mechanism) {
    Session session = Open();
    return GenerateMasterKeyObject(session, {.id = id, .label = "m", .mechanism = mechanism},
                                   ExtraAttributes::kNone)
        .value();
  }
  // An AES key with everything right but what `change` sets.
  CK_OBJECT_HANDLE GenerateOdd(const Uuid& id, CK_ATTRIBUTE_TYPE type, bool value) {
    AttributeList list;
    list.Number(CKA_CLASS, CKO_SECRET_KEY).Number(CKA_KEY_TYPE, CKK_AES).Number(CKA_VALUE_LEN, 32);
    list.Data(CKA_ID, id.View());
    const std::pair<CK_ATTRIBUTE_TYPE, bool> flags[] = {
        {CKA_TOKEN, true},   {CKA_PRIVATE, true}, {CKA_SENSITIVE, true}, {CKA_EXTRACTABLE, false},
        {CKA_ENCRYPT, true}, {CKA_DECRYPT, true}, {CKA_WRAP, false},     {CKA_UNWRAP, false}};
    for (const auto& [flag, normal] : flags) list.Flag(flag, flag == type ? value : normal);
    Session session = Open();
    return session.GenerateKey(CKM_AES_KEY_GEN, list.span()).value();
  }

  std::unique_ptr<SoftHsmToken> token_;
  std::unique_ptr<Module> module_;
  CK_SLOT_ID slot_ = 0;
  std::optional<Session> anchor_;
};

TEST_F(Mechanism, NegotiatesWhatSoftHsmReallyHasBestFirst) {
  KMS_ASSERT_OK_AND_ASSIGN(const Negotiated negotiated, NegotiateMechanisms(*anchor_, slot_, ""));
  EXPECT_EQ(negotiated.usable,
            (std::vector<WrapProfile>{
                {WrapMechanism::kGcmEncrypt, GcmParameterLayout::kWithIvBits, false},
                {WrapMechanism::kKwWrap, GcmParameterLayout::kWithIvBits, false}}));
  EXPECT_EQ(negotiated.extras, ExtraAttributes::kUnmodifiableAndOneMechanism);
  EXPECT_TRUE(negotiated.honours_unmodifiable);
}

TEST_F(Mechanism, NegotiatesThePinnedMechanismAlone) {
  KMS_ASSERT_OK_AND_ASSIGN(const Negotiated negotiated,
                           NegotiateMechanisms(*anchor_, slot_, "kw-wrap"));
  ASSERT_EQ(negotiated.usable.size(), 1U);
  EXPECT_EQ(negotiated.usable.front().mechanism, WrapMechanism::kKwWrap);
}

TEST_F(Mechanism, RefusesATokenWithoutThePinnedMechanism) {
  EXPECT_THAT(NegotiateMechanisms(*anchor_, slot_, "kwp-encrypt"),
              HasError(ErrorCode::kFailedPrecondition));
}

TEST_F(Mechanism, WrapsAndUnwrapsKeysOfEverySizeByKeyWrap) {
  const GeneratedKey key = Generate(Uuid::Random(), WrapMechanism::kKwWrap);
  const WrappingKey master{.handle = key.handle,
                           .profile = {WrapMechanism::kKwWrap,
                                       GcmParameterLayout::kWithIvBits, false},
                           .public_key = {}};
  Session session = Open();
  for (std::size_t size = 1; size <= 64; ++size) {
    SecretBytes secret = SecretBytes::OfSize(size).value();
    secret.MutableView()[0] = 7;
    KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped,
                             WrapUnder(session, master, secret, AsBytes("c")));
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                             UnwrapUnder(session, master, wrapped, AsBytes("c")));
    EXPECT_TRUE(opened == secret) << size;
    EXPECT_THAT(UnwrapUnder(session, master, wrapped, AsBytes("d")),
                HasError(ErrorCode::kCorrupted));
  }
}

TEST_F(Mechanism, RefusesANonceOfLengthZero) {
  const GeneratedKey key = Generate(Uuid::Random(), WrapMechanism::kGcmEncrypt);
  const WrappingKey master{.handle = key.handle, .profile = {}, .public_key = {}};
  Session session = Open();
  const SecretBytes secret = SecretBytes::OfSize(32).value();
  KMS_ASSERT_OK_AND_ASSIGN(WrappedKey wrapped, WrapUnder(session, master, secret, {}));
  wrapped.nonce.clear();
  EXPECT_THAT(UnwrapUnder(session, master, wrapped, {}), HasError(ErrorCode::kCorrupted));
}

TEST_F(Mechanism, H11_FindsNoKeyWhereThereIsNone) {
  Session session = Open();
  const Uuid id = Uuid::Random();
  EXPECT_THAT(FindMasterKeyObject(session, id),
              HasError(ErrorCode::kNotFound, HasSubstr(id.ToString())));
}

TEST_F(Mechanism, H12_RefusesTwoObjectsOfOneIdAndNamesThem) {
  const Uuid id = Uuid::Random();
  Generate(id, WrapMechanism::kGcmEncrypt);
  Generate(id, WrapMechanism::kGcmEncrypt);
  Session session = Open();
  EXPECT_THAT(FindMasterKeyObject(session, id),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("\"m\", \"m\"")));
}

TEST_F(Mechanism, H16_AcceptsAKeyThisServiceMade) {
  const GeneratedKey key = Generate(Uuid::Random(), WrapMechanism::kGcmEncrypt);
  Session session = Open();
  EXPECT_THAT(CheckMasterKeyAttributes(session, key.handle, {}), IsOk());
}

TEST_F(Mechanism, H16_RefusesEveryWrongAttributeByName) {
  const struct {
    CK_ATTRIBUTE_TYPE type;
    bool value;
    const char* complaint;
  } kRows[] = {{CKA_PRIVATE, false, "CKA_PRIVATE"},
               {CKA_SENSITIVE, false, "CKA_SENSITIVE"},
               {CKA_EXTRACTABLE, true, "CKA_EXTRACTABLE"},
               {CKA_WRAP, true, "both encrypt and wrap"},
               {CKA_UNWRAP, true, "both encrypt and wrap"}};
  for (const auto& row : kRows) {
    const CK_OBJECT_HANDLE key = GenerateOdd(Uuid::Random(), row.type, row.value);
    Session session = Open();
    EXPECT_THAT(CheckMasterKeyAttributes(session, key, {}),
                HasError(ErrorCode::kFailedPrecondition, HasSubstr(row.complaint)));
  }
}

TEST_F(Mechanism, H16_RefusesAModifiableKeyWhereTheTokenCouldForbidIt) {
  const GeneratedKey key = Generate(Uuid::Random(), WrapMechanism::kGcmEncrypt);
  Session session = Open();
  EXPECT_THAT(CheckMasterKeyAttributes(session, key.handle, {.unmodifiable = true}),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("CKA_MODIFIABLE")));
}

TEST_F(Mechanism, H16_RefusesAnImportedKey) {
  AttributeList list;
  const Bytes value(32, 1);
  list.Number(CKA_CLASS, CKO_SECRET_KEY).Number(CKA_KEY_TYPE, CKK_AES).Data(CKA_VALUE, value);
  list.Flag(CKA_TOKEN, true).Flag(CKA_PRIVATE, true).Flag(CKA_SENSITIVE, true);
  list.Flag(CKA_EXTRACTABLE, false).Flag(CKA_ENCRYPT, true).Flag(CKA_DECRYPT, true);
  list.Flag(CKA_WRAP, false).Flag(CKA_UNWRAP, false);
  Session session = Open();
  KMS_ASSERT_OK_AND_ASSIGN(const CK_OBJECT_HANDLE key, session.CreateObject(list.span()));
  EXPECT_THAT(CheckMasterKeyAttributes(session, key, {}),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("CKA_LOCAL")));
}

TEST_F(Mechanism, RefusesAKeyMadeForAnotherUse) {
  const GeneratedKey key = Generate(Uuid::Random(), WrapMechanism::kKwWrap);
  Session session = Open();
  EXPECT_THAT(
      CheckMasterKeyAttributes(session, key.handle, {.mechanism = WrapMechanism::kGcmEncrypt}),
      HasError(ErrorCode::kFailedPrecondition));
}

TEST_F(Mechanism, DestroysEveryObjectOfAnId) {
  for (const auto mechanism : {WrapMechanism::kGcmEncrypt, WrapMechanism::kOaepSha256Raw}) {
    const Uuid id = Uuid::Random();
    Generate(id, mechanism);
    Session session = Open();
    EXPECT_THAT(DestroyMasterKeyObjects(session, id, "m"), IsOk());
    EXPECT_THAT(FindMasterKeyObject(session, id), HasError(ErrorCode::kNotFound));
    EXPECT_FALSE(ReadRsaPublicKey(session, id).has_value());
    EXPECT_THAT(DestroyMasterKeyObjects(session, id, "m"), IsOk());
  }
}

// The id stands in a row of the store, and whoever wrote there must not choose what is destroyed.
TEST_F(Mechanism, D10_DestroysNoKeyOfAnotherLabel) {
  for (const auto mechanism : {WrapMechanism::kGcmEncrypt, WrapMechanism::kOaepSha256Raw}) {
    const Uuid id = Uuid::Random();
    Generate(id, mechanism);
    Session session = Open();
    for (const char* label : {"kms/dev/1", "", "mm", "M"}) {
      EXPECT_THAT(DestroyMasterKeyObjects(session, id, label),
                  HasError(ErrorCode::kFailedPrecondition, ::testing::HasSubstr("is \"m\"")));
    }
    EXPECT_THAT(FindMasterKeyObject(session, id), IsOk());
    EXPECT_EQ(ReadRsaPublicKey(session, id).has_value(), mechanism != WrapMechanism::kGcmEncrypt);
  }
}

TEST_F(Mechanism, D10_DestroysNothingWhenOneOfTwoKeysIsAnother) {
  const Uuid id = Uuid::Random();
  Generate(id, WrapMechanism::kGcmEncrypt);
  Session session = Open();
  const auto other = GenerateMasterKeyObject(
      session, {.id = id, .label = "kms/prod/1", .mechanism = WrapMechanism::kGcmEncrypt},
      ExtraAttributes::kNone);
  ASSERT_THAT(other, IsOk());
  EXPECT_THAT(DestroyMasterKeyObjects(session, id, "m"), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(FindMasterKeyObject(session, id),
              HasError(ErrorCode::kFailedPrecondition, ::testing::HasSubstr("2 objects")));
}

TEST_F(Mechanism, D10_DestroysNoKeyOfAnotherKind) {
  const Uuid id = Uuid::Random();
  Session session = Open();
  AttributeList list;
  list.Number(CKA_CLASS, CKO_SECRET_KEY).Number(CKA_KEY_TYPE, CKK_GENERIC_SECRET);
  list.Number(CKA_VALUE_LEN, 32).Flag(CKA_TOKEN, true).Data(CKA_ID, id.View());
  list.Data(CKA_LABEL, AsBytes("m"));
  ASSERT_THAT(session.GenerateKey(CKM_GENERIC_SECRET_KEY_GEN, list.span()), IsOk());
  EXPECT_THAT(DestroyMasterKeyObjects(session, id, "m"),
              HasError(ErrorCode::kFailedPrecondition, ::testing::HasSubstr("no master key")));
  EXPECT_THAT(FindMasterKeyObject(session, id), IsOk());
}

TEST_F(Mechanism, ASessionRemembersItsFirstFailure) {
  Session session = Open();
  EXPECT_FALSE(session.failure().has_value());
  EXPECT_FALSE(session.DestroyObject(CK_INVALID_HANDLE).has_value());
  ASSERT_TRUE(session.failure().has_value());
  EXPECT_EQ(session.failure()->value, CKR_OBJECT_HANDLE_INVALID);
}

}  // namespace
}  // namespace kms::pkcs11
