// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/create_key.h"

#include <utility>

#include "kms/operations/key_storage.h"

namespace kms {

namespace {

Status CheckRequest(const CreateKeyRequest& request) {
  if (request.auto_rotate_period_seconds != 0 && request.auto_rotate_period_seconds < 3600) {
    return InvalidArgument("auto rotate period must be 0 to disable or at least an hour");
  }
  if (request.convergent_encryption && !request.derived) {
    return InvalidArgument("convergent encryption requires derivation to be enabled");
  }
  const KeyTypeTraits& traits = TraitsOf(request.type);
  if (request.derived && !traits.supports_derivation) {
    return InvalidArgument(
        "key derivation and convergent encryption not supported for keys of type " +
        std::string(traits.name));
  }
  return Ok();
}

Result<KeyHandle> StoreFirstVersion(Environment& environment, const KeyName& name,
                                    const CreateKeyRequest& request) {
  const KeyPolicy policy{
      .name = name.text(),
      .incarnation = Uuid::Random(),
      .type = request.type,
      .derived = request.derived,
      .convergent_encryption = request.convergent_encryption,
      .exportable = request.exportable,
      .allow_plaintext_backup = request.allow_plaintext_backup,
      .auto_rotate_period_seconds = request.auto_rotate_period_seconds,
  };
  std::vector<KeyVersion> versions;
  versions.push_back(KMS_TRY(KeyVersion::Generate(request.type, 1, environment.clock().Now())));
  std::vector<SealedMutation> archive;
  archive.push_back(KMS_TRY(ArchiveVersion(policy.incarnation, versions.front())));
  Key key = KMS_TRY(Key::Create(policy, std::move(versions)));
  return StoreKey(environment, std::move(key), 0, std::move(archive));
}

}  // namespace

Result<CreateKeyOutcome> CreateKey(Environment& environment, const KeyName& name,
                                   const CreateKeyRequest& request) {
  KMS_TRY(CheckRequest(request));
  const ScopedLock lock(environment.KeyWriteMutex(name.text()));
  if (KeyHandle existing = KMS_TRY(environment.FindKey(name)); existing != nullptr) {
    return CreateKeyOutcome{.key = std::move(existing), .already_existed = true};
  }
  Result<KeyHandle> created = StoreFirstVersion(environment, name, request);
  if (created.has_value() || created.error().code != ErrorCode::kConflict) {
    return CreateKeyOutcome{.key = KMS_TRY(std::move(created))};
  }
  // Someone else created it meanwhile.
  KeyHandle existing = KMS_TRY(environment.FindKey(name));
  if (existing == nullptr) {
    return std::move(created).error();
  }
  return CreateKeyOutcome{.key = std::move(existing), .already_existed = true};
}

}  // namespace kms
