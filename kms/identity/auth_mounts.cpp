// SPDX-License-Identifier: Apache-2.0
// The record at "auth-mounts/<path>", format 1 (big-endian, texts with a 4-byte length):
//
//   'M' | 1 | type | accessor | uuid | description | default lease(8) | max lease(8) | token type(1)
#include "kms/identity/auth_mounts.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "kms/auth/identity_name.h"
#include "kms/base/ids.h"
#include "kms/base/record_codec.h"
#include "kms/identity/entry_commit.h"
#include "kms/store/list_all.h"

namespace kms {
namespace {

constexpr std::string_view kPrefix = "auth-mounts/";
constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kMaxSegments = 4;
constexpr std::size_t kMaxDescriptionBytes = 1024;
constexpr std::size_t kAccessorHexDigits = 8;

struct TypeName {
  std::string_view asked;
  std::string_view type;
};
// A cluster's service account tokens and an OIDC provider's are JWTs.
constexpr std::array kTypes = {
    TypeName{"approle", "approle"}, TypeName{"userpass", "userpass"}, TypeName{"jwt", "jwt"},
    TypeName{"cert", "cert"},       TypeName{"kubernetes", "jwt"},    TypeName{"oidc", "jwt"},
};

Result<std::string> TypeOf(std::string_view asked) {
  for (const TypeName& row : kTypes) {
    if (row.asked == asked) {
      return std::string(row.type);
    }
  }
  return InvalidArgument(
      "plugin not found in the catalog: the auth methods offered are approle, userpass, jwt "
      "(also as kubernetes and oidc) and cert");
}

// One to four names joined by '/'; '/' at the ends is dropped.
Result<std::string> CanonicalPath(std::string_view text) {
  while (text.starts_with('/')) {
    text.remove_prefix(1);
  }
  while (text.ends_with('/')) {
    text.remove_suffix(1);
  }
  std::string path;
  std::size_t segments = 0;
  for (std::string_view rest = text; !rest.empty() || segments == 0; ++segments) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const IdentityName name = KMS_TRY(IdentityName::Parse(rest.substr(0, end)));
    path += (path.empty() ? "" : "/") + name.text();
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (segments > kMaxSegments) {
    return InvalidArgument("invalid auth mount path: at most 4 segments");
  }
  if (path == "token" || path.starts_with("token/")) {
    return InvalidArgument("path is already in use at token/");
  }
  return path;
}

bool Nests(std::string_view inner, std::string_view outer) {
  return inner.size() > outer.size() && inner.starts_with(outer) && inner[outer.size()] == '/';
}

std::string PathOf(std::string_view mount_path) {
  return std::string(kPrefix) + std::string(mount_path);
}

Result<SecretBytes> Encode(const AuthMount& mount) {
  RecordWriter writer('M', kFormat);
  writer.PutText(mount.type);
  writer.PutText(mount.accessor);
  writer.PutText(mount.uuid);
  writer.PutText(mount.description);
  writer.Put(mount.default_lease_ttl_seconds);
  writer.Put(mount.max_lease_ttl_seconds);
  writer.Put(static_cast<std::uint8_t>(mount.token_type));
  return SecretBytes::CopyOf(writer.Take());
}

Result<AuthMount> Decode(std::string_view path, ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead('M', kFormat);
  AuthMount mount;
  mount.path = path;
  mount.type = reader.GetText();
  mount.accessor = reader.GetText();
  mount.uuid = reader.GetText();
  mount.description = reader.GetText();
  mount.default_lease_ttl_seconds = reader.Get<std::int64_t>();
  mount.max_lease_ttl_seconds = reader.Get<std::int64_t>();
  const auto token_type = reader.Get<std::uint8_t>();
  mount.token_type = static_cast<GrantedTokenType>(token_type);
  if (!reader.Finished() || token_type > static_cast<std::uint8_t>(GrantedTokenType::kBatch)) {
    return Corrupted("damaged entry", "auth mount record");
  }
  return mount;
}

Status CheckSettings(const AuthMount& mount) {
  if (mount.description.size() > kMaxDescriptionBytes) {
    return InvalidArgument("the description is longer than 1024 bytes");
  }
  if (mount.default_lease_ttl_seconds < 0 || mount.max_lease_ttl_seconds < 0) {
    return InvalidArgument("lease times cannot be negative");
  }
  if (mount.max_lease_ttl_seconds != 0 &&
      mount.default_lease_ttl_seconds > mount.max_lease_ttl_seconds) {
    return InvalidArgument("backend max lease TTL cannot be less than its default lease TTL");
  }
  return Ok();
}

}  // namespace

Result<std::unique_ptr<AuthMounts>> AuthMounts::Open(SealedStore& sys) {
  std::unique_ptr<AuthMounts> mounts(new AuthMounts(sys));
  for (const ListedEntry& listed : KMS_TRY(ListAll(sys, kPrefix))) {
    const std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(listed.path));
    if (entry) {
      const std::string_view path = std::string_view(listed.path).substr(kPrefix.size());
      mounts->Publish(
          std::make_shared<const AuthMount>(KMS_TRY(Decode(path, entry->value.View()))));
    }
  }
  return mounts;
}

AuthMountHandle AuthMounts::FindByPath(std::string_view path, std::string_view& rest) const {
  const ScopedSharedLock lock(table_mutex_);
  for (std::size_t end = path.size(); end != std::string_view::npos && end > 0;
       end = path.rfind('/', end - 1)) {
    const auto found = table_.find(path.substr(0, end));
    if (found != table_.end()) {
      rest = path.substr(std::min(end + 1, path.size()));
      return found->second;
    }
  }
  return nullptr;
}

AuthMountHandle AuthMounts::Find(std::string_view path) const {
  const ScopedSharedLock lock(table_mutex_);
  const auto found = table_.find(path);
  return found == table_.end() ? nullptr : found->second;
}

AuthMountHandle AuthMounts::FindByAccessor(std::string_view accessor) const {
  const ScopedSharedLock lock(table_mutex_);
  for (const auto& [path, mount] : table_) {
    if (mount->accessor == accessor) {
      return mount;
    }
  }
  return nullptr;
}

std::vector<AuthMountHandle> AuthMounts::List() const {
  const ScopedSharedLock lock(table_mutex_);
  std::vector<AuthMountHandle> mounts;
  for (const auto& [path, mount] : table_) {
    mounts.push_back(mount);
  }
  return mounts;
}

void AuthMounts::Publish(const AuthMountHandle& mount) {
  const ScopedLock lock(table_mutex_);
  table_.insert_or_assign(mount->path, mount);
}

Status AuthMounts::CheckFree(std::string_view path) const {
  for (const AuthMountHandle& mount : List()) {
    if (mount->path == path || Nests(path, mount->path) || Nests(mount->path, path)) {
      return MakeError(ErrorCode::kAlreadyExists, "path is already in use at " + mount->path + "/");
    }
  }
  return Ok();
}

Status AuthMounts::Write(const AuthMount& mount) {
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = PathOf(mount.path), .value = KMS_TRY(Encode(mount))});
  KMS_TRY(CommitEntries(sys_, std::move(mutations)));
  Publish(std::make_shared<const AuthMount>(mount));
  return Ok();
}

Result<AuthMountHandle> AuthMounts::Enable(AuthMount mount) {
  mount.path = KMS_TRY(CanonicalPath(mount.path));
  mount.type = KMS_TRY(TypeOf(mount.type));
  KMS_TRY(CheckSettings(mount));
  mount.uuid = Uuid::Random().ToString();
  mount.accessor = "auth_" + mount.type + "_" +
                   Uuid::Random().ToString().substr(0, kAccessorHexDigits);
  const ScopedLock lock(write_mutex_);
  KMS_TRY(CheckFree(mount.path));
  KMS_TRY(Write(mount));
  return Find(mount.path);
}

Status AuthMounts::Tune(const AuthMount& mount) {
  KMS_TRY(CheckSettings(mount));
  const ScopedLock lock(write_mutex_);
  const AuthMountHandle now = Find(mount.path);
  if (now == nullptr) {
    return NotFound("no such auth mount");
  }
  AuthMount changed = *now;
  changed.description = mount.description;
  changed.default_lease_ttl_seconds = mount.default_lease_ttl_seconds;
  changed.max_lease_ttl_seconds = mount.max_lease_ttl_seconds;
  changed.token_type = mount.token_type;
  return Write(changed);
}

// The entry goes first, so that nobody logs in while the rest is deleted; entries that a crash leaves
// behind belong to an accessor that is never made again.
Status AuthMounts::Disable(std::string_view path) {
  const std::string canonical = KMS_TRY(CanonicalPath(path));
  const ScopedLock lock(write_mutex_);
  const AuthMountHandle mount = Find(canonical);
  if (mount == nullptr) {
    return Ok();
  }
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = PathOf(canonical)});
  KMS_TRY(CommitEntries(sys_, std::move(mutations)));
  {
    const ScopedLock table_lock(table_mutex_);
    table_.erase(canonical);
  }
  return DeleteEntriesBelow(sys_, mount->StorePrefix());
}

}  // namespace kms
