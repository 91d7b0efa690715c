// SPDX-License-Identifier: Apache-2.0
#include "api/pipeline/budget_gate.h"

#include "kms/audit/record.h"

namespace kms::api {
namespace {

std::string TextOf(const BudgetVerdict& verdict) {
  return "decryption budget \"" + verdict.budget + "\" of " +
         std::to_string(verdict.rows_per_hour) + " per hour is used up";
}

void Announce(const Services& services, const Principal& principal, std::string_view environment,
              std::string_view key, const BudgetVerdict& verdict) {
  const std::string text = TextOf(verdict);
  const std::string path = "sys/limits/budgets/" + verdict.budget;
  std::string members;
  AppendAuditMembers({.type = AuditRecordType::kResponse,
                      .time = services.clock.Now(),
                      .operation = verdict.outcome == BudgetOutcome::kStop ? "stop" : "alarm",
                      .path = path,
                      .environment = environment,
                      .key = key,
                      .accessor = principal.accessor,
                      .display_name = principal.display_name,
                      .policies = principal.policies,
                      .entity_id = principal.entity_id,
                      .error = text},
                     members);
  // A log that takes no record refuses the request itself.
  IgnoreError(services.audit.Append(members), "the request's own record comes next");
  if (services.options.alarm) {
    services.options.alarm(text + " by " + principal.display_name + " (accessor " +
                           principal.accessor + ") with key " + std::string(environment) + "/" +
                           std::string(key));
  }
}

}  // namespace

std::optional<BudgetRefusal> ChargeDecryptions(const Services& services, const Principal& principal,
                                               std::string_view environment, std::string_view key,
                                               std::int64_t rows) {
  const BudgetVerdict verdict = services.limits.budgets.Charge(principal, environment, key, rows,
                                                               services.clock.SteadyNow());
  if (verdict.announce) {
    Announce(services, principal, environment, key, verdict);
  }
  if (verdict.outcome != BudgetOutcome::kStop) {
    return std::nullopt;
  }
  return BudgetRefusal{.text = TextOf(verdict) + "; ask an operator, or wait",
                       .retry_after = verdict.retry_after};
}

}  // namespace kms::api
