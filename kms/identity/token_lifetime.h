// SPDX-License-Identifier: Apache-2.0
// When a token ends: default and maximum, explicit maximum, period (transit-api 10.2).
#pragma once

#include <cstdint>
#include <limits>

namespace kms {

struct TokenLifetime {
  std::int64_t ttl_seconds = 0;
  std::int64_t max_ttl_seconds = 0;           // from creation; a period ignores it
  std::int64_t explicit_max_ttl_seconds = 0;  // from creation, whatever else; 0: none
  std::int64_t period_seconds = 0;            // 0: not periodic
};

// How long a new token lives.
inline std::int64_t FirstTtl(const TokenLifetime& lifetime) {
  std::int64_t ttl = lifetime.period_seconds;
  if (ttl == 0) {
    ttl = lifetime.ttl_seconds < lifetime.max_ttl_seconds ? lifetime.ttl_seconds
                                                          : lifetime.max_ttl_seconds;
  }
  const std::int64_t most = lifetime.explicit_max_ttl_seconds;
  return most != 0 && most < ttl ? most : ttl;
}

// The second at which a renewed token ends. `asked_seconds` is the increment, the first TTL when
// none was asked for; never later than creation and maxima allow.
inline std::int64_t RenewedEnd(const TokenLifetime& lifetime, std::int64_t created_unix_seconds,
                               std::int64_t now_unix_seconds, std::int64_t asked_seconds) {
  constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  const auto sum = [](std::int64_t time, std::int64_t more) {
    return more > kNever - time ? kNever : time + more;
  };
  const bool periodic = lifetime.period_seconds != 0;
  std::int64_t end = sum(now_unix_seconds, periodic ? lifetime.period_seconds : asked_seconds);
  if (!periodic && lifetime.max_ttl_seconds != 0) {
    const std::int64_t most = sum(created_unix_seconds, lifetime.max_ttl_seconds);
    end = end < most ? end : most;
  }
  if (lifetime.explicit_max_ttl_seconds != 0) {
    const std::int64_t most = sum(created_unix_seconds, lifetime.explicit_max_ttl_seconds);
    end = end < most ? end : most;
  }
  return end;
}

}  // namespace kms
