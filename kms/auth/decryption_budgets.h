// SPDX-License-Identifier: Apache-2.0
// DecryptionBudgets: how many ciphertexts a principal may decrypt with a key within an hour.
// Whoever stole an application's token wants all of its data, the application wants some of it
// (U24).
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/bounded_table.h"
#include "kms/auth/principal.h"
#include "kms/base/clock.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"

namespace kms {

enum class BudgetAction : std::uint8_t {
  kAlarm,  // tell, and go on
  kStop,   // tell, and refuse until the hour has moved on
};
std::string_view BudgetActionName(BudgetAction action);  // "alarm", "stop"
std::optional<BudgetAction> ParseBudgetAction(std::string_view name);

// A rule. In patterns '*' stands for any text. Plain value.
struct DecryptionBudget {
  std::string name;               // canonical (kms/auth/identity_name.h)
  std::string environment = "*";  // pattern
  std::string key = "*";          // pattern
  std::string policy = "*";  // pattern: whom it concerns has a policy like this; "*": everybody
  std::string actor = "*";   // pattern over Principal::actor
  std::int64_t rows_per_hour = 0;
  BudgetAction action = BudgetAction::kAlarm;

  friend bool operator==(const DecryptionBudget&, const DecryptionBudget&) = default;
};

// Errors: kInvalidArgument naming the member: patterns of more than 256 bytes or with control
// characters, rows_per_hour below 1 or above 4,000,000,000.
Status CheckDecryptionBudget(const DecryptionBudget& budget);

enum class BudgetOutcome : std::uint8_t { kOk, kAlarm, kStop };

struct BudgetVerdict {
  BudgetOutcome outcome = BudgetOutcome::kOk;
  // To be recorded: the first time for this budget, actor and key within an hour. Always for
  // kAlarm.
  bool announce = false;
  std::string budget;  // its name; empty for kOk
  std::int64_t rows_per_hour = 0;
  std::chrono::seconds retry_after{0};  // kStop: when as many rows will fit, at most an hour
};

struct BudgetConsumer {
  std::string budget;
  std::string actor;
  std::string environment;
  std::string key;
  std::int64_t rows = 0;  // within the hour
  std::int64_t rows_per_hour = 0;
};

// Each rule counts each actor and key of its own, in 60 minutes that move on. Root is counted too.
// Thread rule: any thread, loops included. Without a rule a call costs one relaxed load, else a
// shared lock, the patterns and one locked counter per rule that matches. Memory is fixed.
class DecryptionBudgets {
 public:
  static constexpr std::size_t kCapacity = 4096;  // counters

  explicit DecryptionBudgets(std::size_t capacity = kCapacity);
  ~DecryptionBudgets();

  // Replaces all rules; each passed CheckDecryptionBudget. Counts of rules that keep their name go
  // on.
  void Configure(std::vector<DecryptionBudget> budgets);

  // Before `rows` ciphertexts are decrypted, whether they turn out good or not. What one rule stops
  // is counted by none. Of several alarms one is returned, the others by later calls.
  BudgetVerdict Charge(const Principal& principal, std::string_view environment,
                       std::string_view key, std::int64_t rows, SteadyTime now);

  // Those nearest to their budget first.
  [[nodiscard]] std::vector<BudgetConsumer> TopConsumers(std::size_t count, SteadyTime now);
  [[nodiscard]] std::uint64_t alarms() const { return alarms_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t stops() const { return stops_.load(std::memory_order_relaxed); }

 private:
  struct Counter;
  struct Deed;
  using Table = BoundedTable<Counter>;

  void ChargeRule(Table& table, const DecryptionBudget& rule, const Deed& deed,
                  BudgetVerdict& verdict) const;
  void Refund(Table& table, std::span<const DecryptionBudget> rules, const Deed& deed) const;
  [[nodiscard]] std::uint64_t KeyOf(const DecryptionBudget& rule, const Deed& deed) const;

  const std::size_t capacity_;
  const TableKeys keys_;
  std::atomic<bool> active_{false};
  std::atomic<std::uint64_t> alarms_{0};
  std::atomic<std::uint64_t> stops_{0};
  SharedMutex rules_mutex_;
  std::vector<DecryptionBudget> rules_ KMS_GUARDED_BY(rules_mutex_);
  std::unique_ptr<Table> table_ KMS_GUARDED_BY(rules_mutex_);  // made with the first rule
};

}  // namespace kms
