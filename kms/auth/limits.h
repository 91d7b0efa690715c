// SPDX-License-Identifier: Apache-2.0
// Limits: everything that slows a caller down or stops it, in memory. What is configured of it is
// stored by kms/identity/limit_settings.h.
#pragma once

#include <utility>
#include <vector>

#include "kms/auth/cidr.h"
#include "kms/auth/decryption_budgets.h"
#include "kms/auth/login_guard.h"
#include "kms/auth/rate_limits.h"

namespace kms {

// Thread rule: any thread. Never moved: its parts refer to the list of proxies.
struct Limits {
  // `proxies`: whose X-Forwarded-For is believed (listener.trusted_proxies).
  explicit Limits(std::vector<CidrBlock> proxies = {})
      : trusted_proxies(std::move(proxies)), rate(trusted_proxies), logins(trusted_proxies) {}
  Limits(const Limits&) = delete;
  Limits& operator=(const Limits&) = delete;

  const std::vector<CidrBlock> trusted_proxies;
  RateLimits rate;
  DecryptionBudgets budgets;
  LoginGuard logins;
};

}  // namespace kms
