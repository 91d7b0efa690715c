// SPDX-License-Identifier: Apache-2.0
// sign and verify: vectors, version rules, every text (transit-api 5.6, 6.16, 6.17, 16).
#include "kms/operations/sign.h"

#include "kms/base/base64.h"
#include "kms/operations/verify_signature.h"
#include "tests/support/asymmetric_keys.h"
#include "tests/support/key_factory.h"
#include "tests/support/matchers.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr std::string_view kHello = "hello transit";
constexpr std::string_view kContext = "tenant-42";
constexpr std::string_view kSignature =
    "vault:v1:wnVkHwvfFFDdai0cGAmfgpoxbTa6VJez4uVZZLB0I+TMMgnX/VoRE3fmGzGR6JNA29mTh1SUr/Mft/"
    "EcdebnCg==";
constexpr std::string_view kDerivedSignature =
    "vault:v1:5fCOkQws0dqOjtNILvVKr8wnb3rSpNtqUKQ6YtQImlUwc62SjOJXB7oI8jqff07bmWcCvm/"
    "RPauBTK0asFuMAQ==";

SignatureRequest Request(SignatureNames names = {}) {
  names.hash = names.hash.empty() ? "sha2-256" : names.hash;
  names.marshaling = names.marshaling.empty() ? "asn1" : names.marshaling;
  names.salt_length = names.salt_length.empty() ? "auto" : names.salt_length;
  return ParseSignatureNames(names).value();
}

// A key of five versions, of which `min_decryption` and later are in the working set.
Key Ed25519Key(KeyVersionNumber latest = 1, KeyVersionNumber min_decryption = 1,
               KeyVersionNumber min_encryption = 0, bool derived = false) {
  KeyPolicy policy = PolicyOf(KeyType::kEd25519, latest);
  policy.min_decryption_version = min_decryption;
  policy.min_encryption_version = min_encryption;
  policy.derived = derived;
  return MakeKey(std::move(policy)).value();
}

Key RsaKey() {
  std::vector<KeyVersion> versions;
  versions.push_back(KeyVersion::FromAsymmetricKey(
                         1, WallTime{}, TestKey(AsymmetricAlgorithm::kRsa2048))
                         .value());
  return Key::Create(PolicyOf(KeyType::kRsa2048), std::move(versions)).value();
}

// Nothing but the public half of a key.
Key PublicOnly(KeyType type, bool derived = false) {
  KeyPolicy policy = PolicyOf(type);
  policy.derived = derived;
  std::vector<KeyVersion> versions;
  versions.push_back(
      KeyVersion::FromAsymmetricKey(1, WallTime{}, PublicHalf(TestKey(TraitsOf(type).asymmetric)))
          .value());
  return Key::Create(std::move(policy), std::move(versions)).value();
}

Result<SignOutcome> SignHello(const Key& key, std::int64_t version = 0,
                              std::string_view context = kContext) {
  return Sign(key, {.request = Request(),
                    .key_version = version,
                    .context = AsBytes(context),
                    .input = AsBytes(kHello)});
}

Result<bool> Verify(const Key& key, std::string_view signature, std::string_view input = kHello,
                    std::string_view context = kContext,
                    const SignatureRequest& request = Request()) {
  const SignatureVerdict verdict = KMS_TRY(VerifySignature(key, {.request = request,
                                                                 .context = AsBytes(context),
                                                                 .input = AsBytes(input),
                                                                 .signature = signature}));
  return verdict.valid;
}

TEST(Sign, MatchesTheVectorOfEd25519) {
  const Key key = Ed25519Key();
  KMS_ASSERT_OK_AND_ASSIGN(const SignOutcome outcome, SignHello(key));
  EXPECT_EQ(outcome.signature, kSignature);
  EXPECT_EQ(outcome.key_version, 1U);
  EXPECT_THAT(outcome.public_key, IsEmpty());
  EXPECT_THAT(Verify(key, kSignature), IsOkAndHolds(true));
  EXPECT_THAT(Verify(key, kSignature, "hello transit!"), IsOkAndHolds(false));
}

TEST(Sign, MatchesTheVectorOfADerivedKeyAndNamesItsPublicKey) {
  const Key key = Ed25519Key(1, 1, 0, true);
  KMS_ASSERT_OK_AND_ASSIGN(const SignOutcome outcome, SignHello(key));
  EXPECT_EQ(outcome.signature, kDerivedSignature);
  EXPECT_EQ(Base64Encode(outcome.public_key), "4YBpm7poMhl+FmgvMdm3RI0TbIK/GHII4plJP+729ek=");
  EXPECT_THAT(Verify(key, kDerivedSignature), IsOkAndHolds(true));
  EXPECT_THAT(Verify(key, kDerivedSignature, kHello, "tenant-43"), IsOkAndHolds(false));
}

TEST(Sign, ADerivedKeyNeedsAContextAndAnotherIgnoresIt) {
  const Key derived = Ed25519Key(1, 1, 0, true);
  const auto missing = HasError(ErrorCode::kInvalidArgument,
                                StartsWith("missing 'context' for key derivation; "));
  EXPECT_THAT(SignHello(derived, 0, ""), missing);
  EXPECT_THAT(Verify(derived, kDerivedSignature, kHello, ""), missing);
  EXPECT_EQ(SignHello(Ed25519Key(), 0, "other")->signature, kSignature);
}

TEST(Sign, Ed25519IgnoresEveryOption) {
  const Key key = Ed25519Key();
  const SignatureRequest odd = Request(
      {.hash = "sha3-512", .scheme = "dice", .salt_length = "9999", .prehashed = true});
  KMS_ASSERT_OK_AND_ASSIGN(const SignOutcome outcome,
                           Sign(key, {.request = odd, .input = AsBytes(kHello)}));
  EXPECT_EQ(outcome.signature, kSignature);
}

TEST(Sign, C5_VersionsFollowTheMinimumOfEncryption) {
  struct Row {
    std::int64_t version;
    KeyVersionNumber min_encryption;
    const char* text;
  };
  const Row rows[] = {
      {-1, 0, "requested version for signing is negative"},
      {6, 0, "requested version for signing is higher than the latest key version"},
      {4'294'967'300, 0, "requested version for signing is higher than the latest key version"},
      {3, 4, "requested version for signing is less than the minimum encryption key version"},
      {2, 4, "requested version for signing is less than the minimum encryption key version"},
      {2, 0, "no such key version"},
  };
  for (const Row& row : rows) {
    EXPECT_THAT(SignHello(Ed25519Key(5, 3, row.min_encryption), row.version),
                HasError(ErrorCode::kInvalidArgument, row.text))
        << row.version;
  }
  EXPECT_EQ(SignHello(Ed25519Key(5, 3, 4), 4)->key_version, 4U);
  EXPECT_EQ(SignHello(Ed25519Key(5, 3, 0), 3)->key_version, 3U);
  EXPECT_EQ(SignHello(Ed25519Key(5, 3, 4), 0)->key_version, 5U);
}

TEST(VerifySignature, C5_VersionsFollowTheMinimumOfDecryption) {
  const Key all = Ed25519Key(5);
  const std::string second = SignHello(all, 2)->signature;
  const std::string third = SignHello(all, 3)->signature;
  EXPECT_THAT(Verify(Ed25519Key(5, 3, 4), third), IsOkAndHolds(true));
  EXPECT_THAT(
      Verify(Ed25519Key(5, 3, 4), second),
      HasError(ErrorCode::kInvalidArgument,
               "ciphertext or signature version is disallowed by policy (too old)"));
}

TEST(Sign, ThePublicHalfAloneVerifiesAndDoesNotSign) {
  for (const KeyType type : {KeyType::kEcdsaP256, KeyType::kEd25519, KeyType::kRsa2048}) {
    EXPECT_THAT(SignHello(PublicOnly(type)),
                HasError(ErrorCode::kInvalidArgument,
                         "requested version for signing does not contain a private part"));
  }
  KeyPolicy policy = PolicyOf(KeyType::kEd25519);
  std::vector<KeyVersion> versions;
  versions.push_back(KnownVersion(KeyType::kEd25519, 1));
  versions.back().material = SecretBytes();
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, Key::Create(policy, std::move(versions)));
  EXPECT_THAT(Verify(key, kSignature), IsOkAndHolds(true));
}

TEST(VerifySignature, ADerivedPublicHalfHasNothingToDeriveFrom) {
  EXPECT_THAT(Verify(PublicOnly(KeyType::kEd25519, true), kDerivedSignature),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("private part to derive from")));
}

TEST(VerifySignature, C17_RefusesMalformedTextsAsTheContractSays) {
  struct Row {
    const char* signature;
    const char* text;
  };
  const Row rows[] = {
      {"", "invalid signature: no prefix"},
      {"AAAA", "invalid signature: no prefix"},
      {"VAULT:v1:AAAA", "invalid signature: no prefix"},
      {"vault:v", "invalid signature: wrong number of fields"},
      {"vault:v1", "invalid signature: wrong number of fields"},
      {"vault:v:AAAA", "invalid signature: version number could not be decoded"},
      {"vault:vx:AAAA", "invalid signature: version number could not be decoded"},
      {"vault:v-1:AAAA", "invalid signature: version number could not be decoded"},
      {"vault:v+1:AAAA", "invalid signature: version number could not be decoded"},
      {"vault:v01:AAAA", "invalid signature: version number could not be decoded"},
      {"vault:v 1:AAAA", "invalid signature: version number could not be decoded"},
      {"vault:v4294967297:AAAA", "invalid signature: version number could not be decoded"},
      {"vault:v2:AAAA", "invalid signature: version is too new"},
      {"vault:v0:AAAA", "ciphertext or signature version is disallowed by policy (too old)"},
      {"vault:v1:A", "invalid base64 signature value"},
      {"vault:v1:AA", "invalid base64 signature value"},
      {"vault:v1:AB==", "invalid base64 signature value"},
      {"vault:v1:A-_A", "invalid base64 signature value"},
      {"vault:v1:AAAA:AAAA", "invalid base64 signature value"},
  };
  for (const Row& row : rows) {
    EXPECT_THAT(Verify(Ed25519Key(), row.signature),
                HasError(ErrorCode::kInvalidArgument, row.text))
        << row.signature;
  }
}

TEST(VerifySignature, JwsTakesOneSpellingOfBase64url) {
  const SignatureRequest jws = Request({.marshaling = "jws"});
  const Key key = Ed25519Key();
  KMS_ASSERT_OK_AND_ASSIGN(const SignOutcome outcome,
                           Sign(key, {.request = jws, .input = AsBytes(kHello)}));
  EXPECT_EQ(outcome.signature.size(), 9U + 86U);
  EXPECT_EQ(outcome.signature.find_first_of("+/="), std::string::npos);
  const auto verify = [&](const std::string& text) { return Verify(key, text, kHello, "", jws); };
  EXPECT_THAT(verify(outcome.signature), IsOkAndHolds(true));
  const auto refused =
      HasError(ErrorCode::kInvalidArgument, "invalid base64 signature value");
  EXPECT_THAT(verify(std::string(kSignature)), refused);
  EXPECT_THAT(verify(outcome.signature + "=="), refused);
  EXPECT_THAT(verify(outcome.signature + "\n"), refused);
  EXPECT_THAT(Verify(key, outcome.signature), refused) << "asn1 is padded standard base64";
}

TEST(VerifySignature, EmptyAndShortSignaturesAreNotValid) {
  EXPECT_THAT(Verify(Ed25519Key(), "vault:v1:"), IsOkAndHolds(false));
  EXPECT_THAT(Verify(Ed25519Key(), "vault:v1:AAAA"), IsOkAndHolds(false));
}

TEST(VerifySignature, AnEcdsaSignatureIsExactlyOneSequence) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeFreshKey(PolicyOf(KeyType::kEcdsaP256)));
  KMS_ASSERT_OK_AND_ASSIGN(const SignOutcome outcome, SignHello(key));
  KMS_ASSERT_OK_AND_ASSIGN(Bytes der, Base64Decode(outcome.signature.substr(9)));
  der.push_back(0);
  EXPECT_THAT(Verify(key, "vault:v1:" + Base64Encode(der)),
              HasError(ErrorCode::kInvalidArgument, "supplied signature contains extra data"));
  EXPECT_THAT(Verify(key, "vault:v1:AAAA"),
              HasError(ErrorCode::kInvalidArgument, "supplied signature is invalid"));
}

TEST(SignatureNames, RefusesWithTheTextsOfTheContract) {
  struct Row {
    SignatureNames names;
    const char* text;
  };
  const SignatureNames good{
      .hash = "sha2-256", .marshaling = "asn1", .scheme = "", .salt_length = "auto"};
  const auto with = [&](auto member, std::string_view value) {
    SignatureNames names = good;
    names.*member = value;
    return names;
  };
  const Row rows[] = {
      {with(&SignatureNames::hash, "md5"), "invalid hash algorithm \"md5\""},
      {with(&SignatureNames::hash, "SHA2-256"), "invalid hash algorithm \"SHA2-256\""},
      {with(&SignatureNames::marshaling, "der"), "invalid marshaling type \"der\""},
      {with(&SignatureNames::marshaling, ""), "invalid marshaling type \"\""},
      {with(&SignatureNames::salt_length, "x"),
       "salt length neither 'auto', 'hash', nor an int: x"},
      {with(&SignatureNames::salt_length, ""), "salt length neither 'auto', 'hash', nor an int: "},
      {with(&SignatureNames::salt_length, "1.5"),
       "salt length neither 'auto', 'hash', nor an int: 1.5"},
      {with(&SignatureNames::salt_length, "99999999999999999999"),
       "salt length neither 'auto', 'hash', nor an int: 99999999999999999999"},
      {with(&SignatureNames::salt_length, "-2"), "salt length is invalid: -2"},
  };
  for (const Row& row : rows) {
    EXPECT_THAT(ParseSignatureNames(row.names), HasError(ErrorCode::kInvalidArgument, row.text));
  }
}

TEST(SignatureNames, SaltLengthIsAWordInAnyCaseOrANumber) {
  const std::pair<const char*, std::int64_t> rows[] = {
      {"auto", kPssSaltAuto}, {"AUTO", kPssSaltAuto}, {"Hash", kPssSaltHash},
      {"-1", kPssSaltHash},   {"0", 0},               {"32", 32},
      {"+20", 20}};
  for (const auto& [text, length] : rows) {
    EXPECT_EQ(Request({.salt_length = text}).options.salt_length, length) << text;
  }
}

TEST(Sign, RsaRefusesWithTheTextsOfTheContract) {
  const Key key = RsaKey();
  const auto refused = [&](const SignatureNames& names, const char* text) {
    const SignatureRequest request = Request(names);
    EXPECT_THAT(Sign(key, {.request = request, .input = AsBytes(kHello)}),
                HasError(ErrorCode::kInvalidArgument, text));
    EXPECT_THAT(Verify(key, "vault:v1:AAAA", kHello, "", request),
                HasError(ErrorCode::kInvalidArgument, text));
  };
  refused({.scheme = "dice"}, "unsupported rsa signature algorithm dice");
  refused({.salt_length = "223"}, "requested salt length 223 is invalid");
  refused({.hash = "sha2-512", .salt_length = "191"}, "requested salt length 191 is invalid");
  EXPECT_THAT(Sign(key, {.request = Request({.salt_length = "222"}), .input = AsBytes(kHello)}),
              IsOk());
}

TEST(SignatureNames, NoneIsForPrehashedPkcs1v15) {
  const char* text =
      "hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15";
  const auto refused = HasError(ErrorCode::kInvalidArgument, text);
  EXPECT_THAT(CheckUnhashed(Request({.hash = "none"})), refused);
  EXPECT_THAT(CheckUnhashed(Request({.hash = "none", .prehashed = true})), refused);
  EXPECT_THAT(CheckUnhashed(Request({.hash = "none", .scheme = "pkcs1v15"})), refused);
  EXPECT_THAT(CheckUnhashed(Request({.hash = "none", .scheme = "pss", .prehashed = true})),
              refused);
  EXPECT_THAT(CheckUnhashed(Request({.hash = "none", .scheme = "pkcs1v15", .prehashed = true})),
              IsOk());
  EXPECT_THAT(CheckUnhashed(Request()), IsOk());
}

}  // namespace
}  // namespace kms::testing
