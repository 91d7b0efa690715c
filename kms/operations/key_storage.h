// SPDX-License-Identifier: Apache-2.0
// Where a key lives in its environment's sealed store, and the one way to change it.
//
//   keys/<name>                                   Key::Encode: policy and working set
//   archive/<incarnation>/<version, 10 digits>    EncodeArchivedVersion: each version ever made
//   garbage/<incarnation>                         versions below the number inside are to be erased
//   usage/<incarnation>                           EncodeUsage: encryptions per version
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/operations/environment.h"
#include "kms/operations/key_cache.h"

namespace kms {

inline constexpr std::string_view kKeysPrefix = "keys/";

std::string KeyPath(std::string_view name);
std::string ArchivePath(const Uuid& incarnation, KeyVersionNumber version);

// As LoadKey, for looking at a key that is not going to be used: it gets no counters.
struct StoredKey {
  Key key;
  Revision revision = 0;
};
Result<std::optional<StoredKey>> ReadKey(Environment& environment, std::string_view name);

// Reads a key from the store, past the cache, with its counters. nullopt when there is none.
// Errors: as SealedStore; kCorrupted when the entry is not the key of that name.
Result<std::optional<LoadedKey>> LoadKey(Environment& environment, std::string_view name);

// Stores `next` over the entry at `expected` (0: there is none) together with `more`, all or
// nothing, and publishes it. The caller holds the key's write mutex.
// Errors: kConflict when the entry is not at `expected`. When the outcome of the commit is unknown
// the entry is reread: success if it is `next`, kUnavailable if nothing changed, kOutcomeUnknown if
// it cannot be read now.
Result<KeyHandle> StoreKey(Environment& environment, Key next, Revision expected,
                           std::vector<SealedMutation> more);

// The mutation that archives a version for the first time.
Result<SealedMutation> ArchiveVersion(const Uuid& incarnation, const KeyVersion& version);
// Reads versions first..last (inclusive) back. Errors: kCorrupted when one is missing or damaged.
Result<std::vector<KeyVersion>> ReadArchive(Environment& environment, const Uuid& incarnation,
                                            KeyVersionNumber first, KeyVersionNumber last);

// What it takes to erase a key's archived versions below `keep_from`.
struct ArchiveErasure {
  std::vector<SealedMutation> mutations;  // for the commit that makes those versions unreachable
  bool complete = false;  // false: the rest is left to SweepGarbage, a mark is among the mutations
};
inline constexpr KeyVersionNumber kKeepNothing = UINT32_MAX;
Result<ArchiveErasure> EraseArchive(Environment& environment, const Uuid& incarnation,
                                    KeyVersionNumber keep_from);

// Finishes every erasure that was too large for one commit or was interrupted.
Status SweepGarbage(Environment& environment);

}  // namespace kms
