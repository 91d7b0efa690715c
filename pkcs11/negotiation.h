// SPDX-License-Identifier: Apache-2.0
// Which wrap mechanisms a token really has: by known-answer test, never by its list.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "kms/base/result.h"
#include "pkcs11/master_key.h"
#include "pkcs11/mechanism.h"

namespace kms::pkcs11 {

// What the known-answer test of one candidate showed of the token.
struct Proof {
  ExtraAttributes extras = ExtraAttributes::kNone;
  bool honours_unmodifiable = false;
  bool reports_local = true;
  bool by_token_key = false;  // the token makes such keys as token objects alone
  NonceOrigin nonce_origin = NonceOrigin::kNone;
};

// Every mechanism with the variations that modules insist on, in the order of negotiation.
std::span<const WrapProfile> WrapCandidates();

// Tests one candidate on a throw-away key of the logged-in token: wraps, opens, refuses another
// context and damage, in fresh sessions. Errors: what failed; nothing
// stays in the token.
Result<Proof> ProveCandidate(const Module& module, CK_SLOT_ID slot, const WrapProfile& profile);

struct Negotiated {
  std::vector<WrapProfile> usable;  // one per mechanism, best first; never empty
  ExtraAttributes extras = ExtraAttributes::kNone;
  // What generated keys read back: where the token honours CKA_MODIFIABLE=false, modifiable keys
  // are refused.
  bool honours_unmodifiable = false;
  // NSS denies CKA_LOCAL even of keys it has just made: where it says nothing, it is not demanded.
  bool reports_local = true;
  // Why each candidate that failed did so, for operators: "kw-encrypt: …; ".
  std::string report;
};

// Tests every AES candidate on a throw-away session key of the logged-in token; RSA only when no
// AES candidate passes. `pinned`: a WrapMechanismName to test alone, or empty.
// Errors: kFailedPrecondition when none passes, naming each candidate's failure in the detail;
// kUnavailable when the device failed meanwhile.
Result<Negotiated> NegotiateMechanisms(const Module& module, CK_SLOT_ID slot,
                                       const std::string& pinned);

}  // namespace kms::pkcs11
