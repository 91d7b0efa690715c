// SPDX-License-Identifier: Apache-2.0
// Keys that operators made in a token themselves: which are found, and which are refused.
#include <string>

#include "kms/base/bytes.h"
#include "tests/pkcs11/resident_faults.h"

namespace kms::pkcs11 {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::testing::HasSubstr;

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
