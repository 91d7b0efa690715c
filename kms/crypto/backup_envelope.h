// SPDX-License-Identifier: Apache-2.0
// BackupEnvelope: the outside of a backup of the whole store, which anybody can check for damage
// and whoever has the key for forgery.
#pragma once

#include <cstdint>

#include "kms/base/bytes.h"
#include "kms/base/digest.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

struct BackupEnvelope {
  Bytes header;  // who made it of what: kms/backup/backup_header.h
  std::uint64_t content_bytes = 0;
  Sha256Digest content_sha256{};
  Sha256Digest mac{};  // over everything in the head before it
};

// More is no backup of ours.
inline constexpr std::size_t kMaxBackupHeaderBytes = std::size_t{64} << 20U;

// The head: what stands before the content. `mac_key` has one byte at least.
Result<Bytes> EncodeBackupHead(ByteView header, std::uint64_t content_bytes,
                               const Sha256Digest& content_sha256, const SecretBytes& mac_key);

// The fixed part, of kBackupFixedBytes: how long the whole head is. Errors: kCorrupted "this is no
// backup" or naming an unknown format.
inline constexpr std::size_t kBackupFixedBytes = 53;
Result<std::size_t> BackupHeadBytes(ByteView fixed);

// The whole head. Says nothing about the MAC. Errors: kCorrupted.
Result<BackupEnvelope> DecodeBackupHead(ByteView head);
// Errors: kCorrupted when the MAC is not that of `mac_key`.
Status VerifyBackupHead(ByteView head, const SecretBytes& mac_key);

}  // namespace kms
