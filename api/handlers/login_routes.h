// SPDX-License-Identifier: Apache-2.0
// Rows of the route table below approle and userpass mounts (transit-api 10.3, 10.6).
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "api/handlers/handlers.h"
#include "api/handlers/route_rows.h"
#include "api/handlers/token_parameter_fields.h"
#include "api/pipeline/route.h"

namespace kms::api {

namespace login_fields {

using enum FieldKind;

inline constexpr std::array kList = {
    FieldSpec{.name = "after", .kind = kString},
    FieldSpec{.name = "limit", .kind = kInteger},
    FieldSpec{.name = "list", .kind = kString},
};

inline constexpr std::array kAppRoleLogin = {
    FieldSpec{.name = "role_id", .kind = kString},
    FieldSpec{.name = "secret_id", .kind = kString},
};
inline constexpr auto kAppRole = WithTokenParameters(std::array{
    FieldSpec{.name = "bind_secret_id", .kind = kBoolean},
    FieldSpec{.name = "secret_id_bound_cidrs", .kind = kSlice},
    FieldSpec{.name = "secret_id_num_uses", .kind = kInteger},
    FieldSpec{.name = "secret_id_ttl", .kind = kDuration},
    FieldSpec{.name = "local_secret_ids", .kind = kBoolean},
    FieldSpec{.name = "role_id", .kind = kString},
    FieldSpec{.name = "bound_cidr_list", .kind = kSlice},
});
inline constexpr std::array kRoleId = {
    FieldSpec{.name = "role_id", .kind = kString, .missing_text = "missing role_id"},
};
inline constexpr std::array kSecretId = {
    FieldSpec{.name = "metadata", .kind = kString},
    FieldSpec{.name = "cidr_list", .kind = kSlice},
    FieldSpec{.name = "token_bound_cidrs", .kind = kSlice},
    FieldSpec{.name = "num_uses", .kind = kInteger},
    FieldSpec{.name = "ttl", .kind = kDuration},
};
inline constexpr std::array kCustomSecretId = {
    FieldSpec{.name = "secret_id", .kind = kString, .missing_text = "missing secret_id"},
    FieldSpec{.name = "metadata", .kind = kString},
    FieldSpec{.name = "cidr_list", .kind = kSlice},
    FieldSpec{.name = "token_bound_cidrs", .kind = kSlice},
    FieldSpec{.name = "num_uses", .kind = kInteger},
    FieldSpec{.name = "ttl", .kind = kDuration},
};
inline constexpr std::array kGivenSecretId = {
    FieldSpec{.name = "secret_id", .kind = kString, .missing_text = "missing secret_id"},
};
inline constexpr std::array kGivenAccessor = {
    FieldSpec{.name = "secret_id_accessor",
              .kind = kString,
              .missing_text = "missing secret_id_accessor"},
};

// One setting of a role each, and its name in old clients.
inline constexpr std::array kPolicies = {
    FieldSpec{.name = "token_policies", .kind = kSlice},
    FieldSpec{.name = "policies", .kind = kSlice},
};
inline constexpr std::array kBindSecretId = {
    FieldSpec{.name = "bind_secret_id", .kind = kBoolean},
};
inline constexpr std::array kSecretIdNumUses = {
    FieldSpec{.name = "secret_id_num_uses", .kind = kInteger},
};
inline constexpr std::array kSecretIdTtl = {
    FieldSpec{.name = "secret_id_ttl", .kind = kDuration},
};
inline constexpr std::array kTokenTtl = {
    FieldSpec{.name = "token_ttl", .kind = kDuration},
};
inline constexpr std::array kTokenMaxTtl = {
    FieldSpec{.name = "token_max_ttl", .kind = kDuration},
};
inline constexpr std::array kTokenNumUses = {
    FieldSpec{.name = "token_num_uses", .kind = kInteger},
};
inline constexpr std::array kTokenBoundCidrs = {
    FieldSpec{.name = "token_bound_cidrs", .kind = kSlice},
};
inline constexpr std::array kSecretIdBoundCidrs = {
    FieldSpec{.name = "secret_id_bound_cidrs", .kind = kSlice},
};
inline constexpr std::array kBoundCidrList = {
    FieldSpec{.name = "bound_cidr_list", .kind = kSlice},
};
inline constexpr std::array kPeriod = {
    FieldSpec{.name = "token_period", .kind = kDuration},
    FieldSpec{.name = "period", .kind = kDuration},
};

inline constexpr std::array kUserpassLogin = {
    FieldSpec{.name = "password", .kind = kString},
    FieldSpec{.name = "passcode", .kind = kString},
};
inline constexpr auto kUser = WithTokenParameters(std::array{
    FieldSpec{.name = "password", .kind = kString},
});
inline constexpr std::array kPassword = {
    FieldSpec{.name = "password", .kind = kString},
};
inline constexpr std::array kPasscode = {
    FieldSpec{.name = "passcode", .kind = kString, .missing_text = "missing passcode"},
};

}  // namespace login_fields

constexpr Route ReadSetting(std::string_view pattern) {
  return Reads(pattern, HandleReadAppRoleSetting);
}
constexpr Route WriteSetting(std::string_view pattern, std::span<const FieldSpec> fields) {
  return Changes(pattern, HandleWriteAppRoleSetting, fields);
}
constexpr Route DeleteSetting(std::string_view pattern) {
  return Deletes(pattern, HandleDeleteAppRoleSetting);
}

inline constexpr auto kAppRoleRoutes = BelowAuthMounts(
    "approle",
    std::array{
        WithoutToken(Changes("login", HandleAppRoleLogin, login_fields::kAppRoleLogin)),
        WithExistence(AppRoleExists,
                      Changes("role/{name}", HandleWriteAppRole, login_fields::kAppRole)),
        Reads("role/{name}", HandleReadAppRole),
        Deletes("role/{name}", HandleDeleteAppRole),
        Lists("role", HandleListAppRoles, login_fields::kList),
        Reads("role/{name}/role-id", HandleReadAppRoleId),
        Changes("role/{name}/role-id", HandleWriteAppRoleId, login_fields::kRoleId),
        Changes("role/{name}/secret-id", HandleCreateSecretId, login_fields::kSecretId),
        Lists("role/{name}/secret-id", HandleListSecretIds, login_fields::kList),
        Changes("role/{name}/custom-secret-id", HandleCreateCustomSecretId,
                login_fields::kCustomSecretId),
        Posts("role/{name}/secret-id/lookup", HandleLookupSecretId, login_fields::kGivenSecretId),
        Changes("role/{name}/secret-id/destroy", HandleDestroySecretId,
                login_fields::kGivenSecretId),
        Deletes("role/{name}/secret-id/destroy", HandleDestroySecretId,
                login_fields::kGivenSecretId),
        Posts("role/{name}/secret-id-accessor/lookup", HandleLookupSecretIdAccessor,
              login_fields::kGivenAccessor),
        Changes("role/{name}/secret-id-accessor/destroy", HandleDestroySecretIdAccessor,
                login_fields::kGivenAccessor),
        Deletes("role/{name}/secret-id-accessor/destroy", HandleDestroySecretIdAccessor,
                login_fields::kGivenAccessor),
        Changes("tidy/secret-id", HandleTidySecretIds),
        ReadSetting("role/{name}/policies"),
        WriteSetting("role/{name}/policies", login_fields::kPolicies),
        DeleteSetting("role/{name}/policies"),
        ReadSetting("role/{name}/bind-secret-id"),
        WriteSetting("role/{name}/bind-secret-id", login_fields::kBindSecretId),
        DeleteSetting("role/{name}/bind-secret-id"),
        ReadSetting("role/{name}/secret-id-num-uses"),
        WriteSetting("role/{name}/secret-id-num-uses", login_fields::kSecretIdNumUses),
        DeleteSetting("role/{name}/secret-id-num-uses"),
        ReadSetting("role/{name}/secret-id-ttl"),
        WriteSetting("role/{name}/secret-id-ttl", login_fields::kSecretIdTtl),
        DeleteSetting("role/{name}/secret-id-ttl"),
        ReadSetting("role/{name}/token-ttl"),
        WriteSetting("role/{name}/token-ttl", login_fields::kTokenTtl),
        DeleteSetting("role/{name}/token-ttl"),
        ReadSetting("role/{name}/token-max-ttl"),
        WriteSetting("role/{name}/token-max-ttl", login_fields::kTokenMaxTtl),
        DeleteSetting("role/{name}/token-max-ttl"),
        ReadSetting("role/{name}/token-num-uses"),
        WriteSetting("role/{name}/token-num-uses", login_fields::kTokenNumUses),
        DeleteSetting("role/{name}/token-num-uses"),
        ReadSetting("role/{name}/token-bound-cidrs"),
        WriteSetting("role/{name}/token-bound-cidrs", login_fields::kTokenBoundCidrs),
        DeleteSetting("role/{name}/token-bound-cidrs"),
        ReadSetting("role/{name}/secret-id-bound-cidrs"),
        WriteSetting("role/{name}/secret-id-bound-cidrs", login_fields::kSecretIdBoundCidrs),
        DeleteSetting("role/{name}/secret-id-bound-cidrs"),
        ReadSetting("role/{name}/bound-cidr-list"),
        WriteSetting("role/{name}/bound-cidr-list", login_fields::kBoundCidrList),
        DeleteSetting("role/{name}/bound-cidr-list"),
        ReadSetting("role/{name}/period"),
        WriteSetting("role/{name}/period", login_fields::kPeriod),
        DeleteSetting("role/{name}/period"),
        ReadSetting("role/{name}/local-secret-ids"),
    });

inline constexpr auto kUserpassRoutes = BelowAuthMounts(
    "userpass",
    std::array{
        WithoutToken(Changes("login/{name}", HandleUserpassLogin, login_fields::kUserpassLogin)),
        WithExistence(UserExists, Changes("users/{name}", HandleWriteUser, login_fields::kUser)),
        Reads("users/{name}", HandleReadUser),
        Deletes("users/{name}", HandleDeleteUser),
        Lists("users", HandleListUsers, login_fields::kList),
        Changes("users/{name}/password", HandleWriteUserPassword, login_fields::kPassword),
        Changes("users/{name}/policies", HandleWriteUserPolicies, login_fields::kPolicies),
        Changes("users/{name}/totp", HandleBeginTotp),
        Deletes("users/{name}/totp", HandleDisableTotp),
        Changes("users/{name}/totp/confirm", HandleConfirmTotp, login_fields::kPasscode),
    });

}  // namespace kms::api
