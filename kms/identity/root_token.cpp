// SPDX-License-Identifier: Apache-2.0
// The record at "tokens/root", format 1 (big-endian):
//
//   'T' | 1 | revoked flag(1) | created, unix seconds(8) | digest of the token(32)
#include "kms/identity/root_token.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "kms/base/record_codec.h"

namespace kms {

namespace {

constexpr std::string_view kPath = "tokens/root";
constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kAccessorBytes = 12;

Result<SecretBytes> Encode(const RootToken& token) {
  RecordWriter writer('T', kFormat);
  writer.PutFlag(token.revoked);
  writer.Put(token.created_unix_seconds);
  writer.PutRaw(token.digest);
  return SecretBytes::CopyOf(writer.Take());
}

Result<RootToken> Decode(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead('T', kFormat);
  RootToken token;
  token.revoked = reader.GetFlag();
  token.created_unix_seconds = reader.Get<std::int64_t>();
  std::ranges::copy(reader.GetRaw(kSha256Bytes), token.digest.begin());
  if (!reader.Finished()) {
    return Corrupted("damaged entry", "root token record");
  }
  return token;
}

struct StoredRootToken {
  std::optional<RootToken> token;
  Revision revision = 0;
};

Result<StoredRootToken> Read(SealedStore& sys) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(kPath));
  if (!entry) {
    return StoredRootToken{};
  }
  return StoredRootToken{.token = KMS_TRY(Decode(entry->value.View())),
                         .revision = entry->revision};
}

Status Write(SealedStore& sys, const RootToken& token, Revision expected) {
  std::vector<SealedMutation> mutations;
  mutations.push_back(
      {.path = std::string(kPath), .value = KMS_TRY(Encode(token)), .expected_revision = expected});
  const Result<Revision> committed = sys.Commit(std::move(mutations));
  if (committed.has_value()) {
    return Ok();
  }
  if (committed.error().code != ErrorCode::kOutcomeUnknown) {
    return committed.error();
  }
  const StoredRootToken now = KMS_TRY(Read(sys));
  if (now.token && now.token->digest == token.digest && now.token->revoked == token.revoked) {
    return Ok();
  }
  return Unavailable("storage failed, nothing was changed", committed.error().detail);
}

}  // namespace

Sha256Digest RootTokenDigest(std::string_view token) {
  return Sha256({AsBytes("kms token v1\n"), AsBytes(token)});
}

std::string RootTokenAccessor(const Sha256Digest& digest) {
  const Sha256Digest accessor = Sha256({AsBytes("kms accessor v1\n"), digest});
  return HexEncode(ByteView{accessor}.first(kAccessorBytes));
}

Result<RootToken> RecordRootToken(SealedStore& sys, const Clock& clock, std::string_view token) {
  if (token.empty()) {
    return InvalidArgument("the root token is empty");
  }
  const StoredRootToken stored = KMS_TRY(Read(sys));
  const Sha256Digest digest = RootTokenDigest(token);
  if (stored.token && EqualInConstantTime(stored.token->digest, digest)) {
    return *stored.token;
  }
  const RootToken fresh{
      .digest = digest, .created_unix_seconds = ToUnixSeconds(clock.Now()), .revoked = false};
  KMS_TRY(Write(sys, fresh, stored.revision));
  return fresh;
}

Status RecordRootRevocation(SealedStore& sys, const Sha256Digest& digest) {
  StoredRootToken stored = KMS_TRY(Read(sys));
  if (!stored.token || !EqualInConstantTime(stored.token->digest, digest)) {
    return Internal("the root token in use is not the recorded one");
  }
  if (stored.token->revoked) {
    return Ok();
  }
  stored.token->revoked = true;
  return Write(sys, *stored.token, stored.revision);
}

}  // namespace kms
