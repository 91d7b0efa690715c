// SPDX-License-Identifier: Apache-2.0
// Budget gate: counts what is decrypted against the budgets of kms/auth/decryption_budgets.h and
// tells when one is used up.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/pipeline/options.h"
#include "kms/auth/principal.h"

namespace kms::api {

struct BudgetRefusal {
  std::string text;
  std::chrono::seconds retry_after{0};
};

// Before `rows` ciphertexts are decrypted. A refusal, or nullopt: go on. The first time in an hour
// that a budget is used up is recorded in the audit log and told to options.alarm. Any thread;
// never blocks.
std::optional<BudgetRefusal> ChargeDecryptions(const Services& services, const Principal& principal,
                                               std::string_view environment, std::string_view key,
                                               std::int64_t rows);

}  // namespace kms::api
