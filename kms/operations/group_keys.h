// SPDX-License-Identifier: Apache-2.0
// What Environments ask of the tokens of a group: wraps that are opened again, and the keys of a
// new environment. Private to Environments.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/guarded_device.h"
#include "kms/master/hsm_registry.h"
#include "kms/master/key_group.h"
#include "kms/store/store.h"

namespace kms::internal {

using EnvironmentKeys = std::map<EnvironmentKeyVersion, SecretBytes>;

// The tokens, and how long each call to one may take.
struct HsmAccess {
  HsmRegistry& hsms;
  const Clock& clock;
  std::chrono::milliseconds timeout;

  // Of a call to that token which begins now.
  [[nodiscard]] Deadline NextDeadline(const GuardedDevice& device) const {
    return device.DeadlineFrom(clock.SteadyNow(), timeout);
  }
  // Errors: kUnavailable "HSM x is not configured …".
  [[nodiscard]] Result<std::shared_ptr<GuardedDevice>> Find(std::string_view hsm) const;
};

// CKA_LABEL of a master key: "kms/prod/1".
std::string MasterKeyLabel(std::string_view environment, MasterKeyVersion version);

// Which master key of which environment, told by what is sealed.
struct MasterKeyIdentity {
  std::string_view environment;  // its name
  const Uuid& environment_id;
  std::string_view hsm;
  MasterKeyVersion version = 1;
  std::uint32_t losses = 0;  // of tokens of that name
};

// The record to destroy that key by. Rows of master keys are not sealed: whoever can write to the
// store can have one name the key of another environment, so what a record says is checked by what
// it must say, and the token checks the label again. Not for the first key's id, which is any.
// Errors: kFailedPrecondition, naming both, when the record is of another key.
Result<MasterKeyRecord> RecordToDestroy(const MasterKeyIdentity& key, MasterKeyRecord record);

// Wraps one environment key and opens the wrap again: one that does not open would lose everything
// sealed under the key (H20). Errors: those of the device; kUnavailable when it does not open.
Result<WrappedKey> WrapChecked(const HsmAccess& access, GuardedDevice& device,
                               const MasterKeyRecord& master, const Uuid& environment_id,
                               EnvironmentKeyVersion version, const SecretBytes& key);

struct NewGroupRequest {
  const std::string& environment;  // its name
  const Uuid& environment_id;
  const Uuid& master_key_id;             // when there is one token; else they are derived
  const std::vector<std::string>& hsms;  // in the order they are to be asked
};

// Version 1 of an environment's key, wrapped by every token.
struct NewGroup {
  KeyGroup group;
  EnvironmentKeys keys;
  std::vector<Mutation> mutations;  // what stores all of it
};

// Tokens that are away become members that lack everything yet, as long as one answers; repeating
// it adopts the master keys that were made. Errors: those of the devices, as WrapChecked.
Result<NewGroup> MakeGroup(const HsmAccess& access, const NewGroupRequest& request);

}  // namespace kms::internal
