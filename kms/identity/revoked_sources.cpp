// SPDX-License-Identifier: Apache-2.0
// Records, format 1 (big-endian; text = length(4) | bytes):
//
//   revoked-sources/<mount accessor>/<keyed hash of role and alias>
//     'V' | 1 | revoked up to this stamp(8) | with role(1) | with alias(1)
//     | mount accessor | role | alias
//   identity/token-stamps
//     'W' | 1 | no token has a stamp above this(8)
#include "kms/identity/revoked_sources.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "kms/base/record_codec.h"
#include "kms/store/list_all.h"

namespace kms {

namespace {

constexpr std::string_view kPrefix = "revoked-sources/";
constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kBoundPath = "identity/token-stamps";
// Small, so that a service which restarts every second does not run out of stamps in a lifetime.
constexpr std::int64_t kBoundStep = std::int64_t{600} * 1'000'000'000;
constexpr int kAttempts = 8;

Result<std::int64_t> DecodeBound(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead('W', kFormat);
  const auto bound = reader.Get<std::int64_t>();
  if (!reader.Finished()) {
    return Corrupted("damaged entry", "token stamps record");
  }
  return bound;
}

}  // namespace

Result<std::unique_ptr<RevokedSources>> RevokedSources::Open(SealedStore& sys, const TokenKey& key,
                                                             std::int64_t now_unix_nanoseconds) {
  std::unique_ptr<RevokedSources> sources(new RevokedSources(sys, key));
  KMS_TRY(sources->RaiseBound(now_unix_nanoseconds));
  for (const ListedEntry& entry : KMS_TRY(ListAll(sys, kPrefix))) {
    KMS_TRY(sources->Read(entry.path));
  }
  return sources;
}

Status RevokedSources::Read(const std::string& path) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(path));
  if (!entry) {
    return Ok();
  }
  RecordReader reader(entry->value.View());
  reader.GetHead('V', kFormat);
  const auto stamp = reader.Get<std::int64_t>();
  const bool with_role = reader.GetFlag();
  const bool with_alias = reader.GetFlag();
  Source source;
  std::get<0>(source) = reader.GetText();
  std::string role = reader.GetText();
  std::string alias = reader.GetText();
  if (!reader.Finished()) {
    return Corrupted("damaged entry", "revoked source record");
  }
  if (with_role) {
    std::get<1>(source) = std::move(role);
  }
  if (with_alias) {
    std::get<2>(source) = std::move(alias);
  }
  Remember(source, stamp);
  return Ok();
}

void RevokedSources::Remember(const Source& source, std::int64_t stamp) {
  const ScopedLock lock(mutex_);
  std::int64_t& until = revoked_until_[source];
  until = std::max(until, stamp);
  last_revoked_ = std::max(last_revoked_, stamp);
}

Result<std::int64_t> RevokedSources::NextStamp(std::int64_t now_unix_nanoseconds) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::int64_t stamp = 0;
    {
      const ScopedLock lock(mutex_);
      stamp = std::max({now_unix_nanoseconds, last_issued_ + 1, last_revoked_ + 1});
      if (stamp <= bound_) {
        last_issued_ = stamp;
        return stamp;
      }
    }
    KMS_TRY(RaiseBound(stamp));
  }
  return Unavailable("the token could not be stamped, try again");
}

Status RevokedSources::RaiseBound(std::int64_t stamp) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(kBoundPath));
    std::int64_t stored = 0;
    if (entry) {
      stored = KMS_TRY(DecodeBound(entry->value.View()));
    }
    const std::int64_t raised = std::max(stored, stamp) + kBoundStep;
    RecordWriter writer('W', kFormat);
    writer.Put(raised);
    std::vector<SealedMutation> mutations;
    mutations.push_back({.path = std::string(kBoundPath),
                         .value = KMS_TRY(SecretBytes::CopyOf(writer.Take())),
                         .expected_revision = entry ? entry->revision : Revision{0}});
    const Result<Revision> committed = sys_.Commit(std::move(mutations));
    if (committed.has_value()) {
      const ScopedLock lock(mutex_);
      if (bound_ == 0) {
        last_issued_ = stored;  // what the process before gave out is no larger
      }
      bound_ = std::max(bound_, raised);
      return Ok();
    }
    const ErrorCode code = committed.error().code;
    if (code != ErrorCode::kConflict && code != ErrorCode::kOutcomeUnknown) {
      return committed.error();
    }
  }
  return Unavailable("storage failed, try again");
}

bool RevokedSources::Contains(const StoredToken& token) const {
  const Principal& principal = token.principal;
  if (principal.alias_mount.empty()) {
    return false;
  }
  const ScopedLock lock(mutex_);
  const auto dead = [&](std::optional<std::string> role, std::optional<std::string> alias) {
    const auto found =
        revoked_until_.find({principal.alias_mount, std::move(role), std::move(alias)});
    return found != revoked_until_.end() && token.issued_stamp <= found->second;
  };
  return !revoked_until_.empty() &&
         (dead({}, {}) || dead(principal.role, {}) || dead({}, principal.alias_name) ||
          dead(principal.role, principal.alias_name));
}

Status RevokedSources::Revoke(const TokenSource& source, std::int64_t now_unix_nanoseconds) {
  if (source.mount_accessor.empty() || source.mount_accessor.find('/') != std::string::npos) {
    return InvalidArgument("invalid mount accessor");
  }
  std::int64_t stamp = 0;
  {
    const ScopedLock lock(mutex_);
    stamp = std::max({now_unix_nanoseconds, last_issued_, last_revoked_});
    last_revoked_ = stamp;
  }
  RecordWriter writer('V', kFormat);
  writer.Put(stamp);
  writer.PutFlag(source.role.has_value());
  writer.PutFlag(source.alias_name.has_value());
  writer.PutText(source.mount_accessor);
  writer.PutText(source.role.value_or(""));
  writer.PutText(source.alias_name.value_or(""));
  const Source key{source.mount_accessor, source.role, source.alias_name};
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = PathOf(key), .value = KMS_TRY(SecretBytes::CopyOf(writer.Take()))});
  const Result<Revision> committed = sys_.Commit(std::move(mutations));
  if (!committed.has_value()) {
    // Lost answers are not looked up: doing it again is always right.
    return committed.error().code == ErrorCode::kOutcomeUnknown
               ? Unavailable("storage failed, try again", committed.error().detail)
               : committed.error();
  }
  Remember(key, stamp);
  return Ok();
}

std::string RevokedSources::PathOf(const Source& source) const {
  const auto& [mount, role, alias] = source;
  RecordWriter named;
  named.PutFlag(role.has_value());
  named.PutText(role.value_or(""));
  named.PutFlag(alias.has_value());
  named.PutText(alias.value_or(""));
  const Bytes text = named.Take();
  return std::string(kPrefix) + mount + "/" + HexEncode(key_.HashOf(AsText(text)));
}

}  // namespace kms
