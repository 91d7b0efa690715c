// SPDX-License-Identifier: Apache-2.0
// auth/token/roles, auth/token/roles/:name (transit-api 10.2).
#include "kms/identity/token_roles.h"

#include <algorithm>

#include "api/handlers/auth_object.h"
#include "api/handlers/handlers.h"
#include "api/handlers/token_parameter_fields.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "api/pipeline/router.h"

namespace kms::api {
namespace {

constexpr std::size_t kMaxListed = 100'000;
constexpr std::size_t kMaxSuffixBytes = 128;

TokenRoles& RolesOf(const Call& call) { return call.services.identity.token_roles(); }

Result<IdentityName> RoleName(const Call& call) {
  return IdentityName::Parse(call.fields.Text("role_name"));
}

Status ApplyNames(const Call& call, std::string_view field, std::vector<std::string>& names) {
  if (!call.fields.Has(field)) {
    return Ok();
  }
  const std::vector<std::string> texts = KMS_TRY(ListField(call.fields, field));
  names = KMS_TRY(PolicyNames(texts));
  return Ok();
}

// A glob stands for policies, and their names are in lower case.
Status ApplyGlobs(const Call& call, std::string_view field, std::vector<std::string>& globs) {
  if (!call.fields.Has(field)) {
    return Ok();
  }
  std::vector<std::string> texts = KMS_TRY(ListField(call.fields, field));
  for (std::string& text : texts) {
    const std::string_view view = text;
    const std::size_t begin = view.starts_with('*') ? 1 : 0;
    const std::size_t end = view.size() - (view.size() > begin && view.ends_with('*') ? 1 : 0);
    if (view.substr(begin, end - begin).find('*') != std::string_view::npos) {
      return InvalidArgument("'" + std::string(field) + "' takes '*' at either end only");
    }
    std::ranges::transform(text, text.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
  }
  globs = std::move(texts);
  return Ok();
}

Status ApplySuffix(const Call& call, TokenRole& role) {
  if (!call.fields.Has("path_suffix")) {
    return Ok();
  }
  const std::string_view suffix = call.fields.Text("path_suffix");
  const bool plain = std::ranges::all_of(suffix, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
  if (!plain || suffix.size() > kMaxSuffixBytes) {
    return InvalidArgument("given role path suffix contains invalid characters");
  }
  role.path_suffix = std::string(suffix);
  return Ok();
}

// Written through a role, a token could have what its maker may not give: so does not who writes
// the role, unless with sudo. The policies it bounds its users to must be the writer's own.
Status CheckWriter(const Call& call, const TokenRole& role) {
  if (call.May(Capability::kSudo)) {
    return Ok();
  }
  const std::vector<std::string>& own = call.principal->policies;
  const bool subset = std::ranges::all_of(role.allowed_policies, [&](const std::string& policy) {
    return std::ranges::find(own, policy) != own.end();
  });
  if (!subset || !role.allowed_policies_glob.empty()) {
    return InvalidArgument(
        "root or sudo privileges required to allow policies that you do not have");
  }
  if (role.orphan || role.parameters.period_seconds != 0) {
    return InvalidArgument("root or sudo privileges required for orphan or periodic tokens");
  }
  return Ok();
}

Status Apply(const Call& call, TokenRole& role) {
  KMS_TRY(ApplyNames(call, "allowed_policies", role.allowed_policies));
  KMS_TRY(ApplyNames(call, "disallowed_policies", role.disallowed_policies));
  KMS_TRY(ApplyGlobs(call, "allowed_policies_glob", role.allowed_policies_glob));
  KMS_TRY(ApplyGlobs(call, "disallowed_policies_glob", role.disallowed_policies_glob));
  KMS_TRY(ApplySuffix(call, role));
  role.orphan = call.fields.OptionalBoolean("orphan").value_or(role.orphan);
  role.renewable = call.fields.OptionalBoolean("renewable").value_or(role.renewable);
  KMS_TRY(ApplyTokenParameters(call.fields, role.parameters));
  // Names of old clients that token_* fields have replaced.
  if (!call.fields.Has("token_explicit_max_ttl")) {
    role.parameters.explicit_max_ttl_seconds =
        call.fields.OptionalInteger("explicit_max_ttl")
            .value_or(role.parameters.explicit_max_ttl_seconds);
  }
  return CheckWriter(call, role);
}

}  // namespace

Result<bool> TokenRoleExists(const Services& services, const RouteMatch& match) {
  const Result<IdentityName> name = IdentityName::Parse(match.Captures()[0].value);
  if (!name.has_value()) {
    return false;
  }
  const std::optional<TokenRole> role = KMS_TRY(services.identity.token_roles().Read(*name));
  return role.has_value();
}

Result<Reply> HandleListTokenRoles(Call& call) {
  const std::int64_t limit = call.fields.Integer("limit");
  const std::size_t most = limit > 0 ? static_cast<std::size_t>(limit) : kMaxListed;
  const std::vector<std::string> names =
      KMS_TRY(RolesOf(call).List(call.fields.Text("after"), std::min(most, kMaxListed)));
  if (names.empty()) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  AppendTexts("keys", names, object, data);
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleReadTokenRole(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  const std::optional<TokenRole> role = KMS_TRY(RolesOf(call).Read(name));
  if (!role) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  object.String("name", name.text());
  AppendTexts("allowed_policies", role->allowed_policies, object, data);
  AppendTexts("allowed_policies_glob", role->allowed_policies_glob, object, data);
  AppendTexts("disallowed_policies", role->disallowed_policies, object, data);
  AppendTexts("disallowed_policies_glob", role->disallowed_policies_glob, object, data);
  object.Integer("explicit_max_ttl", role->parameters.explicit_max_ttl_seconds);
  object.Integer("period", role->parameters.period_seconds);
  object.Boolean("orphan", role->orphan);
  object.Boolean("renewable", role->renewable);
  object.String("path_suffix", role->path_suffix);
  AppendTokenParameters(role->parameters, object, data);
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleWriteTokenRole(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  TokenRole role = KMS_TRY(RolesOf(call).Read(name)).value_or(TokenRole{});
  KMS_TRY(Apply(call, role));
  KMS_TRY(RolesOf(call).Write(name, role));
  return Reply::NoContent();
}

Result<Reply> HandleDeleteTokenRole(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  KMS_TRY(RolesOf(call).Delete(name));
  return Reply::NoContent();
}

}  // namespace kms::api
