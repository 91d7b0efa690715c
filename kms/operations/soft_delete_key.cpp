// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/soft_delete_key.h"

#include <utility>

#include "kms/operations/key_storage.h"

namespace kms {

namespace {

// The change can be applied again to whatever someone else made of the key meanwhile.
constexpr int kAttempts = 4;

Result<SoftDeleteOutcome> MarkOnce(Environment& environment, const KeyName& name, bool mark) {
  std::optional<LoadedKey> loaded = KMS_TRY(LoadKey(environment, name.text()));
  if (!loaded) {
    return SoftDeleteOutcome{};
  }
  KeyPolicy policy = loaded->key->policy();
  if (policy.soft_deleted == mark) {
    return SoftDeleteOutcome{.key = std::move(loaded->key), .was_already = true};
  }
  policy.soft_deleted = mark;
  std::vector<KeyVersion> versions;
  for (const KeyVersion& version : loaded->key->versions()) {
    versions.push_back(KMS_TRY(version.Clone()));
  }
  Key next = KMS_TRY(Key::Create(std::move(policy), std::move(versions)));
  return SoftDeleteOutcome{
      .key = KMS_TRY(StoreKey(environment, std::move(next), loaded->revision, {}))};
}

Result<SoftDeleteOutcome> Mark(Environment& environment, const KeyName& name, bool mark) {
  const ScopedLock lock(environment.KeyWriteMutex(name.text()));
  for (int attempt = 1;; ++attempt) {
    Result<SoftDeleteOutcome> outcome = MarkOnce(environment, name, mark);
    const bool again = !outcome.has_value() && outcome.error().code == ErrorCode::kConflict;
    if (!again || attempt == kAttempts) {
      return outcome;
    }
  }
}

}  // namespace

Result<SoftDeleteOutcome> SoftDeleteKey(Environment& environment, const KeyName& name) {
  return Mark(environment, name, true);
}

Result<SoftDeleteOutcome> RestoreSoftDeletedKey(Environment& environment, const KeyName& name) {
  return Mark(environment, name, false);
}

}  // namespace kms
