// SPDX-License-Identifier: Apache-2.0
// Keys that live in an HSM token: every verb, what they refuse, and what becomes of their objects.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/crypto/rsa_encryption.h"
#include "kms/operations/backup_key.h"
#include "kms/operations/byok_export.h"
#include "kms/operations/export_key.h"
#include "kms/operations/generate_data_key.h"
#include "kms/operations/hmac.h"
#include "kms/operations/rewrap.h"
#include "kms/operations/sign.h"
#include "kms/operations/soft_delete_key.h"
#include "kms/operations/verify_hmac.h"
#include "kms/operations/verify_signature.h"
#include "tests/kms/operations/resident_world.h"

namespace kms {
namespace {

using ::testing::ElementsAre;
using testing::EncryptUnder;
using testing::HasError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::Name;
using testing::ResidentWorld;
using ::testing::SizeIs;

SignatureRequest RequestOf(SignatureNames names) { return ParseSignatureNames(names).value(); }

// Signs and verifies.
void ExpectSigns(const Key& key, const SignatureRequest& request, ByteView input) {
  KMS_ASSERT_OK_AND_ASSIGN(const SignOutcome signed_by_hsm,
                           Sign(key, {.request = request, .input = input}));
  KMS_ASSERT_OK_AND_ASSIGN(
      const SignatureVerdict verdict,
      VerifySignature(key,
                      {.request = request, .input = input, .signature = signed_by_hsm.signature}));
  EXPECT_TRUE(verdict.valid) << signed_by_hsm.signature;
}

// ---- verbs --------------------------------------------------------------------------------------

TEST(ResidentKey, EncryptsAndDecryptsInItsToken) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(), IsOk());
  world.Encrypt();
  world.Encrypt();
  const std::uint64_t calls = world.first.calls();
  const KeyHandle key = world.Find();
  for (const testing::Promise& promise : world.promises) {
    EXPECT_THAT(world.Decrypt(*key, promise), IsOk());
  }
  EXPECT_EQ(world.first.calls(), calls + 2);
  EXPECT_TRUE(key->versions().front().material.empty());
  EXPECT_TRUE(key->versions().front().hmac_key.empty());
}

TEST(ResidentKey, BindsAssociatedData) {
  ResidentWorld world;
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle made, world.CreateInHsm());
  world.Encrypt();  // leases uses
  const Bytes aad = {'a'};
  std::string ciphertext;
  ASSERT_THAT(
      kms::Encrypt(*world.Find(), {.plaintext = AsBytes("x"), .associated_data = aad}, ciphertext),
      IsOk());
  PlaintextBuffer plaintext;
  EXPECT_THAT(Decrypt(*made, {.ciphertext = ciphertext, .associated_data = aad}, plaintext),
              IsOk());
  EXPECT_EQ(AsText(plaintext.View()), "x");
  EXPECT_THAT(Decrypt(*made, {.ciphertext = ciphertext, .associated_data = {}}, plaintext),
              HasError(ErrorCode::kDecryptionFailed,
                       ::testing::StrEq("cipher: message authentication failed")));
  EXPECT_TRUE(plaintext.View().empty());
}

TEST(ResidentKey, RewrapsAndGivesDataKeys) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(), IsOk());
  world.Encrypt();
  ASSERT_THAT(RotateKey(world.environment(), Name("app")), IsOk());
  world.Encrypt();  // leases uses of the new version
  const KeyHandle key = world.Find();
  std::string rewrapped;
  KMS_ASSERT_OK_AND_ASSIGN(
      const KeyVersionNumber version,
      Rewrap(*key, {.ciphertext = world.promises.front().ciphertext, .associated_data = {}},
             rewrapped));
  EXPECT_EQ(version, 2U);
  PlaintextBuffer plaintext;
  EXPECT_THAT(Decrypt(*key, {.ciphertext = rewrapped, .associated_data = {}}, plaintext), IsOk());
  EXPECT_EQ(AsText(plaintext.View()), world.promises.front().plaintext);

  PlaintextBuffer data_key;
  std::string wrapped;
  ASSERT_THAT(GenerateDataKey(*key, {.bits = 256, .associated_data = {}}, data_key, wrapped),
              IsOk());
  EXPECT_THAT(Decrypt(*key, {.ciphertext = wrapped, .associated_data = {}}, plaintext), IsOk());
  EXPECT_TRUE(EqualInConstantTime(plaintext.View(), data_key.View()));
}

TEST(ResidentKey, EcKeysSignInEveryForm) {
  ResidentWorld world;
  for (const KeyType type : {KeyType::kEcdsaP256, KeyType::kEcdsaP384, KeyType::kEcdsaP521}) {
    KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key, world.CreateInHsm(type, TraitsOf(type).name));
    for (const char* const marshaling : {"asn1", "jws"}) {
      ExpectSigns(
          *key,
          RequestOf(
              {.hash = "sha2-256", .marshaling = marshaling, .scheme = "", .salt_length = "auto"}),
          AsBytes("message"));
    }
    // Longer than the curve of P-256: cut as FIPS 186-5 says.
    ExpectSigns(
        *key,
        RequestOf({.hash = "sha2-512", .marshaling = "asn1", .scheme = "", .salt_length = "auto"}),
        AsBytes("message"));
  }
}

TEST(ResidentKey, RsaKeysSignAndDecrypt) {
  ResidentWorld world;
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key, world.CreateInHsm(KeyType::kRsa2048));
  for (const SignatureNames& names :
       std::vector<SignatureNames>{{"sha2-256", "asn1", "pss", "auto", false},
                                   {"sha2-512", "asn1", "pss", "hash", false},
                                   {"sha3-256", "asn1", "pss", "20", false},
                                   {"sha2-384", "asn1", "pkcs1v15", "auto", false}}) {
    ExpectSigns(*key, RequestOf(names), AsBytes("message"));
  }
  ExpectSigns(*key, RequestOf({"none", "asn1", "pkcs1v15", "auto", true}), AsBytes("bare"));
  for (const RsaEncryptionPadding padding :
       {RsaEncryptionPadding::kOaep, RsaEncryptionPadding::kPkcs1v15}) {
    world.Encrypt();  // leases uses
    std::string ciphertext;
    ASSERT_THAT(
        kms::Encrypt(*world.Find(),
                     {.plaintext = AsBytes("secret"), .associated_data = {}, .padding = padding},
                     ciphertext),
        IsOk());
    PlaintextBuffer plaintext;
    ASSERT_THAT(Decrypt(*key, {.ciphertext = ciphertext, .associated_data = {}, .padding = padding},
                        plaintext),
                IsOk());
    EXPECT_EQ(AsText(plaintext.View()), "secret");
    ciphertext[ciphertext.size() - 10] = ciphertext[ciphertext.size() - 10] == 'A' ? 'B' : 'A';
    EXPECT_THAT(Decrypt(*key,
                        {.ciphertext = ciphertext,
                         .associated_data = {},
                         .padding = RsaEncryptionPadding::kOaep},
                        plaintext),
                HasError(ErrorCode::kDecryptionFailed,
                         ::testing::StrEq("failed to RSA decrypt the ciphertext: crypto/rsa: "
                                          "decryption error")));
  }
}

TEST(ResidentKey, VerifiesWhatItEncryptsWhereThatIsAsked) {
  ResidentWorld world;
  for (const KeyType type : {KeyType::kAes256Gcm96, KeyType::kRsa2048}) {
    const std::string name(TraitsOf(type).name);
    ASSERT_THAT(world.CreateInHsm(type, name), IsOk());
    world.Encrypt(name);
    std::string ciphertext;
    EXPECT_THAT(kms::Encrypt(*world.Find(name),
                             {.plaintext = AsBytes("x"), .associated_data = {}, .verify = true},
                             ciphertext),
                IsOk());
  }
}

TEST(ResidentKey, IsNeverWarm) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(), IsOk());
  ASSERT_NE(world.Find(), nullptr);
  EXPECT_EQ(world.environment().WarmKey("app"), nullptr) << "the loop must not wait for an HSM";
}

TEST(ResidentKey, WorksAfterARestart) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(), IsOk());
  world.Encrypt();
  ASSERT_THAT(RotateKey(world.environment(), Name("app")), IsOk());
  world.Encrypt();
  world.Restart();
  world.ExpectPromisesKept();
}

TEST(ResidentKey, CountsItsEncryptions) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(), IsOk());
  world.Encrypt();
  world.Encrypt();
  EXPECT_EQ(world.Find()->FindUsage(1)->used(), 2U);
}

TEST(ResidentKey, RefusesMessagesThatAreTooLongForAToken) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(), IsOk());
  world.Encrypt();
  std::string ciphertext;
  EXPECT_THAT(
      kms::Encrypt(*world.Find(),
                   {.plaintext = Bytes(kMaxResidentMessageBytes + 1), .associated_data = {}},
                   ciphertext),
      HasError(ErrorCode::kInvalidArgument, HasSubstr("data key")));
  EXPECT_TRUE(ciphertext.empty());
}

// ---- where it lives -----------------------------------------------------------------------------

TEST(ResidentKey, IsMadeInTheFirstTokenThatAnswers) {
  ResidentWorld world;
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle in_first, world.CreateInHsm());
  EXPECT_EQ(in_first->versions().front().resident->hsm, "first");
  world.first.SetPresent(false);
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle in_second,
                           world.CreateInHsm(KeyType::kEcdsaP256, "other"));
  EXPECT_EQ(in_second->versions().front().resident->hsm, "second");
  world.second.SetPresent(false);
  EXPECT_THAT(world.CreateInHsm(KeyType::kEcdsaP256, "third"), HasError(ErrorCode::kUnavailable));
  world.first.SetPresent(true);
  world.second.SetPresent(true);
  world.SweepLate();
  EXPECT_EQ(world.Objects(), 2U);
}

TEST(ResidentKey, RotatesInItsTokenAlone) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(), IsOk());
  world.first.SetPresent(false);
  EXPECT_THAT(RotateKey(world.environment(), Name("app")), HasError(ErrorCode::kUnavailable));
  world.first.SetPresent(true);
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle rotated, RotateKey(world.environment(), Name("app")));
  EXPECT_EQ(rotated->policy().latest_version, 2U);
  EXPECT_EQ(rotated->versions().back().resident->hsm, "first");
  EXPECT_EQ(world.second.token()->resident_keys.size(), 0U);
}

TEST(ResidentKey, H1_ATokenThatIsAwayIsTheTroubleOfItsKeysAlone) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(), IsOk());
  world.Create("software");
  world.Encrypt();
  world.first.SetPresent(false);
  EXPECT_THAT(world.Decrypt(*world.Find(), world.promises.front()),
              HasError(ErrorCode::kUnavailable));
  std::string ciphertext;
  EXPECT_THAT(EncryptUnder(world.environment(), "app", "x", ciphertext),
              HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(EncryptUnder(world.environment(), "software", "x", ciphertext), IsOk());
  world.first.SetPresent(true);
  EXPECT_THAT(world.Decrypt(*world.Find(), world.promises.front()), IsOk());
}

TEST(ResidentKey, IsCountedForItsToken) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(KeyType::kAes256Gcm96, "b"), IsOk());
  ASSERT_THAT(world.CreateInHsm(KeyType::kEcdsaP256, "a"), IsOk());
  ASSERT_THAT(RotateKey(world.environment(), Name("b")), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentCensus first,
                           CountResidentKeys(world.store, world.environment(), "first"));
  EXPECT_EQ(first.versions, 3U);
  EXPECT_THAT(first.names, ElementsAre("a", "b"));
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentCensus second,
                           CountResidentKeys(world.store, world.environment(), "second"));
  EXPECT_EQ(second.versions, 0U);
  EXPECT_THAT(second.names, IsEmpty());
  world.environment().Seal("test");
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentCensus sealed,
                           CountResidentKeys(world.store, world.environment(), ""));
  EXPECT_EQ(sealed.versions, 3U);
  EXPECT_THAT(sealed.names, IsEmpty());
  EXPECT_THAT(CheckNoKeysLiveIn(world.store, world.environment(), "second"), IsOk());
  EXPECT_THAT(CheckNoKeysLiveIn(world.store, world.environment(), "first"),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("3 key versions live in HSM")));
}

// ---- the end of it ------------------------------------------------------------------------------

TEST(ResidentKey, TrimmedVersionsAreDestroyedInTheToken) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(), IsOk());
  world.Encrypt();
  ASSERT_THAT(RotateKey(world.environment(), Name("app")), IsOk());
  ASSERT_THAT(RotateKey(world.environment(), Name("app")), IsOk());
  EXPECT_EQ(world.Objects(), 3U);
  ASSERT_THAT(world.Configure(3, 3), IsOk());
  EXPECT_EQ(world.Objects(), 3U) << "archived versions are kept";
  ASSERT_THAT(world.Configure(2, 2), IsOk()) << "and come back";
  ASSERT_THAT(world.Configure(3, 3), IsOk());
  ASSERT_THAT(TrimKey(world.environment(), Name("app"), 3), IsOk());
  EXPECT_EQ(world.Objects(), 1U);
  EXPECT_THAT(world.Stored("resident/"), SizeIs(1));
}

TEST(ResidentKey, DeletedKeysLeaveNothing) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(), IsOk());
  ASSERT_THAT(RotateKey(world.environment(), Name("app")), IsOk());
  ASSERT_THAT(world.Configure(1, 0), IsOk());
  ASSERT_THAT(DeleteKey(world.environment(), Name("app")), IsOk());
  EXPECT_EQ(world.Objects(), 0U);
  EXPECT_THAT(world.Stored(""), IsEmpty());
}

TEST(ResidentKey, ATokenThatWasAwayLosesDeletedKeysWhenItIsBack) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(), IsOk());
  ASSERT_THAT(world.Configure(1, 0), IsOk());
  world.first.SetPresent(false);
  ASSERT_THAT(DeleteKey(world.environment(), Name("app")), IsOk());
  EXPECT_EQ(world.Find(), nullptr);
  EXPECT_EQ(world.Objects(), 1U);
  EXPECT_THAT(SweepResidentKeys(world.environment()), HasError(ErrorCode::kUnavailable));
  world.first.SetPresent(true);
  world.Restart();
  EXPECT_THAT(SweepResidentKeys(world.environment()), IsOk());
  EXPECT_EQ(world.Objects(), 0U);
  EXPECT_THAT(world.Stored(""), IsEmpty());
}

TEST(ResidentKey, EverythingOfAnEnvironmentIsDestroyedWithoutItsKeys) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(), IsOk());
  ASSERT_THAT(world.CreateInHsm(KeyType::kEcdsaP256, "other"), IsOk());
  world.environment().Seal("test");
  EXPECT_THAT(DestroyEveryResidentKey(world.store, *world.environment().hsms(), world.clock,
                                      world.environment().identity()),
              IsOk());
  EXPECT_EQ(world.Objects(), 0U);
}

TEST(ResidentKey, ASoftDeletedKeyIsNotUsed) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(), IsOk());
  ASSERT_THAT(SoftDeleteKey(world.environment(), Name("app")), IsOk());
  std::string ciphertext;
  EXPECT_THAT(EncryptUnder(world.environment(), "app", "x", ciphertext),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("soft-deleted")));
  EXPECT_THAT(RotateKey(world.environment(), Name("app")), HasError(ErrorCode::kInvalidArgument));
  EXPECT_EQ(world.Objects(), 1U);
}

// ---- what is not possible -----------------------------------------------------------------------

TEST(ResidentKey, RefusesAtCreationWhatCannotBe) {
  ResidentWorld world;
  const CreateKeyRequest good{.protection = KeyProtection::kHsm, .hsms = {"first"}};
  const auto refused = [&](CreateKeyRequest request, const char* why) {
    EXPECT_THAT(CreateKey(world.environment(), Name("app"), request),
                HasError(ErrorCode::kInvalidArgument, HasSubstr(why)));
  };
  CreateKeyRequest request = good;
  request.derived = true;
  refused(request, "not supported for keys protected by an HSM");
  request = good;
  request.exportable = true;
  refused(request, "never leave the HSM");
  request = good;
  request.allow_plaintext_backup = true;
  refused(request, "never leave the HSM");
  for (const KeyType type : {KeyType::kHmac, KeyType::kEd25519, KeyType::kChaCha20Poly1305,
                             KeyType::kAes128Gcm96, KeyType::kXChaCha20Poly1305}) {
    request = good;
    request.type = type;
    refused(request, "cannot be protected by an HSM");
  }
  request = good;
  request.hsms = {};
  refused(request, "no HSM serves this environment");
  EXPECT_EQ(world.first.calls(), 0U);
  EXPECT_THAT(world.Stored(""), IsEmpty());
}

TEST(ResidentKey, NeverLeavesTheToken) {
  ResidentWorld world;
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key, world.CreateInHsm(KeyType::kRsa2048));
  const auto nobody = [](KeyVersionNumber, ByteView) { return Ok(); };
  for (const ExportType type :
       {ExportType::kEncryptionKey, ExportType::kSigningKey, ExportType::kHmacKey}) {
    EXPECT_THAT(
        ExportKey(*key, {.type = type}, nobody),
        HasError(ErrorCode::kInvalidArgument, HasSubstr("private key material is not exportable")));
  }
  EXPECT_THAT(ExportKey(*key, {.type = ExportType::kPublicKey}, nobody), IsOk());
  EXPECT_THAT(BackUpKey(world.environment(), Name("app")),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("cannot be backed up")));
  EXPECT_THAT(ByokExport(world.environment(), Name("app"), Name("app"), {}, nobody),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("not exportable")));
  EXPECT_THAT(ConfigureKey(world.environment(), Name("app"), {.exportable = true}),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("never leaves the HSM")));
  EXPECT_THAT(ConfigureKey(world.environment(), Name("app"), {.allow_plaintext_backup = true}),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("never leaves the HSM")));
}

TEST(ResidentKey, RefusesWhatWouldBeDoneInSoftware) {
  ResidentWorld world;
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key, world.CreateInHsm(KeyType::kEcdsaP256));
  EXPECT_THAT(ChooseHmacVersion(*key, 0),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("HMAC is not supported")));
  EXPECT_THAT(
      VerifyHmac(*key,
                 {.algorithm = HashAlgorithm::kSha2_256, .input = {}, .hmac = "vault:v1:AAAA"}),
      HasError(ErrorCode::kInvalidArgument, HasSubstr("HMAC is not supported")));
}

}  // namespace
}  // namespace kms
