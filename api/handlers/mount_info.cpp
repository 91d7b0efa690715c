// SPDX-License-Identifier: Apache-2.0
// Environments in the words of mounts.
#include "api/handlers/mount_info.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "api/pipeline/fields.h"
#include "kms/auth/guarded_action.h"
#include "kms/operations/lease_settings.h"
#include "kms/operations/resident_versions.h"

namespace kms::api {
namespace {

// Options that are stored as they are named and must be "true" or "false".
constexpr std::array<std::string_view, 2> kSwitches = {"verify_encrypt", "allow_pkcs1v15"};
constexpr std::size_t kMaxOptions = 32;
constexpr std::size_t kMaxOptionBytes = 1024;
constexpr std::int64_t kMaxLeaseSeconds = std::int64_t{100} * 366 * 86400;

void AppendOptions(const EnvironmentSettings& settings, std::string& out) {
  JsonObject options(out);
  for (const auto& [key, value] : settings.options) {
    options.String(key, value);
  }
  if (settings.is_protected) {
    options.String("protected", "true");
  }
  if (settings.disable_upsert) {
    options.String("disable_upsert", "true");
  }
  options.Close();
}

Status ApplyFlag(std::string_view name, const std::string& text, bool& flag) {
  const std::optional<bool> value = ParseGoBoolean(text);
  if (!value) {
    return InvalidArgument("option \"" + std::string(name) + "\" must be \"true\" or \"false\"");
  }
  flag = *value;
  return Ok();
}

Result<std::uint64_t> ParseEncryptionLimit(const std::string& text) {
  std::uint64_t limit = 0;
  const char* end = text.data() + text.size();
  const auto [parsed, code] = std::from_chars(text.data(), end, limit);
  if (code != std::errc{} || parsed != end || limit == 0 || limit > kMaxEncryptionsPerVersion) {
    return InvalidArgument("option \"" + std::string(kMaxEncryptionsOption) +
                           "\" must be a number from 1 to " +
                           std::to_string(kMaxEncryptionsPerVersion));
  }
  return limit;
}

// An empty text goes back to what the service is configured with.
Status ApplyLeaseOption(std::string_view key, const std::string& text,
                        EnvironmentSettings& settings) {
  if (text.empty()) {
    settings.options.erase(std::string(key));
    return Ok();
  }
  KMS_TRY(CheckLeaseOption(key, text));
  settings.options[std::string(key)] = text;
  return Ok();
}

Status ApplyOption(std::string_view key, JsonView value, EnvironmentSettings& settings) {
  if (value.kind() == JsonKind::kArray || value.kind() == JsonKind::kObject) {
    return InvalidArgument("mount options must be texts");
  }
  const std::string text = value.kind() == JsonKind::kBoolean
                               ? (value.Boolean() ? "true" : "false")
                               : value.Rendered();
  if (key == "protected") {
    return ApplyFlag(key, text, settings.is_protected);
  }
  if (key == "disable_upsert") {
    return ApplyFlag(key, text, settings.disable_upsert);
  }
  if (std::ranges::find(kSwitches, key) != kSwitches.end()) {
    bool on = false;
    KMS_TRY(ApplyFlag(key, text, on));
    settings.options[std::string(key)] = on ? "true" : "false";
    return Ok();
  }
  if (key == kExternalKeysOption) {
    KMS_TRY(CheckExternalKeysOption(text));
    settings.options.insert_or_assign(std::string(key), text);
    if (text.empty()) {
      settings.options.erase(std::string(key));
    }
    return Ok();
  }
  if (key == kMaxEncryptionsOption) {
    settings.options[std::string(key)] = std::to_string(KMS_TRY(ParseEncryptionLimit(text)));
    return Ok();
  }
  if (key == kRequireApprovalOption) {
    const GuardedActions actions = KMS_TRY(GuardedActions::Parse(text));
    settings.options.insert_or_assign(std::string(key), actions.ToText());
    if (actions.empty()) {
      settings.options.erase(std::string(key));
    }
    return Ok();
  }
  if (key == kLeaseIntervalOption || key == kLeaseGraceOption) {
    return ApplyLeaseOption(key, text, settings);
  }
  if (key == kHsmsOption) {
    return Ok();  // no setting: ParseHsmsOption
  }
  if (key.size() > kMaxOptionBytes || text.size() > kMaxOptionBytes ||
      settings.options.size() >= kMaxOptions) {
    return InvalidArgument("too many or too long mount options");
  }
  settings.options[std::string(key)] = text;
  return Ok();
}

Status ApplyLease(JsonView config, std::string_view name, std::int64_t& seconds) {
  const JsonView value = config.Find(name);
  if (value.is_null()) {
    return Ok();
  }
  seconds = KMS_TRY(ParseLease(name, value.Rendered()));
  return Ok();
}

}  // namespace

void AppendMount(const Environment& environment, JsonObject& object, std::string& out) {
  const EnvironmentSettings settings = environment.settings();
  object.String("type", "transit");
  object.String("description", settings.description);
  object.String("accessor", environment.identity().accessor);
  object.Boolean("local", false);
  object.Boolean("seal_wrap", false);
  object.Boolean("external_entropy_access", false);
  object.Key("options");
  AppendOptions(settings, out);
  object.String("uuid", environment.identity().id.ToString());
  object.String("plugin_version", "");
  object.String("running_plugin_version", "");
  object.String("running_sha256", "");
  object.Key("config");
  JsonObject config(out);
  config.Integer("default_lease_ttl", settings.default_lease_ttl_seconds);
  config.Integer("max_lease_ttl", settings.max_lease_ttl_seconds);
  config.Boolean("force_no_cache", false);
  config.Close();
}

void AppendTune(const Environment& environment, JsonObject& object, std::string& out) {
  const EnvironmentSettings settings = environment.settings();
  object.String("description", settings.description);
  object.Integer("default_lease_ttl", settings.default_lease_ttl_seconds);
  object.Integer("max_lease_ttl", settings.max_lease_ttl_seconds);
  object.Boolean("force_no_cache", false);
  object.Key("options");
  AppendOptions(settings, out);
}

Status ApplyOptions(JsonView options, EnvironmentSettings& settings) {
  if (options.is_null()) {
    return Ok();
  }
  if (options.kind() != JsonKind::kObject) {
    return InvalidArgument(
        "Field validation failed: error converting input for field \"options\": expected a map");
  }
  Status status = Ok();
  options.ForEachMember([&](std::string_view key, JsonView value) {
    if (status) {
      status = ApplyOption(key, value, settings);
    }
  });
  return status;
}

Result<std::vector<std::string>> ParseHsmsOption(JsonView options) {
  std::vector<std::string> names;
  const JsonView option = options.Find(kHsmsOption);
  const std::string text = option.is_null() ? std::string() : option.Rendered();
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    std::string_view name = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (name.starts_with(' ')) {
      name.remove_prefix(1);
    }
    while (name.ends_with(' ')) {
      name.remove_suffix(1);
    }
    if (name.empty() || std::ranges::find(names, name) != names.end()) {
      return InvalidArgument("option \"hsms\" must be names of HSM tokens, separated by commas, each "
                             "once: see sys/hsm");
    }
    names.emplace_back(name);
  }
  return names;
}

Result<std::int64_t> ParseLease(std::string_view name, std::string_view text) {
  const Result<std::int64_t> parsed = ParseDurationSeconds(text);
  if (!parsed || *parsed > kMaxLeaseSeconds) {
    return InvalidArgument("unable to parse " + std::string(name) + " as a duration");
  }
  return *parsed;
}

Status ApplyLeases(JsonView config, EnvironmentSettings& settings) {
  if (!config.is_null() && config.kind() != JsonKind::kObject) {
    return InvalidArgument(
        "Field validation failed: error converting input for field \"config\": expected a map");
  }
  KMS_TRY(ApplyLease(config, "default_lease_ttl", settings.default_lease_ttl_seconds));
  return ApplyLease(config, "max_lease_ttl", settings.max_lease_ttl_seconds);
}

}  // namespace kms::api
