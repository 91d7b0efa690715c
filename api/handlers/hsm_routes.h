// SPDX-License-Identifier: Apache-2.0
// Rows of the route table about HSM tokens and the leases of environments.
#pragma once

#include <array>

#include "api/handlers/handlers.h"
#include "api/handlers/route_rows.h"
#include "api/pipeline/route.h"

namespace kms::api {

namespace hsm_fields {

using enum FieldKind;

inline constexpr std::array kReload = {
    FieldSpec{.name = "dry_run", .kind = kBoolean},
};
inline constexpr std::array kJoin = {
    FieldSpec{.name = "hsm", .kind = kString, .missing_text = "missing hsm: the name of a token"},
    FieldSpec{.name = "order", .kind = kInteger},
    FieldSpec{.name = "weight", .kind = kInteger, .fallback = "1"},
};
inline constexpr std::array kLeave = {
    FieldSpec{.name = "destroy", .kind = kBoolean},
    FieldSpec{.name = "lost", .kind = kBoolean},
    FieldSpec{.name = "reason", .kind = kString},
};

}  // namespace hsm_fields

inline constexpr auto kHsmRoutes = Absolute(std::array{
    Reads("sys/hsm", HandleListHsms),
    Sudo(Changes("sys/hsm/reload", HandleReloadHsms, hsm_fields::kReload)),
    Reads("sys/hsm/{hsm}", HandleReadHsm),
    Sudo(Changes("sys/environments/{path*}/hsms", HandleJoinHsm, hsm_fields::kJoin)),
    Reads("sys/environments/{path*}/hsms", HandleReadMembers),
    Sudo(Deletes("sys/environments/{path*}/hsms/{hsm}", HandleLeaveHsm, hsm_fields::kLeave)),
    Reads("sys/environments/{path*}/lease", HandleReadLease),
});

}  // namespace kms::api
