// SPDX-License-Identifier: Apache-2.0
// Making versions that live in an HSM token, and referring to keys that exist there already.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/operations/environment.h"

namespace kms {

// The option of an environment that allows external keys: "<hsm>:<label or prefix*>,…".
inline constexpr std::string_view kExternalKeysOption = "external_keys";
// Errors: kInvalidArgument, saying what it must look like.
Status CheckExternalKeysOption(std::string_view text);
// Whether `after` allows anything that `before` does not.
bool WidensExternalKeys(std::string_view before, std::string_view after);

// One creation or rotation in the environment's tokens at a time. Errors: kUnavailable when it
// takes too long, or when the environment has no tokens.
Result<std::unique_lock<std::timed_mutex>> TakeMakingTurn(Environment& environment);

// A version that exists in a token; the commit that stores it takes `entry` along.
struct ResidentDraft {
  KeyVersion version;
  SealedMutation entry;
};

// Makes version `number` in the first of `hsms` that takes it. The caller has the turn and stores
// the version, or discards it (resident_census.h). Errors: kInvalidArgument when no token makes
// such keys; those of the tokens and the store; nothing is left behind then, or what is left is
// swept.
Result<ResidentDraft> MakeResidentVersion(Environment& environment, const KeyPolicy& policy,
                                          KeyVersionNumber number,
                                          const std::vector<std::string>& hsms);

// Finds the key that "<hsm>:<label>" or "<hsm>:id=<hex>" refers to. Errors: kInvalidArgument for
// another form and "failed to fetch external key: …"; kPermissionDenied when the environment's
// option does not allow it; those of ResidentKeys.
Result<ResidentVersion> FindExternalKey(Environment& environment, std::string_view reference);

// As MakeResidentVersion, of a key that FindExternalKey found.
Result<ResidentDraft> DraftExternalVersion(Environment& environment, const KeyPolicy& policy,
                                           KeyVersionNumber number, ResidentVersion found);

}  // namespace kms
