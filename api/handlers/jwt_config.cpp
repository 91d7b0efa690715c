// SPDX-License-Identifier: Apache-2.0
// config of jwt mounts (transit-api 10.4).
#include <optional>
#include <string>

#include "api/handlers/auth_object.h"
#include "api/handlers/handlers.h"
#include "api/handlers/token_parameter_fields.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "kms/auth/identity_name.h"
#include "kms/identity/jwt_auth.h"

namespace kms::api {
namespace {

Result<JwtConfig> ConfigIn(const Fields& fields) {
  JwtConfig config;
  config.oidc_discovery_url = fields.Text("oidc_discovery_url");
  config.oidc_discovery_ca_pem = fields.Text("oidc_discovery_ca_pem");
  config.jwks_url = fields.Text("jwks_url");
  config.jwks_ca_pem = fields.Text("jwks_ca_pem");
  config.jwks = fields.Text("jwks");
  config.jwt_validation_pubkeys = KMS_TRY(ListField(fields, "jwt_validation_pubkeys"));
  config.bound_issuer = fields.Text("bound_issuer");
  if (const std::string_view role = fields.Text("default_role"); !role.empty()) {
    const IdentityName name = KMS_TRY(IdentityName::Parse(role));
    config.default_role = name.text();
  }
  config.jwt_supported_algs = KMS_TRY(ListField(fields, "jwt_supported_algs"));
  return config;
}

}  // namespace

Result<Reply> HandleWriteJwtConfig(Call& call) {
  const JwtConfig config = KMS_TRY(ConfigIn(call.fields));
  KMS_TRY(call.services.identity.jwt().WriteConfig(*call.auth_mount, config));
  return Reply::NoContent();
}

Result<Reply> HandleReadJwtConfig(Call& call) {
  const std::optional<JwtConfig> config =
      KMS_TRY(call.services.identity.jwt().ReadConfig(*call.auth_mount));
  if (!config) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  object.String("bound_issuer", config->bound_issuer);
  object.String("default_role", config->default_role);
  object.String("jwks", config->jwks);
  object.String("jwks_ca_pem", config->jwks_ca_pem);
  object.String("jwks_url", config->jwks_url);
  AppendTexts("jwt_supported_algs", config->jwt_supported_algs, object, data);
  AppendTexts("jwt_validation_pubkeys", config->jwt_validation_pubkeys, object, data);
  object.String("oidc_discovery_ca_pem", config->oidc_discovery_ca_pem);
  object.String("oidc_discovery_url", config->oidc_discovery_url);
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleTidySeenJwts(Call& call) {
  const std::size_t gone =
      KMS_TRY(call.services.identity.jwt().Tidy(*call.auth_mount, [] { return false; }));
  std::string data;
  JsonObject object(data);
  object.Integer("removed", static_cast<std::int64_t>(gone));
  object.Close();
  return Reply::Data(std::move(data));
}

}  // namespace kms::api
