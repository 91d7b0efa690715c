// SPDX-License-Identifier: Apache-2.0
#include "kms/base/clock.h"

#include <array>
#include <cstdint>
#include <cstdio>

namespace kms {

WallTime SystemClock::Now() const {
  return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

SteadyTime SystemClock::SteadyNow() const { return std::chrono::steady_clock::now(); }

std::int64_t ToUnixSeconds(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

std::string ToRfc3339(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  std::array<char, 48> text{};
  const int length = std::snprintf(
      text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%09lldZ",
      static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
      static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
      static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
      static_cast<long long>(clock.subseconds().count()));
  return {text.data(), static_cast<std::size_t>(length)};
}

namespace {

// Takes `digits` digits from the front of `text`; -1 when they are not there.
int TakeNumber(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) {
    return -1;
  }
  int number = 0;
  for (const char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') {
      return -1;
    }
    number = number * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return number;
}

bool TakeOneOf(std::string_view& text, std::string_view characters) {
  if (text.empty() || !characters.contains(text.front())) {
    return false;
  }
  text.remove_prefix(1);
  return true;
}

// ".123" and the like; nothing is no fraction.
std::optional<std::chrono::nanoseconds> TakeFraction(std::string_view& text) {
  if (!TakeOneOf(text, ".,")) {
    return std::chrono::nanoseconds(0);
  }
  std::int64_t nanoseconds = 0;
  std::size_t digits = 0;
  for (int digit = TakeNumber(text, 1); digit >= 0; digit = TakeNumber(text, 1)) {
    if (++digits > 9) {
      return std::nullopt;
    }
    nanoseconds = nanoseconds * 10 + digit;
  }
  for (std::size_t missing = digits; missing < 9; ++missing) {
    nanoseconds *= 10;
  }
  return digits == 0 ? std::nullopt : std::optional(std::chrono::nanoseconds(nanoseconds));
}

// "Z", "+01:00", "-05:30".
std::optional<std::chrono::minutes> TakeOffset(std::string_view& text) {
  if (TakeOneOf(text, "Zz")) {
    return std::chrono::minutes(0);
  }
  const int sign = !text.empty() && text.front() == '-' ? -1 : 1;
  if (!TakeOneOf(text, "+-")) {
    return std::nullopt;
  }
  const int hours = TakeNumber(text, 2);
  const bool colon = TakeOneOf(text, ":");
  const int minutes = TakeNumber(text, 2);
  if (hours < 0 || hours > 23 || !colon || minutes < 0 || minutes > 59) {
    return std::nullopt;
  }
  return std::chrono::minutes(sign * (hours * 60 + minutes));
}

}  // namespace

std::optional<WallTime> ParseRfc3339(std::string_view text) {
  const int year = TakeNumber(text, 4);
  bool shaped = TakeOneOf(text, "-");
  const int month = TakeNumber(text, 2);
  shaped = shaped && TakeOneOf(text, "-");
  const int day = TakeNumber(text, 2);
  shaped = shaped && TakeOneOf(text, "Tt ");
  const int hour = TakeNumber(text, 2);
  shaped = shaped && TakeOneOf(text, ":");
  const int minute = TakeNumber(text, 2);
  shaped = shaped && TakeOneOf(text, ":");
  const int second = TakeNumber(text, 2);
  const auto fraction = TakeFraction(text);
  const auto offset = TakeOffset(text);
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  const bool in_range = year >= 1678 && year <= 2261 && month > 0 && day > 0 && date.ok() &&
                        hour >= 0 && hour <= 23 && minute >= 0 && minute <= 59 && second >= 0 &&
                        second <= 60;
  if (!shaped || !in_range || !fraction || !offset || !text.empty()) {
    return std::nullopt;
  }
  return WallTime(std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(hour) +
                  std::chrono::minutes(minute) + std::chrono::seconds(second) - *offset +
                  *fraction);
}

}  // namespace kms
