// SPDX-License-Identifier: Apache-2.0
// Rows of the route table about limits on what callers may do, and what they have used up.
#pragma once

#include <array>

#include "api/handlers/handlers.h"
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

inline constexpr std::array kLimitRoutes = {
    Route{.operation = Operation::kRead,
          .pattern = "sys/limits/rate",
          .capability = Capability::kRead,
          .handle = HandleReadRateLimits,
          .absolute = true},
    Route{.operation = Operation::kUpdate,
          .pattern = "sys/limits/rate",
          .capability = Capability::kUpdate,
          .fields = limit_fields::kRateLimit,
          .handle = HandleWriteRateLimit,
          .absolute = true,
          .sudo = true,
          .changes_state = true},
    Route{.operation = Operation::kList,
          .pattern = "sys/limits/budgets",
          .capability = Capability::kList,
          .handle = HandleListBudgets,
          .absolute = true},
    Route{.operation = Operation::kRead,
          .pattern = "sys/limits/budgets/{budget}",
          .capability = Capability::kRead,
          .handle = HandleReadBudget,
          .absolute = true},
    Route{.operation = Operation::kUpdate,
          .pattern = "sys/limits/budgets/{budget}",
          .capability = Capability::kUpdate,
          .fields = limit_fields::kBudget,
          .handle = HandleWriteBudget,
          .absolute = true,
          .sudo = true,
          .changes_state = true},
    Route{.operation = Operation::kDelete,
          .pattern = "sys/limits/budgets/{budget}",
          .capability = Capability::kDelete,
          .handle = HandleDeleteBudget,
          .absolute = true,
          .sudo = true,
          .changes_state = true},
    Route{.operation = Operation::kList,
          .pattern = "sys/limits/blocks",
          .capability = Capability::kList,
          .handle = HandleListLoginBlocks,
          .absolute = true},
    Route{.operation = Operation::kDelete,
          .pattern = "sys/limits/blocks",
          .capability = Capability::kDelete,
          .fields = limit_fields::kLoginBlock,
          .handle = HandleClearLoginBlocks,
          .absolute = true,
          .sudo = true,
          .changes_state = true},
    Route{.operation = Operation::kRead,
          .pattern = "sys/limits/status",
          .capability = Capability::kRead,
          .handle = HandleLimitsStatus,
          .absolute = true},
};

}  // namespace kms::api
