// SPDX-License-Identifier: Apache-2.0
// Policy: one document of access rules as it was written, in HCL or JSON (transit-api 11.1).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/capability.h"
#include "kms/base/result.h"

namespace kms {

// Values of one parameter in canonical text; empty: any value.
using ParameterValues = std::vector<std::string>;

struct ParameterRules {
  std::map<std::string, ParameterValues> allowed;  // keys in lower case; "*": any other
  std::map<std::string, ParameterValues> denied;
  std::vector<std::string> required;  // sorted, lower case

  [[nodiscard]] bool empty() const {
    return allowed.empty() && denied.empty() && required.empty();
  }
};

// One `path "…" { … }`.
struct PolicyStanza {
  std::string pattern;  // as written, without leading '/'; may hold templates
  CapabilitySet capabilities;
  ParameterRules parameters;
  std::int64_t min_wrapping_ttl_seconds = 0;
  std::int64_t max_wrapping_ttl_seconds = 0;
  std::vector<std::string> required_context;  // may hold templates
};

struct Policy {
  std::vector<PolicyStanza> stanzas;
};

inline constexpr std::size_t kMaxPolicyBytes = std::size_t{256} << 10U;

// Errors: kInvalidArgument with what is wrong and where ("line 3: …"), without the document's text
// beyond the word in question; unknown keys, `+*`, templates that can never be filled in, and
// documents above kMaxPolicyBytes are refused. Any thread.
Result<std::shared_ptr<const Policy>> ParsePolicy(std::string_view text);

}  // namespace kms
