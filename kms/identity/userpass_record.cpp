// SPDX-License-Identifier: Apache-2.0
// The record at auth/<mount accessor>/users/<name>, format 1 (numbers big-endian, text and bytes
// with a 4-byte length):
//
//   'U' | 1 | password hash text | token parameters, bytes (token_parameters_codec)
//       | active factor flag | its public part | pending factor flag | its public part
//       | secrets of the active factor | secrets of the pending one
//
//   public part   last used step(8) | number of backup codes(1) | their digests(32 each)
//   secrets       secret(20) | key of the backup codes(32)
#include "kms/identity/userpass_record.h"

#include <algorithm>
#include <utility>

#include "kms/auth/totp.h"
#include "kms/base/record_codec.h"
#include "kms/identity/entry_commit.h"
#include "kms/identity/token_parameters_codec.h"

namespace kms {
namespace {

constexpr char kKind = 'U';
constexpr std::uint8_t kFormat = 1;

void PutFactor(const std::optional<SecondFactor>& factor, RecordWriter& writer) {
  writer.PutFlag(factor.has_value());
  if (!factor) {
    return;
  }
  writer.Put(factor->last_used_step);
  writer.Put(static_cast<std::uint8_t>(factor->backup_codes.size()));
  for (const Sha256Digest& digest : factor->backup_codes) {
    writer.PutRaw(digest);
  }
}

std::optional<SecondFactor> GetFactor(RecordReader& reader) {
  if (!reader.GetFlag()) {
    return std::nullopt;
  }
  SecondFactor factor;
  factor.last_used_step = reader.Get<std::int64_t>();
  const auto count = reader.Get<std::uint8_t>();
  for (std::uint8_t i = 0; i < count && !reader.failed(); ++i) {
    Sha256Digest& digest = factor.backup_codes.emplace_back();
    std::ranges::copy(reader.GetRaw(kSha256Bytes), digest.begin());
  }
  return factor;
}

Status GetSecrets(RecordReader& reader, std::optional<SecondFactor>& factor) {
  if (factor) {
    factor->secret = KMS_TRY(SecretBytes::CopyOf(reader.GetRaw(kTotpSecretBytes)));
    factor->backup_key = KMS_TRY(SecretBytes::CopyOf(reader.GetRaw(kBackupKeyBytes)));
  }
  return Ok();
}

ByteView SecretOf(const std::optional<SecondFactor>& factor) {
  return factor ? factor->secret.View() : ByteView();
}

ByteView BackupKeyOf(const std::optional<SecondFactor>& factor) {
  return factor ? factor->backup_key.View() : ByteView();
}

}  // namespace

Result<SecretBytes> EncodeUser(const StoredUser& user) {
  RecordWriter writer(kKind, kFormat);
  writer.PutText(user.password_hash);
  PutTokenParameters(user.parameters, writer);
  PutFactor(user.active, writer);
  PutFactor(user.pending, writer);
  return WithSecretsBehind(writer.Take(), {SecretOf(user.active), BackupKeyOf(user.active),
                                           SecretOf(user.pending), BackupKeyOf(user.pending)});
}

Result<StoredUser> DecodeUser(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead(kKind, kFormat);
  StoredUser user;
  user.password_hash = reader.GetText();
  user.parameters = GetTokenParameters(reader);
  user.active = GetFactor(reader);
  user.pending = GetFactor(reader);
  KMS_TRY(GetSecrets(reader, user.active));
  KMS_TRY(GetSecrets(reader, user.pending));
  if (!reader.Finished()) {
    return Corrupted("damaged entry", "user record");
  }
  return user;
}

}  // namespace kms
