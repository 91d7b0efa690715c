// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/delete_key.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "kms/operations/key_storage.h"
#include "kms/operations/key_usage.h"
#include "kms/operations/resident_census.h"

namespace kms {

namespace {

Error Refusal(const KeyName& name, std::string_view why) {
  return InvalidArgument("error deleting policy " + name.text() + ": " + std::string(why));
}

// Answers what became of a commit that may or may not have happened.
Status Settle(Environment& environment, const KeyName& name, Revision revision,
              const Error& unknown) {
  const auto reread = environment.store().Get(KeyPath(name.text()));
  if (!reread.has_value()) {
    return unknown;
  }
  if (!reread->has_value()) {
    return Ok();
  }
  return (*reread)->revision == revision
             ? Unavailable("storage failed, nothing was changed", unknown.detail)
             : Conflict("the key was changed by someone else");
}

Status DeleteEntries(Environment& environment, const KeyName& name, const LoadedKey& loaded) {
  ArchiveErasure erasure =
      KMS_TRY(EraseArchive(environment, loaded.key->policy().incarnation, kKeepNothing));
  std::vector<SealedMutation> doomed = KMS_TRY(
      DoomResidentVersions(environment, loaded.key->policy(), kKeepNothing));
  std::ranges::move(doomed, std::back_inserter(erasure.mutations));
  erasure.mutations.push_back({.path = KeyPath(name.text()),
                               .value = std::nullopt,
                               .expected_revision = loaded.revision});
  erasure.mutations.push_back({.path = UsagePath(loaded.key->policy().incarnation),
                               .value = std::nullopt,
                               .expected_revision = std::nullopt});
  const Result<Revision> committed = environment.store().Commit(std::move(erasure.mutations));
  environment.ForgetKey(name.text());
  environment.ForgetUsage(loaded.key->policy().incarnation);
  if (!committed.has_value() && committed.error().code == ErrorCode::kOutcomeUnknown) {
    return Settle(environment, name, loaded.revision, committed.error());
  }
  if (!committed.has_value()) {
    return committed.error();
  }
  return Ok();
}

}  // namespace

Status DeleteKey(Environment& environment, const KeyName& name) {
  std::optional<Uuid> resident;
  {
    const ScopedLock lock(environment.KeyWriteMutex(name.text()));
    const std::optional<LoadedKey> loaded = KMS_TRY(LoadKey(environment, name.text()));
    if (!loaded) {
      return Refusal(name, "could not delete key; not found");
    }
    if (!loaded->key->policy().deletion_allowed) {
      return Refusal(name, "deletion is not allowed for this key");
    }
    KMS_TRY(DeleteEntries(environment, name, *loaded));
    if (loaded->key->policy().is_resident()) {
      resident = loaded->key->policy().incarnation;
    }
  }
  IgnoreError(SweepGarbage(environment),
              "the key is gone; what is left of its archive is swept by the next deletion");
  if (resident) {
    IgnoreError(SweepResidentKeys(environment, *resident),
                "the key is gone; objects in a token that is away are swept when it is back");
  }
  return Ok();
}

}  // namespace kms
