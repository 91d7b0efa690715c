// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/replace_version.h"

#include <utility>

#include "kms/operations/key_storage.h"

namespace kms {

Result<KeyHandle> ReplaceVersion(Environment& environment, const LoadedKey& loaded,
                                 const KeyVersion& changed) {
  const KeyPolicy& policy = loaded.key->policy();
  std::vector<KeyVersion> versions;
  for (const KeyVersion& version : loaded.key->versions()) {
    versions.push_back(
        KMS_TRY(version.number == changed.number ? changed.Clone() : version.Clone()));
  }
  std::vector<SealedMutation> archive;
  archive.push_back(KMS_TRY(ArchiveVersion(policy.incarnation, changed)));
  archive.back().expected_revision.reset();
  Key next = KMS_TRY(Key::Create(policy, std::move(versions)));
  return StoreKey(environment, std::move(next), loaded.revision, std::move(archive));
}

}  // namespace kms
