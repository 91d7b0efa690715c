// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/lease_options.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>

namespace kms {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShortestInterval{100};
constexpr milliseconds kLongestInterval = std::chrono::hours{24};
constexpr milliseconds kLongestGrace = std::chrono::hours{24 * 365};

struct Unit {
  std::string_view suffix;
  std::int64_t milliseconds;
};
constexpr std::array kUnits = {Unit{"", 1'000},   Unit{"ms", 1},        Unit{"s", 1'000},
                               Unit{"m", 60'000}, Unit{"h", 3'600'000}, Unit{"d", 86'400'000}};

std::optional<milliseconds> Parse(std::string_view text) {
  std::int64_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, count);
  if (code != std::errc{} || count < 0) {
    return std::nullopt;
  }
  const std::string_view suffix{rest, static_cast<std::size_t>(end - rest)};
  for (const Unit& unit : kUnits) {
    if (suffix == unit.suffix && count <= kLongestGrace.count() / unit.milliseconds) {
      return milliseconds{count * unit.milliseconds};
    }
  }
  return std::nullopt;
}

}  // namespace

Result<milliseconds> ParseLeaseInterval(std::string_view text) {
  const std::optional<milliseconds> interval = Parse(text);
  if (!interval || *interval < kShortestInterval || *interval > kLongestInterval) {
    return InvalidArgument("option \"" + std::string(kLeaseIntervalOption) +
                           "\" must be a duration from 100ms to 24h, such as \"5s\"");
  }
  return *interval;
}

Result<milliseconds> ParseLeaseGrace(std::string_view text) {
  if (text == kLeaseForeverText) {
    return milliseconds::max();
  }
  const std::optional<milliseconds> grace = Parse(text);
  if (!grace) {
    return InvalidArgument("option \"" + std::string(kLeaseGraceOption) +
                           "\" must be a duration up to 365d, such as \"60s\", or \"forever\"");
  }
  return *grace;
}

}  // namespace kms
