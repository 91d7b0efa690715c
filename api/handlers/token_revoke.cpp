// SPDX-License-Identifier: Apache-2.0
// auth/token/revoke, revoke-self, revoke-accessor, revoke-orphan, revoke-source, tidy
// (transit-api 10.2).
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"

namespace kms::api {
namespace {

TokenStore& Tokens(const Call& call) { return call.services.identity.tokens(); }

// A token that is not good any more is gone, which is what was asked for.
Result<PrincipalHandle> FindOrNone(const Call& call) {
  Result<PrincipalHandle> found = Tokens(call).Lookup(call.fields.Text("token"));
  if (!found.has_value() && found.error().code == ErrorCode::kNotFound) {
    return PrincipalHandle{};
  }
  return found;
}

}  // namespace

Result<Reply> HandleRevokeSelf(Call& call) {
  KMS_TRY(Tokens(call).Revoke(*call.principal));
  return Reply::NoContent();
}

Result<Reply> HandleRevokeToken(Call& call) {
  const PrincipalHandle found = KMS_TRY(FindOrNone(call));
  if (found != nullptr) {
    KMS_TRY(Tokens(call).Revoke(*found));
  }
  return Reply::NoContent();
}

Result<Reply> HandleRevokeOrphan(Call& call) {
  const PrincipalHandle found = KMS_TRY(FindOrNone(call));
  if (found != nullptr) {
    KMS_TRY(Tokens(call).RevokeOrphan(*found));
  }
  return Reply::NoContent();
}

Result<Reply> HandleRevokeAccessor(Call& call) {
  const Status revoked = Tokens(call).RevokeAccessor(call.fields.Text("accessor"));
  if (!revoked.has_value()) {
    return revoked.error().code == ErrorCode::kNotFound ? InvalidArgument("invalid accessor")
                                                        : revoked.error();
  }
  return Reply::NoContent();
}

// Ours: every token of one login source, named by the path of its auth mount.
Result<Reply> HandleRevokeSource(Call& call) {
  std::string_view path = call.fields.Text("mount");
  path = path.starts_with("auth/") ? path.substr(std::string_view{"auth/"}.size()) : path;
  path = path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
  const AuthMountHandle mount = call.services.identity.mounts().Find(path);
  if (mount == nullptr) {
    return InvalidArgument("no auth method is enabled at this mount");
  }
  TokenSource source{.mount_accessor = mount->accessor};
  if (const std::string_view role = call.fields.Text("role"); !role.empty()) {
    source.role = std::string(role);
  }
  if (const std::string_view alias = call.fields.Text("alias"); !alias.empty()) {
    source.alias_name = std::string(alias);
  }
  const std::size_t revoked = KMS_TRY(Tokens(call).RevokeSource(source));
  std::string data;
  JsonObject object(data);
  object.Integer("revoked", static_cast<std::int64_t>(revoked));
  object.Close();
  return Reply::Data(std::move(data));
}

// The reference servers' name for the same: tokens are the only leases there are.
Result<Reply> HandleRevokePrefix(Call& call) {
  constexpr std::string_view kAuth = "auth/";
  constexpr std::string_view kLogin = "login";
  const std::string_view path = call.fields.Text("path");
  std::string_view rest;
  const AuthMountHandle mount =
      path.starts_with(kAuth)
          ? call.services.identity.mounts().FindByPath(path.substr(kAuth.size()), rest)
          : nullptr;
  if (mount == nullptr) {
    return Reply::NoContent();
  }
  TokenSource source{.mount_accessor = mount->accessor};
  if (rest.starts_with("login/") && mount->type == "userpass") {
    source.alias_name = std::string(rest.substr(kLogin.size() + 1));
  } else if (!rest.empty() && rest != kLogin) {
    return InvalidArgument("name an auth mount, or a user of a userpass mount by its login path");
  }
  KMS_TRY(Tokens(call).RevokeSource(source));
  return Reply::NoContent();
}

Result<Reply> HandleTidyTokens(Call& call) {
  const std::size_t gone = KMS_TRY(Tokens(call).Tidy([] { return false; }));
  std::string data;
  JsonObject object(data);
  object.Integer("deleted", static_cast<std::int64_t>(gone));
  object.Close();
  return Reply::Data(std::move(data));
}

}  // namespace kms::api
