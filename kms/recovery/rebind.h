// SPDX-License-Identifier: Apache-2.0
// Putting recovered keys under HSM tokens: the last step of a recovery.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/result.h"
#include "kms/master/hsm_registry.h"
#include "kms/master/key_group.h"
#include "kms/recovery/ceremony.h"
#include "kms/store/store.h"

namespace kms {

struct RebindPlan {
  MasterKeyVersion version = 0;        // the highest recorded one + 1
  std::vector<GroupMember> members;    // `hsms`, with the order and weight they had
  std::vector<std::string> to_delete;  // master keys and wraps that were stored before
};

// What BindToTokens would do. Asks no HSM. Errors: kInvalidArgument (no token, a name twice), store
// errors.
Result<RebindPlan> PlanRebind(Store& store, const Uuid& environment_id,
                              const std::vector<std::string>& hsms);

// The tokens that are to open the environment. What is given by reference must outlive it.
struct RebindTokens {
  HsmRegistry& hsms;
  const Clock& clock;
  std::chrono::milliseconds call_timeout;
  std::vector<std::string> names;  // in `hsms`
};

// Makes a master key of a new version in each of `tokens`, wraps every key of the environment under
// it, opens each wrap again by that token and compares, and only then puts the new group, master
// keys and wraps in place of all that was stored before, in one commit; shares of versions that are
// not among the keys go with them. Nothing in a token is
// destroyed. Repeating it after an interruption finds the master keys made before (their ids derive
// from environment, token and version). Offline: nobody else uses the store. Errors: kNotFound (a
// token), kCorrupted when a token does not open its own wrap, those of devices and store; what is
// stored is unchanged then, except after kOutcomeUnknown.
Result<RebindPlan> BindToTokens(Store& store, const RebindTokens& tokens,
                                const OpenedEnvironment& environment);

}  // namespace kms
