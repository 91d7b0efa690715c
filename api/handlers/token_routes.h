// SPDX-License-Identifier: Apache-2.0
// Rows of the route table below auth/token (transit-api 10.2).
#pragma once

#include <array>

#include "api/handlers/handlers.h"
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

constexpr Route TokenRoute(Operation operation, std::string_view pattern, Capability capability,
                           Handler handle, std::span<const FieldSpec> fields = {},
                           bool changes_state = false, bool sudo = false) {
  return Route{.operation = operation,
               .pattern = pattern,
               .capability = capability,
               .fields = fields,
               .handle = handle,
               .absolute = true,
               .sudo = sudo,
               .changes_state = changes_state};
}
constexpr Route TokenChange(std::string_view pattern, Handler handle,
                            std::span<const FieldSpec> fields = {}, bool sudo = false) {
  return TokenRoute(Operation::kUpdate, pattern, Capability::kUpdate, handle, fields,
                    /*changes_state=*/true, sudo);
}

inline constexpr std::array kTokenRoutes = {
    TokenChange("auth/token/create", HandleCreateToken, token_fields::kCreate),
    TokenChange("auth/token/create-orphan", HandleCreateOrphanToken, token_fields::kCreate),
    TokenChange("auth/token/create/{role_name}", HandleCreateRoleToken, token_fields::kCreate),
    TokenRoute(Operation::kRead, "auth/token/lookup-self", Capability::kRead, HandleLookupSelf),
    TokenRoute(Operation::kUpdate, "auth/token/lookup-self", Capability::kUpdate, HandleLookupSelf),
    TokenRoute(Operation::kRead, "auth/token/lookup", Capability::kRead, HandleLookupSelf),
    TokenRoute(Operation::kUpdate, "auth/token/lookup", Capability::kUpdate, HandleLookupToken,
               token_fields::kToken),
    TokenRoute(Operation::kUpdate, "auth/token/lookup-accessor", Capability::kUpdate,
               HandleLookupAccessor, token_fields::kAccessor),
    TokenRoute(Operation::kList, "auth/token/accessors", Capability::kList, HandleListAccessors,
               token_fields::kList, /*changes_state=*/false, /*sudo=*/true),
    TokenChange("auth/token/renew-self", HandleRenewSelf, token_fields::kRenewSelf),
    TokenChange("auth/token/renew", HandleRenewToken, token_fields::kRenew),
    TokenChange("auth/token/renew-accessor", HandleRenewAccessor, token_fields::kRenewAccessor),
    TokenChange("auth/token/revoke-self", HandleRevokeSelf),
    TokenChange("auth/token/revoke", HandleRevokeToken, token_fields::kNeededToken),
    TokenChange("auth/token/revoke-accessor", HandleRevokeAccessor, token_fields::kAccessor),
    TokenChange("auth/token/revoke-orphan", HandleRevokeOrphan, token_fields::kNeededToken,
                /*sudo=*/true),
    TokenChange("auth/token/revoke-source", HandleRevokeSource, token_fields::kSource,
                /*sudo=*/true),
    TokenChange("sys/leases/revoke-prefix/{path*}", HandleRevokePrefix, {}, /*sudo=*/true),
    TokenChange("auth/token/tidy", HandleTidyTokens),
    TokenRoute(Operation::kList, "auth/token/roles", Capability::kList, HandleListTokenRoles,
               token_fields::kList),
    TokenRoute(Operation::kRead, "auth/token/roles/{role_name}", Capability::kRead,
               HandleReadTokenRole),
    Route{.operation = Operation::kUpdate,
          .pattern = "auth/token/roles/{role_name}",
          .capability = Capability::kUpdate,
          .fields = token_fields::kRole,
          .handle = HandleWriteTokenRole,
          .absolute = true,
          .exists = TokenRoleExists,
          .changes_state = true},
    TokenRoute(Operation::kDelete, "auth/token/roles/{role_name}", Capability::kDelete,
               HandleDeleteTokenRole, {}, /*changes_state=*/true),
};

}  // namespace kms::api
