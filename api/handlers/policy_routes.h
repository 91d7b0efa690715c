// SPDX-License-Identifier: Apache-2.0
// Rows of the route table about policies, what they allow, and why.
#pragma once

#include <array>

#include "api/handlers/handlers.h"
#include "api/pipeline/route.h"

namespace kms::api {

namespace policy_fields {

using enum FieldKind;

inline constexpr std::array kListPolicies = {
    FieldSpec{.name = "list", .kind = kString},
};
inline constexpr std::array kWritePolicy = {
    FieldSpec{.name = "policy", .kind = kString},
};
inline constexpr std::array kWriteOldPolicy = {
    FieldSpec{.name = "policy", .kind = kString},
    FieldSpec{.name = "rules", .kind = kString},
};
inline constexpr std::array kExplainPolicy = {
    FieldSpec{.name = "token", .kind = kString},
    FieldSpec{.name = "accessor", .kind = kString},
    FieldSpec{.name = "method", .kind = kString, .missing_text = "missing method"},
    FieldSpec{.name = "path", .kind = kString, .missing_text = "missing path"},
};
inline constexpr std::array kCapabilities = {
    FieldSpec{.name = "token", .kind = kString},
    FieldSpec{.name = "accessor", .kind = kString},
    FieldSpec{.name = "paths", .kind = kSlice},
    FieldSpec{.name = "path", .kind = kSlice},
};

}  // namespace policy_fields

inline constexpr std::array kPolicyRoutes = {
    // Policies, what they allow, and why. The older paths are still what most clients use.
    Route{.operation = Operation::kList,
          .pattern = "sys/policies/acl",
          .capability = Capability::kList,
          .fields = policy_fields::kListPolicies,
          .handle = HandleListPolicies,
          .absolute = true},
    Route{.operation = Operation::kRead,
          .pattern = "sys/policies/acl/{name}",
          .capability = Capability::kRead,
          .handle = HandleReadPolicy,
          .absolute = true},
    Route{.operation = Operation::kUpdate,
          .pattern = "sys/policies/acl/{name}",
          .capability = Capability::kUpdate,
          .fields = policy_fields::kWritePolicy,
          .handle = HandleWritePolicy,
          .absolute = true,
          .changes_state = true},
    Route{.operation = Operation::kDelete,
          .pattern = "sys/policies/acl/{name}",
          .capability = Capability::kDelete,
          .handle = HandleDeletePolicy,
          .absolute = true,
          .changes_state = true},
    Route{.operation = Operation::kUpdate,
          .pattern = "sys/policies/explain",
          .capability = Capability::kUpdate,
          .fields = policy_fields::kExplainPolicy,
          .handle = HandleExplainPolicy,
          .absolute = true},
    Route{.operation = Operation::kRead,
          .pattern = "sys/policy",
          .capability = Capability::kRead,
          .handle = HandleListOldPolicies,
          .absolute = true,
          .hoisted = true},
    Route{.operation = Operation::kList,
          .pattern = "sys/policy",
          .capability = Capability::kList,
          .fields = policy_fields::kListPolicies,
          .handle = HandleListOldPolicies,
          .absolute = true,
          .hoisted = true},
    Route{.operation = Operation::kRead,
          .pattern = "sys/policy/{name}",
          .capability = Capability::kRead,
          .handle = HandleReadOldPolicy,
          .absolute = true,
          .hoisted = true},
    Route{.operation = Operation::kUpdate,
          .pattern = "sys/policy/{name}",
          .capability = Capability::kUpdate,
          .fields = policy_fields::kWriteOldPolicy,
          .handle = HandleWritePolicy,
          .absolute = true,
          .changes_state = true},
    Route{.operation = Operation::kDelete,
          .pattern = "sys/policy/{name}",
          .capability = Capability::kDelete,
          .handle = HandleDeletePolicy,
          .absolute = true,
          .changes_state = true},
    Route{.operation = Operation::kUpdate,
          .pattern = "sys/capabilities",
          .capability = Capability::kUpdate,
          .fields = policy_fields::kCapabilities,
          .handle = HandleCapabilities,
          .absolute = true,
          .hoisted = true},
    Route{.operation = Operation::kUpdate,
          .pattern = "sys/capabilities-self",
          .capability = Capability::kUpdate,
          .fields = policy_fields::kCapabilities,
          .handle = HandleCapabilitiesSelf,
          .absolute = true,
          .hoisted = true},
    Route{.operation = Operation::kUpdate,
          .pattern = "sys/capabilities-accessor",
          .capability = Capability::kUpdate,
          .fields = policy_fields::kCapabilities,
          .handle = HandleCapabilitiesOfAccessor,
          .absolute = true,
          .hoisted = true},
};

}  // namespace kms::api
