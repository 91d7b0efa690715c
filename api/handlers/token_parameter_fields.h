// SPDX-License-Identifier: Apache-2.0
// The token_* fields that roles and users of every auth method share (transit-api 10.3), and lists
// that come as arrays or as text with commas.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "api/pipeline/field.h"
#include "api/pipeline/fields.h"
#include "api/pipeline/json_writer.h"
#include "kms/auth/token_parameters.h"
#include "kms/base/result.h"

namespace kms::api {

// The names of old clients stand behind the current ones and lose against them.
inline constexpr std::array kTokenParameterFields = {
    FieldSpec{.name = "token_ttl", .kind = FieldKind::kDuration},
    FieldSpec{.name = "token_max_ttl", .kind = FieldKind::kDuration},
    FieldSpec{.name = "token_explicit_max_ttl", .kind = FieldKind::kDuration},
    FieldSpec{.name = "token_period", .kind = FieldKind::kDuration},
    FieldSpec{.name = "token_num_uses", .kind = FieldKind::kInteger},
    FieldSpec{.name = "token_policies", .kind = FieldKind::kSlice},
    FieldSpec{.name = "token_no_default_policy", .kind = FieldKind::kBoolean},
    FieldSpec{.name = "token_bound_cidrs", .kind = FieldKind::kSlice},
    FieldSpec{.name = "token_strictly_bind_ip", .kind = FieldKind::kBoolean},
    FieldSpec{.name = "token_type", .kind = FieldKind::kString},
    FieldSpec{.name = "ttl", .kind = FieldKind::kDuration},
    FieldSpec{.name = "max_ttl", .kind = FieldKind::kDuration},
    FieldSpec{.name = "period", .kind = FieldKind::kDuration},
    FieldSpec{.name = "num_uses", .kind = FieldKind::kInteger},
    FieldSpec{.name = "policies", .kind = FieldKind::kSlice},
    FieldSpec{.name = "bound_cidrs", .kind = FieldKind::kSlice},
};

// A route's own fields, then those above.
template <std::size_t N>
constexpr std::array<FieldSpec, N + kTokenParameterFields.size()> WithTokenParameters(
    const std::array<FieldSpec, N>& own) {
  std::array<FieldSpec, N + kTokenParameterFields.size()> all{};
  std::copy(own.begin(), own.end(), all.begin());
  std::copy(kTokenParameterFields.begin(), kTokenParameterFields.end(),
            all.begin() + static_cast<std::ptrdiff_t>(N));
  return all;
}

// The items of a kSlice field: an array of strings, or one string with commas; without blanks at
// their ends and without empty ones. Errors: kInvalidArgument naming the field.
Result<std::vector<std::string>> ListField(const Fields& fields, std::string_view name);

// Canonical names of policies, sorted, each once. Errors: kInvalidArgument.
Result<std::vector<std::string>> PolicyNames(const std::vector<std::string>& texts);
// Errors: kInvalidArgument naming the field.
Result<std::vector<CidrBlock>> CidrField(const Fields& fields, std::string_view name);
// "", "default", "service", "batch", "default-service", "default-batch". Errors: kInvalidArgument.
Result<GrantedTokenType> ParseTokenType(std::string_view text);

// Replaces what the request gives and leaves the rest. Errors: kInvalidArgument, also for what does
// not go together (a TTL above its maximum, batch tokens with uses or a period) and for policies
// that no login may grant; `parameters` is as it was then.
Status ApplyTokenParameters(const Fields& fields, TokenParameters& parameters);

// The members of the answer to a read: durations in seconds, lists as arrays.
void AppendTokenParameters(const TokenParameters& parameters, JsonObject& object, std::string& out);

}  // namespace kms::api
