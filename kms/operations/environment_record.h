// SPDX-License-Identifier: Apache-2.0
// The records that environments are known by. Each encodes to a versioned binary form, drawn in
// environment_record.cpp; frozen samples live in the tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/operations/environment.h"

namespace kms {

// Stored numbers: do not change or reuse.
enum class EnvironmentStage : std::uint8_t { kActive = 1, kDeleting = 2 };

// Sealed in `sys` at "environments/<name>".
struct EnvironmentRecord {
  EnvironmentIdentity identity;
  EnvironmentSettings settings;
  EnvironmentStage stage = EnvironmentStage::kActive;

  [[nodiscard]] Bytes Encode() const;
  // Errors: kCorrupted for anything Encode did not make; an unknown format names itself.
  static Result<EnvironmentRecord> Decode(ByteView encoded);
};

// Sealed in `sys` at "pending/<name>" before an HSM key is made, so that a creation that was
// interrupted goes on with the same one.
struct PendingEnvironment {
  Uuid environment_id;
  Uuid master_key_id;  // of the first token, when it is the only one
  std::vector<std::string> hsms;  // names of tokens, never empty

  [[nodiscard]] Bytes Encode() const;
  static Result<PendingEnvironment> Decode(ByteView encoded);  // errors as above
};

// Stored numbers: do not change or reuse.
enum class RootStage : std::uint8_t { kCreating = 1, kInitialised = 2 };

// Not sealed, at "root": where opening a store begins.
struct RootRecord {
  RootStage stage = RootStage::kCreating;
  Uuid sys_id;
  Uuid sys_master_key_id;

  [[nodiscard]] Bytes Encode() const;
  static Result<RootRecord> Decode(ByteView encoded);  // errors as above
};

}  // namespace kms
