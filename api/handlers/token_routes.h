// SPDX-License-Identifier: Apache-2.0
// Rows of the route table below auth/token (transit-api 10.2).
#pragma once

#include <array>

#include "api/handlers/handlers.h"
#include "api/handlers/route_rows.h"
#include "api/handlers/token_parameter_fields.h"
#include "api/pipeline/route.h"

namespace kms::api {

namespace token_fields {

using enum FieldKind;

inline constexpr std::array kCreate = {
    FieldSpec{.name = "id", .kind = kString},
    FieldSpec{.name = "policies", .kind = kSlice},
    FieldSpec{.name = "meta", .kind = kMap},
    FieldSpec{.name = "no_parent", .kind = kBoolean},
    FieldSpec{.name = "no_default_policy", .kind = kBoolean},
    FieldSpec{.name = "renewable", .kind = kBoolean},
    FieldSpec{.name = "ttl", .kind = kDuration},
    FieldSpec{.name = "lease", .kind = kDuration},
    FieldSpec{.name = "explicit_max_ttl", .kind = kDuration},
    FieldSpec{.name = "period", .kind = kDuration},
    FieldSpec{.name = "type", .kind = kString},
    FieldSpec{.name = "display_name", .kind = kString},
    FieldSpec{.name = "num_uses", .kind = kInteger},
    FieldSpec{.name = "entity_alias", .kind = kString},
};
inline constexpr std::array kToken = {
    FieldSpec{.name = "token", .kind = kString},
};
inline constexpr std::array kNeededToken = {
    FieldSpec{.name = "token", .kind = kString, .missing_text = "missing token ID"},
};
inline constexpr std::array kAccessor = {
    FieldSpec{.name = "accessor", .kind = kString, .missing_text = "missing accessor"},
};
inline constexpr std::array kRenewSelf = {
    FieldSpec{.name = "increment", .kind = kDuration},
};
inline constexpr std::array kRenew = {
    FieldSpec{.name = "token", .kind = kString, .missing_text = "missing token ID"},
    FieldSpec{.name = "increment", .kind = kDuration},
};
inline constexpr std::array kRenewAccessor = {
    FieldSpec{.name = "accessor", .kind = kString, .missing_text = "missing accessor"},
    FieldSpec{.name = "increment", .kind = kDuration},
};
inline constexpr std::array kList = {
    FieldSpec{.name = "after", .kind = kString},
    FieldSpec{.name = "limit", .kind = kInteger},
    FieldSpec{.name = "list", .kind = kString},
};
inline constexpr std::array kSource = {
    FieldSpec{.name = "mount",
              .kind = kString,
              .missing_text = "missing mount: the path of an auth method, for example \"approle\""},
    FieldSpec{.name = "role", .kind = kString},
    FieldSpec{.name = "alias", .kind = kString},
};
inline constexpr auto kRole = WithTokenParameters(std::array{
    FieldSpec{.name = "allowed_policies", .kind = kSlice},
    FieldSpec{.name = "disallowed_policies", .kind = kSlice},
    FieldSpec{.name = "allowed_policies_glob", .kind = kSlice},
    FieldSpec{.name = "disallowed_policies_glob", .kind = kSlice},
    FieldSpec{.name = "orphan", .kind = kBoolean},
    FieldSpec{.name = "renewable", .kind = kBoolean},
    FieldSpec{.name = "path_suffix", .kind = kString},
    FieldSpec{.name = "explicit_max_ttl", .kind = kDuration},
});

}  // namespace token_fields

inline constexpr auto kTokenRoutes = Absolute(std::array{
    Changes("auth/token/create", HandleCreateToken, token_fields::kCreate),
    Changes("auth/token/create-orphan", HandleCreateOrphanToken, token_fields::kCreate),
    Changes("auth/token/create/{role_name}", HandleCreateRoleToken, token_fields::kCreate),
    Reads("auth/token/lookup-self", HandleLookupSelf),
    Posts("auth/token/lookup-self", HandleLookupSelf),
    Reads("auth/token/lookup", HandleLookupSelf),
    Posts("auth/token/lookup", HandleLookupToken, token_fields::kToken),
    Posts("auth/token/lookup-accessor", HandleLookupAccessor, token_fields::kAccessor),
    Sudo(Lists("auth/token/accessors", HandleListAccessors, token_fields::kList)),
    Changes("auth/token/renew-self", HandleRenewSelf, token_fields::kRenewSelf),
    Changes("auth/token/renew", HandleRenewToken, token_fields::kRenew),
    Changes("auth/token/renew-accessor", HandleRenewAccessor, token_fields::kRenewAccessor),
    Changes("auth/token/revoke-self", HandleRevokeSelf),
    Changes("auth/token/revoke", HandleRevokeToken, token_fields::kNeededToken),
    Changes("auth/token/revoke-accessor", HandleRevokeAccessor, token_fields::kAccessor),
    Sudo(Changes("auth/token/revoke-orphan", HandleRevokeOrphan, token_fields::kNeededToken)),
    Sudo(Changes("auth/token/revoke-source", HandleRevokeSource, token_fields::kSource)),
    Sudo(Changes("sys/leases/revoke-prefix/{path*}", HandleRevokePrefix)),
    Changes("auth/token/tidy", HandleTidyTokens),
    Lists("auth/token/roles", HandleListTokenRoles, token_fields::kList),
    Reads("auth/token/roles/{role_name}", HandleReadTokenRole),
    WithExistence(TokenRoleExists, Changes("auth/token/roles/{role_name}", HandleWriteTokenRole,
                                           token_fields::kRole)),
    Deletes("auth/token/roles/{role_name}", HandleDeleteTokenRole),
});

}  // namespace kms::api
