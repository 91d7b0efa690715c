// SPDX-License-Identifier: Apache-2.0
#include "api/config/config.h"

#include <algorithm>
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

Error WrongValue(const std::string& name, const std::string& what) {
  return InvalidArgument("configuration: " + name + " " + what);
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

// Stores one JSON value into the member its row names; `name` is what errors call it.
class FieldReader {
 public:
  FieldReader(const std::string& name, const json& value, Config& config)
      : name_(name), value_(value), config_(config) {}

  Status operator()(const TextKind& kind) const {
    if (!value_.is_string()) {
      return WrongValue(name_, "must be a string");
    }
    const auto& text = value_.get_ref<const std::string&>();
    if (!kind.choices.empty() && !IsChoice(text, kind.choices)) {
      return WrongValue(name_, "must be one of: " + JoinChoices(kind.choices));
    }
    kind.member(config_) = text;
    return Ok();
  }

  Status operator()(const SecretKind& kind) const {
    if (!value_.is_string() || !IsSecretReference(value_.get_ref<const std::string&>())) {
      return WrongValue(name_,
                        "must say where the secret is (file:PATH, env:NAME, credential:NAME or "
                        "fd:NUMBER), never the secret itself");
    }
    kind.member(config_).text = value_.get_ref<const std::string&>();
    return Ok();
  }

  Status operator()(const BoolKind& kind) const {
    if (!value_.is_boolean()) {
      return WrongValue(name_, "must be true or false");
    }
    kind.member(config_) = value_.get<bool>();
    return Ok();
  }

  Status operator()(const CountKind& kind) const {
    if (!value_.is_number_unsigned() || value_.get<std::uint64_t>() < kind.minimum ||
        value_.get<std::uint64_t>() > kind.maximum) {
      return WrongValue(name_, "must be a whole number from " + std::to_string(kind.minimum) +
                                    " to " + std::to_string(kind.maximum));
    }
    kind.member(config_) = value_.get<std::uint64_t>();
    return Ok();
  }

  Status operator()(const DurationKind& kind) const {
    if (!value_.is_string()) {
      return WrongValue(name_, "must be a duration such as \"5s\"");
    }
    if (kind.may_be_forever && value_.get_ref<const std::string&>() == "forever") {
      kind.member(config_) = kForever;
      return Ok();
    }
    const Result<Milliseconds> duration = ParseDuration(value_.get_ref<const std::string&>());
    if (!duration.has_value()) {
      return WrongValue(name_, duration.error().public_message +
                                   (kind.may_be_forever ? ", or \"forever\"" : ""));
    }
    if (*duration < kind.minimum) {
      return WrongValue(name_, "must be at least " + FormatDuration(kind.minimum));
    }
    kind.member(config_) = *duration;
    return Ok();
  }

 private:
  const std::string& name_;
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

Error UnknownKey(const std::string& name, const std::vector<std::string>& known) {
  std::string nearest;
  std::size_t best = std::string::npos;
  for (const std::string& candidate : known) {
    const std::size_t distance = EditDistance(name, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return InvalidArgument("configuration: unknown key " + name + "; did you mean " + nearest + "?");
}

std::vector<std::string> KnownKeys() {
  std::vector<std::string> names;
  for (const ConfigField& field : ConfigFields()) {
    names.push_back(NameOf(field));
  }
  return names;
}

std::vector<std::string> KnownTokenKeys(const std::string& prefix) {
  std::vector<std::string> names;
  for (const ConfigField& field : ConfigFields()) {
    if (field.section == kHsmSection && !IsOfEveryToken(field.key)) {
      names.push_back(prefix + std::string{field.key});
    }
  }
  return names;
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
    const std::string name = section + "." + key;
    const ConfigField* field = FindField(section, key);
    if (field == nullptr) {
      return UnknownKey(name, KnownKeys());
    }
    KMS_TRY(std::visit(FieldReader(name, value, config), field->kind));
  }
  return Ok();
}

// One token of "hsms": the rows of "hsm" read into it.
Status ReadToken(const std::string& token, const json& members, Config& config) {
  const std::string prefix = std::string{kHsmsSection} + "." + token + ".";
  if (!members.is_object()) {
    return InvalidArgument("configuration: " + std::string{kHsmsSection} + "." + token +
                           " must be an object");
  }
  Config scratch;
  scratch.hsm.call_timeout = Milliseconds{0};  // until it says one: that of "hsm"
  for (const auto& [key, value] : members.items()) {
    const std::string name = prefix + key;
    if (IsOfEveryToken(key)) {
      return InvalidArgument("configuration: " + name + " is one setting of every token: set hsm." +
                             key);
    }
    const ConfigField* field = FindField(kHsmSection, key);
    if (field == nullptr) {
      return UnknownKey(name, KnownTokenKeys(prefix));
    }
    KMS_TRY(std::visit(FieldReader(name, value, scratch), field->kind));
  }
  config.hsms[token] = std::move(scratch.hsm);
  return Ok();
}

Status ReadTokens(const json& tokens, Config& config) {
  for (const auto& [token, members] : tokens.items()) {
    KMS_TRY(ReadToken(token, members, config));
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

// The rows of one section as members of an object whose lines begin with `indent`.
void PrintSection(std::string_view section, std::string_view indent, Config& config,
                  std::string& text) {
  bool first = true;
  for (const ConfigField& field : ConfigFields()) {
    if (field.section != section) {
      continue;
    }
    text += first ? "\n" : ",\n";
    first = false;
    text += std::string{indent} + "// " + std::string{field.comment};
    if (const auto* kind = std::get_if<TextKind>(&field.kind);
        kind != nullptr && !kind->choices.empty()) {
      text += " (" + JoinChoices(kind->choices) + ")";
    }
    text += "\n" + std::string{indent} + "\"" + std::string{field.key} +
            "\": " + std::visit(FieldWriter(config), field.kind);
  }
}

// Without comments: those of "hsm" say what the keys mean.
void PrintTokens(const HsmConfigs& tokens, std::string& text) {
  text += "  // further tokens by name, each with the keys of hsm except start_timeout: "
          "{\"vault-2\": {\"module\": …}}\n";
  text += "  \"" + std::string{kHsmsSection} + "\": {";
  bool first_token = true;
  for (const auto& [name, token] : tokens) {
    text += (first_token ? "\n    " : ",\n    ") + json(name).dump() + ": {";
    first_token = false;
    Config scratch;
    scratch.hsm = token;
    bool first = true;
    for (const ConfigField& field : ConfigFields()) {
      const bool as_hsm = field.key == "call_timeout" && token.call_timeout == Milliseconds{0};
      if (field.section == kHsmSection && !IsOfEveryToken(field.key) && !as_hsm) {
        text += (first ? "\n      \"" : ",\n      \"") + std::string{field.key} +
                "\": " + std::visit(FieldWriter(scratch), field.kind);
        first = false;
      }
    }
    text += "\n    }";
  }
  text += first_token ? "}" : "\n  }";
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
    KMS_TRY(section == kHsmsSection ? ReadTokens(members, config)
                                    : ReadSection(section, members, config));
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

std::string PrintConfig(const Config& config) {
  Config copy = config;
  std::string text = "{\n";
  std::string_view section;
  for (const ConfigField& field : ConfigFields()) {
    if (field.section == section) {
      continue;
    }
    text += section.empty() ? "" : ",\n\n";
    section = field.section;
    text += "  \"" + std::string{section} + "\": {";
    PrintSection(section, "    ", copy, text);
    text += "\n  }";
    if (section == kHsmSection) {
      text += ",\n\n";
      PrintTokens(config.hsms, text);
    }
  }
  text += "\n}\n";
  return text;
}

}  // namespace kms::api
