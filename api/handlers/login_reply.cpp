// SPDX-License-Identifier: Apache-2.0
#include "api/handlers/login_reply.h"

#include <algorithm>
#include <utility>

#include "api/handlers/auth_object.h"
#include "kms/base/bytes.h"

namespace kms::api {
namespace {

std::vector<std::string> GrantedPolicies(const TokenParameters& parameters) {
  std::vector<std::string> policies = parameters.policies;
  if (!parameters.no_default_policy) {
    policies.emplace_back("default");
  }
  std::ranges::sort(policies);
  const auto repeated = std::ranges::unique(policies);
  policies.erase(repeated.begin(), repeated.end());
  return policies;
}

TokenType GrantedType(const TokenParameters& parameters, const AuthMount& mount) {
  const GrantedTokenType type =
      parameters.type == GrantedTokenType::kDefault ? mount.token_type : parameters.type;
  return type == GrantedTokenType::kBatch ? TokenType::kBatch : TokenType::kService;
}

// 0 is no limit.
std::int64_t SmallerLimit(std::int64_t a, std::int64_t b) {
  return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

// Where the token is good from. Errors: kPermissionDenied when that is not where it was asked for.
Result<std::vector<CidrBlock>> BoundBlocks(const TokenParameters& parameters,
                                           std::string_view address) {
  const Error denied = MakeError(ErrorCode::kPermissionDenied, "permission denied");
  if (!AllowedFrom(parameters.bound_cidrs, address)) {
    return denied;
  }
  if (!parameters.strictly_bind_ip) {
    return parameters.bound_cidrs;
  }
  const std::optional<IpAddress> only = IpAddress::Parse(address);
  if (!only) {
    return denied;
  }
  return std::vector<CidrBlock>{CidrBlock::Only(*only)};
}

}  // namespace

Result<Reply> ReplyWithLogin(Call& call, const LoginGrant& login) {
  TokenStore& tokens = call.services.identity.tokens();
  const AuthMount& mount = *call.auth_mount;
  const TokenParameters& parameters = login.parameters;
  TokenGrant grant;
  grant.policies = GrantedPolicies(parameters);
  if (std::ranges::find(grant.policies, "root") != grant.policies.end()) {
    return InvalidArgument("auth methods cannot create root tokens");
  }
  grant.metadata = login.metadata;
  grant.display_name = login.display_name;
  grant.path = std::string(call.policy_path);
  grant.role = login.role;
  grant.type = GrantedType(parameters, mount);
  grant.entity_id = tokens.EntityId(mount.accessor, login.alias);
  grant.alias_mount = mount.accessor;
  grant.alias_name = login.alias;
  grant.ttl_seconds =
      parameters.ttl_seconds == 0 ? mount.default_lease_ttl_seconds : parameters.ttl_seconds;
  grant.max_ttl_seconds = SmallerLimit(parameters.max_ttl_seconds, mount.max_lease_ttl_seconds);
  grant.explicit_max_ttl_seconds = parameters.explicit_max_ttl_seconds;
  grant.period_seconds = parameters.period_seconds;
  grant.num_uses = parameters.num_uses;
  grant.bound_cidrs = KMS_TRY(BoundBlocks(parameters, call.client_address));
  grant.bound_certificate = login.bound_certificate;
  const IssuedToken issued = KMS_TRY(tokens.Issue(grant));
  call.audit.issued_accessor = issued.principal->accessor;
  call.audit.issued_name = issued.principal->display_name;
  return ReplyWithAuth(*issued.principal, AsText(issued.token.View()),
                       ToUnixSeconds(call.services.clock.Now()));
}

}  // namespace kms::api
