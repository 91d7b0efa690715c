// SPDX-License-Identifier: Apache-2.0
// nlohmann_json behind JsonBody. Nothing here copies or dumps a parsed tree:
// both recurse, and the tree is as deep as a client made it.
#include "api/pipeline/json_body.h"

#include <openssl/crypto.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

namespace kms::api {
namespace {

using Json = nlohmann::basic_json<std::map, std::vector, std::string, bool, std::int64_t,
                                  std::uint64_t, double>;

const Json* NodeOf(const void* node) { return static_cast<const Json*>(node); }

// Largest magnitude below which every integral double is exact.
constexpr double kExactDouble = 9007199254740992.0;

// nlohmann keeps strings in std::string; the tree is at most JsonLimits::max_depth deep.
void WipeStrings(Json& node) {
  if (auto* text = node.get_ptr<Json::string_t*>(); text != nullptr) {
    OPENSSL_cleanse(text->data(), text->size());
  } else if (node.is_structured()) {
    for (auto& child : node) {
      WipeStrings(child);
    }
  }
}

void AddFormValue(Json& object, std::string name, std::string value) {
  Json& slot = object[std::move(name)];
  if (slot.is_null()) {
    slot = std::move(value);
    return;
  }
  if (!slot.is_array()) {
    Json first = std::move(slot);
    slot = Json::array();
    slot.push_back(std::move(first));
  }
  slot.push_back(std::move(value));
}

}  // namespace

struct JsonBody::Tree {
  Json root = Json::object();
  Tree() = default;
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree() { WipeStrings(root); }
};

JsonKind JsonView::kind() const {
  if (node_ == nullptr) {
    return JsonKind::kNull;
  }
  switch (NodeOf(node_)->type()) {
    case Json::value_t::boolean: return JsonKind::kBoolean;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned: return JsonKind::kInteger;
    case Json::value_t::number_float: return JsonKind::kFloat;
    case Json::value_t::string: return JsonKind::kString;
    case Json::value_t::array: return JsonKind::kArray;
    case Json::value_t::object: return JsonKind::kObject;
    case Json::value_t::null:
    case Json::value_t::binary:
    case Json::value_t::discarded: break;
  }
  return JsonKind::kNull;
}

bool JsonView::Boolean() const {
  return kind() == JsonKind::kBoolean && *NodeOf(node_)->get_ptr<const Json::boolean_t*>();
}

std::optional<std::int64_t> JsonView::Integer() const {
  if (kind() == JsonKind::kFloat) {
    const double value = *NodeOf(node_)->get_ptr<const Json::number_float_t*>();
    if (std::trunc(value) != value || std::fabs(value) > kExactDouble) {
      return std::nullopt;
    }
    return static_cast<std::int64_t>(value);
  }
  if (kind() != JsonKind::kInteger) {
    return std::nullopt;
  }
  const auto* large = NodeOf(node_)->get_ptr<const Json::number_unsigned_t*>();
  if (large != nullptr && *large > std::uint64_t{INT64_MAX}) {
    return std::nullopt;
  }
  return *NodeOf(node_)->get_ptr<const Json::number_integer_t*>();
}

std::string_view JsonView::String() const {
  return kind() == JsonKind::kString ? *NodeOf(node_)->get_ptr<const Json::string_t*>()
                                     : std::string_view();
}

std::size_t JsonView::size() const {
  const bool structured = kind() == JsonKind::kArray || kind() == JsonKind::kObject;
  return structured ? NodeOf(node_)->size() : 0;
}

JsonView JsonView::At(std::size_t index) const {
  if (kind() != JsonKind::kArray || index >= size()) {
    return {};
  }
  return JsonView(&(*NodeOf(node_))[index]);
}

JsonView JsonView::Find(std::string_view key) const {
  if (kind() != JsonKind::kObject) {
    return {};
  }
  const auto found = NodeOf(node_)->find(key);
  return found == NodeOf(node_)->end() ? JsonView() : JsonView(&*found);
}

void JsonView::ForEachMember(
    const std::function<void(std::string_view key, JsonView value)>& visit) const {
  if (kind() != JsonKind::kObject) {
    return;
  }
  for (const auto& [key, value] : *NodeOf(node_)->get_ptr<const Json::object_t*>()) {
    visit(key, JsonView(&value));
  }
}

std::string JsonView::Rendered() const {
  switch (kind()) {
    case JsonKind::kString: return std::string(String());
    case JsonKind::kBoolean: return Boolean() ? "1" : "0";
    case JsonKind::kInteger:
    case JsonKind::kFloat: return NodeOf(node_)->dump();  // a number: nothing recurses
    case JsonKind::kNull:
    case JsonKind::kArray:
    case JsonKind::kObject: break;
  }
  return {};
}

JsonBody::JsonBody() : tree_(std::make_unique<Tree>()) {}
JsonBody::JsonBody(JsonBody&&) noexcept = default;
JsonBody& JsonBody::operator=(JsonBody&&) noexcept = default;
JsonBody::~JsonBody() = default;

Result<JsonBody> JsonBody::Parse(std::string_view text, const JsonLimits& limits) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  JsonBody body;
  if (text.empty()) {
    return body;
  }
  if (text.front() != '{' && !text.starts_with("null")) {
    return InvalidArgument("failed to decode JSON input: expected an object");
  }
  const std::string_view value = KMS_TRY(GuardJson(text, limits));
  Json parsed = Json::parse(value.begin(), value.end(), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return InvalidArgument("failed to decode JSON input: malformed JSON");
  }
  if (parsed.is_object()) {
    body.tree_->root = std::move(parsed);
  }
  return body;
}

Result<std::string> DecodeFormComponent(std::string_view text) {
  const auto hex = [](char c) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    return kDigits.find(lower);
  };
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    if (i + 2 >= text.size() || hex(text[i + 1]) == std::string_view::npos ||
        hex(text[i + 2]) == std::string_view::npos) {
      return InvalidArgument("failed to parse form: invalid URL escape");
    }
    out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
    i += 2;
  }
  return out;
}

Result<JsonBody> JsonBody::ParseForm(std::string_view text, const JsonLimits& limits) {
  JsonBody body;
  std::size_t pairs = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) {
      continue;
    }
    if (++pairs > limits.max_strings / 2) {
      return InvalidArgument("refused form input due to high complexity: too many fields");
    }
    const std::size_t equals = std::min(pair.find('='), pair.size());
    std::string name = KMS_TRY(DecodeFormComponent(pair.substr(0, equals)));
    std::string value =
        KMS_TRY(DecodeFormComponent(pair.substr(std::min(equals + 1, pair.size()))));
    if (name == "plaintext" || name == "ciphertext" || name == "name") {
      if (body.tree_->root.contains(name)) {
        return InvalidArgument("failed to parse form: duplicate key \"" + name + "\"");
      }
    }
    AddFormValue(body.tree_->root, std::move(name), std::move(value));
  }
  return body;
}

JsonView JsonBody::root() const { return JsonView(&tree_->root); }

}  // namespace kms::api
