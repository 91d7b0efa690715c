// SPDX-License-Identifier: Apache-2.0
// Fields and tables of key objects.
#include "tools/kmsctl/key_view.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

std::string CreationCell(const nlohmann::json& version) {
  if (version.is_string()) {
    return Printable(version.get<std::string>());  // what an external key refers to
  }
  if (version.is_number_integer()) {
    return TimeCell(version.get<std::int64_t>());
  }
  return Cell(version, "creation_time");
}

// "decrypt only" for versions that encryption no longer uses.
std::string UseCell(const nlohmann::json& key, std::int64_t version) {
  const auto number = [&key](const char* name) {
    const auto found = key.find(name);
    return found != key.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
  };
  if (version == number("latest_version")) {
    return "latest";
  }
  const std::int64_t min_encryption = number("min_encryption_version");
  return min_encryption != 0 && version < min_encryption ? "decrypt only" : "on request";
}

// What the server counted under one version; null when it does not say.
nlohmann::json UsageOf(const nlohmann::json& key, std::int64_t version) {
  const auto usage = key.find("usage");
  if (usage == key.end() || !usage->is_object()) {
    return nullptr;
  }
  return usage->value(std::to_string(version), nlohmann::json());
}

double NumberOf(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

// "0.4 %" of what one version may encrypt.
std::string ShareCell(const nlohmann::json& usage) {
  const double limit = NumberOf(usage, "limit");
  if (limit <= 0) {
    return "-";
  }
  const double share = 100 * NumberOf(usage, "encryptions") / limit;
  char text[32];
  std::snprintf(text, sizeof text, share > 0 && share < 0.1 ? "< 0.1 %%" : "%.1f %%", share);
  return text;
}

std::vector<std::string> UsageCells(const nlohmann::json& usage) {
  if (!usage.is_object()) {
    return {"-", "-", "-"};
  }
  return {Cell(usage, "encryptions"), ShareCell(usage), Cell(usage, "days_left")};
}

std::string RenderVersions(const nlohmann::json& key) {
  const auto versions = key.find("keys");
  if (versions == key.end() || !versions->is_object()) {
    return {};
  }
  std::map<std::int64_t, std::string> created;
  for (const auto& [name, version] : versions->items()) {
    std::int64_t number = 0;
    std::from_chars(name.data(), name.data() + name.size(), number);
    created[number] = CreationCell(version);
  }
  const bool external = Cell(key, "type") == "external-key";
  Table table{{"VERSION", external ? "KEY IN HSM" : "CREATED", "ENCRYPTS"}, {}};
  const bool counted = key.contains("usage");
  if (counted) {
    table.titles.insert(table.titles.end(), {"ENCRYPTIONS", "OF LIMIT", "DAYS LEFT"});
  }
  for (const auto& [number, time] : created) {
    std::vector<std::string> row = {std::to_string(number), time, UseCell(key, number)};
    if (counted) {
      std::ranges::move(UsageCells(UsageOf(key, number)), std::back_inserter(row));
    }
    table.rows.push_back(std::move(row));
  }
  return "\n" + RenderTable(table);
}

std::string RotationCell(const nlohmann::json& key) {
  const std::string period = Cell(key, "auto_rotate_period");
  return period == "-" || period == "0" ? "off" : period + " s";
}

// "hsm (default)" for a key that lives in a token; servers that know no other say nothing.
std::string ProtectionCell(const nlohmann::json& key) {
  return key.contains("protection") ? Cell(key, "protection") + " (" + Cell(key, "hsm") + ")"
                                    : "software";
}

}  // namespace

std::string RenderKey(const nlohmann::json& key) {
  return RenderFields({
             {"name", Cell(key, "name")},
             {"type", Cell(key, "type")},
             {"protection", ProtectionCell(key)},
             {"latest version", Cell(key, "latest_version")},
             {"min decryption version", Cell(key, "min_decryption_version")},
             {"min encryption version", Cell(key, "min_encryption_version")},
             {"min available version", Cell(key, "min_available_version")},
             {"auto rotation", RotationCell(key)},
             {"deletion allowed", Cell(key, "deletion_allowed")},
             {"exportable", Cell(key, "exportable")},
             {"plaintext backup", Cell(key, "allow_plaintext_backup")},
             {"derived", Cell(key, "derived")},
             {"imported", Cell(key, "imported_key")},
             {"soft-deleted", Cell(key, "soft_deleted")},
         }) +
         RenderVersions(key);
}

std::string RenderKeyTable(const nlohmann::json& keys) {
  Table table{{"NAME", "TYPE", "LATEST", "MIN DECRYPTION", "AUTO ROTATION", "DELETABLE"}, {}};
  for (const nlohmann::json& key : keys) {
    table.rows.push_back({Cell(key, "name"), Cell(key, "type"), Cell(key, "latest_version"),
                          Cell(key, "min_decryption_version"), RotationCell(key),
                          Cell(key, "deletion_allowed")});
  }
  return RenderTable(table);
}

}  // namespace kms::tools
