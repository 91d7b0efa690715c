// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/decrypt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "kms/base/base64.h"
#include "kms/keys/ciphertext.h"
#include "kms/operations/encrypt.h"
#include "tests/support/key_factory.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::KnownVersion;
using testing::MakeKey;
using testing::PolicyOf;
using testing::ReadVectors;

constexpr char kRefused[] = "cipher: message authentication failed";

std::string EncryptText(const Key& key, std::string_view plaintext,
                        std::string_view associated_data = {}, std::int64_t version = 0) {
  std::string ciphertext;
  const Result<KeyVersionNumber> used = Encrypt(key,
                                                {.plaintext = AsBytes(plaintext),
                                                 .associated_data = AsBytes(associated_data),
                                                 .key_version = version},
                                                ciphertext);
  EXPECT_THAT(used, IsOk());
  return ciphertext;
}

Result<std::string> DecryptText(const Key& key, std::string_view ciphertext,
                                std::string_view associated_data = {}) {
  PlaintextBuffer plaintext;
  KMS_TRY(Decrypt(key, {.ciphertext = ciphertext, .associated_data = AsBytes(associated_data)},
                  plaintext));
  return std::string(AsText(plaintext.View()));
}

// transit-api 16 and samples of this format: each row is type, salt of the material, associated
// data, plaintext, ciphertext.
TEST(Decrypt, FrozenCiphertextsOpenForEver) {
  const auto rows = ReadVectors("ciphertexts_v1.txt");
  ASSERT_EQ(rows.size(), 9U);
  for (const auto& row : rows) {
    ASSERT_EQ(row.size(), 5U);
    const auto salt = static_cast<std::uint8_t>(std::stoi(row[1]));
    KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(*FindKeyType(row[0]), 3), salt));
    const Bytes associated_data = testing::FromHex(row[2]);
    const Bytes plaintext = testing::FromHex(row[3]);
    EXPECT_THAT(DecryptText(key, row[4], AsText(associated_data)),
                IsOkAndHolds(std::string(AsText(plaintext))))
        << row[4];
  }
}

TEST(Decrypt, ReturnsTheVersionItWasUnder) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96, 4)));
  PlaintextBuffer plaintext;
  for (std::int64_t version = 1; version <= 4; ++version) {
    const std::string ciphertext = EncryptText(key, "text", "", version);
    EXPECT_THAT(Decrypt(key, {.ciphertext = ciphertext, .associated_data = {}}, plaintext),
                IsOkAndHolds(static_cast<KeyVersionNumber>(version)));
  }
}

TEST(Decrypt, A6_ReadsVersionZeroAsOne) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96, 2)));
  std::string ciphertext = EncryptText(key, "text", "", 1);
  ciphertext[7] = '0';
  EXPECT_THAT(DecryptText(key, ciphertext), IsOkAndHolds(std::string("text")));
}

TEST(Decrypt, A5_A6_RefusesMalformedCiphertextWithTheContractsWords) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96, 2)));
  const std::pair<std::string, const char*> cases[] = {
      {"", "invalid ciphertext: no prefix"},
      {"plain", "invalid ciphertext: no prefix"},
      {"vault:v1", "invalid ciphertext: wrong number of fields"},
      {"vault:v-1:AAAA", "invalid ciphertext: version number could not be decoded"},
      {"vault:v01:AAAA", "invalid ciphertext: version number could not be decoded"},
      {"vault:v+1:AAAA", "invalid ciphertext: version number could not be decoded"},
      {"vault:v4294967297:AAAA", "invalid ciphertext: version number could not be decoded"},
      {"vault:v99999999999999999999:AAAA",
       "invalid ciphertext: version number could not be decoded"},
      {"vault:v3:AAAA", "invalid ciphertext: version is too new"},
      {"vault:v1:AA*A", "invalid ciphertext: could not decode base64"},
      {"vault:v1:AAA", "invalid ciphertext: could not decode base64"},
      {"vault:v1:AAAA:AAAA", "invalid ciphertext: could not decode base64"},
      {"vault:v1:", "invalid ciphertext length"},
      {"vault:v1:AAAA", "invalid ciphertext length"},
      {"vault:v1:" + Base64Encode(Bytes(11)), "invalid ciphertext length"}};
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(DecryptText(key, text), HasError(ErrorCode::kInvalidArgument, message)) << text;
  }
}

TEST(Decrypt, A6_RefusesPayloadsTooShortForATagLikeForgeries) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  for (std::size_t size = 12; size <= 28; ++size) {
    EXPECT_THAT(DecryptText(key, "vault:v1:" + Base64Encode(Bytes(size))),
                HasError(ErrorCode::kDecryptionFailed, kRefused));
  }
}

TEST(Decrypt, C5_RefusesVersionsBelowTheMinimum) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key all, MakeKey(PolicyOf(KeyType::kAes256Gcm96, 3)));
  KeyPolicy policy = PolicyOf(KeyType::kAes256Gcm96, 3);
  policy.min_decryption_version = 2;
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(policy, 0));
  EXPECT_THAT(DecryptText(key, EncryptText(all, "text", "", 1)),
              HasError(ErrorCode::kInvalidArgument,
                       "ciphertext or signature version is disallowed by policy (too old)"));
  EXPECT_THAT(DecryptText(key, EncryptText(all, "text", "", 2)), IsOkAndHolds(std::string("text")));
}

TEST(Decrypt, C6_AssociatedDataMustBeTheSame) {
  for (const KeyTypeTraits& traits : testing::AeadKeyTypes()) {
    KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(traits.type)));
    const std::string bound = EncryptText(key, "text", "row-7");
    for (const char* wrong : {"", "row-8", "row-", "row-77", "ROW-7", "text"}) {
      EXPECT_THAT(DecryptText(key, bound, wrong), HasError(ErrorCode::kDecryptionFailed)) << wrong;
    }
    EXPECT_THAT(DecryptText(key, bound, std::string_view("row-7\0", 6)),
                HasError(ErrorCode::kDecryptionFailed));
    const std::string unbound = EncryptText(key, "text");
    EXPECT_THAT(DecryptText(key, unbound, "row-7"), HasError(ErrorCode::kDecryptionFailed));
    EXPECT_THAT(DecryptText(key, bound, "row-7"), IsOkAndHolds(std::string("text")));
    EXPECT_THAT(DecryptText(key, unbound, ""), IsOkAndHolds(std::string("text")));
  }
}

TEST(Decrypt, C8_RefusesCiphertextMovedBetweenVersionsKeysAndTypes) {
  std::vector<Key> keys;
  for (const KeyTypeTraits& traits : testing::AeadKeyTypes()) {
    keys.push_back(*MakeKey(PolicyOf(traits.type, 3), 0));
    keys.push_back(*MakeKey(PolicyOf(traits.type, 3), 100));
  }
  int refused = 0;
  for (std::size_t from = 0; from < keys.size(); ++from) {
    for (std::int64_t version = 1; version <= 3; ++version) {
      std::string ciphertext = EncryptText(keys[from], "text", "aad", version);
      for (std::size_t to = 0; to < keys.size(); ++to) {
        for (char claimed = '1'; claimed <= '3'; ++claimed) {
          ciphertext[7] = claimed;
          const Result<std::string> opened = DecryptText(keys[to], ciphertext, "aad");
          if (from == to && claimed - '0' == version) {
            EXPECT_THAT(opened, IsOkAndHolds(std::string("text")));
            continue;
          }
          EXPECT_THAT(opened, HasError(ErrorCode::kDecryptionFailed));
          ++refused;
        }
      }
    }
  }
  EXPECT_EQ(refused, 8 * 3 * 8 * 3 - 8 * 3);
}

TEST(Decrypt, D30_ARecreatedKeyNeverOpensItsPredecessorsCiphertext) {
  std::vector<KeyVersion> versions;
  versions.push_back(*KeyVersion::Generate(KeyType::kAes256Gcm96, 1, {}));
  KMS_ASSERT_OK_AND_ASSIGN(const Key first,
                           Key::Create(PolicyOf(KeyType::kAes256Gcm96), std::move(versions)));
  versions.clear();
  versions.push_back(*KeyVersion::Generate(KeyType::kAes256Gcm96, 1, {}));
  KMS_ASSERT_OK_AND_ASSIGN(const Key again,
                           Key::Create(PolicyOf(KeyType::kAes256Gcm96), std::move(versions)));
  EXPECT_THAT(DecryptText(again, EncryptText(first, "text")),
              HasError(ErrorCode::kDecryptionFailed, kRefused));
}

// Every bit of the payload: one code, one text.
TEST(Decrypt, C9_EveryFlippedPayloadBitIsRefusedWithOneText) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  const std::string ciphertext = EncryptText(key, "the quick brown fox", "aad");
  const Bytes payload = *Base64Decode(ciphertext.substr(9));
  for (std::size_t bit = 0; bit < payload.size() * 8; ++bit) {
    Bytes changed = payload;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_THAT(DecryptText(key, "vault:v1:" + Base64Encode(changed), "aad"),
                HasError(ErrorCode::kDecryptionFailed, kRefused));
  }
  for (std::size_t size = kAeadNonceBytes; size < payload.size(); ++size) {
    EXPECT_THAT(DecryptText(key, "vault:v1:" + Base64Encode(ByteView(payload).first(size)), "aad"),
                HasError(ErrorCode::kDecryptionFailed, kRefused));
  }
  for (std::size_t more = 1; more < 20; ++more) {
    Bytes longer = payload;
    longer.resize(payload.size() + more);
    EXPECT_THAT(DecryptText(key, "vault:v1:" + Base64Encode(longer), "aad"),
                HasError(ErrorCode::kDecryptionFailed, kRefused));
  }
}

// Every bit of the text, for each length of padding: nothing that was changed decrypts.
TEST(Decrypt, C9_EveryFlippedTextBitIsRefused) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96, 9)));
  for (const char* plaintext : {"", "f", "fo"}) {
    const std::string ciphertext = EncryptText(key, plaintext, "", 3);
    for (std::size_t bit = 0; bit < ciphertext.size() * 8; ++bit) {
      std::string changed = ciphertext;
      changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_FALSE(DecryptText(key, changed).has_value()) << changed;
    }
    for (std::size_t size = 0; size < ciphertext.size(); ++size) {
      EXPECT_FALSE(DecryptText(key, ciphertext.substr(0, size)).has_value()) << size;
      EXPECT_FALSE(DecryptText(key, ciphertext.substr(size + 1)).has_value()) << size;
    }
  }
}

TEST(Decrypt, LeavesNothingInTheBufferAfterAFailure) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kAes256Gcm96)));
  std::string ciphertext = EncryptText(key, "first");
  PlaintextBuffer plaintext;
  ASSERT_THAT(Decrypt(key, {.ciphertext = ciphertext, .associated_data = {}}, plaintext), IsOk());
  const std::uint8_t* memory = plaintext.View().data();
  EXPECT_EQ(AsText(plaintext.View()), "first");
  for (const char* bad : {"vault:v1:AAAA", "vault:v2:AAAA", "nothing"}) {
    ASSERT_FALSE(Decrypt(key, {.ciphertext = bad, .associated_data = {}}, plaintext).has_value());
    EXPECT_EQ(plaintext.size(), 0U);
  }
  ciphertext[30] = ciphertext[30] == 'A' ? 'B' : 'A';
  ASSERT_FALSE(
      Decrypt(key, {.ciphertext = ciphertext, .associated_data = {}}, plaintext).has_value());
  EXPECT_EQ(plaintext.size(), 0U);
  EXPECT_EQ(AsText(ByteView(memory, 5)), std::string_view("\0\0\0\0\0", 5));
}

// Changed at random with a fixed seed: whatever a client sends is answered, never obeyed.
TEST(Decrypt, SurvivesRandomDamage) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, MakeKey(PolicyOf(KeyType::kChaCha20Poly1305, 3)));
  const std::string ciphertext = EncryptText(key, "some message", "", 2);
  std::minstd_rand generator(20260101);
  for (int round = 0; round < 20'000; ++round) {
    std::string changed = ciphertext;
    for (auto edits = 1 + generator() % 4; edits > 0; --edits) {
      const std::size_t at = generator() % changed.size();
      switch (generator() % 3) {
        case 0: changed[at] = static_cast<char>(generator() % 256); break;
        case 1: changed.erase(at, 1 + generator() % 5); break;
        default: changed.insert(at, 1, static_cast<char>('!' + generator() % 90)); break;
      }
      if (changed.empty()) {
        break;
      }
    }
    const Result<std::string> opened = DecryptText(key, changed);
    std::erase_if(changed, [](char c) { return c == '\r' || c == '\n'; });
    if (changed != ciphertext) {
      ASSERT_FALSE(opened.has_value()) << changed;
      ASSERT_NE(opened.error().code, ErrorCode::kInternal) << changed;
    }
  }
}

}  // namespace
}  // namespace kms
