// SPDX-License-Identifier: Apache-2.0
// RFC 7468; sizes around a line of 64 characters.
#include "kms/crypto/pem_text.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/matchers.h"

namespace kms::internal {
namespace {

TEST(PemText, HasLinesOf64Characters) {
  EXPECT_EQ(EncodePem("X Y", Bytes(49), PemEnding::kNewline),
            "-----BEGIN X Y-----\n" + std::string(64, 'A') + "\nAA==\n-----END X Y-----\n");
  EXPECT_EQ(EncodePem("X", Bytes(48), PemEnding::kNone),
            "-----BEGIN X-----\n" + std::string(64, 'A') + "\n-----END X-----");
  EXPECT_EQ(EncodePem("X", {}, PemEnding::kNewline), "-----BEGIN X-----\n-----END X-----\n");
}

TEST(PemText, IsTheSameInSecretMemoryAndComesBack) {
  for (std::size_t size = 0; size < 200; ++size) {
    const Bytes content(size, static_cast<std::uint8_t>(size * 31 + 1));
    for (const PemEnding ending : {PemEnding::kNewline, PemEnding::kNone}) {
      const std::string text = EncodePem("SOME KEY", content, ending);
      KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes secret,
                               EncodeSecretPem("SOME KEY", content, ending));
      EXPECT_EQ(AsText(secret.View()), text);
      const std::optional<PemBlock> block = DecodePem(text);
      ASSERT_TRUE(block.has_value());
      EXPECT_EQ(block->label, "SOME KEY");
      EXPECT_EQ(block->content, content);
      EXPECT_EQ(block->rest, ending == PemEnding::kNewline ? "\n" : "");
    }
  }
}

TEST(PemText, OfSeveralBlocksIsReadOneAfterTheOther) {
  const std::string text = "first\n" + EncodePem("A", Bytes(3, 1), PemEnding::kNewline) +
                           "second\n" + EncodePem("B", Bytes(3, 2), PemEnding::kNewline);
  const std::optional<PemBlock> a = DecodePem(text);
  ASSERT_TRUE(a.has_value());
  EXPECT_EQ(a->label, "A");
  const std::optional<PemBlock> b = DecodePem(a->rest);
  ASSERT_TRUE(b.has_value());
  EXPECT_EQ(b->label, "B");
  EXPECT_EQ(b->content, Bytes(3, 2));
  EXPECT_FALSE(DecodePem(b->rest).has_value());
}

TEST(PemText, MayHaveWhitespaceInItsLines) {
  const std::optional<PemBlock> block =
      DecodePem("-----BEGIN X-----\r\n  AQ\tID\r\n\r\nBAUG \r\n-----END X-----\r\n");
  ASSERT_TRUE(block.has_value());
  EXPECT_EQ(block->content, (Bytes{1, 2, 3, 4, 5, 6}));
}

TEST(PemText, ThatIsNotWellFormedIsNone) {
  for (const std::string_view text :
       {"", "-----BEGIN", "-----BEGIN X", "-----BEGIN X-----", "-----BEGIN X-----\nAQID\n",
        "-----BEGIN X-----\nAQID\n-----END Y-----\n", "-----BEGIN X-----\nAQID\n-----END X----\n",
        "-----BEGIN X-----\nAQID\n-----END XY-----\n", "-----BEGIN X-----\nAQI\n-----END X-----\n",
        "-----BEGIN X-----\nA*ID\n-----END X-----\n", "-----BEGIN X-----\nAQID-----END X-----\n",
        "-----BEGIN X\n-----\nAQID\n-----END X-----\n", "a-----BEGIN X-----\nAQID\n-----END X-----",
        "-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\n\nAQID\n-----END X-----\n"}) {
    EXPECT_FALSE(DecodePem(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace kms::internal
