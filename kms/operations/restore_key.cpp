// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/restore_key.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "kms/base/base64.h"
#include "kms/keys/key_backup.h"
#include "kms/operations/key_storage.h"
#include "kms/operations/key_usage.h"
#include "kms/operations/resident_census.h"

namespace kms {

namespace {

Result<KeyBackup> DecodeBlob(std::string_view blob) {
  if (blob.empty()) {
    return InvalidArgument("'backup' must be supplied");
  }
  PlaintextBuffer json;
  const MutableByteView room = json.Reset(Base64DecodedBound(blob.size()));
  json.Truncate(KMS_TRY(Base64DecodeInto(blob, room)));
  return DecodeKeyBackup(AsText(json.View()));
}

Result<KeyName> NameOf(const RestoreKeyRequest& request, const KeyPolicy& policy) {
  const std::string_view name = request.name.value_or(policy.name);
  if (name.contains('/')) {
    return InvalidArgument("key names cannot be paths");
  }
  return KeyName::Parse(name);
}

// What takes the place of a key away in the commit that stores another.
Result<std::vector<SealedMutation>> Removal(Environment& environment, const LoadedKey& existing) {
  const Uuid& incarnation = existing.key->policy().incarnation;
  ArchiveErasure erasure = KMS_TRY(EraseArchive(environment, incarnation, kKeepNothing));
  erasure.mutations.push_back({.path = UsagePath(incarnation),
                               .value = std::nullopt,
                               .expected_revision = std::nullopt});
  std::vector<SealedMutation> doomed =
      KMS_TRY(DoomResidentVersions(environment, existing.key->policy(), kKeepNothing));
  std::ranges::move(doomed, std::back_inserter(erasure.mutations));
  return std::move(erasure.mutations);
}

Error NameIsTaken(const KeyName& name) {
  return MakeError(ErrorCode::kAlreadyExists, "key \"" + name.text() + "\" already exists");
}

Result<KeyHandle> StoreBackup(Environment& environment, KeyBackup backup,
                              const std::optional<LoadedKey>& existing) {
  KeyPolicy& policy = backup.policy;
  policy.incarnation = Uuid::Random();
  policy.restore_info = {.time = environment.clock().Now(), .version = policy.latest_version};
  std::vector<SealedMutation> mutations;
  if (existing) {
    mutations = KMS_TRY(Removal(environment, *existing));
  }
  for (const KeyVersion& version : backup.versions) {
    mutations.push_back(KMS_TRY(ArchiveVersion(policy.incarnation, version)));
  }
  std::erase_if(backup.versions, [&](const KeyVersion& version) {
    return version.number < policy.min_decryption_version;
  });
  auto key = Key::Create(policy, std::move(backup.versions));
  if (!key.has_value()) {
    return InvalidArgument("the backup cannot be restored: " + key.error().detail);
  }
  const Revision expected = existing ? existing->revision : 0;
  return StoreKey(environment, std::move(*key), expected, std::move(mutations));
}

}  // namespace

Result<KeyHandle> RestoreKey(Environment& environment, const RestoreKeyRequest& request) {
  KeyBackup backup = KMS_TRY(DecodeBlob(request.blob));
  const KeyName name = KMS_TRY(NameOf(request, backup.policy));
  backup.policy.name = name.text();
  std::optional<Uuid> replaced;
  KeyHandle restored;
  {
    const ScopedLock lock(environment.KeyWriteMutex(name.text()));
    const std::optional<LoadedKey> existing = KMS_TRY(LoadKey(environment, name.text()));
    if (existing && !request.force) {
      return NameIsTaken(name);
    }
    restored = KMS_TRY(StoreBackup(environment, std::move(backup), existing));
    if (existing) {
      replaced = existing->key->policy().incarnation;
      environment.ForgetUsage(*replaced);
      IgnoreError(SweepGarbage(environment),
                  "the old key is gone; what is left of its archive is swept by the next deletion");
    }
  }
  if (replaced) {
    IgnoreError(SweepResidentKeys(environment, *replaced),
                "objects in a token that is away are swept when it is back");
  }
  return restored;
}

}  // namespace kms
