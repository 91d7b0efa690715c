// SPDX-License-Identifier: Apache-2.0
// Rows of the route table about answers that wait for whoever holds their token, and requests that
// wait for a second person.
#pragma once

#include <array>

#include "api/handlers/handlers.h"
#include "api/pipeline/route.h"

namespace kms::api {

namespace wrapping_fields {

using enum FieldKind;

inline constexpr std::array kWrappingToken = {
    FieldSpec{.name = "token", .kind = kString},
};

}  // namespace wrapping_fields

inline constexpr std::array kWrappingRoutes = {
    // Answers that wait for whoever holds their token. Only making one takes another token.
    Route{.operation = Operation::kUpdate,
          .pattern = "sys/wrapping/wrap",
          .capability = Capability::kUpdate,
          .handle = HandleWrap,
          .absolute = true},
    Route{.operation = Operation::kUpdate,
          .pattern = "sys/wrapping/unwrap",
          .capability = Capability::kNone,
          .fields = wrapping_fields::kWrappingToken,
          .handle = HandleUnwrap,
          .absolute = true,
          .login = true,
          .changes_state = true},
    Route{.operation = Operation::kUpdate,
          .pattern = "sys/wrapping/lookup",
          .capability = Capability::kNone,
          .fields = wrapping_fields::kWrappingToken,
          .handle = HandleLookupWrapping,
          .absolute = true,
          .login = true},
    Route{.operation = Operation::kRead,
          .pattern = "sys/wrapping/lookup",
          .capability = Capability::kNone,
          .handle = HandleLookupWrapping,
          .absolute = true,
          .login = true},
    Route{.operation = Operation::kUpdate,
          .pattern = "sys/wrapping/rewrap",
          .capability = Capability::kNone,
          .fields = wrapping_fields::kWrappingToken,
          .handle = HandleRewrapResponse,
          .absolute = true,
          .login = true,
          .changes_state = true},
    // Requests that wait for a second person.
    Route{.operation = Operation::kList,
          .pattern = "sys/approvals",
          .capability = Capability::kList,
          .handle = HandleListApprovals,
          .absolute = true},
    Route{.operation = Operation::kRead,
          .pattern = "sys/approvals/{id}",
          .capability = Capability::kRead,
          .handle = HandleReadApproval,
          .absolute = true},
    Route{.operation = Operation::kDelete,
          .pattern = "sys/approvals/{id}",
          .capability = Capability::kDelete,
          .handle = HandleCancelApproval,
          .absolute = true,
          .changes_state = true},
    Route{.operation = Operation::kUpdate,
          .pattern = "sys/approvals/{id}/approve",
          .capability = Capability::kUpdate,
          .handle = HandleApprove,
          .absolute = true,
          .changes_state = true},
    Route{.operation = Operation::kRead,
          .pattern = "sys/approvals/{id}/result",
          .capability = Capability::kRead,
          .handle = HandleApprovalResult,
          .absolute = true,
          .changes_state = true},
};

}  // namespace kms::api
