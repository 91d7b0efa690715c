// SPDX-License-Identifier: Apache-2.0
// What a rule demands of a request beyond path and capability (transit-api 11.4).
#include <algorithm>

#include "kms/auth/acl.h"
#include "kms/auth/glob.h"
#include "kms/auth/policy_values.h"

namespace kms {
namespace {

constexpr std::string_view kAny = "*";

Error Denied() { return MakeError(ErrorCode::kPermissionDenied, "permission denied"); }

bool IsAmong(const ParameterValues& values, std::string_view value) {
  return std::ranges::any_of(values, [value](const std::string& pattern) {
    return MatchesEdgeGlob(pattern, value);
  });
}

const ParameterValues* Find(const std::map<std::string, ParameterValues>& map,
                            std::string_view name) {
  for (const auto& [known, values] : map) {
    if (internal::EqualIgnoringCase(known, name)) {
      return &values;
    }
  }
  return nullptr;
}

bool IsDenied(const ParameterRules& rules, const RequestParameter& parameter) {
  if (Find(rules.denied, kAny) != nullptr) {
    return true;
  }
  const ParameterValues* values = Find(rules.denied, parameter.name);
  return values != nullptr &&
         (values->empty() || !parameter.is_scalar || IsAmong(*values, parameter.value));
}

bool IsAllowed(const ParameterRules& rules, const RequestParameter& parameter) {
  const ParameterValues* values = Find(rules.allowed, parameter.name);
  if (values == nullptr) {
    values = Find(rules.allowed, kAny);
  }
  return values != nullptr &&
         (values->empty() || (parameter.is_scalar && IsAmong(*values, parameter.value)));
}

}  // namespace

Status CheckParameters(const AclRule& rule, std::span<const RequestParameter> parameters) {
  const ParameterRules& rules = rule.parameters;
  for (const std::string& required : rules.required) {
    const bool present =
        std::ranges::any_of(parameters, [&required](const RequestParameter& given) {
          return internal::EqualIgnoringCase(required, given.name);
        });
    if (!present) {
      return Denied();
    }
  }
  for (const RequestParameter& parameter : parameters) {
    const bool allowed = rules.allowed.empty() || IsAllowed(rules, parameter);
    if (IsDenied(rules, parameter) || !allowed) {
      return Denied();
    }
  }
  return Ok();
}

Status CheckRequiredContext(const AclRule& rule,
                            std::span<const std::optional<std::string>> associated_data) {
  if (rule.required_context.empty() && !rule.demands_unknown_context) {
    return Ok();
  }
  const bool every = std::ranges::all_of(associated_data, [&rule](const auto& data) {
    return data.has_value() && !data->empty() && IsAmong(rule.required_context, *data);
  });
  if (!every || associated_data.empty()) {
    return MakeError(ErrorCode::kPermissionDenied,
                     "permission denied: associated data that this policy requires is missing or "
                     "is not what it requires");
  }
  return Ok();
}

Status CheckWrapping(const AclRule& rule, std::optional<std::int64_t> ttl_seconds) {
  const std::int64_t min = rule.min_wrapping_ttl_seconds;
  const std::int64_t max = rule.max_wrapping_ttl_seconds;
  if (min == 0 && max == 0) {
    return Ok();
  }
  const std::int64_t ttl = ttl_seconds.value_or(0);
  if (ttl <= 0 || ttl < min || (max != 0 && ttl > max)) {
    return Denied();
  }
  return Ok();
}

}  // namespace kms
