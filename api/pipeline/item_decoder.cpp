// SPDX-License-Identifier: Apache-2.0
// Strict batch items with the messages of the reference decoder; single items come as fields.
#include "api/pipeline/item_decoder.h"

#include <charconv>

namespace kms::api {
namespace {

// A batch of ten thousand broken items is told about its first few only.
constexpr std::size_t kMaxProblems = 64;

std::string_view GoTypeName(JsonView value) {
  switch (value.kind()) {
    case JsonKind::kNull: return "nil";
    case JsonKind::kBoolean: return "bool";
    case JsonKind::kInteger:
    case JsonKind::kFloat: return "json.Number";
    case JsonKind::kString: return "string";
    case JsonKind::kArray: return "slice";
    case JsonKind::kObject: return "map";
  }
  return "nil";
}

// A decimal string is a version too: Spring sends it so (transit-api 1, trap 6).
std::optional<std::int64_t> VersionOf(JsonView value) {
  if (value.kind() != JsonKind::kString) {
    return value.Integer();
  }
  const std::string_view text = value.String();
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = !text.empty() && error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(number) : std::nullopt;
}

class BatchDecoder {
 public:
  BatchDecoder(HotVerb verb, CryptoRequest& request) : verb_(verb), request_(request) {}

  Status Decode(JsonView batch) {
    request_.items.reserve(batch.size());
    for (std::size_t index = 0; index < batch.size(); ++index) {
      index_ = index;
      DecodeItem(batch.At(index));
    }
    if (problems_ > kMaxProblems) {
      text_ += "\nand " + std::to_string(problems_ - kMaxProblems) + " more";
    }
    return problems_ == 0 ? Ok() : InvalidArgument("failed to parse batch input: " + text_);
  }

 private:
  void DecodeItem(JsonView node) {
    CryptoItem& item = request_.items.emplace_back();
    if (node.kind() != JsonKind::kObject) {
      Problem("[" + std::to_string(index_) + "] expected a map, got '" +
              std::string(GoTypeName(node)) + "'");
      return;
    }
    DecodeInput(node, item);
    item.context = Text(node, "context");
    item.associated_data = Text(node, "associated_data");
    item.reference = Text(node, "reference");
    DecodeVersion(node, item);
  }

  void DecodeInput(JsonView node, CryptoItem& item) {
    const std::string_view name = InputName(verb_);
    const JsonView value = node.Find(name);
    item.has_input = value.kind() == JsonKind::kString;
    if (item.has_input) {
      item.input = value.String();
      return;
    }
    if (!value.is_null()) {
      WrongType(name, "string", value);
    } else if (verb_ != HotVerb::kRewrap) {
      const std::string_view what =
          verb_ == HotVerb::kEncrypt ? "' missing plaintext to encrypt" : "' missing ciphertext to decrypt";
      Problem(Place(name) + std::string(what));
    }
  }

  void DecodeVersion(JsonView node, CryptoItem& item) {
    const JsonView value = node.Find("key_version");
    if (verb_ == HotVerb::kDecrypt || value.is_null()) {
      return;
    }
    const std::optional<std::int64_t> version = VersionOf(value);
    if (!version) {
      WrongType("key_version", "int", value);
      return;
    }
    item.key_version = *version;
  }

  std::string_view Text(JsonView node, std::string_view name) {
    const JsonView value = node.Find(name);
    if (value.kind() == JsonKind::kString) {
      return value.String();
    }
    if (!value.is_null()) {
      WrongType(name, "string", value);
    }
    return {};
  }

  // "'[0].plaintext", without the closing quote.
  [[nodiscard]] std::string Place(std::string_view name) const {
    return "'[" + std::to_string(index_) + "]." + std::string(name);
  }

  void WrongType(std::string_view name, std::string_view expected, JsonView value) {
    Problem(Place(name) + "' expected type '" + std::string(expected) +
            "', got unconvertible type '" + std::string(GoTypeName(value)) + "'");
  }

  void Problem(const std::string& line) {
    if (++problems_ > kMaxProblems) {
      return;
    }
    text_ += text_.empty() ? "" : "\n";
    text_ += line;
  }

  HotVerb verb_;
  CryptoRequest& request_;
  std::size_t index_ = 0;
  std::size_t problems_ = 0;
  std::string text_;
};

Status DecodeBatch(HotVerb verb, JsonView batch, std::size_t max_items, CryptoRequest& request) {
  request.is_batch = true;
  if (batch.kind() != JsonKind::kArray) {
    return InvalidArgument(
        "failed to parse batch input: source data must be an array or slice, got " +
        std::string(GoTypeName(batch)));
  }
  if (batch.size() > max_items) {
    return InvalidArgument("batch_input has more than " + std::to_string(max_items) + " items");
  }
  return BatchDecoder(verb, request).Decode(batch);
}

void DecodeSingle(HotVerb verb, const Fields& fields, CryptoRequest& request) {
  CryptoItem& item = request.items.emplace_back();
  item.has_input = fields.Has(InputName(verb));
  item.input = fields.Text(InputName(verb));
  item.context = fields.Text("context");
  item.associated_data = fields.Text("associated_data");
  item.key_version = fields.Integer("key_version");
}

}  // namespace

std::string_view InputName(HotVerb verb) {
  switch (verb) {
    case HotVerb::kEncrypt: return "plaintext";
    case HotVerb::kDecrypt:
    case HotVerb::kRewrap: return "ciphertext";
    case HotVerb::kDataKey:
    case HotVerb::kNone: break;
  }
  return {};
}

Status DecodeCryptoRequest(HotVerb verb, const Fields& fields, std::size_t max_items,
                           CryptoRequest& request) {
  request.Clear();
  request.verb = verb;
  request.partial_failure_status = fields.OptionalInteger("partial_failure_response_code");
  if (const JsonView batch = fields.Tree("batch_input"); !batch.is_null()) {
    KMS_TRY(DecodeBatch(verb, batch, max_items, request));
  } else {
    DecodeSingle(verb, fields, request);
  }
  if (verb == HotVerb::kDataKey) {
    request.bits = fields.Integer("bits");
    request.reveals_data_key = fields.Text("plaintext") == "plaintext";
  }
  return CheckCryptoRequest(request);
}

}  // namespace kms::api
