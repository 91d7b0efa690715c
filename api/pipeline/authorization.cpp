// SPDX-License-Identifier: Apache-2.0
#include "api/pipeline/authorization.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "api/pipeline/required_context.h"

namespace kms::api {
namespace {

Error Denied() { return MakeError(ErrorCode::kPermissionDenied, Wrapped("permission denied")); }

Capability CapabilityOf(Operation operation) {
  switch (operation) {
    case Operation::kRead: return Capability::kRead;
    case Operation::kUpdate: return Capability::kUpdate;
    case Operation::kDelete: return Capability::kDelete;
    case Operation::kList: return Capability::kList;
  }
  return Capability::kDeny;
}

Result<Capability> NeededCapability(const Services& services, const Exchange& exchange) {
  const Route& route = *exchange.match.route;
  if (route.exists == nullptr) {
    return route.capability;
  }
  const Acl& acl = *exchange.principal->acl;
  const std::string_view path = exchange.match.policy_path;
  const bool may_create = acl.Decide(path, Capability::kCreate).allowed;
  const bool may_update = acl.Decide(path, Capability::kUpdate).allowed;
  if (may_create == may_update) {  // what exists makes no difference, or must not be told
    return Capability::kUpdate;
  }
  const bool exists = KMS_TRY(route.exists(services, exchange.match));
  return exists ? Capability::kUpdate : Capability::kCreate;
}

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// The names of policies in a list as clients write one: an array, or one text with commas.
std::vector<std::string> NamesIn(JsonView list) {
  std::vector<std::string> names;
  const auto add = [&names](std::string_view text) {
    while (!text.empty() && IsBlank(text.front())) {
      text.remove_prefix(1);
    }
    while (!text.empty() && IsBlank(text.back())) {
      text.remove_suffix(1);
    }
    std::string name(text);
    std::ranges::transform(name, name.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (!name.empty()) {
      names.push_back(std::move(name));
    }
  };
  for (std::size_t i = 0; i < list.size(); ++i) {
    add(list.At(i).String());
  }
  for (std::string_view rest = list.String(); !rest.empty();) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    add(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return names;
}

// Whoever writes a role or a user of a login method gives its policies away, perhaps to themselves:
// no more than their own, unless the rule says sudo.
Status AuthorizeGrants(const Exchange& exchange, const Fields& fields) {
  const Route& route = *exchange.match.route;
  const bool may_grant_all = exchange.principal == nullptr || exchange.principal->is_root ||
                             exchange.rule->capabilities.Has(Capability::kSudo);
  if (route.auth_type.empty() || route.login || may_grant_all) {
    return Ok();
  }
  const std::vector<std::string>& own = exchange.principal->policies;
  for (const std::string_view field : {"token_policies", "policies"}) {
    for (const std::string& name : NamesIn(fields.Tree(field))) {
      if (name != "default" && !std::ranges::binary_search(own, name)) {
        return MakeError(ErrorCode::kPermissionDenied,
                         "permission denied: without sudo on this path only policies that the "
                         "caller has may be granted");
      }
    }
  }
  return Ok();
}

}  // namespace

Status AuthorizePath(const Services& services, Exchange& exchange) {
  if (exchange.principal->is_root) {
    return Ok();
  }
  const Acl& acl = *exchange.principal->acl;
  const RouteMatch& match = exchange.match;
  const std::string_view path = match.policy_path.empty() ? match.path : match.policy_path;
  Capability needed = CapabilityOf(match.operation);
  if (match.route != nullptr) {
    needed = KMS_TRY(NeededCapability(services, exchange));
  }
  const AclDecision decision = acl.Decide(path, needed);
  exchange.rule = decision.rule;
  const bool needs_sudo = match.route != nullptr && match.route->sudo;
  if (!decision.allowed || (needs_sudo && !decision.rule->capabilities.Has(Capability::kSudo))) {
    return Denied();
  }
  return Ok();
}

Status AuthorizeFields(const Exchange& exchange, const Fields& fields) {
  KMS_TRY(AuthorizeGrants(exchange, fields));
  if (exchange.rule == nullptr || exchange.rule->unconditional()) {
    return Ok();
  }
  const std::vector<FieldText> texts = fields.Parameters();
  std::vector<RequestParameter> parameters;
  parameters.reserve(texts.size());
  for (const FieldText& text : texts) {
    parameters.push_back({.name = text.name, .value = text.value, .is_scalar = text.is_scalar});
  }
  KMS_TRY(CheckParameters(*exchange.rule, parameters));
  if (exchange.rule->required_context.empty() && !exchange.rule->demands_unknown_context) {
    return Ok();
  }
  return CheckRequiredContext(*exchange.rule, AssociatedDataOf(*exchange.match.route, fields));
}

Status AuthorizeWrapping(const Exchange& exchange) {
  return exchange.rule == nullptr ? Ok() : CheckWrapping(*exchange.rule, exchange.wrap_seconds);
}

}  // namespace kms::api
