// SPDX-License-Identifier: Apache-2.0
// Lenient conversion of parameters (transit-api 3.1, 3.2).
#include "api/pipeline/fields.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace kms::api {
namespace {

constexpr std::int64_t kMaxSeconds = std::numeric_limits<std::int64_t>::max() / 1'000'000'000;

Error ConversionError(std::string_view field, std::string_view reason) {
  return InvalidArgument("Field validation failed: error converting input for field \"" +
                         std::string(field) + "\": " + std::string(reason));
}

std::optional<std::int64_t> ParseInteger(std::string_view text) {
  std::int64_t number = 0;
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

std::optional<std::int64_t> IntegerOf(JsonView value) {
  if (value.kind() == JsonKind::kBoolean) {
    return value.Boolean() ? 1 : 0;
  }
  if (value.kind() == JsonKind::kString) {
    return value.String().empty() ? 0 : ParseInteger(value.String());
  }
  return value.Integer();
}

std::optional<std::int64_t> BooleanOf(JsonView value) {
  if (value.kind() == JsonKind::kBoolean) {
    return value.Boolean() ? 1 : 0;
  }
  if (value.kind() == JsonKind::kString) {
    const std::optional<bool> parsed =
        value.String().empty() ? std::optional<bool>(false) : ParseGoBoolean(value.String());
    return parsed ? std::optional<std::int64_t>(*parsed ? 1 : 0) : std::nullopt;
  }
  const std::optional<std::int64_t> number = value.Integer();
  return number == 0 || number == 1 ? number : std::nullopt;
}

struct DurationUnit {
  std::string_view name;
  double seconds;
};
constexpr std::array<DurationUnit, 8> kUnits = {{{"ms", 1e-3},
                                                 {"us", 1e-6},
                                                 {"ns", 1e-9},
                                                 {"s", 1},
                                                 {"m", 60},
                                                 {"h", 3600},
                                                 {"d", 86400},
                                                 {"w", 604800}}};

// Takes one number and its unit off the front of `text`.
std::optional<double> TakeDurationPart(std::string_view& text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, number);
  if (digits == 0 || error != std::errc() || end != text.data() + digits) {
    return std::nullopt;
  }
  text.remove_prefix(digits);
  for (const DurationUnit& unit : kUnits) {
    if (text.starts_with(unit.name)) {
      text.remove_prefix(unit.name.size());
      return number * unit.seconds;
    }
  }
  return std::nullopt;
}

std::string GoSlice(std::vector<std::string> names) {
  std::ranges::sort(names);
  std::string out = "[";
  for (const std::string& name : names) {
    out += out.size() == 1 ? "" : " ";
    out += name;
  }
  return out + "]";
}

}  // namespace

std::optional<bool> ParseGoBoolean(std::string_view text) {
  constexpr std::array<std::string_view, 6> kTrue = {"1", "t", "T", "TRUE", "true", "True"};
  constexpr std::array<std::string_view, 6> kFalse = {"0", "f", "F", "FALSE", "false", "False"};
  if (std::ranges::find(kTrue, text) != kTrue.end()) {
    return true;
  }
  if (std::ranges::find(kFalse, text) != kFalse.end()) {
    return false;
  }
  return std::nullopt;
}

Result<std::int64_t> ParseDurationSeconds(std::string_view text) {
  if (text.empty()) {
    return std::int64_t{0};
  }
  if (text.front() == '-') {
    return InvalidArgument("cannot provide negative value");
  }
  if (const std::optional<std::int64_t> plain = ParseInteger(text)) {
    if (*plain > kMaxSeconds) {
      return InvalidArgument("duration is out of range");
    }
    return *plain;
  }
  double seconds = 0;
  while (!text.empty()) {
    const std::optional<double> part = TakeDurationPart(text);
    if (!part) {
      return InvalidArgument("invalid duration");
    }
    seconds += *part;
  }
  if (!(seconds <= static_cast<double>(kMaxSeconds))) {
    return InvalidArgument("duration is out of range");
  }
  return static_cast<std::int64_t>(seconds);
}

Result<Fields> Fields::Decode(std::span<const FieldSpec> specs, std::span<const Capture> captures,
                              JsonBody body) {
  Fields fields;
  fields.body_ = std::move(body);
  fields.captures_ = captures;
  fields.slots_.reserve(specs.size());
  for (const FieldSpec& spec : specs) {
    Slot slot{.spec = &spec, .present = false, .text = {}, .number = 0, .tree = {}};
    const JsonView value = fields.body_.root().Find(spec.name);
    if (!value.is_null()) {
      KMS_TRY(fields.Convert(slot, value));
    } else if (!spec.missing_text.empty()) {
      return InvalidArgument(std::string(spec.missing_text));
    } else {
      fields.ApplyFallback(slot);
    }
    fields.slots_.push_back(slot);
  }
  fields.NoteUnknown(captures);
  return fields;
}

Status Fields::Convert(Slot& slot, JsonView value) {
  const std::string_view name = slot.spec->name;
  const bool scalar = value.kind() != JsonKind::kArray && value.kind() != JsonKind::kObject;
  slot.present = true;
  std::optional<std::int64_t> number;
  switch (slot.spec->kind) {
    case FieldKind::kSlice:
    case FieldKind::kMap: slot.tree = value; return Ok();
    case FieldKind::kString:
    case FieldKind::kBase64:
      if (!scalar) {
        return ConversionError(name, "expected a string");
      }
      slot.text = value.kind() == JsonKind::kString
                      ? value.String()
                      : std::string_view(rendered_.emplace_back(value.Rendered()));
      return Ok();
    case FieldKind::kInteger:
      number = IntegerOf(value);
      if (!number) {
        return ConversionError(name, "expected an integer");
      }
      break;
    case FieldKind::kBoolean:
      number = BooleanOf(value);
      if (!number) {
        return ConversionError(name, "expected a boolean");
      }
      break;
    case FieldKind::kDuration: {
      if (!scalar || value.kind() == JsonKind::kBoolean) {
        return ConversionError(name, "expected a duration");
      }
      const Result<std::int64_t> seconds = ParseDurationSeconds(value.Rendered());
      if (!seconds) {
        return ConversionError(name, seconds.error().public_message);
      }
      number = *seconds;
      break;
    }
  }
  slot.number = *number;
  return Ok();
}

void Fields::ApplyFallback(Slot& slot) {
  slot.text = slot.spec->fallback;
  slot.number = ParseInteger(slot.spec->fallback).value_or(slot.spec->fallback == "true" ? 1 : 0);
}

void Fields::NoteUnknown(std::span<const Capture> captures) {
  body_.root().ForEachMember([&](std::string_view key, JsonView value) {
    if (std::ranges::find(captures, key, &Capture::name) != captures.end()) {
      if (!value.is_null()) {
        replaced_.emplace_back(key);
      }
      return;
    }
    const bool known = std::ranges::any_of(
        slots_, [key](const Slot& slot) { return slot.spec->name == key; });
    if (!known) {
      ignored_.emplace_back(key);
    }
  });
}

const Fields::Slot* Fields::Find(std::string_view name) const {
  const auto found = std::ranges::find_if(
      slots_, [name](const Slot& slot) { return slot.spec->name == name; });
  return found == slots_.end() ? nullptr : &*found;
}

bool Fields::Has(std::string_view name) const {
  if (std::ranges::find(captures_, name, &Capture::name) != captures_.end()) {
    return true;
  }
  const Slot* slot = Find(name);
  return slot != nullptr && slot->present;
}

std::string_view Fields::Text(std::string_view name) const {
  const auto capture = std::ranges::find(captures_, name, &Capture::name);
  if (capture != captures_.end()) {
    return capture->value;
  }
  const Slot* slot = Find(name);
  return slot == nullptr ? std::string_view() : slot->text;
}

std::int64_t Fields::Integer(std::string_view name) const {
  const Slot* slot = Find(name);
  return slot == nullptr ? 0 : slot->number;
}

bool Fields::Boolean(std::string_view name) const { return Integer(name) != 0; }

std::optional<std::int64_t> Fields::OptionalInteger(std::string_view name) const {
  const Slot* slot = Find(name);
  return slot != nullptr && slot->present ? std::optional(slot->number) : std::nullopt;
}

std::optional<bool> Fields::OptionalBoolean(std::string_view name) const {
  const std::optional<std::int64_t> number = OptionalInteger(name);
  return number ? std::optional(*number != 0) : std::nullopt;
}

JsonView Fields::Tree(std::string_view name) const {
  const Slot* slot = Find(name);
  return slot == nullptr ? JsonView() : slot->tree;
}

std::vector<FieldText> Fields::Parameters() const {
  std::vector<FieldText> all;
  body_.root().ForEachMember([&](std::string_view key, JsonView value) {
    if (value.is_null()) {
      return;
    }
    const Slot* slot = Find(key);
    FieldText text{.name = key, .value = {}, .is_scalar = true};
    if (value.kind() == JsonKind::kArray || value.kind() == JsonKind::kObject) {
      text.is_scalar = false;
    } else if (slot == nullptr && value.kind() == JsonKind::kBoolean) {
      text.value = value.Boolean() ? "true" : "false";
    } else {
      text.value = slot != nullptr && slot->present ? CanonicalText(*slot) : value.Rendered();
      // "a,b" for a list is two values, so no single one may be compared with it.
      const bool is_list = slot != nullptr && slot->spec->kind == FieldKind::kSlice;
      text.is_scalar = !is_list || text.value.find(',') == std::string::npos;
    }
    all.push_back(std::move(text));
  });
  return all;
}

std::string Fields::CanonicalText(const Slot& slot) {
  switch (slot.spec->kind) {
    case FieldKind::kInteger:
    case FieldKind::kDuration: return std::to_string(slot.number);
    case FieldKind::kBoolean: return slot.number != 0 ? "true" : "false";
    case FieldKind::kString:
    case FieldKind::kBase64: return std::string(slot.text);
    case FieldKind::kSlice:
    case FieldKind::kMap: break;
  }
  return slot.tree.Rendered();
}

std::vector<std::string> Fields::Warnings() const {
  std::vector<std::string> warnings;
  if (!ignored_.empty()) {
    warnings.push_back("Endpoint ignored these unrecognized parameters: " + GoSlice(ignored_));
  }
  if (!replaced_.empty()) {
    warnings.push_back(
        "Endpoint replaced the value of these parameters with the values captured from the "
        "endpoint's path: " +
        GoSlice(replaced_));
  }
  return warnings;
}

}  // namespace kms::api
