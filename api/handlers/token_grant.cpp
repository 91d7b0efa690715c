// SPDX-License-Identifier: Apache-2.0
#include "api/handlers/token_grant.h"

#include <algorithm>
#include <utility>

#include "api/handlers/token_parameter_fields.h"

namespace kms::api {
namespace {

constexpr std::string_view kDefault = "default";
constexpr std::string_view kRoot = "root";

bool HasPolicy(const std::vector<std::string>& policies, std::string_view name) {
  return std::ranges::find(policies, name) != policies.end();
}

// 0 is no limit.
std::int64_t SmallerLimit(std::int64_t a, std::int64_t b) {
  return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

Status CheckCaller(const Principal& caller) {
  if (caller.type == TokenType::kBatch) {
    return InvalidArgument("batch tokens cannot create more tokens");
  }
  if (caller.num_uses != 0) {
    return InvalidArgument("restricted use token cannot generate child tokens");
  }
  return Ok();
}

Status CheckSudoFields(const Call& call) {
  if (call.May(Capability::kSudo)) {
    return Ok();
  }
  if (!call.fields.Text("id").empty()) {
    return InvalidArgument("root or sudo privileges required to specify token id");
  }
  if (call.fields.Boolean("no_parent")) {
    return InvalidArgument("root or sudo privileges required to create orphan token");
  }
  if (call.fields.Integer("period") != 0) {
    return InvalidArgument("root or sudo privileges required to create periodic token");
  }
  return Ok();
}

// The policies without regard to "default": asked for, or what their absence means.
Result<std::vector<std::string>> AskedPolicies(const Call& call, const TokenRole* role) {
  const std::vector<std::string> texts = KMS_TRY(ListField(call.fields, "policies"));
  if (!texts.empty()) {
    return PolicyNames(texts);
  }
  if (role != nullptr && role->restricts_policies()) {
    return role->allowed_policies;
  }
  return call.principal->policies;
}

// "default" need not be allowed by the role to whoever has it.
Status CheckAgainstRole(const Call& call, const TokenRole& role,
                        const std::vector<std::string>& policies) {
  const bool has_default =
      call.May(Capability::kSudo) || HasPolicy(call.principal->policies, kDefault);
  for (const std::string& policy : policies) {
    if (role.Disallows(policy)) {
      return InvalidArgument("token policy \"" + policy + "\" is disallowed by this role");
    }
    const bool allowed = role.Allows(policy) || (policy == kDefault && has_default);
    if (role.restricts_policies() && !allowed) {
      return InvalidArgument("token policies must be subset of the role's allowed policies");
    }
  }
  return Ok();
}

Status CheckGranted(const Call& call, const TokenRole* role,
                    const std::vector<std::string>& policies) {
  const Principal& caller = *call.principal;
  for (const std::string_view never : {"response-wrapping", "control-group"}) {
    if (HasPolicy(policies, never)) {
      return InvalidArgument("cannot assign policy \"" + std::string(never) + "\"");
    }
  }
  if (HasPolicy(policies, kRoot) && !caller.is_root) {
    return InvalidArgument("root tokens may not be created without parent token being root");
  }
  if (role != nullptr) {
    KMS_TRY(CheckAgainstRole(call, *role, policies));
  }
  const bool role_decides = role != nullptr && role->restricts_policies();
  if (role_decides || call.May(Capability::kSudo)) {
    return Ok();
  }
  const bool subset = std::ranges::all_of(
      policies, [&](const std::string& policy) { return HasPolicy(caller.policies, policy); });
  return subset ? Ok() : Status(InvalidArgument("child policies must be subset of parent"));
}

// "default" comes along unless somebody said no, or the caller does not have it to give.
bool AddsDefault(const Call& call, const TokenRole* role,
                 const std::vector<std::string>& policies) {
  if (HasPolicy(policies, kRoot) || call.fields.Boolean("no_default_policy")) {
    return false;
  }
  if (role != nullptr && (role->parameters.no_default_policy || role->Disallows(kDefault))) {
    return false;
  }
  return call.May(Capability::kSudo) || HasPolicy(call.principal->policies, kDefault);
}

Result<std::vector<std::string>> GrantedPolicies(const Call& call, const TokenRole* role) {
  std::vector<std::string> policies = KMS_TRY(AskedPolicies(call, role));
  KMS_TRY(CheckGranted(call, role, policies));
  if (call.fields.Boolean("no_default_policy")) {
    std::erase(policies, kDefault);
  }
  if (AddsDefault(call, role, policies)) {
    policies.emplace_back(kDefault);
  }
  std::ranges::sort(policies);
  const auto repeated = std::ranges::unique(policies);
  policies.erase(repeated.begin(), repeated.end());
  return policies;
}

Result<std::map<std::string, std::string>> MetadataOf(const Call& call) {
  std::map<std::string, std::string> metadata;
  const JsonView meta = call.fields.Tree("meta");
  bool texts = meta.is_null() || meta.kind() == JsonKind::kObject;
  if (texts) {
    meta.ForEachMember([&](std::string_view key, JsonView value) {
      texts = texts && value.kind() == JsonKind::kString;
      metadata.emplace(key, value.String());
    });
  }
  if (!texts) {
    return InvalidArgument("'meta' must be a map of strings");
  }
  return metadata;
}

std::string DisplayName(std::string_view asked) {
  std::string name = "token";
  if (asked.empty()) {
    return name;
  }
  name += '-';
  for (const char c : asked) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += plain ? c : '-';
  }
  return name;
}

// From where both allow it. Errors: kInvalidArgument when that is nowhere.
Result<std::vector<CidrBlock>> NarrowerBlocks(const std::vector<CidrBlock>& a,
                                              const std::vector<CidrBlock>& b) {
  if (a.empty() || b.empty()) {
    return a.empty() ? b : a;
  }
  std::vector<CidrBlock> both;
  for (const CidrBlock& one : a) {
    for (const CidrBlock& other : b) {
      if (one.Within(other)) {
        both.push_back(one);
      } else if (other.Within(one)) {
        both.push_back(other);
      }
    }
  }
  if (both.empty()) {
    return InvalidArgument(
        "the role's bound CIDRs and those of the calling token exclude each other");
  }
  return both;
}

Result<TokenType> TypeOf(const Call& call, const TokenRole* role) {
  if (role != nullptr && role->parameters.type != GrantedTokenType::kDefault) {
    return role->parameters.type == GrantedTokenType::kBatch ? TokenType::kBatch
                                                             : TokenType::kService;
  }
  const std::string_view type = call.fields.Text("type");
  if (type.empty() || type == "service" || type == "default") {
    return TokenType::kService;
  }
  if (type == "batch") {
    return TokenType::kBatch;
  }
  return InvalidArgument("invalid 'token_type' value");
}

Status SetTimes(const Call& call, const TokenRole* role, TokenGrant& grant) {
  const TokenParameters parameters = role != nullptr ? role->parameters : TokenParameters{};
  const std::int64_t asked_ttl =
      call.fields.Has("ttl") ? call.fields.Integer("ttl") : call.fields.Integer("lease");
  grant.ttl_seconds = asked_ttl != 0 ? asked_ttl : parameters.ttl_seconds;
  grant.max_ttl_seconds = parameters.max_ttl_seconds;
  grant.explicit_max_ttl_seconds =
      SmallerLimit(call.fields.Integer("explicit_max_ttl"), parameters.explicit_max_ttl_seconds);
  grant.period_seconds = SmallerLimit(call.fields.Integer("period"), parameters.period_seconds);
  if (call.fields.Integer("num_uses") < 0) {
    return InvalidArgument("number of uses cannot be negative");
  }
  grant.num_uses = SmallerLimit(call.fields.Integer("num_uses"), parameters.num_uses);
  grant.renewable = !call.fields.Has("renewable") || call.fields.Boolean("renewable");
  grant.renewable = grant.renewable && (role == nullptr || role->renewable);
  const bool unbounded = grant.ttl_seconds == 0 && grant.max_ttl_seconds == 0 &&
                         grant.explicit_max_ttl_seconds == 0 && grant.period_seconds == 0;
  if (HasPolicy(grant.policies, kRoot) && unbounded) {
    if (call.principal->expires_unix_seconds != 0) {
      return InvalidArgument("expiring root tokens cannot create non-expiring root tokens");
    }
    grant.never_expires = true;
  }
  return Ok();
}

// Who is behind the token: a child is its parent's entity; an orphan is nobody's, but whoever made
// it stays the one whose deeds are counted.
void SetOwner(const Call& call, bool orphan, TokenGrant& grant) {
  const PrincipalHandle& caller = call.principal;
  if (orphan) {
    const bool by_configured_root = caller->is_root && caller->path == "auth/token/root";
    grant.actor = by_configured_root ? std::string{} : caller->actor;
    return;
  }
  grant.parent = caller;
  grant.entity_id = caller->entity_id;
  grant.alias_mount = caller->alias_mount;
  grant.alias_name = caller->alias_name;
}

}  // namespace

Result<TokenGrant> GrantOf(const Call& call, const TokenRequest& request) {
  const Principal& caller = *call.principal;
  KMS_TRY(CheckCaller(caller));
  KMS_TRY(CheckSudoFields(call));
  if (!call.fields.Text("entity_alias").empty()) {
    return InvalidArgument("'entity_alias' is not supported: log in through an auth method");
  }
  TokenGrant grant;
  grant.policies = KMS_TRY(GrantedPolicies(call, request.role));
  grant.metadata = KMS_TRY(MetadataOf(call));
  grant.display_name = DisplayName(call.fields.Text("display_name"));
  grant.path = std::string(call.policy_path);
  grant.role = request.role_name;
  grant.type = KMS_TRY(TypeOf(call, request.role));
  KMS_TRY(SetTimes(call, request.role, grant));
  grant.custom_id = std::string(call.fields.Text("id"));
  grant.bound_cidrs = caller.bound_cidrs;
  grant.bound_certificate = caller.bound_certificate;
  bool orphan = request.orphan_path || call.fields.Boolean("no_parent");
  if (request.role != nullptr) {
    grant.bound_cidrs =
        KMS_TRY(NarrowerBlocks(caller.bound_cidrs, request.role->parameters.bound_cidrs));
    orphan = orphan || request.role->orphan;
    grant.path += request.role->path_suffix.empty() ? "" : "/" + request.role->path_suffix;
  }
  SetOwner(call, orphan, grant);
  return grant;
}

}  // namespace kms::api
