// SPDX-License-Identifier: Apache-2.0
// role/… of jwt mounts (transit-api 10.4).
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/handlers/approle_fields.h"
#include "api/handlers/auth_object.h"
#include "api/handlers/handlers.h"
#include "api/handlers/token_parameter_fields.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "api/pipeline/router.h"
#include "kms/identity/jwt_auth.h"

namespace kms::api {
namespace {

JwtAuth& JwtOf(Call& call) { return call.services.identity.jwt(); }

// ---- what a write says -------------------------------------------------------------------------

Error BadBoundClaims() {
  return InvalidArgument(
      "'bound_claims' must map claims to strings, integers, booleans or lists of these");
}

Result<JsonValue> BoundValue(JsonView view) {
  switch (view.kind()) {
    case JsonKind::kString:
      return JsonValue{.kind = JsonValue::Kind::kString, .text = std::string(view.String())};
    case JsonKind::kBoolean:
      return JsonValue{.kind = JsonValue::Kind::kBoolean,
                       .text = view.Boolean() ? "true" : "false"};
    case JsonKind::kInteger:
      if (const std::optional<std::int64_t> number = view.Integer()) {
        return JsonValue{
            .kind = JsonValue::Kind::kInteger, .text = std::to_string(*number), .integer = *number};
      }
      return BadBoundClaims();
    case JsonKind::kNull:
    case JsonKind::kFloat:
    case JsonKind::kArray:
    case JsonKind::kObject: break;
  }
  return BadBoundClaims();
}

Result<std::vector<JsonValue>> BoundValues(JsonView view) {
  std::vector<JsonValue> values;
  if (view.kind() != JsonKind::kArray) {
    values.push_back(KMS_TRY(BoundValue(view)));
    return values;
  }
  for (std::size_t index = 0; index < view.size(); ++index) {
    values.push_back(KMS_TRY(BoundValue(view.At(index))));
  }
  return values;
}

Status ApplyBoundClaims(const Fields& fields, JwtConditions& conditions) {
  if (!fields.Has("bound_claims")) {
    return Ok();
  }
  const JsonView tree = fields.Tree("bound_claims");
  Status outcome = tree.kind() == JsonKind::kObject ? Ok() : Status(BadBoundClaims());
  conditions.bound_claims.clear();
  tree.ForEachMember([&](std::string_view name, JsonView value) {
    Result<std::vector<JsonValue>> values = BoundValues(value);
    if (values.has_value()) {
      conditions.bound_claims.emplace(name, *std::move(values));
    } else {
      outcome = std::move(values).error();
    }
  });
  return outcome;
}

Status ApplyMappings(const Fields& fields, JwtConditions& conditions) {
  if (!fields.Has("claim_mappings")) {
    return Ok();
  }
  const JsonView tree = fields.Tree("claim_mappings");
  bool good = tree.kind() == JsonKind::kObject;
  conditions.claim_mappings.clear();
  tree.ForEachMember([&](std::string_view claim, JsonView key) {
    good = good && key.kind() == JsonKind::kString;
    conditions.claim_mappings.emplace(claim, key.String());
  });
  return good ? Ok() : Status(InvalidArgument("'claim_mappings' must map claims to names"));
}

// Below 0 means none at all, as -1 does in old clients.
Status ApplyLeeway(const Fields& fields, std::string_view name, std::int64_t& leeway) {
  if (!fields.Has(name)) {
    return Ok();
  }
  const std::string_view text = fields.Text(name);
  if (text.starts_with('-')) {
    KMS_TRY(ParseDurationSeconds(text.substr(1)));
    leeway = -1;
    return Ok();
  }
  leeway = text.empty() ? 0 : KMS_TRY(ParseDurationSeconds(text));
  return Ok();
}

Status ApplyTypes(const Fields& fields, JwtConditions& conditions) {
  if (const std::string_view type = fields.Text("role_type"); !type.empty() && type != "jwt") {
    return InvalidArgument("role_type \"oidc\" is not offered; use \"jwt\"");
  }
  if (!fields.Has("bound_claims_type")) {
    return Ok();
  }
  const std::string_view type = fields.Text("bound_claims_type");
  if (!type.empty() && type != "string" && type != "glob") {
    return InvalidArgument("invalid 'bound_claims_type': it is \"string\" or \"glob\"");
  }
  conditions.bound_claims_type = type == "glob" ? BoundClaimsType::kGlob : BoundClaimsType::kString;
  return Ok();
}

void ApplyText(const Fields& fields, std::string_view name, std::string& value) {
  if (fields.Has(name)) {
    value = fields.Text(name);
  }
}

Status ApplyConditions(const Fields& fields, JwtConditions& conditions) {
  KMS_TRY(ApplyTypes(fields, conditions));
  if (fields.Has("bound_audiences")) {
    conditions.bound_audiences = KMS_TRY(ListField(fields, "bound_audiences"));
  }
  ApplyText(fields, "bound_subject", conditions.bound_subject);
  ApplyText(fields, "user_claim", conditions.user_claim);
  ApplyText(fields, "groups_claim", conditions.groups_claim);
  conditions.user_claim_is_pointer =
      fields.OptionalBoolean("user_claim_json_pointer").value_or(conditions.user_claim_is_pointer);
  KMS_TRY(ApplyBoundClaims(fields, conditions));
  KMS_TRY(ApplyMappings(fields, conditions));
  KMS_TRY(ApplyLeeway(fields, "clock_skew_leeway", conditions.clock_skew_leeway));
  KMS_TRY(ApplyLeeway(fields, "expiration_leeway", conditions.expiration_leeway));
  return ApplyLeeway(fields, "not_before_leeway", conditions.not_before_leeway);
}

Status ApplyRole(const Fields& fields, JwtRole& role) {
  KMS_TRY(ApplyConditions(fields, role.conditions));
  role.bind_client_certificate =
      fields.OptionalBoolean("bind_client_certificate").value_or(role.bind_client_certificate);
  role.forbid_replay = fields.OptionalBoolean("forbid_replay").value_or(role.forbid_replay);
  return ApplyTokenParameters(fields, role.parameters);
}

// ---- what a read shows -------------------------------------------------------------------------

void AppendBoundClaims(const JwtConditions& conditions, JsonObject& object, std::string& data) {
  object.Key("bound_claims");
  JsonObject claims(data);
  for (const auto& [name, values] : conditions.bound_claims) {
    const JsonValue list{.kind = JsonValue::Kind::kArray, .items = values};
    claims.Raw(name, ToJsonText(values.size() == 1 ? values.front() : list));
  }
  claims.Close();
  object.String("bound_claims_type",
                conditions.bound_claims_type == BoundClaimsType::kGlob ? "glob" : "string");
}

void AppendConditions(const JwtConditions& conditions, JsonObject& object, std::string& data) {
  AppendTexts("bound_audiences", conditions.bound_audiences, object, data);
  AppendBoundClaims(conditions, object, data);
  object.String("bound_subject", conditions.bound_subject);
  AppendMetadata("claim_mappings", conditions.claim_mappings, object, data);
  object.Integer("clock_skew_leeway", conditions.clock_skew_leeway);
  object.Integer("expiration_leeway", conditions.expiration_leeway);
  object.String("groups_claim", conditions.groups_claim);
  object.Integer("not_before_leeway", conditions.not_before_leeway);
  object.String("user_claim", conditions.user_claim);
  object.Boolean("user_claim_json_pointer", conditions.user_claim_is_pointer);
}

}  // namespace

Result<bool> JwtRoleExists(const Services& services, const RouteMatch& match) {
  const IdentityName name = KMS_TRY(IdentityName::Parse(match.Captures()[0].value));
  const std::optional<JwtRole> role =
      KMS_TRY(services.identity.jwt().ReadRole(*match.auth_mount, name));
  return role.has_value();
}

Result<Reply> HandleWriteJwtRole(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  KMS_TRY(JwtOf(call).WriteRole(*call.auth_mount, name, [&](JwtRole& role, bool /*is_new*/) {
    return ApplyRole(call.fields, role);
  }));
  return Reply::NoContent();
}

Result<Reply> HandleReadJwtRole(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  const std::optional<JwtRole> role = KMS_TRY(JwtOf(call).ReadRole(*call.auth_mount, name));
  if (!role) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  object.String("role_type", "jwt");
  AppendConditions(role->conditions, object, data);
  object.Boolean("bind_client_certificate", role->bind_client_certificate);
  object.Boolean("forbid_replay", role->forbid_replay);
  AppendTokenParameters(role->parameters, object, data);
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleListJwtRoles(Call& call) {
  const auto limit =
      static_cast<std::size_t>(std::max<std::int64_t>(call.fields.Integer("limit"), 0));  // 0: all
  const std::vector<std::string> names =
      KMS_TRY(JwtOf(call).ListRoles(*call.auth_mount, call.fields.Text("after"), limit));
  return ReplyWithKeys(names);
}

// Nobody logs in by it from now on; tokens that were earned through it are revoked by their source.
Result<Reply> HandleDeleteJwtRole(Call& call) {
  const IdentityName name = KMS_TRY(RoleName(call));
  KMS_TRY(JwtOf(call).DeleteRole(*call.auth_mount, name));
  return Reply::NoContent();
}

}  // namespace kms::api
