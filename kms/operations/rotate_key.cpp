// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/rotate_key.h"

#include <string>
#include <utility>

#include "kms/operations/key_storage.h"
#include "kms/operations/usable_key.h"

namespace kms {

namespace {

Result<LoadedKey> RequireKey(Environment& environment, const KeyName& name) {
  std::optional<LoadedKey> loaded = KMS_TRY(LoadKey(environment, name.text()));
  if (!loaded) {
    return NotFound("key not found");
  }
  return *std::move(loaded);
}

Result<KeyPolicy> NextPolicy(KeyPolicy policy) {
  KMS_TRY(CheckMayRotate(policy));
  // The last number is what "keep nothing" is spelled as in the archive.
  if (policy.latest_version >= kKeepNothing - 1) {
    return MakeError(ErrorCode::kResourceExhausted, "the key has no version number left");
  }
  ++policy.latest_version;
  policy.imported = false;
  policy.imported_allow_rotation = false;
  return policy;
}

bool IsLaterThan(const Key& key, const std::optional<KeyVersionNumber>& latest) {
  return latest && key.policy().latest_version > *latest;
}

Result<KeyHandle> StoreNext(Environment& environment, const LoadedKey& loaded, KeyVersion fresh) {
  KeyPolicy policy = KMS_TRY(NextPolicy(loaded.key->policy()));
  fresh.number = policy.latest_version;
  std::vector<SealedMutation> archive;
  archive.push_back(KMS_TRY(ArchiveVersion(policy.incarnation, fresh)));
  std::vector<KeyVersion> versions;
  for (const KeyVersion& version : loaded.key->versions()) {
    versions.push_back(KMS_TRY(version.Clone()));
  }
  versions.push_back(std::move(fresh));
  Key next = KMS_TRY(Key::Create(std::move(policy), std::move(versions)));
  return StoreKey(environment, std::move(next), loaded.revision, std::move(archive));
}

}  // namespace

Status CheckMayRotate(const KeyPolicy& policy) {
  KMS_TRY(CheckUsable(policy));
  if (policy.imported && !policy.imported_allow_rotation) {
    return InvalidArgument("imported key " + policy.name + " does not allow rotation within Vault");
  }
  return Ok();
}

Result<KeyHandle> RotateKey(Environment& environment, const KeyName& name,
                            std::optional<KeyVersionNumber> only_latest) {
  const LoadedKey seen = KMS_TRY(RequireKey(environment, name));
  if (IsLaterThan(*seen.key, only_latest)) {
    return seen.key;
  }
  const KeyPolicy planned = KMS_TRY(NextPolicy(seen.key->policy()));
  KeyVersion fresh = KMS_TRY(KeyVersion::Generate(planned.type, planned.latest_version,
                                                  environment.clock().Now(), planned.key_size));
  const ScopedLock lock(environment.KeyWriteMutex(name.text()));
  const LoadedKey loaded = KMS_TRY(RequireKey(environment, name));
  if (IsLaterThan(*loaded.key, only_latest)) {
    return loaded.key;
  }
  if (loaded.key->policy().incarnation != planned.incarnation) {
    return Conflict("the key was changed by someone else");
  }
  return StoreNext(environment, loaded, std::move(fresh));
}

}  // namespace kms
