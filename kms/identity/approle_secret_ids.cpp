// SPDX-License-Identifier: Apache-2.0
// Secret ids: made, looked up, destroyed.
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kms/base/random.h"
#include "kms/crypto/hmac.h"
#include "kms/identity/approle.h"
#include "kms/identity/approle_paths.h"
#include "kms/identity/entry_commit.h"

namespace kms {
namespace {

constexpr std::size_t kSecretIdBytes = 32;  // 256 bits, written in hex
constexpr std::size_t kMaxMetadataKeyBytes = 128;
constexpr std::size_t kMaxMetadataValueBytes = 512;
constexpr std::string_view kHexDigits = "0123456789abcdef";

Error NoSuchAccessor() { return NotFound("failed to find accessor entry for secret_id_accessor"); }

std::string DoesNotExist(const IdentityName& name) {
  return "role \"" + name.text() + "\" does not exist";
}

// Written digit by digit into secret memory: no string holds it.
Result<SecretBytes> RandomSecretId() {
  std::array<std::uint8_t, kSecretIdBytes> random{};
  SecretBytes text = KMS_TRY(SecretBytes::OfSize(random.size() * 2));
  FillRandom(random);
  const MutableByteView out = text.MutableView();
  for (std::size_t i = 0; i < random.size(); ++i) {
    out[2 * i] = static_cast<std::uint8_t>(kHexDigits[random[i] >> 4U]);
    out[2 * i + 1] = static_cast<std::uint8_t>(kHexDigits[random[i] & 15U]);
  }
  OPENSSL_cleanse(random.data(), random.size());
  return text;
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool HasControl(std::string_view text) { return std::ranges::any_of(text, IsControl); }

Status CheckMetadata(const std::map<std::string, std::string>& metadata) {
  if (metadata.size() > kMaxSecretIdMetadata) {
    return InvalidArgument("metadata may have 64 members at the most");
  }
  for (const auto& [key, value] : metadata) {
    if (key.empty() || key.size() > kMaxMetadataKeyBytes || value.size() > kMaxMetadataValueBytes) {
      return InvalidArgument("metadata keys have 1 to 128 bytes, values at most 512");
    }
    if (HasControl(key) || HasControl(value)) {
      return InvalidArgument("metadata may not hold control characters");
    }
  }
  return Ok();
}

Status CheckWithin(const std::vector<CidrBlock>& outer, const std::vector<CidrBlock>& inner) {
  const bool within = outer.empty() || std::ranges::all_of(inner, [&](const CidrBlock& block) {
                        return std::ranges::any_of(
                            outer, [&](const CidrBlock& around) { return around.Covers(block); });
                      });
  if (!within) {
    return InvalidArgument(
        "failed to verify subset relationship between CIDR blocks on the role and CIDR blocks on "
        "the secret ID");
  }
  return Ok();
}

// A secret id is never worth more than its role says.
Status CheckAgainstRole(const AppRoleSettings& settings, std::int64_t num_uses,
                        std::int64_t ttl_seconds) {
  if (num_uses < 0) {
    return InvalidArgument("num_uses cannot be negative");
  }
  if (ttl_seconds < 0) {
    return InvalidArgument("ttl cannot be negative");
  }
  const std::int64_t most_uses = settings.secret_id_num_uses;
  if (most_uses != 0 && (num_uses == 0 || num_uses > most_uses)) {
    return InvalidArgument("num_uses cannot be higher than the role's secret_id_num_uses");
  }
  const std::int64_t longest = settings.secret_id_ttl_seconds;
  if (longest != 0 && (ttl_seconds == 0 || ttl_seconds > longest)) {
    return InvalidArgument("ttl cannot be longer than the role's secret_id_ttl");
  }
  return Ok();
}

Status CheckRequest(const StoredAppRole& role, const SecretIdRequest& request) {
  if (!role.settings.bind_secret_id) {
    return InvalidArgument("bind_secret_id is not set on the role");
  }
  if (request.secret_id.size() > kMaxSecretIdBytes) {
    return InvalidArgument("secret_id may have 1024 bytes at the most");
  }
  KMS_TRY(CheckMetadata(request.metadata));
  KMS_TRY(CheckWithin(role.settings.secret_id_bound_cidrs, request.cidr_list));
  return CheckWithin(role.settings.parameters.bound_cidrs, request.token_bound_cidrs);
}

}  // namespace

Result<Sha256Digest> SecretIdHash(const StoredAppRole& role, std::string_view secret_id) {
  const HashValue mac =
      KMS_TRY(ComputeHmac(HashAlgorithm::kSha2_256, role.secret_id_key.View(), AsBytes(secret_id)));
  Sha256Digest hash{};
  std::ranges::copy(mac.View(), hash.begin());
  return hash;
}

Result<StoredAppRole> AppRoles::RoleOf(const AuthMount& mount, const IdentityName& name) {
  std::optional<LoadedRole> loaded = KMS_TRY(Load(mount, name.text()));
  if (!loaded) {
    return NotFound(DoesNotExist(name));
  }
  return std::move(loaded->role);
}

bool AppRoles::IsExpired(const StoredSecretId& secret_id) const {
  return secret_id.expires_unix_seconds != 0 &&
         ToUnixSeconds(clock_.Now()) >= secret_id.expires_unix_seconds;
}

Result<std::optional<AppRoles::LoadedSecretId>> AppRoles::LoadSecretId(const std::string& path) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(path));
  if (!entry) {
    return std::optional<LoadedSecretId>{};
  }
  LoadedSecretId loaded{.secret_id = KMS_TRY(DecodeSecretId(entry->value.View())),
                        .revision = entry->revision};
  if (IsExpired(loaded.secret_id)) {
    return std::optional<LoadedSecretId>{};
  }
  return std::optional(std::move(loaded));
}

Result<NewSecretId> AppRoles::CreateSecretId(const AuthMount& mount, const IdentityName& name,
                                             const SecretIdRequest& request) {
  const std::optional<LoadedRole> loaded = KMS_TRY(Load(mount, name.text()));
  if (!loaded) {
    return InvalidArgument(DoesNotExist(name));
  }
  const StoredAppRole& role = loaded->role;
  KMS_TRY(CheckRequest(role, request));
  NewSecretId made;
  made.num_uses = request.num_uses.value_or(role.settings.secret_id_num_uses);
  made.ttl_seconds = request.ttl_seconds.value_or(role.settings.secret_id_ttl_seconds);
  made.accessor = Uuid::Random().ToString();
  KMS_TRY(CheckAgainstRole(role.settings, made.num_uses, made.ttl_seconds));
  if (request.secret_id.empty()) {
    made.secret_id = KMS_TRY(RandomSecretId());
  }
  const Sha256Digest hash = KMS_TRY(SecretIdHash(
      role, request.secret_id.empty() ? AsText(made.secret_id.View()) : request.secret_id));
  const std::int64_t now = ToUnixSeconds(clock_.Now());
  const StoredSecretId stored{
      .accessor = made.accessor,
      .created_unix_seconds = now,
      .updated_unix_seconds = now,
      .expires_unix_seconds = made.ttl_seconds == 0 ? 0 : now + made.ttl_seconds,
      .ttl_seconds = made.ttl_seconds,
      .limited = made.num_uses != 0,
      .uses_left = made.num_uses,
      .metadata = request.metadata,
      .cidr_list = request.cidr_list,
      .token_bound_cidrs = request.token_bound_cidrs};
  const std::string id = role.id.ToString();
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = SecretIdPath(mount, id, hash),
                       .value = KMS_TRY(EncodeSecretId(stored)),
                       .expected_revision = 0});
  mutations.push_back({.path = SecretIdAccessorPath(mount, id, made.accessor),
                       .value = KMS_TRY(EncodeSecretIdAccessor(hash)),
                       .expected_revision = 0});
  const Status committed = CommitEntries(sys_, std::move(mutations));
  if (!committed.has_value() && committed.error().code == ErrorCode::kConflict) {
    return InvalidArgument("SecretID is already registered");
  }
  KMS_TRY(committed);
  return made;
}

Result<std::vector<std::string>> AppRoles::ListSecretIds(const AuthMount& mount,
                                                         const IdentityName& name,
                                                         std::string_view after,
                                                         std::size_t limit) {
  const StoredAppRole role = KMS_TRY(RoleOf(mount, name));
  return ListNamesBelow(sys_, SecretIdAccessorsOf(mount, role.id.ToString()), after, limit);
}

Result<std::optional<StoredSecretId>> AppRoles::LookupSecretId(const AuthMount& mount,
                                                               const IdentityName& name,
                                                               std::string_view secret_id) {
  const StoredAppRole role = KMS_TRY(RoleOf(mount, name));
  const Sha256Digest hash = KMS_TRY(SecretIdHash(role, secret_id));
  std::optional<LoadedSecretId> loaded =
      KMS_TRY(LoadSecretId(SecretIdPath(mount, role.id.ToString(), hash)));
  if (!loaded) {
    return std::optional<StoredSecretId>{};
  }
  return std::optional(std::move(loaded->secret_id));
}

// Below the id of this role and of no other: what belongs elsewhere is not found.
Result<Sha256Digest> AppRoles::FindAccessor(const AuthMount& mount, const StoredAppRole& role,
                                            std::string_view accessor) {
  const Result<Uuid> parsed = Uuid::Parse(accessor);
  if (!parsed.has_value()) {
    return NoSuchAccessor();
  }
  const std::optional<OpenedEntry> entry =
      KMS_TRY(sys_.Get(SecretIdAccessorPath(mount, role.id.ToString(), parsed->ToString())));
  if (!entry) {
    return NoSuchAccessor();
  }
  return DecodeSecretIdAccessor(entry->value.View());
}

Result<StoredSecretId> AppRoles::LookupAccessor(const AuthMount& mount, const IdentityName& name,
                                                std::string_view accessor) {
  const StoredAppRole role = KMS_TRY(RoleOf(mount, name));
  const Sha256Digest hash = KMS_TRY(FindAccessor(mount, role, accessor));
  std::optional<LoadedSecretId> loaded =
      KMS_TRY(LoadSecretId(SecretIdPath(mount, role.id.ToString(), hash)));
  if (!loaded) {
    return NoSuchAccessor();
  }
  return std::move(loaded->secret_id);
}

Status AppRoles::Destroy(const AuthMount& mount, const StoredAppRole& role,
                         const Sha256Digest& hash) {
  const std::string id = role.id.ToString();
  const std::string path = SecretIdPath(mount, id, hash);
  const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(path));
  if (!entry) {
    return Ok();
  }
  const StoredSecretId stored = KMS_TRY(DecodeSecretId(entry->value.View()));
  std::vector<SealedMutation> mutations;
  // Whatever its uses are by now: it goes.
  mutations.push_back({.path = path, .value = std::nullopt, .expected_revision = std::nullopt});
  mutations.push_back({.path = SecretIdAccessorPath(mount, id, stored.accessor),
                       .value = std::nullopt,
                       .expected_revision = std::nullopt});
  return CommitEntries(sys_, std::move(mutations));
}

Status AppRoles::DestroySecretId(const AuthMount& mount, const IdentityName& name,
                                 std::string_view secret_id) {
  const StoredAppRole role = KMS_TRY(RoleOf(mount, name));
  const Sha256Digest hash = KMS_TRY(SecretIdHash(role, secret_id));
  return Destroy(mount, role, hash);
}

Status AppRoles::DestroyAccessor(const AuthMount& mount, const IdentityName& name,
                                 std::string_view accessor) {
  const StoredAppRole role = KMS_TRY(RoleOf(mount, name));
  const Sha256Digest hash = KMS_TRY(FindAccessor(mount, role, accessor));
  return Destroy(mount, role, hash);
}

}  // namespace kms
