// SPDX-License-Identifier: Apache-2.0
// login/:user and users/… of userpass mounts (transit-api 10.6).
#include "kms/identity/userpass.h"

#include <algorithm>

#include "api/handlers/approle_fields.h"
#include "api/handlers/handlers.h"
#include "api/handlers/login_reply.h"
#include "api/handlers/token_parameter_fields.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "api/pipeline/router.h"

namespace kms::api {
namespace {

Userpass& UsersOf(Call& call) { return call.services.identity.users(); }

Result<IdentityName> UserName(const Call& call) {
  return IdentityName::Parse(call.fields.Text("name"));
}

// An empty one is none, as clients send it for what they do not set.
std::optional<std::string_view> PasswordIn(const Call& call) {
  const std::string_view password = call.fields.Text("password");
  return password.empty() ? std::nullopt : std::optional(password);
}

Userpass::ParametersChange ParametersIn(const Call& call) {
  return [&call](TokenParameters& parameters) {
    return ApplyTokenParameters(call.fields, parameters);
  };
}

}  // namespace

Result<bool> UserExists(const Services& services, const RouteMatch& match) {
  const IdentityName name = KMS_TRY(IdentityName::Parse(match.Captures()[0].value));
  const std::optional<UserInfo> user =
      KMS_TRY(services.identity.users().Read(*match.auth_mount, name));
  return user.has_value();
}

// A name that nobody can have is answered like one that nobody has; it names no one to count for.
Result<Reply> HandleUserpassLogin(Call& call) {
  const std::optional<std::string_view> password = PasswordIn(call);
  if (!password) {
    return InvalidArgument("missing password");
  }
  const Result<IdentityName> name = UserName(call);
  if (!name.has_value()) {
    return MakeError(ErrorCode::kUnauthenticated, "invalid username or password");
  }
  KMS_TRY(call.BeginLogin(name->text()));
  const LoginGrant grant = KMS_TRY(UsersOf(call).Login(
      *call.auth_mount, *name, {.password = *password, .passcode = call.fields.Text("passcode")},
      call.Origin()));
  return ReplyWithLogin(call, grant);
}

Result<Reply> HandleWriteUser(Call& call) {
  const IdentityName name = KMS_TRY(UserName(call));
  KMS_TRY(UsersOf(call).Write(*call.auth_mount, name, PasswordIn(call), ParametersIn(call)));
  return Reply::NoContent();
}

Result<Reply> HandleReadUser(Call& call) {
  const IdentityName name = KMS_TRY(UserName(call));
  const std::optional<UserInfo> user = KMS_TRY(UsersOf(call).Read(*call.auth_mount, name));
  if (!user) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  AppendTokenParameters(user->parameters, object, data);
  object.Boolean("totp_enabled", user->totp_enabled);
  object.Boolean("totp_pending", user->totp_pending);
  object.Integer("backup_codes_left", static_cast<std::int64_t>(user->backup_codes_left));
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleListUsers(Call& call) {
  const auto limit =
      static_cast<std::size_t>(std::max<std::int64_t>(call.fields.Integer("limit"), 0));  // 0: all
  const std::vector<std::string> names =
      KMS_TRY(UsersOf(call).List(*call.auth_mount, call.fields.Text("after"), limit));
  return ReplyWithKeys(names);
}

// Whoever is deleted is out: the tokens of their logins are revoked, too. The user goes first, so
// that nobody logs in again in between; after a failure the same request does what is left.
Result<Reply> HandleDeleteUser(Call& call) {
  const IdentityName name = KMS_TRY(UserName(call));
  KMS_TRY(UsersOf(call).Delete(*call.auth_mount, name));
  KMS_TRY(call.services.identity.tokens().RevokeSource({.mount_accessor = call.auth_mount->accessor,
                                                        .role = std::nullopt,
                                                        .alias_name = name.text()}));
  return Reply::NoContent();
}

Result<Reply> HandleWriteUserPassword(Call& call) {
  const IdentityName name = KMS_TRY(UserName(call));
  const std::optional<std::string_view> password = PasswordIn(call);
  if (!password) {
    return InvalidArgument("missing password");
  }
  KMS_TRY(UsersOf(call).ChangeExisting(*call.auth_mount, name, password,
                                       [](TokenParameters& /*parameters*/) { return Ok(); }));
  return Reply::NoContent();
}

Result<Reply> HandleWriteUserPolicies(Call& call) {
  const IdentityName name = KMS_TRY(UserName(call));
  KMS_TRY(UsersOf(call).ChangeExisting(*call.auth_mount, name, std::nullopt, ParametersIn(call)));
  return Reply::NoContent();
}

}  // namespace kms::api
