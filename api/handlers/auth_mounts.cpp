// SPDX-License-Identifier: Apache-2.0
// sys/auth: which login methods are enabled where (transit-api 9.5).
#include "kms/identity/auth_mounts.h"

#include <array>
#include <string>
#include <utility>

#include "api/handlers/handlers.h"
#include "api/handlers/mount_info.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"

namespace kms::api {
namespace {

// In the order of the enumeration.
constexpr std::array<std::string_view, 3> kTokenTypes = {"default-service", "service", "batch"};

std::string_view TokenTypeText(GrantedTokenType type) {
  return kTokenTypes[static_cast<std::size_t>(type)];
}

Status ApplyTokenType(std::string_view text, AuthMount& mount) {
  if (text == "default" || text == "default-service") {
    mount.token_type = GrantedTokenType::kDefault;
  } else if (text == "service") {
    mount.token_type = GrantedTokenType::kService;
  } else if (text == "batch") {
    mount.token_type = GrantedTokenType::kBatch;
  } else {
    return InvalidArgument("invalid value for \"token_type\": service, batch or default-service");
  }
  return Ok();
}

void AppendConfig(const AuthMount& mount, JsonObject& config) {
  config.Integer("default_lease_ttl", mount.default_lease_ttl_seconds);
  config.Integer("max_lease_ttl", mount.max_lease_ttl_seconds);
  config.Boolean("force_no_cache", false);
  config.String("token_type", TokenTypeText(mount.token_type));
}

void AppendMount(const AuthMount& mount, JsonObject& object, std::string& out) {
  object.String("type", mount.type);
  object.String("description", mount.description);
  object.String("accessor", mount.accessor);
  object.Boolean("local", false);
  object.Boolean("seal_wrap", false);
  object.Boolean("external_entropy_access", false);
  object.Null("options");
  object.String("uuid", mount.uuid);
  object.String("plugin_version", "");
  object.String("running_plugin_version", "");
  object.String("running_sha256", "");
  object.Key("config");
  JsonObject config(out);
  AppendConfig(mount, config);
  config.Close();
}

// The method that is always there and cannot be disabled.
AuthMount TokenMount() {
  AuthMount mount;
  mount.path = "token";
  mount.type = "token";
  mount.accessor = "auth_token_00000000";
  mount.description = "token based credentials";
  return mount;
}

Result<AuthMountHandle> RequireMount(const Call& call) {
  std::string_view path = call.fields.Text("path");
  AuthMountHandle mount = call.services.identity.mounts().Find(path);
  if (mount == nullptr) {
    return InvalidArgument("No auth engine at " + std::string(path.substr(0, 256)) + "/");
  }
  return mount;
}

// Lease times and token type of a "config" object or of the fields beside it.
Status ApplyConfig(JsonView config, AuthMount& mount) {
  for (const auto& [name, seconds] :
       {std::pair{"default_lease_ttl", &mount.default_lease_ttl_seconds},
        std::pair{"max_lease_ttl", &mount.max_lease_ttl_seconds}}) {
    const JsonView value = config.Find(name);
    if (!value.is_null()) {
      *seconds = KMS_TRY(ParseLease(name, value.Rendered()));
    }
  }
  const JsonView type = config.Find("token_type");
  return type.is_null() ? Ok() : ApplyTokenType(type.String(), mount);
}

}  // namespace

Result<Reply> HandleListAuthMounts(Call& call) {
  std::vector<AuthMountHandle> mounts = call.services.identity.mounts().List();
  mounts.push_back(std::make_shared<const AuthMount>(TokenMount()));
  std::string out;
  JsonObject list(out);
  for (const AuthMountHandle& mount : mounts) {
    list.Key(mount->path + "/");
    JsonObject object(out);
    AppendMount(*mount, object, out);
    object.Close();
  }
  list.Close();
  return Reply::Data(std::move(out));
}

Result<Reply> HandleReadAuthMount(Call& call) {
  const AuthMountHandle mount = KMS_TRY(RequireMount(call));
  std::string out;
  JsonObject object(out);
  AppendMount(*mount, object, out);
  object.Close();
  return Reply::Data(std::move(out));
}

Result<Reply> HandleEnableAuth(Call& call) {
  AuthMount mount;
  mount.path = call.fields.Text("path");
  mount.type = call.fields.Text("type");
  if (mount.type.empty()) {
    mount.type = call.fields.Text("plugin_name");
  }
  if (mount.type.empty()) {
    return InvalidArgument("backend type must be specified as a string");
  }
  mount.description = call.fields.Text("description");
  KMS_TRY(ApplyConfig(call.fields.Tree("config"), mount));
  KMS_TRY(call.services.identity.mounts().Enable(std::move(mount)));
  return Reply::NoContent();
}

// Nobody may log in while its tokens are revoked, and none of them may outlive it.
Result<Reply> HandleDisableAuth(Call& call) {
  const AuthMountHandle mount = call.services.identity.mounts().Find(call.fields.Text("path"));
  if (mount == nullptr) {
    return Reply::NoContent();
  }
  KMS_TRY(call.services.identity.mounts().Disable(mount->path));
  KMS_TRY(call.services.identity.tokens().RevokeSource({.mount_accessor = mount->accessor}));
  return Reply::NoContent();
}

Result<Reply> HandleReadAuthTune(Call& call) {
  const AuthMountHandle mount = KMS_TRY(RequireMount(call));
  std::string out;
  JsonObject object(out);
  object.String("description", mount->description);
  AppendConfig(*mount, object);
  object.Close();
  return Reply::Data(std::move(out));
}

Result<Reply> HandleWriteAuthTune(Call& call) {
  AuthMount mount = *KMS_TRY(RequireMount(call));
  if (call.fields.Has("description")) {
    mount.description = call.fields.Text("description");
  }
  for (const auto& [name, seconds] :
       {std::pair{"default_lease_ttl", &mount.default_lease_ttl_seconds},
        std::pair{"max_lease_ttl", &mount.max_lease_ttl_seconds}}) {
    if (call.fields.Has(name)) {
      *seconds = KMS_TRY(ParseLease(name, call.fields.Text(name)));
    }
  }
  if (call.fields.Has("token_type")) {
    KMS_TRY(ApplyTokenType(call.fields.Text("token_type"), mount));
  }
  KMS_TRY(call.services.identity.mounts().Tune(mount));
  return Reply::NoContent();
}

}  // namespace kms::api
