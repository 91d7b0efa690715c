// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/decryption_budgets.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasError;

const SteadyTime kStart{minutes(1000)};

Principal App(std::string actor = "app", std::vector<std::string> policies = {"billing"}) {
  Principal principal;
  principal.actor = std::move(actor);
  principal.policies = std::move(policies);
  return principal;
}

DecryptionBudget Budget(std::string name, std::int64_t rows, BudgetAction action) {
  return {.name = std::move(name), .rows_per_hour = rows, .action = action};
}

BudgetOutcome Decrypt(DecryptionBudgets& budgets, std::int64_t rows, SteadyTime now = kStart,
                      const Principal& principal = App(), std::string_view key = "orders") {
  return budgets.Charge(principal, "prod", key, rows, now).outcome;
}

TEST(DecryptionBudgets, SayNothingWithoutARule) {
  DecryptionBudgets budgets;
  EXPECT_EQ(Decrypt(budgets, 1'000'000'000), BudgetOutcome::kOk);
  EXPECT_TRUE(budgets.TopConsumers(10, kStart).empty());
}

TEST(DecryptionBudgets, AnAlarmIsToldOnceAnHourAndStopsNothing) {
  DecryptionBudgets budgets;
  budgets.Configure({Budget("watch", 100, BudgetAction::kAlarm)});

  EXPECT_EQ(Decrypt(budgets, 100), BudgetOutcome::kOk);
  const BudgetVerdict verdict = budgets.Charge(App(), "prod", "orders", 1, kStart);
  EXPECT_EQ(verdict.outcome, BudgetOutcome::kAlarm);
  EXPECT_TRUE(verdict.announce);
  EXPECT_EQ(verdict.budget, "watch");
  EXPECT_EQ(verdict.rows_per_hour, 100);
  for (int i = 0; i < 59; ++i) {
    EXPECT_EQ(Decrypt(budgets, 100, kStart + minutes(i)), BudgetOutcome::kOk) << i;
  }
  EXPECT_EQ(Decrypt(budgets, 100, kStart + minutes(60)), BudgetOutcome::kAlarm);
  EXPECT_EQ(budgets.alarms(), 2U);
  EXPECT_EQ(budgets.stops(), 0U);
}

TEST(DecryptionBudgets, AStopRefusesUntilTheHourHasMovedOn) {
  DecryptionBudgets budgets;
  budgets.Configure({Budget("cap", 100, BudgetAction::kStop)});

  EXPECT_EQ(Decrypt(budgets, 60), BudgetOutcome::kOk);
  EXPECT_EQ(Decrypt(budgets, 40, kStart + minutes(10)), BudgetOutcome::kOk);
  const BudgetVerdict first = budgets.Charge(App(), "prod", "orders", 1, kStart + minutes(20));
  EXPECT_EQ(first.outcome, BudgetOutcome::kStop);
  EXPECT_TRUE(first.announce);
  EXPECT_EQ(first.retry_after, minutes(40));  // when the first 60 are an hour old
  const BudgetVerdict second = budgets.Charge(App(), "prod", "orders", 61, kStart + minutes(20));
  EXPECT_EQ(second.outcome, BudgetOutcome::kStop);
  EXPECT_FALSE(second.announce);
  EXPECT_EQ(second.retry_after, minutes(50));  // they need the 40 to go too

  EXPECT_EQ(Decrypt(budgets, 1, kStart + minutes(59)), BudgetOutcome::kStop);
  EXPECT_EQ(Decrypt(budgets, 60, kStart + minutes(60)), BudgetOutcome::kOk);
  EXPECT_EQ(Decrypt(budgets, 1, kStart + minutes(60)), BudgetOutcome::kStop);
}

TEST(DecryptionBudgets, WhatIsStoppedIsNotCounted) {
  DecryptionBudgets budgets;
  budgets.Configure({Budget("cap", 100, BudgetAction::kStop)});

  EXPECT_EQ(Decrypt(budgets, 101), BudgetOutcome::kStop);
  EXPECT_EQ(Decrypt(budgets, 100), BudgetOutcome::kOk);
}

TEST(DecryptionBudgets, ABatchBeyondTheBudgetIsToldToWaitAnHourAtMost) {
  DecryptionBudgets budgets;
  budgets.Configure({Budget("cap", 100, BudgetAction::kStop)});

  const BudgetVerdict verdict =
      budgets.Charge(App(), "prod", "orders", 1'000, kStart + seconds(30));
  EXPECT_EQ(verdict.outcome, BudgetOutcome::kStop);
  EXPECT_EQ(verdict.retry_after, minutes(60) - seconds(30));
}

TEST(DecryptionBudgets, EveryActorAndKeyHasItsOwn) {
  DecryptionBudgets budgets;
  budgets.Configure({Budget("cap", 10, BudgetAction::kStop)});

  EXPECT_EQ(Decrypt(budgets, 10), BudgetOutcome::kOk);
  EXPECT_EQ(Decrypt(budgets, 10, kStart, App("other")), BudgetOutcome::kOk);
  EXPECT_EQ(Decrypt(budgets, 10, kStart, App(), "invoices"), BudgetOutcome::kOk);
  EXPECT_EQ(budgets.Charge(App(), "staging", "orders", 10, kStart).outcome, BudgetOutcome::kOk);
  EXPECT_EQ(Decrypt(budgets, 1), BudgetOutcome::kStop);
}

TEST(DecryptionBudgets, NamesDoNotRunTogether) {
  DecryptionBudgets budgets;
  budgets.Configure({Budget("cap", 10, BudgetAction::kStop)});

  EXPECT_EQ(budgets.Charge(App("ab"), "c", "d", 10, kStart).outcome, BudgetOutcome::kOk);
  EXPECT_EQ(budgets.Charge(App("a"), "bc", "d", 10, kStart).outcome, BudgetOutcome::kOk);
  EXPECT_EQ(budgets.Charge(App("ab"), "cd", "", 10, kStart).outcome, BudgetOutcome::kOk);
}

TEST(DecryptionBudgets, PatternsSayWhomTheyConcern) {
  DecryptionBudget budget = Budget("cap", 1, BudgetAction::kStop);
  budget.environment = "prod";
  budget.key = "or*rs*";
  budget.policy = "bill*";
  budget.actor = "*app*";
  DecryptionBudgets budgets;
  budgets.Configure({budget});
  const auto stops = [&](std::string_view environment, std::string_view key,
                         const Principal& principal) {
    return budgets.Charge(principal, environment, key, 2, kStart).outcome == BudgetOutcome::kStop;
  };

  EXPECT_TRUE(stops("prod", "orders", App()));
  EXPECT_TRUE(stops("prod", "orrrrs-2", App("my-app-1", {"default", "billing"})));
  EXPECT_FALSE(stops("production", "orders", App()));
  EXPECT_FALSE(stops("prod", "order", App()));
  EXPECT_FALSE(stops("prod", "my-orders", App()));
  EXPECT_FALSE(stops("prod", "orders", App("app", {"default"})));
  EXPECT_FALSE(stops("prod", "orders", App("app", {})));
  EXPECT_FALSE(stops("prod", "orders", App("someone")));
}

TEST(DecryptionBudgets, AStopIsHarderThanAnAlarmAndSetsOffNone) {
  DecryptionBudgets budgets;
  budgets.Configure(
      {Budget("watch", 5, BudgetAction::kAlarm), Budget("cap", 10, BudgetAction::kStop)});

  EXPECT_EQ(Decrypt(budgets, 11), BudgetOutcome::kStop);
  EXPECT_EQ(budgets.alarms(), 0U);
  EXPECT_EQ(Decrypt(budgets, 6), BudgetOutcome::kAlarm);
  EXPECT_EQ(Decrypt(budgets, 4), BudgetOutcome::kOk);
  EXPECT_EQ(Decrypt(budgets, 1), BudgetOutcome::kStop);
}

TEST(DecryptionBudgets, WhatOneRuleStopsIsCountedByNone) {
  DecryptionBudget narrow = Budget("narrow", 10, BudgetAction::kStop);
  narrow.key = "orders";
  DecryptionBudgets budgets;
  budgets.Configure({Budget("wide", 100, BudgetAction::kStop), narrow});

  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Decrypt(budgets, 50), BudgetOutcome::kStop);
  }
  const std::vector<BudgetConsumer> top = budgets.TopConsumers(10, kStart);
  EXPECT_TRUE(top.empty());
}

TEST(DecryptionBudgets, EveryAlarmIsTold) {
  DecryptionBudgets budgets;
  budgets.Configure(
      {Budget("first", 5, BudgetAction::kAlarm), Budget("second", 5, BudgetAction::kAlarm)});

  EXPECT_EQ(budgets.Charge(App(), "prod", "orders", 6, kStart).budget, "first");
  EXPECT_EQ(budgets.Charge(App(), "prod", "orders", 1, kStart).budget, "second");
  EXPECT_EQ(budgets.Charge(App(), "prod", "orders", 1, kStart).outcome, BudgetOutcome::kOk);
}

TEST(DecryptionBudgets, ARuleThatChangesKeepsItsCount) {
  DecryptionBudgets budgets;
  budgets.Configure({Budget("cap", 1'000, BudgetAction::kStop)});
  EXPECT_EQ(Decrypt(budgets, 500), BudgetOutcome::kOk);

  budgets.Configure({Budget("cap", 400, BudgetAction::kStop)});
  EXPECT_EQ(Decrypt(budgets, 1), BudgetOutcome::kStop);
  budgets.Configure({});
  EXPECT_EQ(Decrypt(budgets, 1), BudgetOutcome::kOk);
}

TEST(DecryptionBudgets, ShowWhoIsNearestToTheirBudget) {
  DecryptionBudgets budgets;
  DecryptionBudget small = Budget("small", 10, BudgetAction::kStop);
  small.key = "invoices";
  budgets.Configure({Budget("big", 1'000, BudgetAction::kAlarm), small});
  EXPECT_EQ(Decrypt(budgets, 100), BudgetOutcome::kOk);
  EXPECT_EQ(Decrypt(budgets, 9, kStart, App(), "invoices"), BudgetOutcome::kOk);

  const std::vector<BudgetConsumer> top = budgets.TopConsumers(2, kStart);
  ASSERT_EQ(top.size(), 2U);
  EXPECT_EQ(top[0].budget, "small");
  EXPECT_EQ(top[0].rows, 9);
  EXPECT_EQ(top[1].budget, "big");
  EXPECT_EQ(top[1].key, "orders");
  EXPECT_TRUE(budgets.TopConsumers(2, kStart + minutes(60)).empty());
}

TEST(DecryptionBudgets, AMillionKeysTakeNoMemoryAndDoNotFreeWhoIsStopped) {
  DecryptionBudgets budgets(256);
  budgets.Configure({Budget("cap", 100, BudgetAction::kStop)});
  EXPECT_EQ(Decrypt(budgets, 100), BudgetOutcome::kOk);

  for (int i = 0; i < 200'000; ++i) {
    EXPECT_EQ(Decrypt(budgets, 1, kStart, App(), "key-" + std::to_string(i)), BudgetOutcome::kOk);
  }
  EXPECT_EQ(Decrypt(budgets, 1), BudgetOutcome::kStop);
  EXPECT_EQ(budgets.TopConsumers(1'000'000, kStart).size(), 256U);
}

TEST(DecryptionBudgets, CountExactlyUnderConcurrency) {
  DecryptionBudgets budgets;
  budgets.Configure({Budget("cap", 1'000, BudgetAction::kStop)});
  std::atomic<int> decrypted{0};
  std::atomic<int> announced{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1'000; ++i) {
        const BudgetVerdict verdict = budgets.Charge(App(), "prod", "orders", 1, kStart);
        decrypted += verdict.outcome == BudgetOutcome::kOk ? 1 : 0;
        announced += verdict.announce ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(decrypted, 1'000);
  EXPECT_EQ(announced, 1);
}

TEST(DecryptionBudgets, RefuseWhatCannotBe) {
  DecryptionBudget good = Budget("cap", 1, BudgetAction::kStop);
  EXPECT_TRUE(CheckDecryptionBudget(good).has_value());
  for (std::string DecryptionBudget::* member :
       {&DecryptionBudget::environment, &DecryptionBudget::key, &DecryptionBudget::policy,
        &DecryptionBudget::actor}) {
    for (const std::string& bad : {std::string(), std::string(257, 'x'), std::string("a\nb"),
                                   std::string("a\0b", 3), std::string("\x7f")}) {
      DecryptionBudget budget = good;
      budget.*member = bad;
      EXPECT_THAT(CheckDecryptionBudget(budget), HasError(ErrorCode::kInvalidArgument));
    }
  }
  for (const std::int64_t rows : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{4'000'000'001}}) {
    good.rows_per_hour = rows;
    EXPECT_THAT(
        CheckDecryptionBudget(good),
        HasError(ErrorCode::kInvalidArgument, "rows_per_hour must be between 1 and 4000000000"));
  }
  EXPECT_EQ(ParseBudgetAction("stop"), BudgetAction::kStop);
  EXPECT_EQ(ParseBudgetAction("alarm"), BudgetAction::kAlarm);
  EXPECT_EQ(ParseBudgetAction("Stop"), std::nullopt);
}

}  // namespace
}  // namespace kms
