// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/rotate_key.h"

#include <utility>

#include "kms/operations/key_storage.h"

namespace kms {

Result<KeyHandle> RotateKey(Environment& environment, const KeyName& name) {
  const ScopedLock lock(environment.KeyWriteMutex(name.text()));
  const std::optional<LoadedKey> loaded = KMS_TRY(LoadKey(environment.store(), name.text()));
  if (!loaded) {
    return NotFound("key not found");
  }
  KeyPolicy policy = loaded->key->policy();
  // The last number is what "keep nothing" is spelled as in the archive.
  if (policy.latest_version >= kKeepNothing - 1) {
    return MakeError(ErrorCode::kResourceExhausted, "the key has no version number left");
  }
  ++policy.latest_version;
  std::vector<KeyVersion> versions;
  for (const KeyVersion& version : loaded->key->versions()) {
    versions.push_back(KMS_TRY(version.Clone()));
  }
  versions.push_back(KMS_TRY(
      KeyVersion::Generate(policy.type, policy.latest_version, environment.clock().Now())));
  std::vector<SealedMutation> archive;
  archive.push_back(KMS_TRY(ArchiveVersion(policy.incarnation, versions.back())));
  Key next = KMS_TRY(Key::Create(std::move(policy), std::move(versions)));
  return StoreKey(environment, std::move(next), loaded->revision, std::move(archive));
}

}  // namespace kms
