// SPDX-License-Identifier: Apache-2.0
// Records; numbers big-endian, texts with a 4-byte length:
//
//   limits/rate            'L' | 1 | number(1) | per limit: class(1) | scope(1) | requests(8)
//                          | interval seconds(8) | burst(8)
//                          by class and scope, without those that limit nothing
//   limits/budgets/<name>  'B' | 1 | environment, key, policy, actor texts | rows per hour(8)
//                          | action(1): 0 alarm, 1 stop
//
// Without an entry limits/rate the defaults hold; with one nothing else does.
#include "kms/identity/limit_settings.h"

#include <utility>

#include "kms/base/record_codec.h"
#include "kms/identity/entry_commit.h"

namespace kms {
namespace {

constexpr std::string_view kRatePath = "limits/rate";
constexpr std::string_view kBudgetsPrefix = "limits/budgets/";
constexpr std::uint8_t kFormat = 1;

std::string PathOf(std::string_view budget) {
  return std::string(kBudgetsPrefix) + std::string(budget);
}

Bytes EncodeRates(const RateLimitSettings& rates) {
  std::uint8_t number = 0;
  RecordWriter limits;
  for (std::uint8_t c = 0; c < kRouteClasses; ++c) {
    for (std::uint8_t s = 0; s < kLimitScopes; ++s) {
      const RateLimit& limit = rates.limits[c][s];
      if (!limit.limited()) {
        continue;
      }
      ++number;
      limits.Put(c);
      limits.Put(s);
      limits.Put(limit.requests);
      limits.Put(limit.interval_seconds);
      limits.Put(limit.burst);
    }
  }
  RecordWriter writer('L', kFormat);
  writer.Put(number);
  writer.PutRaw(limits.Take());
  return writer.Take();
}

Result<RateLimitSettings> DecodeRates(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead('L', kFormat);
  RateLimitSettings rates;
  bool good = true;
  const auto number = reader.Get<std::uint8_t>();
  for (std::uint8_t i = 0; i < number && good && !reader.failed(); ++i) {
    const auto route_class = reader.Get<std::uint8_t>();
    const auto scope = reader.Get<std::uint8_t>();
    RateLimit limit;
    limit.requests = reader.Get<std::int64_t>();
    limit.interval_seconds = reader.Get<std::int64_t>();
    limit.burst = reader.Get<std::int64_t>();
    good =
        route_class < kRouteClasses && scope < kLimitScopes && limit.limited() &&
        CheckRateLimit(static_cast<RouteClass>(route_class), static_cast<LimitScope>(scope), limit)
            .has_value();
    if (good) {
      rates.limits[route_class][scope] = limit;
    }
  }
  // One set of limits has one encoding: nothing is there twice or out of order.
  if (!good || !reader.Finished() || CopyOf(encoded) != EncodeRates(rates)) {
    return Corrupted("damaged entry", "rate limits");
  }
  return rates;
}

Bytes EncodeBudget(const DecryptionBudget& budget) {
  RecordWriter writer('B', kFormat);
  writer.PutText(budget.environment);
  writer.PutText(budget.key);
  writer.PutText(budget.policy);
  writer.PutText(budget.actor);
  writer.Put(budget.rows_per_hour);
  writer.PutFlag(budget.action == BudgetAction::kStop);
  return writer.Take();
}

Result<DecryptionBudget> DecodeBudget(std::string name, ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead('B', kFormat);
  DecryptionBudget budget;
  budget.name = std::move(name);
  budget.environment = reader.GetText();
  budget.key = reader.GetText();
  budget.policy = reader.GetText();
  budget.actor = reader.GetText();
  budget.rows_per_hour = reader.Get<std::int64_t>();
  budget.action = reader.GetFlag() ? BudgetAction::kStop : BudgetAction::kAlarm;
  const Result<IdentityName> canonical = IdentityName::Parse(budget.name);
  if (!reader.Finished() || !canonical || canonical->text() != budget.name ||
      !CheckDecryptionBudget(budget)) {
    return Corrupted("damaged entry", "decryption budget");
  }
  return budget;
}

// Writes an entry over whatever it was when it was read just before.
Status Write(SealedStore& sys, std::string path, std::optional<Bytes> value) {
  const std::optional<OpenedEntry> current = KMS_TRY(sys.Get(path));
  if (!current && !value) {
    return Ok();
  }
  SealedMutation mutation{.path = std::move(path),
                          .value = std::nullopt,
                          .expected_revision = current ? current->revision : 0};
  if (value) {
    mutation.value = KMS_TRY(SecretBytes::CopyOf(*value));
  }
  std::vector<SealedMutation> mutations;
  mutations.push_back(std::move(mutation));
  return CommitEntries(sys, std::move(mutations));
}

}  // namespace

Result<std::unique_ptr<LimitSettings>> LimitSettings::Open(SealedStore& sys) {
  std::unique_ptr<LimitSettings> settings(new LimitSettings(sys));
  KMS_TRY(settings->Load());
  return settings;
}

Status LimitSettings::Load() {
  RateLimitSettings rates = RateLimitSettings::Default();
  if (const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(kRatePath))) {
    rates = KMS_TRY(DecodeRates(entry->value.View()));
  }
  const std::vector<std::string> names =
      KMS_TRY(ListNamesBelow(sys_, std::string(kBudgetsPrefix), {}, 0));
  std::map<std::string, DecryptionBudget, std::less<>> budgets;
  for (const std::string& name : names) {
    const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(PathOf(name)));
    if (entry) {
      budgets.emplace(name, KMS_TRY(DecodeBudget(name, entry->value.View())));
    }
  }
  const ScopedLock lock(mutex_);
  rates_ = rates;
  budgets_ = std::move(budgets);
  return Ok();
}

void LimitSettings::Attach(Limits& limits) {
  const ScopedLock writing(write_mutex_);
  {
    const ScopedLock lock(mutex_);
    limits_ = &limits;
  }
  PutInForce();
}

void LimitSettings::PutInForce() {
  const ScopedSharedLock lock(mutex_);
  if (limits_ == nullptr) {
    return;
  }
  limits_->rate.Configure(rates_);
  std::vector<DecryptionBudget> budgets;
  for (const auto& [name, budget] : budgets_) {
    budgets.push_back(budget);
  }
  limits_->budgets.Configure(std::move(budgets));
}

RateLimitSettings LimitSettings::rates() const {
  const ScopedSharedLock lock(mutex_);
  return rates_;
}

Status LimitSettings::SetRate(RouteClass route_class, LimitScope scope, const RateLimit& limit) {
  const RateLimit wanted = limit.limited() ? limit : RateLimit{};
  KMS_TRY(CheckRateLimit(route_class, scope, wanted));
  const ScopedLock writing(write_mutex_);
  RateLimitSettings changed = rates();
  changed.Of(route_class, scope) = wanted;
  KMS_TRY(Write(sys_, std::string(kRatePath), EncodeRates(changed)));
  {
    const ScopedLock lock(mutex_);
    rates_ = changed;
  }
  PutInForce();
  return Ok();
}

std::vector<DecryptionBudget> LimitSettings::Budgets() const {
  const ScopedSharedLock lock(mutex_);
  std::vector<DecryptionBudget> budgets;
  for (const auto& [name, budget] : budgets_) {
    budgets.push_back(budget);
  }
  return budgets;
}

std::optional<DecryptionBudget> LimitSettings::FindBudget(std::string_view name) const {
  const ScopedSharedLock lock(mutex_);
  const auto found = budgets_.find(name);
  return found == budgets_.end() ? std::nullopt : std::optional(found->second);
}

Status LimitSettings::PutBudget(const DecryptionBudget& budget) {
  KMS_TRY(CheckDecryptionBudget(budget));
  const ScopedLock writing(write_mutex_);
  if (!FindBudget(budget.name) && Budgets().size() >= kMaxBudgets) {
    return InvalidArgument("there are 64 budgets already; delete one first");
  }
  KMS_TRY(Write(sys_, PathOf(budget.name), EncodeBudget(budget)));
  {
    const ScopedLock lock(mutex_);
    budgets_.insert_or_assign(budget.name, budget);
  }
  PutInForce();
  return Ok();
}

Status LimitSettings::DeleteBudget(std::string_view name) {
  const ScopedLock writing(write_mutex_);
  KMS_TRY(Write(sys_, PathOf(name), std::nullopt));
  {
    const ScopedLock lock(mutex_);
    const auto found = budgets_.find(name);
    if (found != budgets_.end()) {
      budgets_.erase(found);
    }
  }
  PutInForce();
  return Ok();
}

}  // namespace kms
