// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/lease_settings.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

namespace kms {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShortestInterval{100};
constexpr milliseconds kLongestInterval{std::chrono::hours{24}};
constexpr milliseconds kLongestGrace{std::chrono::hours{24 * 365}};

std::optional<milliseconds> ParseTime(std::string_view text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [parsed, code] = std::from_chars(text.data(), end, number);
  if (code != std::errc{} || number < 0 || number > 1'000'000'000) {
    return std::nullopt;
  }
  constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {
      {"ms", 1}, {"", 1000}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  const std::string_view unit = text.substr(static_cast<std::size_t>(parsed - text.data()));
  const auto* const found = std::ranges::find(kUnits, unit, [](const auto& u) { return u.first; });
  if (found == std::end(kUnits)) {
    return std::nullopt;
  }
  return milliseconds{number * found->second};
}

std::optional<milliseconds> ParseInterval(std::string_view text) {
  const std::optional<milliseconds> time = ParseTime(text);
  return time && *time >= kShortestInterval && *time <= kLongestInterval ? time : std::nullopt;
}

std::optional<milliseconds> ParseGrace(std::string_view text) {
  if (text == "forever") {
    return kLeaseForever;
  }
  const std::optional<milliseconds> time = ParseTime(text);
  return time && *time <= kLongestGrace ? time : std::nullopt;
}

std::string_view OptionOf(const EnvironmentSettings& settings, std::string_view option) {
  const auto found = settings.options.find(std::string(option));
  return found == settings.options.end() ? std::string_view{} : std::string_view(found->second);
}

}  // namespace

LeaseSettings LeaseSettingsOf(const EnvironmentSettings& settings,
                              const EnvironmentsOptions& defaults) {
  return {
      .interval =
          ParseInterval(OptionOf(settings, kLeaseIntervalOption)).value_or(defaults.lease_interval),
      .grace = ParseGrace(OptionOf(settings, kLeaseGraceOption)).value_or(defaults.lease_grace)};
}

Status CheckLeaseOption(std::string_view option, std::string_view value) {
  if (option == kLeaseIntervalOption && !ParseInterval(value)) {
    return InvalidArgument("lease_interval must be a time from 100ms to 24h, for example \"5s\"");
  }
  if (option == kLeaseGraceOption && !ParseGrace(value)) {
    return InvalidArgument(
        "lease_grace must be a time up to 365d, for example \"60s\", or \"forever\"");
  }
  return Ok();
}

}  // namespace kms
