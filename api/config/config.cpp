// SPDX-License-Identifier: Apache-2.0
#include "api/config/config.h"

#include <algorithm>
#include <bit>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "api/config/config_fields.h"

namespace kms::api {

namespace {

using nlohmann::json;

std::string NameOf(const ConfigField& field) {
  return std::string{field.section} + "." + std::string{field.key};
}

Error WrongValue(const ConfigField& field, const std::string& what) {
  return InvalidArgument("configuration: " + NameOf(field) + " " + what);
}

std::string JoinChoices(std::string_view choices) {
  std::string text{choices};
  std::string::size_type bar = 0;
  while ((bar = text.find('|', bar)) != std::string::npos) {
    text.replace(bar, 1, ", ");
  }
  return text;
}

bool IsChoice(std::string_view value, std::string_view choices) {
  const std::string wrapped = "|" + std::string{choices} + "|";
  return wrapped.find("|" + std::string{value} + "|") != std::string::npos;
}

bool IsSecretReference(std::string_view text) {
  for (const std::string_view scheme : {"file:", "env:", "credential:", "fd:"}) {
    if (text.starts_with(scheme) && text.size() > scheme.size()) {
      return true;
    }
  }
  return text.empty();
}

// Stores one JSON value into the member its row names.
class FieldReader {
 public:
  FieldReader(const ConfigField& field, const json& value, Config& config)
      : field_(field), value_(value), config_(config) {}

  Status operator()(const TextKind& kind) const {
    if (!value_.is_string()) {
      return WrongValue(field_, "must be a string");
    }
    const auto& text = value_.get_ref<const std::string&>();
    if (!kind.choices.empty() && !IsChoice(text, kind.choices)) {
      return WrongValue(field_, "must be one of: " + JoinChoices(kind.choices));
    }
    kind.member(config_) = text;
    return Ok();
  }

  Status operator()(const SecretKind& kind) const {
    if (!value_.is_string() || !IsSecretReference(value_.get_ref<const std::string&>())) {
      return WrongValue(field_,
                        "must say where the secret is (file:PATH, env:NAME, credential:NAME or "
                        "fd:NUMBER), never the secret itself");
    }
    kind.member(config_).text = value_.get_ref<const std::string&>();
    return Ok();
  }

  Status operator()(const BoolKind& kind) const {
    if (!value_.is_boolean()) {
      return WrongValue(field_, "must be true or false");
    }
    kind.member(config_) = value_.get<bool>();
    return Ok();
  }

  Status operator()(const CountKind& kind) const {
    if (!value_.is_number_unsigned() || value_.get<std::uint64_t>() < kind.minimum ||
        value_.get<std::uint64_t>() > kind.maximum) {
      return WrongValue(field_, "must be a whole number from " + std::to_string(kind.minimum) +
                                    " to " + std::to_string(kind.maximum));
    }
    kind.member(config_) = value_.get<std::uint64_t>();
    return Ok();
  }

  Status operator()(const DurationKind& kind) const {
    if (!value_.is_string()) {
      return WrongValue(field_, "must be a duration such as \"5s\"");
    }
    const Result<Milliseconds> duration = ParseDuration(value_.get_ref<const std::string&>());
    if (!duration.has_value()) {
      return WrongValue(field_, duration.error().public_message);
    }
    if (*duration < kind.minimum) {
      return WrongValue(field_, "must be at least " + FormatDuration(kind.minimum));
    }
    kind.member(config_) = *duration;
    return Ok();
  }

 private:
  const ConfigField& field_;
  const json& value_;
  Config& config_;
};

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t column = 0; column <= b.size(); ++column) {
    row[column] = column;
  }
  for (std::size_t line = 1; line <= a.size(); ++line) {
    std::size_t diagonal = row[0];
    row[0] = line;
    for (std::size_t column = 1; column <= b.size(); ++column) {
      const std::size_t changed = diagonal + (a[line - 1] == b[column - 1] ? 0U : 1U);
      diagonal = row[column];
      row[column] = std::min({changed, row[column] + 1, row[column - 1] + 1});
    }
  }
  return row[b.size()];
}

Error UnknownKey(const std::string& name) {
  std::string nearest;
  std::size_t best = std::string::npos;
  for (const ConfigField& field : ConfigFields()) {
    const std::size_t distance = EditDistance(name, NameOf(field));
    if (distance < best) {
      best = distance;
      nearest = NameOf(field);
    }
  }
  return InvalidArgument("configuration: unknown key " + name + "; did you mean " + nearest + "?");
}

const ConfigField* FindField(std::string_view section, std::string_view key) {
  for (const ConfigField& field : ConfigFields()) {
    if (field.section == section && field.key == key) {
      return &field;
    }
  }
  return nullptr;
}

Status ReadSection(const std::string& section, const json& members, Config& config) {
  for (const auto& [key, value] : members.items()) {
    const ConfigField* field = FindField(section, key);
    if (field == nullptr) {
      return UnknownKey(section + "." + key);
    }
    KMS_TRY(std::visit(FieldReader(*field, value, config), field->kind));
  }
  return Ok();
}

// The JSON text of one member.
class FieldWriter {
 public:
  explicit FieldWriter(Config& config) : config_(config) {}

  std::string operator()(const TextKind& kind) const { return json(kind.member(config_)).dump(); }
  std::string operator()(const SecretKind& kind) const {
    return json(kind.member(config_).text).dump();
  }
  std::string operator()(const BoolKind& kind) const {
    return kind.member(config_) ? "true" : "false";
  }
  std::string operator()(const CountKind& kind) const {
    return std::to_string(kind.member(config_));
  }
  std::string operator()(const DurationKind& kind) const {
    return '"' + FormatDuration(kind.member(config_)) + '"';
  }

 private:
  Config& config_;
};

Status RequireKey(const std::string& value, std::string_view name) {
  if (value.empty()) {
    return InvalidArgument("configuration: " + std::string{name} + " is required");
  }
  return Ok();
}

Status ValidateClientCertificates(const ListenerConfig& listener) {
  const bool asks = listener.tls_client_certificates != "none";
  if (asks && listener.tls_certificate.empty()) {
    return InvalidArgument(
        "configuration: listener.tls_client_certificates needs listener.tls_certificate and "
        "tls_key");
  }
  if (listener.tls_client_certificates == "request" && !listener.tls_client_ca.empty()) {
    return InvalidArgument(
        "configuration: listener.tls_client_ca demands a certificate, so "
        "listener.tls_client_certificates cannot be \"request\"");
  }
  return Ok();
}

}  // namespace

Result<Config> ParseConfig(std::string_view text) {
  const json document =
      json::parse(text, nullptr, /*allow_exceptions=*/false, /*ignore_comments=*/true);
  if (document.is_discarded() || !document.is_object()) {
    return InvalidArgument("configuration: not a JSON object (comments are allowed)");
  }
  Config config;
  for (const auto& [section, members] : document.items()) {
    if (!members.is_object()) {
      return InvalidArgument("configuration: " + section + " must be an object");
    }
    KMS_TRY(ReadSection(section, members, config));
  }
  return config;
}

Result<Config> LoadConfig(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return NotFound("cannot read the configuration file " + path);
  }
  Result<Config> config = ParseConfig(text.str());
  if (!config.has_value()) {
    return InvalidArgument(path + ": " + config.error().public_message);
  }
  return config;
}

Status ValidateConfig(const Config& config) {
  KMS_TRY(RequireKey(config.store.path, "store.path"));
  KMS_TRY(RequireKey(config.audit.path, "audit.path"));
  KMS_TRY(RequireKey(config.hsm.module, "hsm.module"));
  KMS_TRY(RequireKey(config.hsm.token_label, "hsm.token_label"));
  KMS_TRY(RequireKey(config.hsm.pin.text, "hsm.pin"));
  KMS_TRY(RequireKey(config.auth.root_token.text, "auth.root_token"));
  if (config.listener.tls_certificate.empty() != config.listener.tls_key.empty()) {
    return InvalidArgument(
        "configuration: listener.tls_certificate and listener.tls_key must be set together");
  }
  if (!std::has_single_bit(config.limits.secret_memory_bytes)) {
    return InvalidArgument("configuration: limits.secret_memory_bytes must be a power of two");
  }
  if (!config.listener.tls_client_ca.empty() && config.listener.tls_certificate.empty()) {
    return InvalidArgument(
        "configuration: listener.tls_client_ca needs listener.tls_certificate and tls_key");
  }
  return ValidateClientCertificates(config.listener);
}

std::string PrintConfig(const Config& config) {
  Config copy = config;
  std::string text = "{\n";
  std::string_view section;
  for (const ConfigField& field : ConfigFields()) {
    if (field.section != section) {
      text += section.empty() ? "" : "\n  },\n\n";
      text += "  \"" + std::string{field.section} + "\": {";
      section = field.section;
    } else {
      text += ',';
    }
    text += "\n    // " + std::string{field.comment};
    if (const auto* kind = std::get_if<TextKind>(&field.kind);
        kind != nullptr && !kind->choices.empty()) {
      text += " (" + JoinChoices(kind->choices) + ")";
    }
    text += "\n    \"" + std::string{field.key} + "\": " +
            std::visit(FieldWriter(copy), field.kind);
  }
  text += "\n  }\n}\n";
  return text;
}

}  // namespace kms::api
