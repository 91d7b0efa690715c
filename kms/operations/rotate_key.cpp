// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/rotate_key.h"

#include <string>
#include <utility>

#include "kms/operations/key_storage.h"
#include "kms/operations/resident_census.h"
#include "kms/operations/resident_versions.h"
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

// May it rotate is the caller's question.
Result<KeyPolicy> NextPolicy(KeyPolicy policy) {
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

Result<KeyHandle> StoreNext(Environment& environment, const LoadedKey& loaded, KeyVersion fresh,
                            std::vector<SealedMutation> archive = {}) {
  KeyPolicy policy = KMS_TRY(NextPolicy(loaded.key->policy()));
  fresh.number = policy.latest_version;
  archive.push_back(KMS_TRY(ArchiveVersion(policy.incarnation, fresh)));
  std::vector<KeyVersion> versions;
  for (const KeyVersion& version : loaded.key->versions()) {
    versions.push_back(KMS_TRY(version.Clone()));
  }
  versions.push_back(std::move(fresh));
  Key next = KMS_TRY(Key::Create(std::move(policy), std::move(versions)));
  return StoreKey(environment, std::move(next), loaded.revision, std::move(archive));
}

// Stores a version that exists in a token already; it is of `planned` and nothing else.
Result<KeyHandle> StoreDraft(Environment& environment, const KeyName& name,
                             const KeyPolicy& planned, ResidentDraft draft) {
  const ScopedLock lock(environment.KeyWriteMutex(name.text()));
  const LoadedKey loaded = KMS_TRY(RequireKey(environment, name));
  const KeyPolicy& policy = loaded.key->policy();
  if (policy.incarnation != planned.incarnation ||
      policy.latest_version + 1 != planned.latest_version) {
    return Conflict("the key was changed by someone else");
  }
  KMS_TRY(CheckUsable(policy));
  std::vector<SealedMutation> more;
  more.push_back(std::move(draft.entry));
  return StoreNext(environment, loaded, std::move(draft.version), std::move(more));
}

// Its object is the store's now, or nobody's.
Result<KeyHandle> StoreOrDiscard(Environment& environment, const KeyName& name,
                                 const KeyPolicy& planned, ResidentDraft draft) {
  const std::string hsm = draft.version.resident->hsm;
  auto stored = StoreDraft(environment, name, planned, std::move(draft));
  // What the store may have taken stays; the sweep judges it later.
  if (!stored.has_value() && stored.error().code != ErrorCode::kOutcomeUnknown) {
    IgnoreError(DiscardResidentKey(environment, planned.incarnation, planned.latest_version, hsm),
                "what is left is swept later");
  }
  return stored;
}

// A key stays in its token: it cannot leave it.
Result<KeyHandle> RotateInHsm(Environment& environment, const KeyName& name,
                              std::optional<KeyVersionNumber> only_latest) {
  const auto turn = KMS_TRY(TakeMakingTurn(environment));
  const LoadedKey loaded = KMS_TRY(RequireKey(environment, name));
  if (IsLaterThan(*loaded.key, only_latest)) {
    return loaded.key;
  }
  KMS_TRY(CheckMayRotate(loaded.key->policy()));
  const KeyPolicy planned = KMS_TRY(NextPolicy(loaded.key->policy()));
  const std::vector<std::string> hsms = {loaded.key->versions().back().resident->hsm};
  ResidentDraft draft =
      KMS_TRY(MakeResidentVersion(environment, planned, planned.latest_version, hsms));
  return StoreOrDiscard(environment, name, planned, std::move(draft));
}

}  // namespace

Status CheckMayRotate(const KeyPolicy& policy) {
  KMS_TRY(CheckUsable(policy));
  if (policy.imported && !policy.imported_allow_rotation) {
    return InvalidArgument("imported key " + policy.name + " does not allow rotation within Vault");
  }
  if (policy.protection == KeyProtection::kExternal) {
    return InvalidArgument("must provide external_key_ref to rotate a key of type external-key");
  }
  return Ok();
}

Result<KeyHandle> RotateKey(Environment& environment, const KeyName& name,
                            std::optional<KeyVersionNumber> only_latest) {
  const LoadedKey seen = KMS_TRY(RequireKey(environment, name));
  if (IsLaterThan(*seen.key, only_latest)) {
    return seen.key;
  }
  KMS_TRY(CheckMayRotate(seen.key->policy()));
  if (seen.key->policy().is_resident()) {
    return RotateInHsm(environment, name, only_latest);
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
  KMS_TRY(CheckMayRotate(loaded.key->policy()));
  return StoreNext(environment, loaded, std::move(fresh));
}

Result<KeyHandle> RotateExternalKey(Environment& environment, const KeyName& name,
                                    std::string_view external_key_ref) {
  const LoadedKey seen = KMS_TRY(RequireKey(environment, name));
  const KeyPolicy& policy = seen.key->policy();
  if (policy.protection != KeyProtection::kExternal) {
    return InvalidArgument("must provide type=external-key to use external_key_ref");
  }
  KMS_TRY(CheckUsable(policy));
  ResidentVersion found = KMS_TRY(FindExternalKey(environment, external_key_ref));
  if (KeyTypeOf(found.record.type) != policy.type) {
    return InvalidArgument("the external key is of type " +
                           std::string(ResidentKeyTypeName(found.record.type)) +
                           ", but this key's versions are of type " +
                           std::string(TraitsOf(policy.type).name));
  }
  const KeyPolicy planned = KMS_TRY(NextPolicy(policy));
  ResidentDraft draft = KMS_TRY(
      DraftExternalVersion(environment, planned, planned.latest_version, std::move(found)));
  return StoreOrDiscard(environment, name, planned, std::move(draft));
}

}  // namespace kms
