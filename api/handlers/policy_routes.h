// SPDX-License-Identifier: Apache-2.0
// Rows of the route table about policies, what they allow, and why.
#pragma once

#include <array>

#include "api/handlers/handlers.h"
#include "api/handlers/route_rows.h"
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

inline constexpr auto kPolicyRoutes = Absolute(std::array{
    // Policies, what they allow, and why. The older paths are still what most clients use.
    Lists("sys/policies/acl", HandleListPolicies, policy_fields::kListPolicies),
    Reads("sys/policies/acl/{name}", HandleReadPolicy),
    Changes("sys/policies/acl/{name}", HandleWritePolicy, policy_fields::kWritePolicy),
    Deletes("sys/policies/acl/{name}", HandleDeletePolicy),
    Posts("sys/policies/explain", HandleExplainPolicy, policy_fields::kExplainPolicy),
    Hoisted(Reads("sys/policy", HandleListOldPolicies)),
    Hoisted(Lists("sys/policy", HandleListOldPolicies, policy_fields::kListPolicies)),
    Hoisted(Reads("sys/policy/{name}", HandleReadOldPolicy)),
    Changes("sys/policy/{name}", HandleWritePolicy, policy_fields::kWriteOldPolicy),
    Deletes("sys/policy/{name}", HandleDeletePolicy),
    Hoisted(Posts("sys/capabilities", HandleCapabilities, policy_fields::kCapabilities)),
    Hoisted(Posts("sys/capabilities-self", HandleCapabilitiesSelf, policy_fields::kCapabilities)),
    Hoisted(Posts("sys/capabilities-accessor", HandleCapabilitiesOfAccessor,
                  policy_fields::kCapabilities)),
});

}  // namespace kms::api
