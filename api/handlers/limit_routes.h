// SPDX-License-Identifier: Apache-2.0
// Rows of the route table about limits on what callers may do, and what they have used up.
#pragma once

#include <array>

#include "api/handlers/handlers.h"
#include "api/handlers/route_rows.h"
#include "api/pipeline/route.h"

namespace kms::api {

namespace limit_fields {

using enum FieldKind;

inline constexpr std::array kRateLimit = {
    FieldSpec{.name = "class", .kind = kString, .missing_text = "missing class"},
    FieldSpec{.name = "scope", .kind = kString, .fallback = "principal"},
    FieldSpec{.name = "rate", .kind = kInteger, .missing_text = "missing rate"},
    FieldSpec{.name = "interval", .kind = kDuration, .fallback = "1"},
    FieldSpec{.name = "burst", .kind = kInteger},
};
inline constexpr std::array kBudget = {
    FieldSpec{.name = "environment", .kind = kString, .fallback = "*"},
    FieldSpec{.name = "key", .kind = kString, .fallback = "*"},
    FieldSpec{.name = "policy", .kind = kString, .fallback = "*"},
    FieldSpec{.name = "actor", .kind = kString, .fallback = "*"},
    FieldSpec{.name = "rows_per_hour", .kind = kInteger, .missing_text = "missing rows_per_hour"},
    FieldSpec{.name = "action", .kind = kString, .fallback = "alarm"},
};
inline constexpr std::array kLoginBlock = {
    FieldSpec{.name = "address", .kind = kString},
    FieldSpec{.name = "login", .kind = kString},
    FieldSpec{.name = "all", .kind = kBoolean},
};

}  // namespace limit_fields

inline constexpr auto kLimitRoutes = Absolute(std::array{
    Reads("sys/limits/rate", HandleReadRateLimits),
    Sudo(Changes("sys/limits/rate", HandleWriteRateLimit, limit_fields::kRateLimit)),
    Lists("sys/limits/budgets", HandleListBudgets),
    Reads("sys/limits/budgets/{budget}", HandleReadBudget),
    Sudo(Changes("sys/limits/budgets/{budget}", HandleWriteBudget, limit_fields::kBudget)),
    Sudo(Deletes("sys/limits/budgets/{budget}", HandleDeleteBudget)),
    Lists("sys/limits/blocks", HandleListLoginBlocks),
    Sudo(Deletes("sys/limits/blocks", HandleClearLoginBlocks, limit_fields::kLoginBlock)),
    Reads("sys/limits/status", HandleLimitsStatus),
});

}  // namespace kms::api
