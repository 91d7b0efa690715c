// SPDX-License-Identifier: Apache-2.0
// Matchers for Result: IsOk(), IsOkAndHolds(m), HasError(code), HasError(code, message matcher).
#pragma once

#include <gmock/gmock.h>

#include <utility>

#include "kms/base/result.h"

namespace kms::testing {

MATCHER(IsOk, "is ok") {
  if (arg.has_value()) {
    return true;
  }
  *result_listener << "which is " << Describe(arg.error());
  return false;
}

MATCHER_P(IsOkAndHolds, matcher, "is ok and holds the value") {
  if (!arg.has_value()) {
    *result_listener << "which is " << Describe(arg.error());
    return false;
  }
  return ::testing::ExplainMatchResult(matcher, *arg, result_listener);
}

MATCHER_P(HasError, code, "fails with the code") {
  if (arg.has_value()) {
    *result_listener << "which is ok";
    return false;
  }
  *result_listener << "which is " << Describe(arg.error());
  return arg.error().code == code;
}

MATCHER_P2(HasError, code, message, "fails with code and message") {
  if (arg.has_value()) {
    *result_listener << "which is ok";
    return false;
  }
  *result_listener << "which is " << Describe(arg.error());
  return arg.error().code == code &&
         ::testing::ExplainMatchResult(message, arg.error().public_message, result_listener);
}

}  // namespace kms::testing

// Unwraps a Result into `target`, or fails the test.
#define KMS_ASSERT_OK_AND_ASSIGN(target, expression)                     \
  KMS_ASSERT_OK_AND_ASSIGN_IMPL(KMS_CONCAT(result_, __LINE__), target, expression)
#define KMS_ASSERT_OK_AND_ASSIGN_IMPL(result, target, expression)        \
  auto result = (expression);                                            \
  ASSERT_TRUE(result.has_value()) << ::kms::Describe(result.error());    \
  target = std::move(*result)
#define KMS_CONCAT(a, b) KMS_CONCAT_IMPL(a, b)
#define KMS_CONCAT_IMPL(a, b) a##b
