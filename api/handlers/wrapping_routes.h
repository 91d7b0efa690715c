// SPDX-License-Identifier: Apache-2.0
// Rows of the route table about answers that wait for whoever holds their token, and requests that
// wait for a second person.
#pragma once

#include <array>

#include "api/handlers/handlers.h"
#include "api/handlers/route_rows.h"
#include "api/pipeline/route.h"

namespace kms::api {

namespace wrapping_fields {

using enum FieldKind;

inline constexpr std::array kWrappingToken = {
    FieldSpec{.name = "token", .kind = kString},
};

}  // namespace wrapping_fields

inline constexpr auto kWrappingRoutes = Absolute(std::array{
    // Answers that wait for whoever holds their token. Only making one takes another token.
    Posts("sys/wrapping/wrap", HandleWrap),
    WithoutToken(Changes("sys/wrapping/unwrap", HandleUnwrap, wrapping_fields::kWrappingToken)),
    WithoutToken(
        Posts("sys/wrapping/lookup", HandleLookupWrapping, wrapping_fields::kWrappingToken)),
    WithoutToken(Reads("sys/wrapping/lookup", HandleLookupWrapping)),
    WithoutToken(
        Changes("sys/wrapping/rewrap", HandleRewrapResponse, wrapping_fields::kWrappingToken)),
    // Requests that wait for a second person.
    Lists("sys/approvals", HandleListApprovals),
    Reads("sys/approvals/{id}", HandleReadApproval),
    Deletes("sys/approvals/{id}", HandleCancelApproval),
    Changes("sys/approvals/{id}/approve", HandleApprove),
    ChangingState(Reads("sys/approvals/{id}/result", HandleApprovalResult)),
});

}  // namespace kms::api
