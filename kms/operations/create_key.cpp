// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/create_key.h"

#include <utility>

#include "kms/operations/key_storage.h"

namespace kms {

namespace {

Status CheckDerivation(const CreateKeyRequest& request, const KeyTypeTraits& traits) {
  const std::string name(traits.name);
  if (request.derived && !traits.supports_derivation) {
    return InvalidArgument(
        "key derivation and convergent encryption not supported for keys of type " + name);
  }
  if (request.convergent_encryption && !traits.supports_convergent) {
    return InvalidArgument("convergent encryption not supported for keys of type " + name);
  }
  return Ok();
}

// The bytes of an hmac key; 0 for other types.
Result<std::uint32_t> CheckedKeySize(const CreateKeyRequest& request,
                                     const KeyTypeTraits& traits) {
  const bool sized = traits.family == KeyFamily::kHmac;
  if (!sized && request.key_size != 0) {
    return InvalidArgument("key_size is not valid for algorithm " + std::string(traits.name));
  }
  const bool fits = request.key_size >= std::int64_t{kMinHmacKeySize} &&
                    request.key_size <= std::int64_t{kMaxHmacKeySize};
  if (request.key_size != 0 && !fits) {
    return InvalidArgument("invalid key_size " + std::to_string(request.key_size));
  }
  if (sized && request.key_size == 0) {
    return std::uint32_t{kMinHmacKeySize};
  }
  return static_cast<std::uint32_t>(request.key_size);
}

Result<KeyPolicy> PolicyFor(const KeyName& name, const CreateKeyRequest& request) {
  if (request.auto_rotate_period_seconds != 0 && request.auto_rotate_period_seconds < 3600) {
    return InvalidArgument("auto rotate period must be 0 to disable or at least an hour");
  }
  if (request.convergent_encryption && !request.derived) {
    return InvalidArgument("convergent encryption requires derivation to be enabled");
  }
  const KeyTypeTraits& traits = TraitsOf(request.type);
  const std::uint32_t key_size = KMS_TRY(CheckedKeySize(request, traits));
  KMS_TRY(CheckDerivation(request, traits));
  return KeyPolicy{
      .name = name.text(),
      .incarnation = Uuid::Random(),
      .type = request.type,
      .derived = request.derived,
      .convergent_encryption = request.convergent_encryption,
      .exportable = request.exportable,
      .allow_plaintext_backup = request.allow_plaintext_backup,
      .auto_rotate_period_seconds = request.auto_rotate_period_seconds,
      .key_size = key_size,
      .backup_info = {},
      .restore_info = {},
  };
}

Result<KeyHandle> StoreFirstVersion(Environment& environment, KeyPolicy policy,
                                    KeyVersion first) {
  std::vector<SealedMutation> archive;
  archive.push_back(KMS_TRY(ArchiveVersion(policy.incarnation, first)));
  std::vector<KeyVersion> versions;
  versions.push_back(std::move(first));
  Key key = KMS_TRY(Key::Create(std::move(policy), std::move(versions)));
  return StoreKey(environment, std::move(key), 0, std::move(archive));
}

}  // namespace

Result<CreateKeyOutcome> CreateKey(Environment& environment, const KeyName& name,
                                   const CreateKeyRequest& request) {
  KeyPolicy policy = KMS_TRY(PolicyFor(name, request));
  if (KeyHandle existing = KMS_TRY(environment.FindKey(name)); existing != nullptr) {
    return CreateKeyOutcome{.key = std::move(existing), .already_existed = true};
  }
  KeyVersion first = KMS_TRY(
      KeyVersion::Generate(policy.type, 1, environment.clock().Now(), policy.key_size));
  const ScopedLock lock(environment.KeyWriteMutex(name.text()));
  // It may have been created meanwhile, here or by another node.
  if (KeyHandle existing = KMS_TRY(environment.FindKey(name)); existing != nullptr) {
    return CreateKeyOutcome{.key = std::move(existing), .already_existed = true};
  }
  Result<KeyHandle> created =
      StoreFirstVersion(environment, std::move(policy), std::move(first));
  if (created.has_value() || created.error().code != ErrorCode::kConflict) {
    return CreateKeyOutcome{.key = KMS_TRY(std::move(created))};
  }
  KeyHandle existing = KMS_TRY(environment.FindKey(name));
  if (existing == nullptr) {
    return std::move(created).error();
  }
  return CreateKeyOutcome{.key = std::move(existing), .already_existed = true};
}

}  // namespace kms
