// SPDX-License-Identifier: Apache-2.0
// The recovery ceremony: a package for the holders, and the keys that their answers open. Asks no
// HSM. Offline: nobody else uses the store meanwhile.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/share_encryption.h"
#include "kms/keys/recovery_package.h"
#include "kms/master/environment_key.h"
#include "kms/store/store.h"

namespace kms {

// What the store says of one environment without being opened.
struct RecoverableEnvironment {
  Uuid id;
  std::string name;                              // as the split says; empty when nothing is split
  std::vector<EnvironmentKeyVersion> versions;   // whose wraps are stored
  std::vector<SplitKey> splits;                  // by version
  std::vector<EnvironmentKeyVersion> not_split;  // of `versions`: cannot be recovered

  [[nodiscard]] bool recoverable() const { return !splits.empty() && not_split.empty(); }
};

// Every environment of the store, by id. A damaged split counts as none. Errors: store errors.
Result<std::vector<RecoverableEnvironment>> ListRecoverable(Store& store);

// A package with every key of the environments that can be recovered, for `ceremony_key`.
RecoveryPackage MakePackage(const std::vector<RecoverableEnvironment>& environments,
                            const HolderPrivateKey& ceremony_key, std::int64_t now_unix_seconds);

// The keys of one environment, combined; or why they are not.
struct OpenedEnvironment {
  Uuid id;
  std::string name;
  std::map<EnvironmentKeyVersion, SecretBytes> keys;
  std::set<std::string> holders;   // whose shares were used
  std::vector<std::string> wrong;  // shares that are not what was split, by holder
  std::string refusal;  // why it stays closed, with the counts; empty: every version is in `keys`
};

// Combines what the answers hold, per environment of `environments`, in that order. What the
// package and the store say differently (split anew since) counts as refused: the store decides.
// Errors: kInvalidArgument when an answer is for another ceremony or `ceremony_key` is another's;
// kUnavailable, kInternal.
Result<std::vector<OpenedEnvironment>> OpenAnswers(
    const std::vector<RecoverableEnvironment>& environments, const RecoveryPackage& package,
    const HolderPrivateKey& ceremony_key, const std::vector<RecoveryAnswer>& answers);

struct KeyProof {
  std::uint64_t opened = 0;
  std::uint64_t damaged = 0;  // entries that do not open although others under the same key do
  // Key versions under which nothing is stored: nothing shows that they are the environment's own.
  std::set<EnvironmentKeyVersion> unproven;
};

// Proves the keys by opening stored entries: under each key version until one opens, and at least
// `sample` in all when there are as many. Errors: kFailedPrecondition when an entry is sealed under
// a version that is not there; kCorrupted when a version opens none of its entries; store errors.
Result<KeyProof> ProveKeys(Store& store, const OpenedEnvironment& environment, std::size_t sample);

// Drops the keys that nothing proves. Shares and wraps are not sealed: whoever can write to the
// store could have added a version of his own, and what is written from then on would be sealed
// under it. Errors: kFailedPrecondition when none is left.
Status DropUnproven(const KeyProof& proof, OpenedEnvironment& environment);

}  // namespace kms
