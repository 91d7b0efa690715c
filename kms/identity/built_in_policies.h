// SPDX-License-Identifier: Apache-2.0
// The policies that exist before anybody writes one (transit-api 9.9, 10.2).
#pragma once

#include <string_view>

namespace kms {

// What every token may do unless it was made without it: look after itself. May be rewritten.
inline constexpr std::string_view kDefaultPolicyText =
    R"(# Every token has this policy unless it was made with no_default_policy.

# Look at, renew and revoke the token itself.
path "auth/token/lookup-self" {
  capabilities = ["read", "update"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}

# Ask what the token may do.
path "sys/capabilities-self" {
  capabilities = ["update"]
}

# Wrap responses, and open those that were wrapped for it.
path "sys/wrapping/wrap" {
  capabilities = ["update"]
}
path "sys/wrapping/lookup" {
  capabilities = ["read", "update"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}

# Requests that two people must agree on. One sees only one's own, and those for which the token has
# the right itself.
path "sys/approvals" {
  capabilities = ["list"]
}
path "sys/approvals/*" {
  capabilities = ["read", "update", "delete"]
}

# Hashing needs no key.
path "sys/tools/hash" {
  capabilities = ["update"]
}
path "sys/tools/hash/*" {
  capabilities = ["update"]
}
)";

// What a wrapping token may do: be exchanged for what it wraps. Never changes.
inline constexpr std::string_view kResponseWrappingPolicyText =
    R"(path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}
)";

}  // namespace kms
