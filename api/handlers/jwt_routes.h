// SPDX-License-Identifier: Apache-2.0
// Rows of the route table below jwt mounts (transit-api 10.4).
#pragma once

#include <array>

#include "api/handlers/handlers.h"
#include "api/handlers/login_routes.h"
#include "api/handlers/route_rows.h"
#include "api/handlers/token_parameter_fields.h"
#include "api/pipeline/route.h"

namespace kms::api {

namespace jwt_fields {

using enum FieldKind;

inline constexpr std::array kLogin = {
    FieldSpec{.name = "role", .kind = kString},
    FieldSpec{.name = "jwt", .kind = kString},
};
// `jwks` is ours: the text of a key set, for issuers that cannot be reached. A path is not taken:
// whoever may configure a mount must not read the files of the server with it.
inline constexpr std::array kConfig = {
    FieldSpec{.name = "oidc_discovery_url", .kind = kString},
    FieldSpec{.name = "oidc_discovery_ca_pem", .kind = kString},
    FieldSpec{.name = "jwks_url", .kind = kString},
    FieldSpec{.name = "jwks_ca_pem", .kind = kString},
    FieldSpec{.name = "jwks", .kind = kString},
    FieldSpec{.name = "jwt_validation_pubkeys", .kind = kSlice},
    FieldSpec{.name = "bound_issuer", .kind = kString},
    FieldSpec{.name = "default_role", .kind = kString},
    FieldSpec{.name = "jwt_supported_algs", .kind = kSlice},
};
// Leeways may be negative, which durations are not: they are read as text.
inline constexpr auto kRole = WithTokenParameters(std::array{
    FieldSpec{.name = "role_type", .kind = kString},
    FieldSpec{.name = "bound_audiences", .kind = kSlice},
    FieldSpec{.name = "bound_subject", .kind = kString},
    FieldSpec{.name = "bound_claims", .kind = kMap},
    FieldSpec{.name = "bound_claims_type", .kind = kString},
    FieldSpec{.name = "user_claim", .kind = kString},
    FieldSpec{.name = "user_claim_json_pointer", .kind = kBoolean},
    FieldSpec{.name = "groups_claim", .kind = kString},
    FieldSpec{.name = "claim_mappings", .kind = kMap},
    FieldSpec{.name = "clock_skew_leeway", .kind = kString},
    FieldSpec{.name = "expiration_leeway", .kind = kString},
    FieldSpec{.name = "not_before_leeway", .kind = kString},
    FieldSpec{.name = "bind_client_certificate", .kind = kBoolean},
    FieldSpec{.name = "forbid_replay", .kind = kBoolean},
});

}  // namespace jwt_fields

inline constexpr auto kJwtRoutes = BelowAuthMounts(
    "jwt",
    std::array{
        WithoutToken(Changes("login", HandleJwtLogin, jwt_fields::kLogin)),
        Reads("config", HandleReadJwtConfig),
        Changes("config", HandleWriteJwtConfig, jwt_fields::kConfig),
        WithExistence(JwtRoleExists, Changes("role/{name}", HandleWriteJwtRole, jwt_fields::kRole)),
        Reads("role/{name}", HandleReadJwtRole),
        Deletes("role/{name}", HandleDeleteJwtRole),
        Lists("role", HandleListJwtRoles, login_fields::kList),
        Changes("tidy", HandleTidySeenJwts),
    });

}  // namespace kms::api
