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

// A decimal string is an integer too: Spring sends versions so (transit-api 1, trap 6), and Google's
// clients checksums.
std::optional<std::int64_t> IntegerOf(JsonView value) {
  if (value.kind() != JsonKind::kString) {
    return value.Integer();
  }
  const std::string_view text = value.String();
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = !text.empty() && error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(number) : std::nullopt;
}

// What a verb calls the fields of an item that not all verbs have.
struct FieldNames {
  std::string_view input;
  std::string_view input_crc32c;
  std::string_view padding = "padding_scheme";
  std::string_view decrypt_padding = {};
};

FieldNames NamesOf(HotVerb verb) {
  switch (verb) {
    case HotVerb::kEncrypt: return {.input = "plaintext", .input_crc32c = "plaintext_crc32c"};
    case HotVerb::kDecrypt: return {.input = "ciphertext", .input_crc32c = "ciphertext_crc32c"};
    case HotVerb::kRewrap:
      return {.input = "ciphertext",
              .input_crc32c = "ciphertext_crc32c",
              .padding = "encrypt_padding_scheme",
              .decrypt_padding = "decrypt_padding_scheme"};
    case HotVerb::kDataKey:
    case HotVerb::kNone: break;
  }
  return {.input = {}, .input_crc32c = {}};
}

class BatchDecoder {
 public:
  BatchDecoder(HotVerb verb, CryptoRequest& request)
      : verb_(verb), names_(NamesOf(verb)), request_(request) {}

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
    item.nonce = Text(node, "nonce");
    item.padding_scheme = Text(node, names_.padding);
    if (!names_.decrypt_padding.empty()) {
      item.decrypt_padding_scheme = Text(node, names_.decrypt_padding);
    }
    item.input_crc32c = Integer(node, names_.input_crc32c);
    item.associated_data_crc32c = Integer(node, "associated_data_crc32c");
    if (verb_ != HotVerb::kDecrypt) {
      item.key_version = Integer(node, "key_version").value_or(0);
    }
  }

  void DecodeInput(JsonView node, CryptoItem& item) {
    const std::string_view name = names_.input;
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

  std::optional<std::int64_t> Integer(JsonView node, std::string_view name) {
    const JsonView value = node.Find(name);
    const std::optional<std::int64_t> number = IntegerOf(value);
    if (!number && !value.is_null()) {
      WrongType(name, "int", value);
    }
    return number;
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
  FieldNames names_;
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
  const FieldNames names = NamesOf(verb);
  CryptoItem& item = request.items.emplace_back();
  item.has_input = fields.Has(names.input);
  item.input = fields.Text(names.input);
  item.context = fields.Text("context");
  item.associated_data = fields.Text("associated_data");
  item.key_version = fields.Integer("key_version");
  item.nonce = fields.Text("nonce");
  item.padding_scheme = fields.Text(names.padding);
  item.decrypt_padding_scheme = fields.Text(names.decrypt_padding);
  item.input_crc32c = fields.OptionalInteger(names.input_crc32c);
  item.associated_data_crc32c = fields.OptionalInteger("associated_data_crc32c");
}

}  // namespace

Status DecodeCryptoRequest(HotVerb verb, const Fields& fields, std::size_t max_items,
                           CryptoRequest& request) {
  request.Clear();
  request.verb = verb;
  request.partial_failure_status = fields.OptionalInteger("partial_failure_response_code");
  request.wants_checksums = fields.Boolean("checksum");
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
