// SPDX-License-Identifier: Apache-2.0
// Acl: what a set of policies allows, compiled so that a decision takes a microsecond
// (transit-api 11.2 to 11.5).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/capability.h"
#include "kms/auth/policy.h"
#include "kms/base/result.h"

namespace kms {

// One rule of the compiled set: every stanza with this pattern, merged (transit-api 11.3).
struct AclRule {
  std::string pattern;  // after templates were filled in
  CapabilitySet capabilities;
  ParameterRules parameters;
  std::int64_t min_wrapping_ttl_seconds = 0;  // 0: none
  std::int64_t max_wrapping_ttl_seconds = 0;  // 0: none
  // Patterns of which the associated data of every item must match one; empty: nothing is demanded.
  std::vector<std::string> required_context;
  // A stanza demands a context that cannot be filled in: the demand stands, and where there is no
  // other pattern nothing meets it.
  bool demands_unknown_context = false;
  std::vector<std::string> policies;  // names of those it comes from, sorted

  // True when the path and the capability alone decide: no look at parameters, context or wrapping.
  [[nodiscard]] bool unconditional() const;
};

struct AclDecision {
  bool allowed = false;
  const AclRule* rule =
      nullptr;  // the one rule that decided; null: none matched. Lives with the Acl.
};

struct NamedPolicy {
  std::string name;
  std::shared_ptr<const Policy> policy;
};

// What "{{identity.…}}" in a path or a required context stands for.
struct TemplateValues {
  struct Alias {
    std::string id;
    std::string name;
    std::map<std::string, std::string> metadata;
  };
  std::string entity_id;  // empty: no entity, every template of one fails
  std::string entity_name;
  std::map<std::string, std::string> metadata;
  std::map<std::string, Alias> aliases;  // by accessor of the auth mount
};

// Immutable. Thread rule: any thread.
class Acl {
 public:
  // A stanza whose template cannot be filled in, or whose value is empty or holds '*', '+', '/' or
  // a control character, is skipped: it grants nothing. A stanza that denies and cannot be filled
  // in makes the whole result empty: what it meant to forbid is not known. A stanza of which only
  // the required context cannot be filled in grants nothing and keeps its demand.
  static std::shared_ptr<const Acl> Compile(std::span<const NamedPolicy> policies,
                                            const TemplateValues& values);
  ~Acl();

  // `path` in canonical form: no leading '/', a trailing one only for lists. No allocation.
  [[nodiscard]] AclDecision Decide(std::string_view path, Capability capability) const;
  // Everything allowed there; {kDeny} when denied or when no rule matches. For capabilities-self.
  [[nodiscard]] CapabilitySet CapabilitiesOn(std::string_view path) const;
  // Every rule whose pattern matches: first the one that decides, then the others, strongest first.
  // For explanations.
  [[nodiscard]] std::vector<const AclRule*> MatchesOf(std::string_view path,
                                                      Capability capability) const;
  [[nodiscard]] bool empty() const;  // it allows nothing at all

 private:
  struct Impl;
  explicit Acl(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

using AclHandle = std::shared_ptr<const Acl>;

// A parameter of a request in canonical form: numbers in decimal, booleans as true or false,
// durations in seconds, so that no other spelling gets past a rule.
struct RequestParameter {
  std::string_view name;
  std::string_view value;
  bool is_scalar = true;  // false for arrays and objects: see CheckParameters
};

// The order of transit-api 11.4. Values compare exactly, but for a leading and a trailing '*' of
// the rule's. An array or object is never among allowed values, and counts as denied wherever
// single values are: nobody looks inside. Errors: kPermissionDenied "permission denied".
Status CheckParameters(const AclRule& rule, std::span<const RequestParameter> parameters);
// One entry per item that the request encrypts or decrypts: its associated data, decoded; nullopt
// or empty: it has none. With a demand and without items the request is refused: it has nothing
// that could show a context. Errors: kPermissionDenied, with a text that says that associated data
// is required, never which.
Status CheckRequiredContext(const AclRule& rule,
                            std::span<const std::optional<std::string>> associated_data);
// `ttl_seconds` nullopt: the request does not ask for wrapping. Errors: kPermissionDenied.
Status CheckWrapping(const AclRule& rule, std::optional<std::int64_t> ttl_seconds);

}  // namespace kms
