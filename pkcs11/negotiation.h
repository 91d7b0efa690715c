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

// Tests one candidate on a throw-away key of the token that `anchor` is logged in to: wraps, opens,
// refuses another context and damage, in fresh sessions. Where the token grants one alone beside
// the anchor (H17), the anchor keeps the key meanwhile. Errors: what failed; nothing stays in the
// token.
Result<Proof> ProveCandidate(Session& anchor, CK_SLOT_ID slot, const WrapProfile& profile);

struct Negotiated {
  std::vector<WrapProfile> usable;  // one per mechanism, best first; never empty
  ExtraAttributes extras = ExtraAttributes::kNone;
  // What generated keys read back: where the token honours CKA_MODIFIABLE=false, modifiable keys
  // are refused.
  bool honours_unmodifiable = false;
  // NSS denies CKA_LOCAL even of keys it has just made: where it says nothing, it is not demanded.
  bool reports_local = true;
  // What an earlier connection proved and this one did not: the test may have met a fault that ends.
  std::vector<WrapProfile> missing;
  // The key that RSA wraps are signed with was made.
  bool made_objects = false;
  // Why each candidate that failed did so, for operators: "kw-encrypt: …; ".
  std::string report;
};

// Tests every AES candidate on a throw-away session key of the logged-in token; RSA only when no
// AES candidate passes, and only with a key that signs its wraps, which is made in the token then
// (wrap_signature.h): without one anybody could make them. `pinned`: a WrapMechanismName to test alone, or empty. `earlier`: what other
// connections of this process have proven.
// Errors: kFailedPrecondition when none passes, naming each candidate's failure in the detail;
// kUnavailable when the device failed meanwhile, or gives wrong answers where it gave right ones.
Result<Negotiated> NegotiateMechanisms(Session& anchor, CK_SLOT_ID slot, const std::string& pinned,
                                       std::span<const WrapProfile> earlier = {});

}  // namespace kms::pkcs11
