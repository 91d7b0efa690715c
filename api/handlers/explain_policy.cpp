// SPDX-License-Identifier: Apache-2.0
// sys/policies/explain: which rule decides a request, and why (ours). It asks what the pipeline
// asks: the same router, the same rules; nothing is done.
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "api/handlers/auth_object.h"
#include "api/handlers/handlers.h"
#include "api/handlers/policy_question.h"
#include "api/pipeline/json_writer.h"
#include "kms/auth/policy_explanation.h"

namespace kms::api {
namespace {

constexpr std::array kCapabilities = {
    Capability::kCreate, Capability::kDelete, Capability::kDeny,
    Capability::kList,   Capability::kPatch,  Capability::kRead,
    Capability::kScan,   Capability::kSudo,   Capability::kUpdate};

constexpr std::array<std::pair<std::string_view, HttpMethod>, 6> kMethods = {{
    {"GET", HttpMethod::kGet},
    {"HEAD", HttpMethod::kHead},
    {"LIST", HttpMethod::kList},
    {"POST", HttpMethod::kPost},
    {"PUT", HttpMethod::kPut},
    {"DELETE", HttpMethod::kDelete},
}};

Result<HttpMethod> MethodOf(const Call& call) {
  for (const auto& [name, method] : kMethods) {
    if (name == call.fields.Text("method")) {
      return method;
    }
  }
  return InvalidArgument("method must be GET, HEAD, LIST, POST, PUT or DELETE");
}

Result<PrincipalHandle> OwnerInQuestion(const Call& call) {
  if (!call.fields.Text("accessor").empty()) {
    return OwnerOfAccessor(call);
  }
  return call.fields.Text("token").empty() ? Result<PrincipalHandle>(call.principal)
                                           : OwnerOfToken(call);
}

// As the pipeline's authorization has it: what the verb needs, or what the row does, or where rows
// distinguish, create for what does not exist.
Result<Capability> NeededCapability(const Call& call, const RouteMatch& match) {
  if (match.route == nullptr) {
    switch (match.operation) {
      case Operation::kRead: return Capability::kRead;
      case Operation::kUpdate: return Capability::kUpdate;
      case Operation::kDelete: return Capability::kDelete;
      case Operation::kList: return Capability::kList;
    }
  }
  if (match.route->exists == nullptr) {
    return match.route->capability;
  }
  const bool exists = KMS_TRY(match.route->exists(call.services, match));
  return exists ? Capability::kUpdate : Capability::kCreate;
}

void AppendCapabilities(CapabilitySet set, JsonObject& object, std::string& out) {
  std::vector<std::string_view> names;
  for (const Capability capability : kCapabilities) {
    if (set.Has(capability)) {
      names.push_back(CapabilityName(capability));
    }
  }
  AppendTexts("capabilities", names, object, out);
}

void AppendParameters(std::string_view key, const std::map<std::string, ParameterValues>& map,
                      JsonObject& object, std::string& out) {
  if (map.empty()) {
    return;
  }
  object.Key(key);
  JsonObject parameters(out);
  for (const auto& [name, values] : map) {
    AppendTexts(name, values, parameters, out);
  }
  parameters.Close();
}

// What every rule has, then what this one demands besides.
void AppendRule(const AclRule& rule, std::string_view why, std::string& out) {
  JsonObject object(out);
  object.String("pattern", rule.pattern);
  AppendCapabilities(rule.capabilities, object, out);
  AppendTexts("policies", rule.policies, object, out);
  AppendParameters("allowed_parameters", rule.parameters.allowed, object, out);
  AppendParameters("denied_parameters", rule.parameters.denied, object, out);
  if (!rule.parameters.required.empty()) {
    AppendTexts("required_parameters", rule.parameters.required, object, out);
  }
  if (!rule.required_context.empty() || rule.demands_unknown_context) {
    AppendTexts("required_context", rule.required_context, object, out);
  }
  if (rule.min_wrapping_ttl_seconds != 0) {
    object.Integer("min_wrapping_ttl", rule.min_wrapping_ttl_seconds);
  }
  if (rule.max_wrapping_ttl_seconds != 0) {
    object.Integer("max_wrapping_ttl", rule.max_wrapping_ttl_seconds);
  }
  if (!why.empty()) {
    object.String("why_not", why);
  }
  object.Close();
}

// A row that needs sudo besides refuses whom the rule does not grant it.
void AskForSudo(const Principal& principal, const RouteMatch& match,
                PolicyExplanation& explanation) {
  const bool needed = match.route != nullptr && match.route->sudo && !principal.is_root;
  if (!needed || !explanation.allowed) {
    return;
  }
  if (!principal.acl->Decide(match.policy_path, Capability::kSudo).allowed) {
    explanation.allowed = false;
    explanation.reason += ", but this needs sudo besides, which it does not grant";
  }
}

// A route that takes no token asks no policy.
bool TakesNoToken(const RouteMatch& match) {
  return match.route != nullptr && (match.route->unauthenticated || match.route->login);
}

Reply Render(const Principal& principal, const RouteMatch& match, Capability needed,
             const PolicyExplanation& explanation) {
  std::string data;
  JsonObject object(data);
  object.Boolean("allowed", explanation.allowed);
  object.String("capability", CapabilityName(needed));
  object.Boolean("needs_sudo", match.route != nullptr && match.route->sudo);
  object.String("path", match.policy_path);
  AppendTexts("policies", principal.policies, object, data);
  object.Key("rule");
  if (explanation.rule == nullptr) {
    data += "null";
  } else {
    AppendRule(*explanation.rule, {}, data);
  }
  object.Key("also_matched");
  JsonArray others(data);
  for (const PolicyExplanation::OtherRule& other : explanation.also_matched) {
    AppendRule(*other.rule, other.why, others.Next());
  }
  others.Close();
  object.String("reason", explanation.reason);
  object.Close();
  return Reply::Data(std::move(data));
}

}  // namespace

Result<Reply> HandleExplainPolicy(Call& call) {
  const HttpMethod method = KMS_TRY(MethodOf(call));
  const PrincipalHandle owner = KMS_TRY(OwnerInQuestion(call));
  RouteMatch match;
  MatchAsRequest(call, method, call.fields.Text("path"), match);
  const Capability needed = KMS_TRY(NeededCapability(call, match));
  PolicyExplanation explanation;
  if (TakesNoToken(match)) {
    explanation.allowed = true;
    explanation.reason = "this path takes no token, so no policy is asked";
  } else {
    explanation = ExplainDecision(*owner, match.policy_path, needed);
    AskForSudo(*owner, match, explanation);
  }
  return Render(*owner, match, needed, explanation);
}

}  // namespace kms::api
