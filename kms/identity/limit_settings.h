// SPDX-License-Identifier: Apache-2.0
// LimitSettings: rate limits and decryption budgets as operators set them, stored, and in force
// from the moment a change is durable.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/identity_name.h"
#include "kms/auth/limits.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/master/sealed_store.h"

namespace kms {

// Entries in `sys`: limits/rate, limits/budgets/<name> (formats in the .cpp). Thread rule: any
// thread.
class LimitSettings {
 public:
  // Each budget is looked at by every decryption.
  static constexpr std::size_t kMaxBudgets = 64;

  // `sys` must outlive it. Errors: store errors, kCorrupted.
  static Result<std::unique_ptr<LimitSettings>> Open(SealedStore& sys);

  // Puts in force what is stored, now and with every later change. `limits` must outlive it; to be
  // called once, before requests are answered.
  void Attach(Limits& limits);

  [[nodiscard]] RateLimitSettings rates() const;
  // `limit` without requests: no limit there any more.
  // Errors: those of CheckRateLimit, store errors (nothing has changed then).
  Status SetRate(RouteClass route_class, LimitScope scope, const RateLimit& limit);

  // By name.
  [[nodiscard]] std::vector<DecryptionBudget> Budgets() const;
  [[nodiscard]] std::optional<DecryptionBudget> FindBudget(std::string_view name) const;
  // Makes or replaces the budget of that name. Errors: those of CheckDecryptionBudget,
  // kInvalidArgument when there are too many, store errors.
  Status PutBudget(const DecryptionBudget& budget);
  // Success when absent. Errors: store errors.
  Status DeleteBudget(std::string_view name);

 private:
  explicit LimitSettings(SealedStore& sys) : sys_(sys) {}
  Status Load();
  void PutInForce();

  SealedStore& sys_;
  Mutex write_mutex_;  // one change at a time, in force in the order of commits; held over commits
  mutable SharedMutex mutex_;
  RateLimitSettings rates_ KMS_GUARDED_BY(mutex_) = RateLimitSettings::Default();
  std::map<std::string, DecryptionBudget, std::less<>> budgets_ KMS_GUARDED_BY(mutex_);
  Limits* limits_ KMS_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace kms
