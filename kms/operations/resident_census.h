// SPDX-License-Identifier: Apache-2.0
// Which keys of an environment live in which HSM tokens, and the destruction of those that nothing
// refers to any more. One entry per version, sealed like all others:
//
//   resident/<incarnation>/<version, 10 digits>/<hsm>     ResidentEntry
//
//   'R' | format(1) | stage(1) | since(8) | length(4), name of the key
//     stage 1: the object may exist, its version is not stored yet
//     stage 2: the version was stored
//     stage 3: as 2, of an external key, which is never destroyed
//     stage 4: the version was trimmed or deleted
//
// The entry is there before the object is made and goes after the object is destroyed, so a crash
// leaves no object that no entry tells of. Creation, trim and deletion write the stage in the
// commit that counts: an object is destroyed because an entry says so, never because one is
// missing, which damage of the store could bring about.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/operations/environment.h"
#include "kms/store/store.h"

namespace kms {

inline constexpr std::string_view kResidentPrefix = "resident/";

enum class ResidentStage : std::uint8_t { kMaking = 1, kMade = 2, kExternal = 3, kDoomed = 4 };

// CKA_ID of a version that is made in a token: it follows from what it is a version of, so that a
// repeated rotation adopts what an interrupted one made. The first 16 bytes of SHA-256 over
// "kms resident key v1", environment, incarnation and version, marked as a version 8 UUID (RFC 9562
// section 5.8).
Uuid ResidentKeyId(const Uuid& environment_id, const Uuid& incarnation, KeyVersionNumber version);

std::string ResidentPath(const Uuid& incarnation, KeyVersionNumber version, std::string_view hsm);
// The mutation that writes the entry, whatever stands there.
Result<SealedMutation> ResidentEntry(const Environment& environment, const KeyPolicy& policy,
                                     KeyVersionNumber version, std::string_view hsm,
                                     ResidentStage stage);

struct ResidentCensus {
  std::uint64_t versions = 0;
  std::vector<std::string> names;  // of the keys, sorted; empty while the environment is sealed
};
// What lives in the token `hsm`, external keys and unfinished ones included; "" counts all tokens.
// Reads the store, which is `environment`'s. Errors: store errors.
Result<ResidentCensus> CountResidentKeys(Store& store, Environment& environment,
                                         std::string_view hsm);
// Errors: kFailedPrecondition while keys live in that token, naming some of them; store errors.
Status CheckNoKeysLiveIn(Store& store, Environment& environment, std::string_view hsm);

// What a token that is lost for good takes with it: the mutations that forget the objects in it that
// nobody needs any more. Errors: kFailedPrecondition while keys live in it, naming some of them;
// store errors.
Result<std::vector<SealedMutation>> ForgetResidentKeysIn(Environment& environment,
                                                         std::string_view hsm);
// The same of an environment that is being deleted. Returns how many were forgotten. Errors: store
// errors.
Result<std::uint64_t> ForgetDeletedResidentKeysIn(Store& store, const Uuid& environment_id,
                                                  std::string_view hsm);

// What the commit that makes a key's versions below `keep_from` unreachable takes along; nothing
// for keys in software. The objects are destroyed by the next sweep. Errors: store errors.
Result<std::vector<SealedMutation>> DoomResidentVersions(Environment& environment,
                                                         const KeyPolicy& policy,
                                                         KeyVersionNumber keep_from);

// Destroys the objects of versions that are doomed or were never stored. With an incarnation only
// those of one key. What is being made is spared for a quarter of an hour. Tokens that do not
// answer keep theirs until the next time. Errors: the first that was met, after all were tried.
Status SweepResidentKeys(Environment& environment);
Status SweepResidentKeys(Environment& environment, const Uuid& incarnation);

// Takes back one version that was being made, unless the store has it. Errors: as above.
Status DiscardResidentKey(Environment& environment, const Uuid& incarnation,
                          KeyVersionNumber version, std::string_view hsm);

// Destroys every object that an environment has in any token, for its deletion, before its entries
// go; needs none of its keys. External keys stay. Errors: those of tokens and store; repeat it
// then.
Status DestroyEveryResidentKey(Store& store, HsmRegistry& hsms, const Clock& clock,
                               const EnvironmentIdentity& environment);

inline constexpr std::size_t kMaxResidentLabelBytes = 250;
// What the labels begin with that an environment's keys have in a token: "kms/prod/keys/".
std::string ResidentLabelPrefix(std::string_view environment);

}  // namespace kms
