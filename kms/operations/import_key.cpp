// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/import_key.h"

#include <string>
#include <utility>

#include "kms/operations/key_storage.h"

namespace kms {

namespace {

constexpr std::int64_t kMinAutoRotateSeconds = 3600;

Error NameIsTaken() {
  return MakeError(ErrorCode::kAlreadyExists,
                   "the import path cannot be used with an existing key; use import-version to "
                   "rotate an existing imported key");
}

Status CheckRequest(const ImportKeyRequest& request) {
  const std::int64_t period = request.auto_rotate_period_seconds;
  if (period != 0 && !request.allow_rotation) {
    return InvalidArgument("allow_rotation must be set to true if auto-rotation is enabled");
  }
  if (period != 0 && period < kMinAutoRotateSeconds) {
    return InvalidArgument("auto rotate period must be 0 to disable or at least an hour");
  }
  const KeyTypeTraits& traits = TraitsOf(request.type);
  if (request.derived && !traits.supports_derivation) {
    return InvalidArgument(
        "key derivation and convergent encryption not supported for keys of type " +
        std::string(traits.name));
  }
  KMS_TRY(CheckImportSource(request.source, request.type));
  if (request.derived && !request.source.is_private()) {
    return InvalidArgument("a derived key cannot be imported by its public half alone");
  }
  return Ok();
}

}  // namespace

Result<KeyHandle> ImportKey(Environment& environment, MasterKeyDevice& device, const KeyName& name,
                            const ImportKeyRequest& request) {
  KMS_TRY(CheckRequest(request));
  KMS_TRY(CheckImportName(environment, name));
  KeyVersion version = KMS_TRY(
      ReadImport(environment, device, request.source, {.type = request.type, .hmac_bytes = 0}));
  KeyPolicy policy{
      .name = name.text(),
      .type = request.type,
      .derived = request.derived,
      .exportable = request.exportable,
      .allow_plaintext_backup = request.allow_plaintext_backup,
      .auto_rotate_period_seconds = request.auto_rotate_period_seconds,
  };
  policy.imported_allow_rotation = request.allow_rotation;
  return StoreImportedKey(environment, std::move(policy), std::move(version));
}

Status CheckImportName(Environment& environment, const KeyName& name) {
  const KeyHandle existing = KMS_TRY(environment.FindKey(name));
  return existing == nullptr ? Ok() : Status(NameIsTaken());
}

Result<KeyHandle> StoreImportedKey(Environment& environment, KeyPolicy policy, KeyVersion version) {
  const KeyName name = KMS_TRY(KeyName::Parse(policy.name));
  policy.incarnation = Uuid::Random();
  policy.imported = true;
  if (policy.type == KeyType::kHmac) {
    policy.key_size = static_cast<std::uint32_t>(version.material.size());
  }
  const ScopedLock lock(environment.KeyWriteMutex(name.text()));
  KMS_TRY(CheckImportName(environment, name));
  std::vector<SealedMutation> archive;
  archive.push_back(KMS_TRY(ArchiveVersion(policy.incarnation, version)));
  std::vector<KeyVersion> versions;
  versions.push_back(std::move(version));
  Key key = KMS_TRY(Key::Create(std::move(policy), std::move(versions)));
  Result<KeyHandle> stored = StoreKey(environment, std::move(key), 0, std::move(archive));
  if (!stored && stored.error().code == ErrorCode::kConflict) {
    return NameIsTaken();  // by another node
  }
  return stored;
}

}  // namespace kms
