// SPDX-License-Identifier: Apache-2.0
// role/:name and role/:name/role-id of approle mounts (transit-api 10.3).
#include <algorithm>

#include "api/handlers/approle_fields.h"
#include "api/handlers/handlers.h"
#include "api/handlers/token_parameter_fields.h"
#include "api/pipeline/router.h"

namespace kms::api {
namespace {

AppRoles& RolesOf(Call& call) { return call.services.identity.approles(); }

std::size_t LimitOf(const Fields& fields) {
  return static_cast<std::size_t>(std::max<std::int64_t>(fields.Integer("limit"), 0));  // 0: all
}

}  // namespace

Result<bool> AppRoleExists(const Services& services, const RouteMatch& match) {
  const IdentityName name = KMS_TRY(IdentityName::Parse(match.Captures()[0].value));
  const std::optional<AppRoleInfo> role =
      KMS_TRY(services.identity.approles().Read(*match.auth_mount, name));
  return role.has_value();
}

Result<Reply> HandleWriteAppRole(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  const auto change = [&](AppRoleSettings& settings, std::string& role_id) {
    if (call.fields.Has("role_id") && !call.fields.Text("role_id").empty()) {
      role_id = call.fields.Text("role_id");
    }
    return ApplyAppRoleFields(call.fields, settings);
  };
  KMS_TRY(RolesOf(call).Write(*call.auth_mount, name, change));
  return Reply::NoContent();
}

Result<Reply> HandleReadAppRole(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  const std::optional<AppRoleInfo> role = KMS_TRY(RolesOf(call).Read(*call.auth_mount, name));
  if (!role) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  object.Boolean("bind_secret_id", role->settings.bind_secret_id);
  object.Boolean("local_secret_ids", role->settings.local_secret_ids);
  AppendCidrs("secret_id_bound_cidrs", role->settings.secret_id_bound_cidrs, object, data);
  object.Integer("secret_id_num_uses", role->settings.secret_id_num_uses);
  object.Integer("secret_id_ttl", role->settings.secret_id_ttl_seconds);
  AppendTokenParameters(role->settings.parameters, object, data);
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleListAppRoles(Call& call) {
  const std::vector<std::string> names = KMS_TRY(
      RolesOf(call).List(*call.auth_mount, call.fields.Text("after"), LimitOf(call.fields)));
  return ReplyWithKeys(names);
}

Result<Reply> HandleDeleteAppRole(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  KMS_TRY(RolesOf(call).Delete(*call.auth_mount, name));
  return Reply::NoContent();
}

Result<Reply> HandleReadAppRoleId(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  const std::optional<AppRoleInfo> role = KMS_TRY(RolesOf(call).Read(*call.auth_mount, name));
  if (!role) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  object.String("role_id", role->role_id);
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleWriteAppRoleId(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  const auto change = [&](AppRoleSettings& /*settings*/, std::string& role_id) {
    role_id = call.fields.Text("role_id");
    return Ok();
  };
  KMS_TRY(RolesOf(call).ChangeExisting(*call.auth_mount, name, change));
  return Reply::NoContent();
}

}  // namespace kms::api
