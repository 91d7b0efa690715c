// SPDX-License-Identifier: Apache-2.0
// role/:name/<setting> of approle mounts: one setting of a role at a time (transit-api 10.3). The
// last segment of the route's pattern says which; its fields are all that a write may change, so
// that leave to write one setting is not leave to write another.
#include <array>

#include "api/handlers/approle_fields.h"
#include "api/handlers/auth_object.h"
#include "api/handlers/handlers.h"

namespace kms::api {
namespace {

struct Setting {
  std::string_view segment;
  void (*show)(const AppRoleSettings& settings, JsonObject& object, std::string& out);
  void (*reset)(AppRoleSettings& settings);
};

constexpr std::array kSettings = {
    Setting{"policies",
            [](const AppRoleSettings& settings, JsonObject& object, std::string& out) {
              AppendTexts("token_policies", settings.parameters.policies, object, out);
            },
            [](AppRoleSettings& settings) { settings.parameters.policies.clear(); }},
    Setting{"bind-secret-id",
            [](const AppRoleSettings& settings, JsonObject& object, std::string& /*out*/) {
              object.Boolean("bind_secret_id", settings.bind_secret_id);
            },
            [](AppRoleSettings& settings) { settings.bind_secret_id = true; }},
    Setting{"secret-id-num-uses",
            [](const AppRoleSettings& settings, JsonObject& object, std::string& /*out*/) {
              object.Integer("secret_id_num_uses", settings.secret_id_num_uses);
            },
            [](AppRoleSettings& settings) { settings.secret_id_num_uses = 0; }},
    Setting{"secret-id-ttl",
            [](const AppRoleSettings& settings, JsonObject& object, std::string& /*out*/) {
              object.Integer("secret_id_ttl", settings.secret_id_ttl_seconds);
            },
            [](AppRoleSettings& settings) { settings.secret_id_ttl_seconds = 0; }},
    Setting{"token-ttl",
            [](const AppRoleSettings& settings, JsonObject& object, std::string& /*out*/) {
              object.Integer("token_ttl", settings.parameters.ttl_seconds);
            },
            [](AppRoleSettings& settings) { settings.parameters.ttl_seconds = 0; }},
    Setting{"token-max-ttl",
            [](const AppRoleSettings& settings, JsonObject& object, std::string& /*out*/) {
              object.Integer("token_max_ttl", settings.parameters.max_ttl_seconds);
            },
            [](AppRoleSettings& settings) { settings.parameters.max_ttl_seconds = 0; }},
    Setting{"token-num-uses",
            [](const AppRoleSettings& settings, JsonObject& object, std::string& /*out*/) {
              object.Integer("token_num_uses", settings.parameters.num_uses);
            },
            [](AppRoleSettings& settings) { settings.parameters.num_uses = 0; }},
    Setting{"token-bound-cidrs",
            [](const AppRoleSettings& settings, JsonObject& object, std::string& out) {
              AppendCidrs("token_bound_cidrs", settings.parameters.bound_cidrs, object, out);
            },
            [](AppRoleSettings& settings) { settings.parameters.bound_cidrs.clear(); }},
    Setting{"secret-id-bound-cidrs",
            [](const AppRoleSettings& settings, JsonObject& object, std::string& out) {
              AppendCidrs("secret_id_bound_cidrs", settings.secret_id_bound_cidrs, object, out);
            },
            [](AppRoleSettings& settings) { settings.secret_id_bound_cidrs.clear(); }},
    Setting{"bound-cidr-list",
            [](const AppRoleSettings& settings, JsonObject& object, std::string& out) {
              AppendCidrs("bound_cidr_list", settings.secret_id_bound_cidrs, object, out);
            },
            [](AppRoleSettings& settings) { settings.secret_id_bound_cidrs.clear(); }},
    Setting{"period",
            [](const AppRoleSettings& settings, JsonObject& object, std::string& /*out*/) {
              object.Integer("token_period", settings.parameters.period_seconds);
            },
            [](AppRoleSettings& settings) { settings.parameters.period_seconds = 0; }},
    Setting{"local-secret-ids",
            [](const AppRoleSettings& settings, JsonObject& object, std::string& /*out*/) {
              object.Boolean("local_secret_ids", settings.local_secret_ids);
            },
            nullptr},  // set when the role is made, then only read
};

Result<const Setting*> SettingOf(const Route& route) {
  const std::string_view segment = route.pattern.substr(route.pattern.rfind('/') + 1);
  for (const Setting& setting : kSettings) {
    if (setting.segment == segment) {
      return &setting;
    }
  }
  return Internal("a route names a setting that roles do not have");
}

Status RequireAnyField(const Call& call) {
  for (const FieldSpec& field : call.route.fields) {
    if (call.fields.Has(field.name)) {
      return Ok();
    }
  }
  return InvalidArgument("missing " + std::string(call.route.fields.front().name));
}

}  // namespace

Result<Reply> HandleReadAppRoleSetting(Call& call) {
  const Setting* setting = KMS_TRY(SettingOf(call.route));
  const IdentityName name = KMS_TRY(RoleName(call));
  const std::optional<AppRoleInfo> role =
      KMS_TRY(call.services.identity.approles().Read(*call.auth_mount, name));
  if (!role) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  setting->show(role->settings, object, data);
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleWriteAppRoleSetting(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  KMS_TRY(RequireAnyField(call));
  const auto change = [&](AppRoleSettings& settings, std::string& /*role_id*/) {
    return ApplyAppRoleFields(call.fields, settings);
  };
  KMS_TRY(call.services.identity.approles().ChangeExisting(*call.auth_mount, name, change));
  return Reply::NoContent();
}

Result<Reply> HandleDeleteAppRoleSetting(Call& call) {
  const Setting* setting = KMS_TRY(SettingOf(call.route));
  const IdentityName name = KMS_TRY(RoleName(call));
  const auto change = [&](AppRoleSettings& settings, std::string& /*role_id*/) {
    setting->reset(settings);
    return Ok();
  };
  KMS_TRY(call.services.identity.approles().ChangeExisting(*call.auth_mount, name, change));
  return Reply::NoContent();
}

}  // namespace kms::api
