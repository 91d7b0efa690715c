// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/json_value.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

namespace kms {

namespace {

using Json = nlohmann::json;

// Builds the value while it is read; the first thing that is wrong ends the reading.
class Reader final : public nlohmann::json_sax<Json> {
 public:
  explicit Reader(const JsonLimits& limits) : limits_(limits) {}

  bool null() override { return Add({}); }
  bool boolean(bool value) override {
    return Add({.kind = JsonValue::Kind::kBoolean, .text = value ? "true" : "false"});
  }
  bool number_integer(number_integer_t value) override {
    return Add({.kind = JsonValue::Kind::kInteger,
                .text = std::to_string(value),
                .integer = static_cast<std::int64_t>(value)});
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!std::in_range<std::int64_t>(value)) {
      return Add({.kind = JsonValue::Kind::kFraction});
    }
    return number_integer(static_cast<number_integer_t>(value));
  }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override {
    return Add({.kind = JsonValue::Kind::kFraction});
  }
  bool string(string_t& value) override {
    return Add({.kind = JsonValue::Kind::kString, .text = std::move(value)});
  }
  bool binary(binary_t& /*value*/) override { return Refuse("binary values are not JSON"); }

  bool start_object(std::size_t /*elements*/) override { return Open(JsonValue::Kind::kObject); }
  bool key(string_t& name) override {
    if (!open_.back().names.insert(name).second) {
      return Refuse("a name occurs twice in one object");
    }
    open_.back().name = std::move(name);
    return true;
  }
  bool end_object() override { return Close(); }
  bool start_array(std::size_t /*elements*/) override { return Open(JsonValue::Kind::kArray); }
  bool end_array() override { return Close(); }

  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return Refuse("it is not valid JSON");
  }

  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  JsonValue Take() { return std::move(root_); }

 private:
  struct Level {
    JsonValue value;
    std::string name;  // of the member that comes next
    std::set<std::string> names;
  };

  bool Refuse(const char* why) {
    refusal_ = why;
    return false;
  }

  bool Open(JsonValue::Kind kind) {
    if (open_.size() >= limits_.max_depth) {
      return Refuse("it is nested too deeply");
    }
    open_.emplace_back();
    open_.back().value.kind = kind;
    return true;
  }

  bool Close() {
    JsonValue value = std::move(open_.back().value);
    open_.pop_back();
    return Add(std::move(value));
  }

  bool Add(JsonValue value) {
    if (++values_ > limits_.max_values) {
      return Refuse("it has too many values");
    }
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (Level& level = open_.back(); level.value.IsObject()) {
      level.value.members.push_back({std::move(level.name), std::move(value)});
    } else {
      level.value.items.push_back(std::move(value));
    }
    return true;
  }

  const JsonLimits& limits_;
  std::vector<Level> open_;
  JsonValue root_;
  std::size_t values_ = 0;
  std::string refusal_ = "it is not valid JSON";
};

// One reference token of RFC 6901 with its escapes taken away; nullopt for a bad escape.
std::optional<std::string> Unescaped(std::string_view token) {
  std::string name;
  for (std::size_t index = 0; index < token.size(); ++index) {
    if (token[index] != '~') {
      name += token[index];
      continue;
    }
    ++index;
    if (index == token.size() || (token[index] != '0' && token[index] != '1')) {
      return std::nullopt;
    }
    name += token[index] == '0' ? '~' : '/';
  }
  return name;
}

const JsonValue* Step(const JsonValue& value, std::string_view name) {
  if (!value.IsArray()) {
    return value.Find(name);
  }
  std::size_t index = 0;
  const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), index);
  const bool canonical = code == std::errc{} && end == name.data() + name.size() &&
                         (name.size() == 1 || name.front() != '0');
  return canonical && index < value.items.size() ? &value.items[index] : nullptr;
}

Json ToJson(const JsonValue& value) {
  switch (value.kind) {
    case JsonValue::Kind::kBoolean: return value.text == "true";
    case JsonValue::Kind::kInteger: return value.integer;
    case JsonValue::Kind::kString: return value.text;
    case JsonValue::Kind::kArray: {
      Json items = Json::array();
      for (const JsonValue& item : value.items) {
        items.push_back(ToJson(item));
      }
      return items;
    }
    case JsonValue::Kind::kObject: {
      Json members = Json::object();
      for (const auto& [name, member] : value.members) {
        members[name] = ToJson(member);
      }
      return members;
    }
    case JsonValue::Kind::kNull:
    case JsonValue::Kind::kFraction: break;
  }
  return nullptr;
}

}  // namespace

const JsonValue* JsonValue::Find(std::string_view name) const {
  const auto found = std::ranges::find(members, name, &JsonMember::name);
  return found == members.end() ? nullptr : &found->value;
}

std::optional<std::string_view> JsonValue::FindString(std::string_view name) const {
  const JsonValue* const value = Find(name);
  return value != nullptr && value->IsString() ? std::optional<std::string_view>(value->text)
                                               : std::nullopt;
}

const JsonValue* JsonValue::Follow(std::string_view pointer) const {
  const JsonValue* value = this;
  while (value != nullptr && !pointer.empty()) {
    if (pointer.front() != '/') {
      return nullptr;
    }
    pointer.remove_prefix(1);
    const std::size_t end = std::min(pointer.find('/'), pointer.size());
    const std::optional<std::string> name = Unescaped(pointer.substr(0, end));
    value = name ? Step(*value, *name) : nullptr;
    pointer.remove_prefix(end);
  }
  return value;
}

Result<JsonValue> ParseStrictJson(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return InvalidArgument("it is too large");
  }
  // The library takes a byte order mark for nothing and a NUL byte for the end.
  if (text.starts_with("\xef\xbb\xbf") || text.find('\0') != std::string_view::npos) {
    return InvalidArgument("it is not valid JSON");
  }
  Reader reader(limits);
  if (!Json::sax_parse(text.begin(), text.end(), &reader)) {
    return InvalidArgument(reader.refusal());
  }
  return reader.Take();
}

std::string ToJsonText(const JsonValue& value) {
  return ToJson(value).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace kms
