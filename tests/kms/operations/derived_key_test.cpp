// SPDX-License-Identifier: Apache-2.0
// Derived and convergent keys through the four verbs (transit-api 5.4, 5.5, 16).
#include <gtest/gtest.h>

#include <set>

#include "kms/operations/decrypt.h"
#include "kms/operations/encrypt.h"
#include "kms/operations/generate_data_key.h"
#include "kms/operations/rewrap.h"
#include "tests/support/key_factory.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using testing::FromHex;
using testing::HasError;
using testing::IsOkAndHolds;
using testing::MakeKey;
using testing::PolicyOf;
using testing::ReadVectors;
using ::testing::StartsWith;

constexpr std::string_view kMissing =
    "missing 'context' for key derivation; the key was created using a derived key, which means "
    "additional, per-request information must be included in order to perform operations with the "
    "key";

Key DerivedKey(KeyType type, bool convergent, KeyVersionNumber latest = 1) {
  KeyPolicy policy = PolicyOf(type, latest);
  policy.derived = true;
  policy.convergent_encryption = convergent;
  return *MakeKey(policy);
}

Result<std::string> EncryptText(const Key& key, std::string_view context, std::string_view text,
                                std::string_view associated_data = {}, std::int64_t version = 0) {
  std::string ciphertext;
  KMS_TRY(Encrypt(key,
                  {.plaintext = AsBytes(text),
                   .associated_data = AsBytes(associated_data),
                   .key_version = version,
                   .context = AsBytes(context)},
                  ciphertext));
  return ciphertext;
}

Result<std::string> DecryptText(const Key& key, std::string_view context,
                                std::string_view ciphertext,
                                std::string_view associated_data = {}) {
  PlaintextBuffer plaintext;
  KMS_TRY(Decrypt(key,
                  {.ciphertext = ciphertext,
                   .associated_data = AsBytes(associated_data),
                   .context = AsBytes(context)},
                  plaintext));
  return std::string(AsText(plaintext.View()));
}

TEST(DerivedKey, PublishedCiphertextsDecryptAndConvergentOnesComeOutAgain) {
  int convergent_rows = 0;
  int rows = 0;
  for (const auto& row : ReadVectors("derived_v1.txt")) {
    ASSERT_EQ(row.size(), 6U);
    const bool convergent = row[1] == "convergent";
    const Key key = DerivedKey(*FindKeyType(row[0]), convergent);
    const std::string associated_data(AsText(FromHex(row[3])));
    const std::string text(AsText(FromHex(row[4])));
    EXPECT_THAT(DecryptText(key, row[2], row[5], associated_data), IsOkAndHolds(text)) << row[5];
    EXPECT_THAT(DecryptText(key, row[2] + "x", row[5], associated_data),
                HasError(ErrorCode::kDecryptionFailed))
        << row[5];
    if (convergent) {
      EXPECT_THAT(EncryptText(key, row[2], text, associated_data), IsOkAndHolds(row[5]));
      ++convergent_rows;
    }
    ++rows;
  }
  EXPECT_EQ(rows, 8);
  EXPECT_EQ(convergent_rows, 5);
}

TEST(DerivedKey, EveryTypeRoundTripsUnderItsContextOnly) {
  for (const KeyTypeTraits& traits : testing::AeadKeyTypes()) {
    for (const bool convergent : {false, true}) {
      const Key key = DerivedKey(traits.type, convergent);
      for (const std::size_t size : {1U, 9U, 1025U, 4096U, 65536U}) {
        const std::string context(size, 'c');
        KMS_ASSERT_OK_AND_ASSIGN(const std::string ciphertext,
                                 EncryptText(key, context, "text", "row-7"));
        EXPECT_THAT(DecryptText(key, context, ciphertext, "row-7"), IsOkAndHolds(std::string("text")));
        EXPECT_THAT(DecryptText(key, context + "c", ciphertext, "row-7"),
                    HasError(ErrorCode::kDecryptionFailed));
        EXPECT_THAT(DecryptText(key, context, ciphertext, "row-8"),
                    HasError(ErrorCode::kDecryptionFailed));
      }
    }
  }
}

TEST(DerivedKey, RefusesEveryVerbWithoutContext) {
  const Key key = DerivedKey(KeyType::kAes256Gcm96, false);
  KMS_ASSERT_OK_AND_ASSIGN(const std::string ciphertext, EncryptText(key, "a", "text"));
  EXPECT_THAT(EncryptText(key, "", "text"),
              HasError(ErrorCode::kInvalidArgument, std::string(kMissing)));
  EXPECT_THAT(DecryptText(key, "", ciphertext),
              HasError(ErrorCode::kInvalidArgument, std::string(kMissing)));
  std::string out;
  EXPECT_THAT(Rewrap(key, {.ciphertext = ciphertext, .associated_data = {}}, out),
              HasError(ErrorCode::kInvalidArgument, std::string(kMissing)));
  PlaintextBuffer plaintext;
  EXPECT_THAT(GenerateDataKey(key, {.associated_data = {}}, plaintext, out),
              HasError(ErrorCode::kInvalidArgument, std::string(kMissing)));
  EXPECT_EQ(out, "");
  EXPECT_EQ(plaintext.size(), 0U);
}

TEST(DerivedKey, AMissingVersionIsNamedBeforeAMissingContext) {
  KeyPolicy policy = PolicyOf(KeyType::kAes256Gcm96, 3);
  policy.derived = true;
  policy.min_decryption_version = 2;
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(policy));
  EXPECT_THAT(EncryptText(key, "", "text", "", 1),
              HasError(ErrorCode::kInvalidArgument, "no such key version"));
}

TEST(DerivedKey, AContextMeansNothingToAKeyThatIsNotDerived) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  KMS_ASSERT_OK_AND_ASSIGN(const std::string ciphertext, EncryptText(key, "a", "text"));
  EXPECT_THAT(DecryptText(key, "", ciphertext), IsOkAndHolds(std::string("text")));
  EXPECT_THAT(DecryptText(key, "b", ciphertext), IsOkAndHolds(std::string("text")));
}

TEST(DerivedKey, RewrapKeepsTheContextAndMovesTheVersion) {
  for (const bool convergent : {false, true}) {
    const Key key = DerivedKey(KeyType::kChaCha20Poly1305, convergent, 3);
    KMS_ASSERT_OK_AND_ASSIGN(const std::string old, EncryptText(key, "a", "text", "row-7", 1));
    std::string renewed;
    ASSERT_THAT(Rewrap(key,
                       {.ciphertext = old,
                        .associated_data = AsBytes("row-7"),
                        .context = AsBytes("a")},
                       renewed),
                IsOkAndHolds(3U));
    EXPECT_THAT(renewed, StartsWith("vault:v3:"));
    EXPECT_THAT(DecryptText(key, "a", renewed, "row-7"), IsOkAndHolds(std::string("text")));
    std::string other;
    EXPECT_THAT(Rewrap(key,
                       {.ciphertext = old,
                        .associated_data = AsBytes("row-7"),
                        .context = AsBytes("b")},
                       other),
                HasError(ErrorCode::kDecryptionFailed));
    EXPECT_EQ(other, "");
  }
}

TEST(DerivedKey, ADataKeyOpensUnderItsContextOnly) {
  const Key key = DerivedKey(KeyType::kAes128Gcm96, true);
  PlaintextBuffer data_key;
  std::string ciphertext;
  ASSERT_THAT(GenerateDataKey(key, {.associated_data = {}, .context = AsBytes("a")}, data_key,
                              ciphertext),
              IsOkAndHolds(1U));
  EXPECT_THAT(DecryptText(key, "a", ciphertext), IsOkAndHolds(std::string(AsText(data_key.View()))));
  EXPECT_THAT(DecryptText(key, "b", ciphertext), HasError(ErrorCode::kDecryptionFailed));
}

TEST(DerivedKey, WithoutConvergenceEqualMessagesDiffer) {
  const Key key = DerivedKey(KeyType::kAes256Gcm96, false);
  EXPECT_NE(*EncryptText(key, "a", "text"), *EncryptText(key, "a", "text"));
}

TEST(ConvergentKey, EqualMessagesAreEqualOnlyUnderTheSameVersionContextAndAad) {
  const Key key = DerivedKey(KeyType::kAes256Gcm96, true, 2);
  EXPECT_EQ(*EncryptText(key, "a", "text"), *EncryptText(key, "a", "text"));
  EXPECT_EQ(*EncryptText(key, "a", "text", "row"), *EncryptText(key, "a", "text", "row"));
  const std::set<std::string> distinct = {
      *EncryptText(key, "a", "text"),        *EncryptText(key, "a", "text", "", 1),
      *EncryptText(key, "b", "text"),        *EncryptText(key, "a", "text", "row"),
      *EncryptText(key, "a", "text", "low"), *EncryptText(key, "a", "tex")};
  EXPECT_EQ(distinct.size(), 6U);
}

// The first 12 bytes of the payload.
std::string NonceOf(const std::string& ciphertext) { return ciphertext.substr(9, 16); }

TEST(ConvergentKey, C13_TheNonceCoversTheAssociatedData) {
  for (const KeyTypeTraits& traits : testing::AeadKeyTypes()) {
    const Key key = DerivedKey(traits.type, true);
    const std::set<std::string> nonces = {
        NonceOf(*EncryptText(key, "a", "text")),
        NonceOf(*EncryptText(key, "a", "text", "row-7")),
        NonceOf(*EncryptText(key, "a", "text", "row-8")),
        // Where associated data ends and the message begins matters too.
        NonceOf(*EncryptText(key, "a", "-7text", "row")),
        NonceOf(*EncryptText(key, "a", "ext", "row-7t"))};
    EXPECT_EQ(nonces.size(), 5U) << traits.name;
  }
}

// A caller may send what the nonce of another message is computed from.
TEST(ConvergentKey, C13_AMessageThatSpellsOutAnothersInputGetsAnotherNonce) {
  const Key key = DerivedKey(KeyType::kAes256Gcm96, true);
  const std::string spelled = std::string(7, '\0') + '\x05' + "row-7" + "text";
  EXPECT_NE(NonceOf(*EncryptText(key, "a", spelled)),
            NonceOf(*EncryptText(key, "a", "text", "row-7")));
}

}  // namespace
}  // namespace kms
