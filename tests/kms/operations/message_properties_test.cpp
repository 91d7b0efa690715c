// SPDX-License-Identifier: Apache-2.0
// What holds for every key that encrypts, whatever its type, versions and associated data.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "kms/base/base64.h"
#include "kms/operations/rewrap.h"
#include "tests/support/matchers.h"
#include "tests/support/message_keys.h"

namespace kms {
namespace {

using testing::Decrypted;
using testing::Encrypted;
using testing::HasError;
using testing::IsOkAndHolds;
using testing::MessageKeyKind;
using testing::MessageKeyKinds;

std::string RandomText(std::minstd_rand& generator, std::size_t size) {
  std::string text(size, '\0');
  for (char& c : text) {
    c = static_cast<char>(generator() % 256);
  }
  return text;
}

TEST(Messages, RewrapOfEncryptDecryptsForEveryKeyVersionAndAssociatedData) {
  std::minstd_rand generator(20261124);
  constexpr KeyVersionNumber kLatest = 3;
  for (const MessageKeyKind& kind : MessageKeyKinds()) {
    KMS_ASSERT_OK_AND_ASSIGN(const Key key, kind.Make(kLatest));
    for (int round = 0; round < (kind.is_rsa() ? 20 : 200); ++round) {
      const std::string text = RandomText(generator, generator() % (kind.is_rsa() ? 191 : 2000));
      const std::string aad = kind.is_rsa() ? "" : RandomText(generator, generator() % 300);
      const std::string context = RandomText(generator, 1 + generator() % 60);
      const KeyVersionNumber from = 1 + static_cast<KeyVersionNumber>(generator()) % kLatest;
      const KeyVersionNumber to = 1 + static_cast<KeyVersionNumber>(generator()) % kLatest;
      KMS_ASSERT_OK_AND_ASSIGN(const std::string old,
                               Encrypted(key, {.plaintext = AsBytes(text),
                                               .associated_data = AsBytes(aad),
                                               .key_version = from,
                                               .context = AsBytes(context),
                                               .verify = generator() % 2 == 0}));
      std::string renewed;
      ASSERT_THAT(Rewrap(key,
                         {.ciphertext = old,
                          .associated_data = AsBytes(aad),
                          .key_version = to,
                          .context = AsBytes(context),
                          .verify = generator() % 2 == 0},
                         renewed),
                  IsOkAndHolds(to))
          << kind.Name();
      for (const std::string& ciphertext : {old, renewed}) {
        ASSERT_THAT(Decrypted(key, {.ciphertext = ciphertext,
                                    .associated_data = AsBytes(aad),
                                    .context = AsBytes(context)}),
                    IsOkAndHolds(text))
            << kind.Name();
      }
    }
  }
}

// Bits of the payload that are flipped one after the other: all of an AEAD's, and a sample of an RSA
// ciphertext's, which costs a private operation each.
TEST(Messages, C9_AFlippedBitAnywhereIsRefusedWithOneText) {
  for (const MessageKeyKind& kind : MessageKeyKinds()) {
    KMS_ASSERT_OK_AND_ASSIGN(const Key key, kind.Make(1));
    const std::string_view aad = kind.is_rsa() ? "" : "row-7";
    KMS_ASSERT_OK_AND_ASSIGN(const std::string ciphertext,
                             Encrypted(key, {.plaintext = AsBytes("the quick brown fox"),
                                             .associated_data = AsBytes(aad),
                                             .context = AsBytes("tenant")}));
    const Bytes payload = *Base64Decode(ciphertext.substr(9));
    std::string text;
    for (std::size_t bit = 0; bit < payload.size() * 8; bit += kind.is_rsa() ? 37U : 1U) {
      Bytes changed = payload;
      changed[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      const auto opened = Decrypted(key, {.ciphertext = "vault:v1:" + Base64Encode(changed),
                                          .associated_data = AsBytes(aad),
                                          .context = AsBytes("tenant")});
      ASSERT_THAT(opened, HasError(ErrorCode::kDecryptionFailed)) << kind.Name() << " " << bit;
      text = text.empty() ? opened.error().public_message : text;
      ASSERT_EQ(opened.error().public_message, text) << kind.Name() << " " << bit;
    }
  }
}

// An example of what no key can prevent by itself: whoever writes the application's database swaps
// two ciphertexts. Binding each to its record by associated data is the caller's part.
TEST(Messages, C7_OnlyAssociatedDataKeepsACiphertextInItsRecord) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, testing::MakeKey(testing::PolicyOf({})));
  struct Record {
    std::string id;
    std::string salary;
  };
  const auto write = [&key](std::string id, std::string_view salary, bool bound) {
    const std::string aad = bound ? "payroll/" + id : "";
    return Record{id, *Encrypted(key, {.plaintext = AsBytes(salary),
                                       .associated_data = AsBytes(aad)})};
  };
  const auto read = [&key](const Record& record, bool bound) {
    const std::string aad = bound ? "payroll/" + record.id : "";
    return Decrypted(key, {.ciphertext = record.salary, .associated_data = AsBytes(aad)});
  };
  for (const bool bound : {false, true}) {
    Record alice = write("alice", "9000", bound);
    Record mallory = write("mallory", "100", bound);
    std::swap(alice.salary, mallory.salary);
    if (bound) {
      EXPECT_THAT(read(mallory, bound), HasError(ErrorCode::kDecryptionFailed));
    } else {
      EXPECT_THAT(read(mallory, bound), IsOkAndHolds(std::string("9000")));
    }
  }
}

// A ciphertext names one version of one key, and no other is ever tried, not even one that fits.
TEST(Messages, C12_NoOtherVersionIsTriedThanTheOneNamed) {
  for (const MessageKeyKind& kind : MessageKeyKinds()) {
    if (kind.is_rsa()) {
      continue;  // the test's versions share their material
    }
    KMS_ASSERT_OK_AND_ASSIGN(const Key key, kind.Make(3));
    KMS_ASSERT_OK_AND_ASSIGN(std::string ciphertext,
                             Encrypted(key, {.plaintext = AsBytes("text"),
                                             .associated_data = {},
                                             .key_version = 2,
                                             .context = AsBytes("tenant")}));
    for (const char named : {'1', '3'}) {
      ciphertext[7] = named;
      EXPECT_THAT(Decrypted(key, {.ciphertext = ciphertext,
                                  .associated_data = {},
                                  .context = AsBytes("tenant")}),
                  HasError(ErrorCode::kDecryptionFailed))
          << kind.Name();
    }
  }
}

TEST(Messages, C17_UnknownFormsAreNamedNotGuessed) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, testing::MakeKey(testing::PolicyOf({})));
  KMS_ASSERT_OK_AND_ASSIGN(const std::string good,
                           Encrypted(key, {.plaintext = AsBytes("text"), .associated_data = {}}));
  const std::string payload = good.substr(9);
  constexpr char kNoPrefix[] = "invalid ciphertext: no prefix";
  constexpr char kNoVersion[] = "invalid ciphertext: version number could not be decoded";
  const std::pair<std::string, const char*> rows[] = {
      {payload, kNoPrefix},
      {"v1:" + payload, kNoPrefix},
      {"Vault:v1:" + payload, kNoPrefix},
      {" vault:v1:" + payload, kNoPrefix},
      {"vault:w1:" + payload, kNoPrefix},
      {"vault2:v1:" + payload, kNoPrefix},
      {"vault:v1;" + payload, "invalid ciphertext: wrong number of fields"},
      {"vault:v:" + payload, kNoVersion},
      {"vault:v1a:" + payload, kNoVersion},
      {"vault:v1 :" + payload, kNoVersion},
      {"vault:v1:v1:" + payload, "invalid ciphertext: could not decode base64"},
      {"vault:v2:" + payload, "invalid ciphertext: version is too new"},
  };
  for (const auto& [text, message] : rows) {
    EXPECT_THAT(Decrypted(key, {.ciphertext = text, .associated_data = {}}),
                HasError(ErrorCode::kInvalidArgument, message))
        << text;
  }
}

// The operations have no limit of their own below 1 GiB; the edge has (C19 there).
TEST(Messages, C19_SizesAroundThirtyTwoMebibytesComeBack) {
  KMS_ASSERT_OK_AND_ASSIGN(const Key key, testing::MakeKey(testing::PolicyOf({})));
  constexpr std::size_t kLimit = std::size_t{32} << 20U;
  for (const std::size_t size : {std::size_t{0}, kLimit - 1, kLimit, kLimit + 1}) {
    const std::string large(size, 'x');
    for (const auto& [text, aad] : {std::pair<std::string_view, std::string_view>{large, "row"},
                                    std::pair<std::string_view, std::string_view>{"row", large}}) {
      KMS_ASSERT_OK_AND_ASSIGN(
          const std::string ciphertext,
          Encrypted(key, {.plaintext = AsBytes(text), .associated_data = AsBytes(aad)}));
      const auto opened =
          Decrypted(key, {.ciphertext = ciphertext, .associated_data = AsBytes(aad)});
      ASSERT_TRUE(opened.has_value()) << size;
      ASSERT_TRUE(*opened == text) << size;
    }
  }
}

}  // namespace
}  // namespace kms
