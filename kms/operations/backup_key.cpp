// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/backup_key.h"

#include <algorithm>
#include <utility>

#include "kms/keys/key_backup.h"
#include "kms/operations/key_storage.h"
#include "kms/operations/usable_key.h"

namespace kms {

namespace {

Status CheckPolicy(const KeyPolicy& policy) {
  if (policy.is_resident()) {
    return InvalidArgument("a key that lives in an HSM cannot be backed up: it never leaves the "
                           "HSM; back up the HSM instead");
  }
  if (!policy.exportable) {
    return MakeError(ErrorCode::kPermissionDenied, "exporting is disallowed on the policy");
  }
  if (!policy.allow_plaintext_backup) {
    return MakeError(ErrorCode::kPermissionDenied, "plaintext backup is disallowed on the policy");
  }
  return CheckUsable(policy);
}

// The archive below the working set, then the working set.
Result<std::vector<KeyVersion>> EveryVersion(Environment& environment, const Key& key) {
  const KeyPolicy& policy = key.policy();
  const KeyVersionNumber first = std::max(policy.min_available_version, KeyVersionNumber{1});
  std::vector<KeyVersion> versions = KMS_TRY(
      ReadArchive(environment, policy.incarnation, first, policy.min_decryption_version - 1));
  for (const KeyVersion& version : key.versions()) {
    versions.push_back(KMS_TRY(version.Clone()));
  }
  return versions;
}

}  // namespace

Result<BackupOutcome> BackUpKey(Environment& environment, const KeyName& name) {
  const ScopedLock lock(environment.KeyWriteMutex(name.text()));
  const std::optional<LoadedKey> loaded = KMS_TRY(LoadKey(environment, name.text()));
  if (!loaded) {
    return NotFound("key \"" + name.text() + "\" not found");
  }
  KeyPolicy policy = loaded->key->policy();
  KMS_TRY(CheckPolicy(policy));
  policy.backup_info = {.time = environment.clock().Now(), .version = policy.latest_version};
  std::vector<KeyVersion> versions = KMS_TRY(EveryVersion(environment, *loaded->key));
  BackupOutcome outcome{.blob = KMS_TRY(EncodeBackupBlob(policy, versions)),
                        .latest_version = policy.latest_version};
  std::erase_if(versions, [&](const KeyVersion& version) {
    return version.number < policy.min_decryption_version;
  });
  Key next = KMS_TRY(Key::Create(std::move(policy), std::move(versions)));
  KMS_TRY(StoreKey(environment, std::move(next), loaded->revision, {}));
  return outcome;
}

}  // namespace kms
