// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/decryption_budgets.h"
#include "kms/auth/glob.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace kms {
namespace {

constexpr std::int64_t kMinutes = 60;  // of the window
constexpr std::int64_t kMaxRowsPerHour = 4'000'000'000;
constexpr std::size_t kMaxPatternBytes = 256;

bool Concerns(const DecryptionBudget& rule, const Principal& principal) {
  const auto matches = [&](const std::string& policy) { return MatchesGlob(rule.policy, policy); };
  return MatchesGlob(rule.actor, principal.actor) &&
         (rule.policy == "*" || std::ranges::any_of(principal.policies, matches));
}

Status CheckPattern(std::string_view member, std::string_view pattern) {
  const bool printable =
      std::ranges::all_of(pattern, [](char c) { return c >= ' ' && c != '\x7f'; });
  if (pattern.empty() || pattern.size() > kMaxPatternBytes || !printable) {
    return InvalidArgument("invalid pattern in " + std::string(member));
  }
  return Ok();
}

std::int64_t MinuteOf(SteadyTime now) {
  return std::chrono::floor<std::chrono::minutes>(now.time_since_epoch()).count();
}

}  // namespace

std::string_view BudgetActionName(BudgetAction action) {
  return action == BudgetAction::kAlarm ? "alarm" : "stop";
}

std::optional<BudgetAction> ParseBudgetAction(std::string_view name) {
  for (const BudgetAction action : {BudgetAction::kAlarm, BudgetAction::kStop}) {
    if (name == BudgetActionName(action)) {
      return action;
    }
  }
  return std::nullopt;
}

Status CheckDecryptionBudget(const DecryptionBudget& budget) {
  KMS_TRY(CheckPattern("environment", budget.environment));
  KMS_TRY(CheckPattern("key", budget.key));
  KMS_TRY(CheckPattern("policy", budget.policy));
  KMS_TRY(CheckPattern("actor", budget.actor));
  if (budget.rows_per_hour < 1 || budget.rows_per_hour > kMaxRowsPerHour) {
    return InvalidArgument("rows_per_hour must be between 1 and 4000000000");
  }
  return Ok();
}

struct DecryptionBudgets::Deed {
  const Principal& principal;
  std::string_view environment;
  std::string_view key;
  std::int64_t rows;
  SteadyTime now;
};

// What one actor decrypted with one key under one rule, minute by minute.
struct DecryptionBudgets::Counter {
  std::string budget;
  std::string actor;
  std::string environment;
  std::string key;
  std::array<std::uint32_t, kMinutes> rows{};  // of minute m at m % 60
  std::int64_t minute = 0;                     // the latest that is counted
  std::int64_t sum = 0;
  std::optional<std::int64_t> announced;  // the minute in which it was last told

  // Lets minutes pass that are out of the window.
  void Advance(std::int64_t now) {
    const std::int64_t passed = std::min(now - minute, kMinutes);
    for (std::int64_t i = 1; i <= passed; ++i) {
      std::uint32_t& oldest = rows[static_cast<std::size_t>((now - passed + i) % kMinutes)];
      sum -= std::exchange(oldest, 0U);
    }
    minute = std::max(minute, now);
  }
  void Add(std::int64_t count) {
    std::uint32_t& latest = rows[static_cast<std::size_t>(minute % kMinutes)];
    const std::int64_t room = std::numeric_limits<std::uint32_t>::max() - std::int64_t{latest};
    const std::int64_t added = std::clamp<std::int64_t>(count, -std::int64_t{latest}, room);
    latest = static_cast<std::uint32_t>(std::int64_t{latest} + added);
    sum += added;
  }
  // Once an hour, however often it is crossed.
  bool Announce() {
    if (announced && minute - *announced < kMinutes) {
      return false;
    }
    announced = minute;
    return true;
  }
  // Minutes until `count` more fit under `limit`.
  [[nodiscard]] std::int64_t MinutesUntilFit(std::int64_t count, std::int64_t limit) const {
    std::int64_t left = sum;
    for (std::int64_t i = 1; i <= kMinutes; ++i) {
      left -= rows[static_cast<std::size_t>((minute + i) % kMinutes)];
      if (left + count <= limit) {
        return i;
      }
    }
    return kMinutes;
  }
  [[nodiscard]] std::int64_t Weight(SteadyTime now) const {
    return MinuteOf(now) - minute >= kMinutes ? 0 : sum + 1;
  }
};

DecryptionBudgets::DecryptionBudgets(std::size_t capacity) : capacity_(capacity) {}
DecryptionBudgets::~DecryptionBudgets() = default;

// Those that stop come first: what one of them stops must not have set off an alarm.
void DecryptionBudgets::Configure(std::vector<DecryptionBudget> budgets) {
  std::ranges::sort(budgets, [](const DecryptionBudget& a, const DecryptionBudget& b) {
    const bool a_stops = a.action == BudgetAction::kStop;
    const bool b_stops = b.action == BudgetAction::kStop;
    return a_stops != b_stops ? a_stops : a.name < b.name;
  });
  const ScopedLock lock(rules_mutex_);
  rules_ = std::move(budgets);
  if (table_ == nullptr && !rules_.empty()) {
    table_ = std::make_unique<Table>(capacity_);
  }
  active_.store(!rules_.empty(), std::memory_order_relaxed);
}

BudgetVerdict DecryptionBudgets::Charge(const Principal& principal, std::string_view environment,
                                        std::string_view key, std::int64_t rows, SteadyTime now) {
  BudgetVerdict verdict;
  if (!active_.load(std::memory_order_relaxed)) {
    return verdict;
  }
  const Deed deed{
      .principal = principal, .environment = environment, .key = key, .rows = rows, .now = now};
  const ScopedSharedLock lock(rules_mutex_);
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    if (!MatchesGlob(rules_[i].environment, environment) || !MatchesGlob(rules_[i].key, key) ||
        !Concerns(rules_[i], principal)) {
      continue;
    }
    ChargeRule(*table_, rules_[i], deed, verdict);
    if (verdict.outcome == BudgetOutcome::kStop) {
      stops_.fetch_add(1, std::memory_order_relaxed);
      Refund(*table_, std::span(rules_).first(i), deed);
      return verdict;
    }
  }
  if (verdict.outcome == BudgetOutcome::kAlarm) {
    alarms_.fetch_add(1, std::memory_order_relaxed);
  }
  return verdict;
}

void DecryptionBudgets::ChargeRule(Table& table, const DecryptionBudget& rule, const Deed& deed,
                                   BudgetVerdict& verdict) const {
  table.With(KeyOf(rule, deed), deed.now, [&](Counter& counter) {
    if (counter.budget.empty()) {
      counter.budget = rule.name;
      counter.actor = deed.principal.actor;
      counter.environment = deed.environment;
      counter.key = deed.key;
    }
    counter.Advance(MinuteOf(deed.now));
    const bool over = counter.sum + deed.rows > rule.rows_per_hour;
    if (!over || rule.action == BudgetAction::kAlarm) {
      counter.Add(deed.rows);
    }
    // One alarm is told at a time; another rule's waits for the next request.
    if (!over || (rule.action == BudgetAction::kAlarm &&
                  (verdict.outcome == BudgetOutcome::kAlarm || !counter.Announce()))) {
      return;
    }
    verdict.budget = rule.name;
    verdict.rows_per_hour = rule.rows_per_hour;
    if (rule.action == BudgetAction::kAlarm) {
      verdict.outcome = BudgetOutcome::kAlarm;
      verdict.announce = true;
      return;
    }
    verdict.outcome = BudgetOutcome::kStop;
    verdict.announce = counter.Announce();
    const std::int64_t minutes = counter.MinutesUntilFit(deed.rows, rule.rows_per_hour);
    const auto then = std::chrono::minutes(counter.minute + minutes);
    verdict.retry_after =
        std::chrono::ceil<std::chrono::seconds>(then - deed.now.time_since_epoch());
  });
}

// `rules` let the deed pass before another one stopped it.
void DecryptionBudgets::Refund(Table& table, std::span<const DecryptionBudget> rules,
                               const Deed& deed) const {
  for (const DecryptionBudget& rule : rules) {
    table.IfPresent(KeyOf(rule, deed), [&](Counter& counter) { counter.Add(-deed.rows); });
  }
}

std::uint64_t DecryptionBudgets::KeyOf(const DecryptionBudget& rule, const Deed& deed) const {
  return keys_.Of(0, AsBytes(rule.name), AsBytes(deed.principal.actor), AsBytes(deed.environment),
                  AsBytes(deed.key));
}

std::vector<BudgetConsumer> DecryptionBudgets::TopConsumers(std::size_t count, SteadyTime now) {
  const ScopedSharedLock lock(rules_mutex_);
  std::vector<BudgetConsumer> consumers;
  if (table_ == nullptr) {
    return consumers;
  }
  const std::vector<DecryptionBudget> rules = rules_;  // lock analysis does not look into lambdas
  table_->ForEach([&](Counter& counter) {
    counter.Advance(MinuteOf(now));
    const auto rule = std::ranges::find(rules, counter.budget, &DecryptionBudget::name);
    if (counter.sum != 0 && rule != rules.end()) {
      consumers.push_back({.budget = counter.budget,
                           .actor = counter.actor,
                           .environment = counter.environment,
                           .key = counter.key,
                           .rows = counter.sum,
                           .rows_per_hour = rule->rows_per_hour});
    }
    return true;
  });
  const auto nearer = [](const BudgetConsumer& a, const BudgetConsumer& b) {
    return static_cast<double>(a.rows) * static_cast<double>(b.rows_per_hour) >
           static_cast<double>(b.rows) * static_cast<double>(a.rows_per_hour);
  };
  const std::size_t kept = std::min(count, consumers.size());
  std::ranges::partial_sort(consumers, consumers.begin() + static_cast<std::ptrdiff_t>(kept),
                            nearer);
  consumers.resize(kept);
  return consumers;
}

}  // namespace kms
