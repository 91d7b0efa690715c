// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/policy_template.h"

#include <algorithm>

#include "kms/auth/policy_scanner.h"

namespace kms::internal {
namespace {

constexpr std::string_view kOpen = "{{";
constexpr std::string_view kClose = "}}";

// Takes `prefix` off the front of `text`.
bool Take(std::string_view prefix, std::string_view& text) {
  if (!text.starts_with(prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

std::string_view Trimmed(std::string_view text) {
  const std::size_t first = std::min(text.find_first_not_of(' '), text.size());
  text.remove_prefix(first);
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

// What one template asks for: `field` is "id", "name" or "metadata".
struct Wanted {
  std::string_view alias;  // accessor of a mount; empty: the entity itself
  std::string_view field;
  std::string_view key;  // of metadata
};

bool IsKey(std::string_view key) {
  return !key.empty() && std::ranges::none_of(key, [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == '/' || c == '{' || c == '}';
  });
}

std::optional<Wanted> ParseName(std::string_view name) {
  Wanted wanted;
  if (!Take("identity.entity.", name)) {
    return std::nullopt;
  }
  if (Take("aliases.", name)) {
    const std::size_t dot = name.find('.');
    if (dot == std::string_view::npos || !IsKey(name.substr(0, dot))) {
      return std::nullopt;
    }
    wanted.alias = name.substr(0, dot);
    name.remove_prefix(dot + 1);
  }
  if (Take("metadata.", name)) {
    wanted.field = "metadata";
    wanted.key = name;
    return IsKey(name) ? std::optional(wanted) : std::nullopt;
  }
  wanted.field = name;
  return name == "id" || name == "name" ? std::optional(wanted) : std::nullopt;
}

std::string ValueOf(const std::map<std::string, std::string>& metadata, std::string_view key) {
  const auto found = metadata.find(std::string(key));
  return found == metadata.end() ? std::string() : found->second;
}

// Empty when there is none.
std::string Resolve(const Wanted& wanted, const TemplateValues& values) {
  if (values.entity_id.empty()) {
    return {};
  }
  if (wanted.alias.empty()) {
    return wanted.field == "id"     ? values.entity_id
           : wanted.field == "name" ? values.entity_name
                                    : ValueOf(values.metadata, wanted.key);
  }
  const auto alias = values.aliases.find(std::string(wanted.alias));
  if (alias == values.aliases.end()) {
    return {};
  }
  return wanted.field == "id"     ? alias->second.id
         : wanted.field == "name" ? alias->second.name
                                  : ValueOf(alias->second.metadata, wanted.key);
}

bool MayStandInAPattern(std::string_view value) {
  return !value.empty() && std::ranges::none_of(value, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return c == '*' || c == '+' || c == '/' || byte < 0x20 || byte == 0x7F;
  });
}

}  // namespace

bool HasTemplate(std::string_view text) { return text.find(kOpen) != std::string_view::npos; }

Status CheckTemplates(std::string_view text) {
  while (!text.empty()) {
    const std::size_t open = std::min(text.find(kOpen), text.size());
    if (text.substr(0, open).find(kClose) != std::string_view::npos) {
      return InvalidArgument("a template is closed that was not opened");
    }
    if (open == text.size()) {
      return Ok();
    }
    text.remove_prefix(open + kOpen.size());
    const std::size_t close = text.find(kClose);
    if (close == std::string_view::npos) {
      return InvalidArgument("a template has no end: }} is missing");
    }
    const std::string_view name = Trimmed(text.substr(0, close));
    if (!ParseName(name)) {
      return InvalidArgument(
          "the template " + ShownInError(name) +
          " can never be filled in: use identity.entity.id, .name or .metadata.KEY, or "
          "identity.entity.aliases.MOUNT_ACCESSOR.id, .name or .metadata.KEY");
    }
    text.remove_prefix(close + kClose.size());
  }
  return Ok();
}

std::optional<std::string> FillTemplates(std::string_view text, const TemplateValues& values) {
  std::string filled;
  while (!text.empty()) {
    const std::size_t open = std::min(text.find(kOpen), text.size());
    filled += text.substr(0, open);
    text.remove_prefix(open);
    if (text.empty()) {
      break;
    }
    const std::size_t close = text.find(kClose);
    if (close == std::string_view::npos) {
      return std::nullopt;
    }
    const auto wanted = ParseName(Trimmed(text.substr(kOpen.size(), close - kOpen.size())));
    const std::string value = wanted ? Resolve(*wanted, values) : std::string();
    if (!MayStandInAPattern(value)) {
      return std::nullopt;
    }
    filled += value;
    text.remove_prefix(close + kClose.size());
  }
  return filled;
}

}  // namespace kms::internal
