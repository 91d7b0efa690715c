// SPDX-License-Identifier: Apache-2.0
// RSA keys through encrypt, decrypt, rewrap and datakey (transit-api 5.3), and what types that do
// not encrypt answer.
#include <gtest/gtest.h>

#include "kms/base/base64.h"
#include "kms/operations/generate_data_key.h"
#include "kms/operations/rewrap.h"
#include "tests/support/matchers.h"
#include "tests/support/message_keys.h"

namespace kms {
namespace {

using testing::Decrypted;
using testing::Encrypted;
using testing::HasError;
using testing::IsOkAndHolds;
using testing::PolicyOf;
using enum RsaEncryptionPadding;

constexpr char kRefused[] = "failed to RSA decrypt the ciphertext: crypto/rsa: decryption error";

Result<Key> RsaKey(KeyVersionNumber latest = 1) {
  return testing::MakeFreshKey(PolicyOf(KeyType::kRsa2048, latest));
}

TEST(EncryptRsa, TakesAsMuchAsThePaddingLeaves) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, RsaKey());
  const std::pair<RsaEncryptionPadding, std::size_t> rows[] = {{kOaep, 190}, {kPkcs1v15, 245}};
  for (const auto& [padding, most] : rows) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, most}) {
      const std::string text(size, 'x');
      KMS_ASSERT_OK_AND_ASSIGN(
          const std::string ciphertext,
          Encrypted(key,
                    {.plaintext = AsBytes(text), .associated_data = {}, .padding = padding}));
      EXPECT_EQ(ciphertext.size(), 9 + Base64EncodedSize(256));
      EXPECT_THAT(Decrypted(key, {.ciphertext = ciphertext,
                                  .associated_data = {},
                                  .padding = padding}),
                  IsOkAndHolds(text));
    }
    const std::string longer(most + 1, 'x');
    EXPECT_THAT(
        Encrypted(key, {.plaintext = AsBytes(longer), .associated_data = {}, .padding = padding}),
        HasError(ErrorCode::kInvalidArgument,
                 "failed to RSA encrypt the plaintext: message too long for RSA key size"));
  }
}

TEST(EncryptRsa, C10_EveryRefusalHasOneCodeAndOneText) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, RsaKey());
  for (const RsaEncryptionPadding padding : {kOaep, kPkcs1v15}) {
    const RsaEncryptionPadding other = padding == kOaep ? kPkcs1v15 : kOaep;
    KMS_ASSERT_OK_AND_ASSIGN(
        const std::string good,
        Encrypted(key, {.plaintext = AsBytes("text"), .associated_data = {}, .padding = other}));
    Bytes flipped = *Base64Decode(good.substr(9));
    flipped.back() ^= 1U;
    const Bytes payloads[] = {{},         Bytes(1),          Bytes(255),        Bytes(256),
                              Bytes(257), Bytes(256, 0xFF), *Base64Decode(good.substr(9)), flipped};
    for (const Bytes& payload : payloads) {
      const auto opened = Decrypted(key, {.ciphertext = "vault:v1:" + Base64Encode(payload),
                                          .associated_data = {},
                                          .padding = padding});
      if (opened.has_value()) {  // implicit rejection answers with noise, never with the message
        EXPECT_EQ(padding, kPkcs1v15);
        EXPECT_NE(*opened, "text");
        continue;
      }
      EXPECT_THAT(opened, HasError(ErrorCode::kDecryptionFailed, kRefused)) << payload.size();
    }
  }
}

TEST(EncryptRsa, RefusesAssociatedDataBecauseNothingWouldBindIt) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, RsaKey());
  constexpr char kText[] = "'associated_data' provided for non-AEAD cipher suite rsa-2048";
  EXPECT_THAT(Encrypted(key, {.plaintext = AsBytes("x"), .associated_data = AsBytes("row")}),
              HasError(ErrorCode::kInvalidArgument, kText));
  KMS_ASSERT_OK_AND_ASSIGN(const std::string good,
                           Encrypted(key, {.plaintext = AsBytes("x"), .associated_data = {}}));
  EXPECT_THAT(Decrypted(key, {.ciphertext = good, .associated_data = AsBytes("row")}),
              HasError(ErrorCode::kInvalidArgument, kText));
}

TEST(EncryptRsa, APublicHalfEncryptsForThePairAndCannotDecrypt) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key pair, RsaKey());
  KMS_ASSERT_OK_AND_ASSIGN(const Key half, testing::PublicHalfOf(pair));
  KMS_ASSERT_OK_AND_ASSIGN(const std::string ciphertext,
                           Encrypted(half, {.plaintext = AsBytes("text"), .associated_data = {}}));
  EXPECT_THAT(Decrypted(pair, {.ciphertext = ciphertext, .associated_data = {}}),
              IsOkAndHolds(std::string("text")));
  EXPECT_THAT(Decrypted(half, {.ciphertext = ciphertext, .associated_data = {}}),
              HasError(ErrorCode::kInvalidArgument,
                       "cannot decrypt ciphertext, key version does not have a private "
                       "counterpart"));
}

TEST(EncryptRsa, RewrapChangesThePadding) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, RsaKey(2));
  KMS_ASSERT_OK_AND_ASSIGN(const std::string old, Encrypted(key, {.plaintext = AsBytes("text"),
                                                                  .associated_data = {},
                                                                  .key_version = 1,
                                                                  .padding = kPkcs1v15}));
  std::string renewed;
  ASSERT_THAT(Rewrap(key,
                     {.ciphertext = old,
                      .associated_data = {},
                      .decrypt_padding = kPkcs1v15,
                      .encrypt_padding = kOaep},
                     renewed),
              IsOkAndHolds(2U));
  EXPECT_THAT(Decrypted(key, {.ciphertext = renewed, .associated_data = {}}),
              IsOkAndHolds(std::string("text")));
}

TEST(EncryptRsa, WrapsDataKeys) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, RsaKey());
  PlaintextBuffer data_key;
  std::string ciphertext;
  ASSERT_THAT(GenerateDataKey(key, {.bits = 512, .associated_data = {}}, data_key, ciphertext),
              IsOkAndHolds(1U));
  EXPECT_THAT(Decrypted(key, {.ciphertext = ciphertext, .associated_data = {}}),
              IsOkAndHolds(std::string(AsText(data_key.View()))));
}

TEST(EncryptRsa, AVersionOutsideTheWorkingSetIsNoSuchVersion) {
  KeyPolicy policy = PolicyOf(KeyType::kRsa2048, 2);
  policy.min_decryption_version = 2;
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, testing::MakeFreshKey(policy));
  EXPECT_THAT(
      Encrypted(key, {.plaintext = AsBytes("x"), .associated_data = {}, .key_version = 1}),
      HasError(ErrorCode::kInvalidArgument, "no such key version"));
}

TEST(Messages, TypesThatDoNotEncryptSaySo) {
  int refused = 0;
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    if (traits.supports_encryption) {
      continue;
    }
    KeyPolicy policy = PolicyOf(traits.type);
    policy.derived = traits.type == KeyType::kEd25519;  // which must not derive a cipher from it
    KMS_ASSERT_OK_AND_ASSIGN(const Key key, testing::MakeFreshKey(policy));
    const std::string name(traits.name);
    EXPECT_THAT(Encrypted(key, {.plaintext = AsBytes("x"),
                                .associated_data = {},
                                .context = AsBytes("tenant")}),
                HasError(ErrorCode::kInvalidArgument,
                         "message encryption not supported for key type " + name));
    EXPECT_THAT(Decrypted(key, {.ciphertext = "vault:v1:AAAA",
                                .associated_data = {},
                                .context = AsBytes("tenant")}),
                HasError(ErrorCode::kInvalidArgument,
                         "message decryption not supported for key type " + name));
    ++refused;
  }
  EXPECT_EQ(refused, 5);
}

}  // namespace
}  // namespace kms
