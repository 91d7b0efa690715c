// SPDX-License-Identifier: Apache-2.0
// The record of an environment's oldest valid key. Wraps are not sealed: without it, a wrap of a
// key that was forgotten, put back from an old copy of the store, would make that key valid again.
#pragma once

#include <map>
#include <optional>
#include <string_view>

#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/environment_key.h"
#include "kms/master/key_group.h"
#include "kms/store/store.h"

namespace kms {

// Within the environment's sealed store. Written together with every new key version, sealed under
// that one, and together with every forgetting: it is always under the latest key, which whoever
// holds a forgotten one does not know. An environment that never had a second key has none.
inline constexpr std::string_view kOldestKeyPath = "oldest-key";

// What stores that the versions from `oldest` on are valid, sealed under `latest`, which is `key`.
// Errors: kUnavailable (secret memory), kInternal.
Result<Mutation> RecordOldestKey(Store& store, const Uuid& environment_id,
                                 EnvironmentKeyVersion oldest, EnvironmentKeyVersion latest,
                                 const SecretBytes& key);

// What is recorded under the latest of `keys`; it must be the latest that wraps are stored of.
// nullopt when there is no record, or none that is sealed under that key and can be read: of an
// earlier release, damaged or somebody else's. Errors: store errors.
Result<std::optional<EnvironmentKeyVersion>> ReadOldestKey(
    Store& store, const Uuid& environment_id,
    const std::map<EnvironmentKeyVersion, SecretBytes>& keys);

// Takes what belongs to versions below `oldest` out of `material` and notes them in `refused`.
void RefuseKeysBelow(EnvironmentKeyVersion oldest, GroupMaterial& material);

}  // namespace kms
