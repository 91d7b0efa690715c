// SPDX-License-Identifier: Apache-2.0
// Approval: a request that waits for a second person, and what became of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/capability.h"
#include "kms/auth/guarded_action.h"
#include "kms/base/digest.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

// Stored numbers: do not change or reuse.
enum class ApprovalStage : std::uint8_t {
  kPending = 1,
  kApproved = 2,  // being executed, or a crash left its outcome unknown; never executed again
  kExecuted = 3,  // answered with a success
  kFailed = 4,    // answered with an error
  kCancelled = 5,
};

// Somebody who took part.
struct ApprovalParty {
  std::string actor;  // Principal::actor: two of one actor are never two
  std::string accessor;
  std::string display_name;
};

// A parameter of the request in the canonical form that policies judge (kms/auth/acl.h).
struct ApprovalParameter {
  std::string name;
  std::string value;
  bool is_scalar = true;
};

// What is to be executed. Nothing of it changes after the request was made.
struct ApprovalDemand {
  GuardedAction action = GuardedAction::kDelete;
  std::string environment;
  Uuid environment_id;      // one made later under the same name is another
  std::string key_name;     // of the key it is about; empty: of none
  Uuid key;                 // incarnation of that key: a later one of the name is another
  std::string method;       // "POST", "GET", "DELETE"
  std::string path;         // "/v1/…", canonical and without a namespace
  std::string policy_path;  // as policies judge it
  Capability capability = Capability::kUpdate;
  std::string query;
  std::string wrap_ttl;  // X-Vault-Wrap-TTL of the request; empty: none
  std::vector<ApprovalParameter> parameters;
  PlaintextBuffer body;

  // SHA-256 over all of it but the parameters, which are made of it: two requests are the same
  // request when this is equal.
  [[nodiscard]] Sha256Digest Digest() const;
};

struct Approval {
  Uuid id;
  ApprovalStage stage = ApprovalStage::kPending;
  ApprovalDemand demand;
  ApprovalParty requester;
  ApprovalParty approver;  // empty until approved
  Uuid claim;              // random; of whoever changed the stage last
  std::int64_t created_unix_seconds = 0;
  std::int64_t expires_unix_seconds = 0;  // of the wait; once executed, of the result
  std::int64_t decided_unix_seconds = 0;  // 0: not yet
  std::int32_t status = 0;                // of the answer; 0: none known
  bool has_result = false;                // kept for the requester, not read yet

  // Waits no more, although its stage says so.
  [[nodiscard]] bool Expired(std::int64_t now_unix_seconds) const;
  // "pending", "approved", "executed", "failed", "cancelled" or "expired".
  [[nodiscard]] std::string_view StateName(std::int64_t now_unix_seconds) const;

  // Errors: kUnavailable when secret memory is full.
  [[nodiscard]] Result<SecretBytes> Encode() const;
  // Errors: kCorrupted for anything Encode did not make.
  static Result<Approval> Decode(ByteView encoded);
};

}  // namespace kms
