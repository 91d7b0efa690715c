// SPDX-License-Identifier: Apache-2.0
#include "api/pipeline/authorization.h"

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
