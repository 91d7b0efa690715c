// SPDX-License-Identifier: Apache-2.0
// sys/limits/…: rate limits, decryption budgets and what the guard over logins has blocked.
#include "kms/auth/limits.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "kms/auth/identity_name.h"
#include "kms/identity/limit_settings.h"

namespace kms::api {
namespace {

constexpr std::size_t kShownConsumers = 10;

std::int64_t Signed(std::uint64_t count) { return static_cast<std::int64_t>(count); }

Result<RouteClass> ClassField(const Call& call) {
  const std::optional<RouteClass> route_class = ParseRouteClass(call.fields.Text("class"));
  if (!route_class) {
    return InvalidArgument("class must be data, keys, identity, login or system");
  }
  return *route_class;
}

Result<LimitScope> ScopeField(const Call& call) {
  const std::optional<LimitScope> scope = ParseLimitScope(call.fields.Text("scope"));
  if (!scope) {
    return InvalidArgument("scope must be principal, address or total");
  }
  return *scope;
}

Result<IdentityName> BudgetField(const Call& call) {
  return IdentityName::Parse(call.fields.Text("budget"));
}

void AppendBudget(const DecryptionBudget& budget, std::string& out) {
  JsonObject object(out);
  object.String("name", budget.name);
  object.String("environment", budget.environment);
  object.String("key", budget.key);
  object.String("policy", budget.policy);
  object.String("actor", budget.actor);
  object.Integer("rows_per_hour", budget.rows_per_hour);
  object.String("action", BudgetActionName(budget.action));
  object.Close();
}

// What a block is called in lists: the address, the name, or both.
std::string LabelOf(const LoginBlock& block) {
  switch (block.kind) {
    case LoginBlockKind::kAddress: return block.address;
    case LoginBlockKind::kName: return block.name;
    case LoginBlockKind::kNameAtAddress: break;
  }
  return block.name + "@" + block.address;
}

void AppendBlock(const LoginBlock& block, std::string& out) {
  JsonObject object(out);
  object.String("kind", LoginBlockKindName(block.kind));
  object.String("address", block.address);
  object.String("name", block.name);
  object.Integer("failures", block.failures);
  object.Integer("remaining", block.remaining.count());
  object.Close();
}

// ---- status
// --------------------------------------------------------------------------------------

void AppendRateStatus(RateLimits& rate, JsonObject& status, std::string& out) {
  status.Key("rate");
  JsonObject object(out);
  object.Key("refused");
  JsonObject refused(out);
  for (const LimitScope scope :
       {LimitScope::kPrincipal, LimitScope::kAddress, LimitScope::kTotal}) {
    refused.Integer(LimitScopeName(scope), Signed(rate.refused(scope)));
  }
  refused.Close();
  object.Key("top");
  JsonArray top(out);
  for (const LimitConsumer& consumer : rate.TopConsumers(kShownConsumers)) {
    JsonObject one(top.Next());
    one.String("class", RouteClassName(consumer.route_class));
    one.String("scope", LimitScopeName(consumer.scope));
    one.String("who", consumer.who);
    one.Integer("admitted", Signed(consumer.admitted));
    one.Integer("refused", Signed(consumer.refused));
    one.Close();
  }
  top.Close();
  object.Close();
}

void AppendBudgetStatus(DecryptionBudgets& budgets, SteadyTime now, JsonObject& status,
                        std::string& out) {
  status.Key("budgets");
  JsonObject object(out);
  object.Integer("alarms", Signed(budgets.alarms()));
  object.Integer("stops", Signed(budgets.stops()));
  object.Key("top");
  JsonArray top(out);
  for (const BudgetConsumer& consumer : budgets.TopConsumers(kShownConsumers, now)) {
    JsonObject one(top.Next());
    one.String("budget", consumer.budget);
    one.String("actor", consumer.actor);
    one.String("environment", consumer.environment);
    one.String("key", consumer.key);
    one.Integer("rows", consumer.rows);
    one.Integer("rows_per_hour", consumer.rows_per_hour);
    one.Close();
  }
  top.Close();
  object.Close();
}

}  // namespace

Result<Reply> HandleReadRateLimits(Call& call) {
  const RateLimitSettings rates = call.services.identity.limit_settings().rates();
  std::string data = R"({"limits":)";
  JsonArray limits(data);
  for (std::size_t c = 0; c < kRouteClasses; ++c) {
    for (std::size_t s = 0; s < kLimitScopes; ++s) {
      const RateLimit& limit = rates.limits[c][s];
      if (!limit.limited()) {
        continue;
      }
      JsonObject one(limits.Next());
      one.String("class", RouteClassName(static_cast<RouteClass>(c)));
      one.String("scope", LimitScopeName(static_cast<LimitScope>(s)));
      one.Integer("rate", limit.requests);
      one.Integer("interval", limit.interval_seconds);
      one.Integer("burst", limit.burst);
      one.Close();
    }
  }
  limits.Close();
  data += '}';
  return Reply::Data(std::move(data));
}

// `rate` 0 lifts the limit. Without `burst`, as many as fit into an interval may come at once.
Result<Reply> HandleWriteRateLimit(Call& call) {
  const RouteClass route_class = KMS_TRY(ClassField(call));
  const LimitScope scope = KMS_TRY(ScopeField(call));
  const std::int64_t requests = call.fields.Integer("rate");
  const RateLimit limit{
      .requests = requests,
      .interval_seconds = call.fields.Integer("interval"),
      .burst = call.fields.OptionalInteger("burst").value_or(std::max<std::int64_t>(requests, 1))};
  KMS_TRY(call.services.identity.limit_settings().SetRate(route_class, scope, limit));
  return Reply::NoContent();
}

Result<Reply> HandleListBudgets(Call& call) {
  const std::vector<DecryptionBudget> budgets = call.services.identity.limit_settings().Budgets();
  if (budgets.empty()) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  object.Key("keys");
  JsonArray keys(data);
  for (const DecryptionBudget& budget : budgets) {
    AppendJsonString(budget.name, keys.Next());
  }
  keys.Close();
  object.Key("key_info");
  JsonObject info(data);
  for (const DecryptionBudget& budget : budgets) {
    info.Key(budget.name);
    AppendBudget(budget, data);
  }
  info.Close();
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleReadBudget(Call& call) {
  const IdentityName name = KMS_TRY(BudgetField(call));
  const std::optional<DecryptionBudget> budget =
      call.services.identity.limit_settings().FindBudget(name.text());
  if (!budget) {
    return Reply::Absent();
  }
  std::string data;
  AppendBudget(*budget, data);
  return Reply::Data(std::move(data));
}

Result<Reply> HandleWriteBudget(Call& call) {
  const std::optional<BudgetAction> action = ParseBudgetAction(call.fields.Text("action"));
  if (!action) {
    return InvalidArgument("action must be alarm or stop");
  }
  const IdentityName name = KMS_TRY(BudgetField(call));
  const DecryptionBudget budget{.name = name.text(),
                                .environment = std::string(call.fields.Text("environment")),
                                .key = std::string(call.fields.Text("key")),
                                .policy = std::string(call.fields.Text("policy")),
                                .actor = std::string(call.fields.Text("actor")),
                                .rows_per_hour = call.fields.Integer("rows_per_hour"),
                                .action = *action};
  KMS_TRY(call.services.identity.limit_settings().PutBudget(budget));
  return Reply::NoContent();
}

Result<Reply> HandleDeleteBudget(Call& call) {
  const IdentityName name = KMS_TRY(BudgetField(call));
  KMS_TRY(call.services.identity.limit_settings().DeleteBudget(name.text()));
  return Reply::NoContent();
}

Result<Reply> HandleListLoginBlocks(Call& call) {
  const std::vector<LoginBlock> blocks =
      call.services.limits.logins.List(call.services.clock.SteadyNow());
  if (blocks.empty()) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  object.Key("keys");
  JsonArray keys(data);
  for (const LoginBlock& block : blocks) {
    AppendJsonString(LabelOf(block), keys.Next());
  }
  keys.Close();
  object.Key("blocks");
  JsonArray details(data);
  for (const LoginBlock& block : blocks) {
    AppendBlock(block, details.Next());
  }
  details.Close();
  object.Close();
  return Reply::Data(std::move(data));
}

// Everything at once only when that is said: a misspelt parameter must not lift every block.
Result<Reply> HandleClearLoginBlocks(Call& call) {
  const std::string_view address = call.fields.Text("address");
  const std::string_view name = call.fields.Text("login");
  const bool all = call.fields.Boolean("all");
  if (all != (address.empty() && name.empty())) {
    return InvalidArgument("give address, login or both, or all=true");
  }
  if (!address.empty() && !IpAddress::Parse(address)) {
    return InvalidArgument("address must be an IP address");
  }
  const std::size_t cleared = call.services.limits.logins.Clear(address, name);
  std::string data;
  JsonObject object(data);
  object.Integer("cleared", Signed(cleared));
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleLimitsStatus(Call& call) {
  Limits& limits = call.services.limits;
  const SteadyTime now = call.services.clock.SteadyNow();
  std::string data;
  JsonObject object(data);
  AppendRateStatus(limits.rate, object, data);
  AppendBudgetStatus(limits.budgets, now, object, data);
  object.Key("logins");
  JsonObject logins(data);
  logins.Integer("refused", Signed(limits.logins.refused()));
  logins.Integer("blocked", Signed(limits.logins.List(now).size()));
  logins.Close();
  object.Close();
  return Reply::Data(std::move(data));
}

}  // namespace kms::api
