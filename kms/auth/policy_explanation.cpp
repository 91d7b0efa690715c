// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/policy_explanation.h"

#include "kms/auth/acl_pattern.h"

namespace kms {
namespace {

using internal::AclPattern;
using internal::PatternStrength;

std::string WhyNot(const AclRule& rule, const AclRule& deciding, std::string_view path) {
  const AclPattern pattern(rule.pattern);
  const AclPattern winner(deciding.pattern);
  if (!pattern.has_wildcard()) {
    return "it is the same path without the trailing /";
  }
  if (!pattern.Matches(path) && winner.Matches(path)) {
    return "it matches only without the trailing /";
  }
  if (!winner.has_wildcard()) {
    return "a rule without wildcard comes first";
  }
  const PatternStrength weaker = pattern.strength();
  const PatternStrength stronger = winner.strength();
  if (weaker > stronger) {
    return "it matches only without the trailing /";
  }
  if (weaker.first_wildcard != stronger.first_wildcard) {
    return "its first wildcard stands earlier";
  }
  if (weaker.whole != stronger.whole) {
    return "it ends in *, the deciding rule does not";
  }
  if (weaker.fewer_pluses != stronger.fewer_pluses) {
    return "it has more + segments";
  }
  return weaker.length != stronger.length ? "its path is shorter" : "its path sorts before";
}

std::string Joined(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) {
    joined += (joined.empty() ? "" : ", ") + name;
  }
  return joined.empty() ? "none" : joined;
}

std::string NameOf(const AclRule& rule) {
  return "path \"" + rule.pattern + "\" (policy " + Joined(rule.policies) + ")";
}

// What is looked at besides, when path and capability are fine.
std::string Conditions(const AclRule& rule) {
  std::string conditions;
  const auto add = [&conditions](bool there, std::string_view what) {
    if (there) {
      conditions += conditions.empty() ? ", if the request also meets its " : " and its ";
      conditions += what;
    }
  };
  add(!rule.parameters.empty(), "parameter rules");
  add(!rule.required_context.empty() || rule.demands_unknown_context, "required context");
  add(rule.min_wrapping_ttl_seconds != 0 || rule.max_wrapping_ttl_seconds != 0,
      "bounds for response wrapping");
  return conditions;
}

std::string ReasonOf(const PolicyExplanation& explanation, const Principal& principal,
                     Capability capability) {
  if (explanation.rule == nullptr) {
    return "no rule matches this path, in policies " + Joined(principal.policies);
  }
  const AclRule& rule = *explanation.rule;
  if (rule.capabilities.Has(Capability::kDeny)) {
    return NameOf(rule) + " denies everything";
  }
  const std::string name(CapabilityName(capability));
  if (!explanation.allowed) {
    return NameOf(rule) + " decides and does not grant " + name;
  }
  return NameOf(rule) + " grants " + name + Conditions(rule);
}

}  // namespace

PolicyExplanation ExplainDecision(const Principal& principal, std::string_view path,
                                  Capability capability) {
  PolicyExplanation explanation;
  if (principal.is_root) {
    explanation.allowed = true;
    explanation.reason = "the policy root may do everything";
    return explanation;
  }
  if (principal.acl == nullptr) {
    explanation.reason = "the token has no policies";
    return explanation;
  }
  const AclDecision decision = principal.acl->Decide(path, capability);
  explanation.allowed = decision.allowed;
  explanation.rule = decision.rule;
  for (const AclRule* rule : principal.acl->MatchesOf(path, capability)) {
    if (rule != decision.rule) {
      explanation.also_matched.push_back({rule, WhyNot(*rule, *decision.rule, path)});
    }
  }
  explanation.reason = ReasonOf(explanation, principal, capability);
  return explanation;
}

}  // namespace kms
