// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value or an Error, never both; a dropped one does not compile.
#pragma once

#include <expected>
#include <string_view>
#include <utility>

#include "kms/base/error.h"

namespace kms {

template <typename T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  Result(Error error) : std::expected<T, Error>(std::unexpect, std::move(error)) {}  // NOLINT
};

template <>
class [[nodiscard]] Result<void> : public std::expected<void, Error> {
 public:
  using std::expected<void, Error>::expected;
  Result(Error error) : std::expected<void, Error>(std::unexpect, std::move(error)) {}  // NOLINT
};

using Status = Result<void>;

inline Status Ok() { return {}; }

// Names the place where a failure is deliberately ignored, and why.
template <typename T>
void IgnoreError(const Result<T>& /*result*/, std::string_view /*why*/) {}

}  // namespace kms

// Evaluates to the value of a Result, or returns its error from the enclosing function.
// One per statement: nesting shadows.
#define KMS_TRY(expression)                                            \
  __extension__({                                                      \
    auto kms_try_result = (expression);                                \
    if (!kms_try_result.has_value()) [[unlikely]] {                    \
      return ::kms::Error(std::move(kms_try_result).error());          \
    }                                                                  \
    ::kms::internal::Take(std::move(kms_try_result));                  \
  })

namespace kms::internal {

template <typename T>
T Take(Result<T>&& result) {
  return *std::move(result);
}
inline void Take(Result<void>&& /*result*/) {}

}  // namespace kms::internal
