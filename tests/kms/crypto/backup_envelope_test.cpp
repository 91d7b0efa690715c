// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/backup_envelope.h"

#include <gmock/gmock.h>

#include "tests/support/matchers.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;

SecretBytes Key(std::uint8_t fill) { return SecretBytes::CopyOf(Bytes(32, fill)).value(); }

Bytes Head() {
  return EncodeBackupHead(AsBytes("header"), 7, Sha256(AsBytes("content")), Key(1)).value();
}

TEST(BackupEnvelope, ComesBackAsItWas) {
  const Bytes head = Head();
  EXPECT_THAT(BackupHeadBytes(ByteView(head).first(kBackupFixedBytes)), IsOkAndHolds(head.size()));
  KMS_ASSERT_OK_AND_ASSIGN(const BackupEnvelope envelope, DecodeBackupHead(head));
  EXPECT_EQ(AsText(envelope.header), "header");
  EXPECT_EQ(envelope.content_bytes, 7U);
  EXPECT_EQ(envelope.content_sha256, Sha256(AsBytes("content")));
  EXPECT_THAT(VerifyBackupHead(head, Key(1)), IsOk());
}

// Frozen: backups of every release must be known for ever.
TEST(BackupEnvelope, BeginsLikeThis) {
  EXPECT_EQ(HexEncode(ByteView(Head()).first(21)),
            "4b4d5353544f5245"  // KMSSTORE
            "01"
            "00000006"
            "0000000000000007");
}

TEST(BackupEnvelope, D27_EveryFlippedBitAndEveryLengthIsRefused) {
  const Bytes head = Head();
  for (std::size_t at = 0; at < head.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      Bytes flipped = head;
      flipped[at] = static_cast<std::uint8_t>(flipped[at] ^ (1U << bit));
      EXPECT_THAT(VerifyBackupHead(flipped, Key(1)), HasError(ErrorCode::kCorrupted)) << at;
    }
    EXPECT_THAT(VerifyBackupHead(ByteView(head).first(at), Key(1)),
                HasError(ErrorCode::kCorrupted));
  }
  Bytes longer = head;
  longer.push_back(0);
  EXPECT_THAT(VerifyBackupHead(longer, Key(1)), HasError(ErrorCode::kCorrupted));
  EXPECT_THAT(VerifyBackupHead(head, Key(2)),
              HasError(ErrorCode::kCorrupted, HasSubstr("does not authenticate")));
}

TEST(BackupEnvelope, ANewerFormatNamesItself) {
  Bytes head = Head();
  head[8] = 9;
  EXPECT_THAT(DecodeBackupHead(head), HasError(ErrorCode::kCorrupted, HasSubstr("format 9")));
}

}  // namespace
}  // namespace kms::testing
