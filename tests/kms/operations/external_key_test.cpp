// SPDX-License-Identifier: Apache-2.0
// Keys that existed in an HSM before: referred to where that is allowed, and never destroyed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "kms/operations/sign.h"
#include "kms/operations/verify_signature.h"
#include "tests/kms/operations/resident_world.h"

namespace kms {
namespace {

using testing::EncryptUnder;
using testing::HasError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::Name;
using testing::ResidentWorld;

class ExternalKey : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_THAT(world_.first.token()->resident_keys.Generate({1, 2, 3}, ResidentKeyType::kEcdsaP256,
                                                             "app-signing"),
                IsOk());
    ASSERT_THAT(world_.first.token()->resident_keys.Generate({1, 2, 4}, ResidentKeyType::kEcdsaP256,
                                                             "app-signing-2"),
                IsOk());
    ASSERT_THAT(world_.first.token()->resident_keys.Generate({9}, ResidentKeyType::kAes256Gcm,
                                                             "app-cipher"),
                IsOk());
    world_.AllowExternalKeys("first:app-*, first:id=09");
  }

  ResidentWorld world_;
};

TEST_F(ExternalKey, IsUsedWhereItIs) {
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key, world_.CreateExternal("first:app-signing"));
  EXPECT_EQ(key->policy().type, KeyType::kEcdsaP256);
  EXPECT_EQ(key->policy().protection, KeyProtection::kExternal);
  const SignatureRequest request =
      ParseSignatureNames({"sha2-256", "asn1", "", "auto", false}).value();
  KMS_ASSERT_OK_AND_ASSIGN(const SignOutcome made,
                           Sign(*key, {.request = request, .input = AsBytes("message")}));
  KMS_ASSERT_OK_AND_ASSIGN(
      const SignatureVerdict verdict,
      VerifySignature(
          *key, {.request = request, .input = AsBytes("message"), .signature = made.signature}));
  EXPECT_TRUE(verdict.valid);
  ASSERT_THAT(world_.CreateExternal("first:id=09", "cipher"), IsOk());
  std::string ciphertext;
  EXPECT_THAT(EncryptUnder(world_.environment(), "cipher", "x", ciphertext), IsOk());
}

TEST_F(ExternalKey, IsNeverDestroyed) {
  ASSERT_THAT(world_.CreateExternal("first:app-signing"), IsOk());
  ASSERT_THAT(RotateExternalKey(world_.environment(), Name("app"), "first:app-signing-2"), IsOk());
  ASSERT_THAT(world_.Configure(2, 2), IsOk());
  ASSERT_THAT(TrimKey(world_.environment(), Name("app"), 2), IsOk());
  ASSERT_THAT(DeleteKey(world_.environment(), Name("app")), IsOk());
  world_.SweepLate();
  EXPECT_EQ(world_.Objects(), 3U);
  EXPECT_THAT(world_.Stored(""), IsEmpty());
}

TEST_F(ExternalKey, RotatesToAnotherReferenceOfItsType) {
  ASSERT_THAT(world_.CreateExternal("first:app-signing"), IsOk());
  EXPECT_THAT(RotateKey(world_.environment(), Name("app")),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("external_key_ref")));
  EXPECT_THAT(RotateExternalKey(world_.environment(), Name("app"), "first:app-cipher"),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("of type aes256-gcm96")));
  KMS_ASSERT_OK_AND_ASSIGN(
      const KeyHandle rotated,
      RotateExternalKey(world_.environment(), Name("app"), "first:app-signing-2"));
  EXPECT_EQ(rotated->versions().back().resident->reference, "app-signing-2");
  world_.Create("software");
  EXPECT_THAT(RotateExternalKey(world_.environment(), Name("software"), "first:app-signing"),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("type=external-key")));
}

TEST_F(ExternalKey, IsRefusedUnlessTheEnvironmentAllowsIt) {
  for (const std::string allowed : {"", "second:*", "first:other-*", "first:app-signing-2"}) {
    world_.AllowExternalKeys(allowed);
    EXPECT_THAT(world_.CreateExternal("first:app-signing"),
                HasError(ErrorCode::kPermissionDenied, HasSubstr("external_keys")))
        << allowed;
  }
  EXPECT_THAT(world_.Stored(""), IsEmpty());
}

TEST_F(ExternalKey, C15_IsNeverAKeyOfThisService) {
  world_.AllowExternalKeys("first:*");
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle own, world_.CreateInHsm(KeyType::kAes256Gcm96, "own"));
  const ResidentKeyRecord& record = own->versions().front().resident->record;
  for (const std::string& reference :
       {"first:" + record.label, "first:id=" + HexEncode(record.id)}) {
    EXPECT_THAT(world_.CreateExternal(reference),
                HasError(ErrorCode::kInvalidArgument, HasSubstr("failed to fetch external key")));
  }
}

TEST_F(ExternalKey, RefusesReferencesThatAreNone) {
  world_.AllowExternalKeys("first:*");
  for (const std::string reference : {"app-signing", ":app", "first:"}) {
    EXPECT_THAT(world_.CreateExternal(reference), HasError(ErrorCode::kInvalidArgument))
        << reference;
  }
  EXPECT_THAT(world_.CreateExternal(""),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("must provide external_key_ref")));
  EXPECT_THAT(world_.CreateExternal("first:nobody"),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("failed to fetch external key")));
  EXPECT_THAT(CreateKey(world_.environment(), Name("app"),
                        {.auto_rotate_period_seconds = 3600,
                         .protection = KeyProtection::kExternal,
                         .external_key_ref = "first:app-signing"}),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("auto-rotation")));
}

TEST_F(ExternalKey, IsRefusedInAnHsmThatDoesNotServeTheEnvironment) {
  world_.AllowExternalKeys("first:*,second:*");
  ASSERT_THAT(world_.second.token()->resident_keys.Generate({5}, ResidentKeyType::kEcdsaP256,
                                                            "others"),
              IsOk());
  world_.environment().resident_keys()->SetMembers({"first", "third"});
  EXPECT_THAT(
      world_.CreateExternal("second:others"),
      HasError(ErrorCode::kInvalidArgument,
               HasSubstr("HSM second does not serve this environment, and an external key must be "
                         "in one that does: it is served by first, third")));
  EXPECT_THAT(world_.CreateExternal("first:app-signing"), IsOk());
}

TEST_F(ExternalKey, OfAnHsmThatDoesNotServeTheEnvironmentIsNotUsed) {
  ASSERT_THAT(world_.CreateExternal("first:id=09", "cipher"), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle own, world_.CreateInHsm(KeyType::kAes256Gcm96, "own"));
  world_.environment().resident_keys()->SetMembers({"second"});
  std::string ciphertext;
  EXPECT_THAT(EncryptUnder(world_.environment(), "cipher", "x", ciphertext),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("it is served by second")));
  EXPECT_THAT(EncryptUnder(world_.environment(), "own", "x", ciphertext), IsOk())
      << "made there by this service, which removes no HSM that keys live in";
  world_.environment().resident_keys()->SetMembers({"first"});
  EXPECT_THAT(EncryptUnder(world_.environment(), "cipher", "x", ciphertext), IsOk());
}

TEST(ExternalKeysOption, TellsWhetherItAllowsMore) {
  const struct {
    const char* before;
    const char* after;
    bool widens;
  } kRows[] = {
      {"", "", false},          {"", "a:b", true},          {"a:*", "", false},
      {"a:*", "a:b", false},    {"a:*", "a:b*", false},     {"a:b*", "a:*", true},
      {"a:b", "a:b*", true},    {"a:b", "a:b", false},      {"a:b*", "a:b*", false},
      {"a:b*", "a:b", false},   {"a:b", "a:c", true},       {"a:b,c:*", "c:d , a:b", false},
      {"a:*", "a:*,b:*", true}, {"a:b*", "a:bc*,a:d", true}};
  for (const auto& row : kRows) {
    EXPECT_EQ(WidensExternalKeys(row.before, row.after), row.widens)
        << row.before << " -> " << row.after;
  }
}

TEST(ExternalKeysOption, IsJudgedWhenItIsSet) {
  for (const char* const good : {"", "default:*", "a:b", "a:app-*,b:id=0a", " a:x , b:y* "}) {
    EXPECT_THAT(CheckExternalKeysOption(good), IsOk()) << good;
  }
  for (const char* const bad : {"*", "a", "a:", ":b", "a*:b", "a:b*c", "a:b,,c:d"}) {
    EXPECT_THAT(CheckExternalKeysOption(bad), HasError(ErrorCode::kInvalidArgument)) << bad;
  }
}

}  // namespace
}  // namespace kms
