// SPDX-License-Identifier: Apache-2.0
// Clock: where the domain takes the time from; tests/fakes/manual_clock.h is its fake.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace kms {

using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;
using SteadyTime = std::chrono::steady_clock::time_point;
using Deadline = SteadyTime;  // a moment after which an answer is of no use

// Thread rule: every member may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual WallTime Now() const = 0;
  [[nodiscard]] virtual SteadyTime SteadyNow() const = 0;
};

// The operating system's clocks.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] WallTime Now() const override;
  [[nodiscard]] SteadyTime SteadyNow() const override;
};

// Seconds since 1970-01-01 UTC.
std::int64_t ToUnixSeconds(WallTime time);

// RFC 3339 in UTC with nanoseconds: "2026-01-31T12:00:00.123456789Z".
std::string ToRfc3339(WallTime time);

// Reads any RFC 3339 time, with an offset and up to nine digits of a second; nullopt for anything
// else, for dates that do not exist and for years that nanoseconds cannot count (1678 to 2261).
std::optional<WallTime> ParseRfc3339(std::string_view text);

}  // namespace kms
