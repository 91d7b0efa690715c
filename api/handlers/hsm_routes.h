// SPDX-License-Identifier: Apache-2.0
// Rows of the route table about HSM tokens and the leases of environments.
#pragma once

#include <array>

#include "api/handlers/handlers.h"
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

inline constexpr std::array kHsmRoutes = {
    Route{.operation = Operation::kRead, .pattern = "sys/hsm", .capability = Capability::kRead,
          .handle = HandleListHsms, .absolute = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/hsm/reload",
          .capability = Capability::kUpdate, .fields = hsm_fields::kReload,
          .handle = HandleReloadHsms, .absolute = true, .sudo = true, .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "sys/hsm/{hsm}",
          .capability = Capability::kRead, .handle = HandleReadHsm, .absolute = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/environments/{path*}/hsms",
          .capability = Capability::kUpdate, .fields = hsm_fields::kJoin, .handle = HandleJoinHsm,
          .absolute = true, .sudo = true, .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "sys/environments/{path*}/hsms",
          .capability = Capability::kRead, .handle = HandleReadMembers, .absolute = true},
    Route{.operation = Operation::kDelete, .pattern = "sys/environments/{path*}/hsms/{hsm}",
          .capability = Capability::kDelete, .fields = hsm_fields::kLeave,
          .handle = HandleLeaveHsm, .absolute = true, .sudo = true, .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "sys/environments/{path*}/lease",
          .capability = Capability::kRead, .handle = HandleReadLease, .absolute = true},
};

}  // namespace kms::api
