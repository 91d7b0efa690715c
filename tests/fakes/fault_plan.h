// SPDX-License-Identifier: Apache-2.0
// FailEachCall: runs an operation again and again, failing the 1st, 2nd, … n-th call of a seam,
// until it succeeds without meeting the fault. After each failure the caller checks invariants.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "kms/base/result.h"

namespace kms::testing {

struct FaultPlan {
  // Arranges a fresh world whose n-th seam call (1: the first) will fail.
  std::function<void(int n)> arrange;
  // Runs the operation under test.
  std::function<Status()> run;
  // Asserts what must hold after the run, whether it failed or not.
  std::function<void(const Status& outcome)> check;
  // Guards against an operation that never succeeds.
  int max_calls = 1000;
};

// Returns how many distinct calls were failed before the operation first succeeded; a plan that
// never succeeds, or never fails, fails the test.
inline int FailEachCall(const FaultPlan& plan) {
  for (int n = 1; n <= plan.max_calls; ++n) {
    SCOPED_TRACE(::testing::Message() << "failing call " << n);
    plan.arrange(n);
    const Status outcome = plan.run();
    plan.check(outcome);
    if (outcome.has_value()) {
      EXPECT_GT(n, 1) << "the operation made no call that could fail";
      return n - 1;
    }
  }
  ADD_FAILURE() << "the operation never succeeded";
  return plan.max_calls;
}

}  // namespace kms::testing
