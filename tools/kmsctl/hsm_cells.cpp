// SPDX-License-Identifier: Apache-2.0
#include "tools/kmsctl/hsm_cells.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/json_member.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;

std::string Tenths(std::int64_t value, std::int64_t unit, const char* suffix) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f%s",
                static_cast<double>(value) / static_cast<double>(unit), suffix);
  return text.data();
}

std::string Pair(std::int64_t large, const char* large_suffix, std::int64_t small,
                 const char* small_suffix) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%lld%s%02lld%s", static_cast<long long>(large),
                large_suffix, static_cast<long long>(small), small_suffix);
  return text.data();
}

std::string VersionsCell(const nlohmann::json& object, const char* name) {
  std::string text;
  for (const nlohmann::json& version : ArrayMember(object, name)) {
    text += (text.empty() ? "" : ",") + Printable(ToJsonLine(version));
  }
  return text.empty() ? "-" : text;
}

}  // namespace

nlohmann::json ArrayMember(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_array() ? *found : nlohmann::json::array();
}

nlohmann::json ObjectMember(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_object() ? *found : nlohmann::json::object();
}

std::string DurationCell(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) {
    return "-";
  }
  const std::int64_t milliseconds = IntegerOf(object, name);
  if (milliseconds < kSecond) {
    return std::to_string(milliseconds) + "ms";
  }
  if (milliseconds < kMinute) {
    return Tenths(milliseconds, kSecond, "s");
  }
  if (milliseconds < kHour) {
    return Pair(milliseconds / kMinute, "m", milliseconds % kMinute / kSecond, "s");
  }
  return Pair(milliseconds / kHour, "h", milliseconds % kHour / kMinute, "m");
}

std::string MicrosecondsCell(std::int64_t microseconds) {
  if (microseconds < kSecond) {
    return std::to_string(microseconds) + "us";
  }
  return microseconds < kSecond * kSecond ? Tenths(microseconds, kSecond, "ms")
                                          : Tenths(microseconds, kSecond * kSecond, "s");
}

std::string NamesCell(const nlohmann::json& object, const char* name) {
  std::string text;
  for (const nlohmann::json& element : ArrayMember(object, name)) {
    text += text.empty() ? "" : ", ";
    text += element.is_string() ? Printable(element.get_ref<const std::string&>())
                                : ToJsonLine(element);
  }
  return text.empty() ? "-" : text;
}

std::string RenderMembers(const nlohmann::json& members, const char* title, const char* name) {
  Table table{{title, "ORDER", "WEIGHT", "STATE", "PROVED", "MASTER KEYS", "MISSING", "REASON"},
              {}};
  for (const nlohmann::json& member : members) {
    table.rows.push_back({Cell(member, name), Cell(member, "order"), Cell(member, "weight"),
                          Cell(member, "state"), DurationCell(member, "proof_age_ms"),
                          VersionsCell(member, "master_key_versions"),
                          Cell(member, "missing_wraps"), Cell(member, "reason")});
  }
  return RenderTable(table);
}

}  // namespace kms::tools
