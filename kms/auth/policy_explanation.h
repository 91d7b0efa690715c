// SPDX-License-Identifier: Apache-2.0
// PolicyExplanation: why a request is allowed or refused, for people who write policies.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/acl.h"
#include "kms/auth/principal.h"

namespace kms {

struct PolicyExplanation {
  struct OtherRule {
    const AclRule* rule = nullptr;
    std::string why;  // it did not decide, in a few English words
  };
  bool allowed = false;
  const AclRule* rule = nullptr;  // that decided; null: none matched, or the principal is root
  std::vector<OtherRule> also_matched;
  std::string reason;  // one English sentence
};

// Path and capability as Acl::Decide takes them. Rules live with principal.acl. Any thread.
PolicyExplanation ExplainDecision(const Principal& principal, std::string_view path,
                                  Capability capability);

}  // namespace kms
