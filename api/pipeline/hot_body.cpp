// SPDX-License-Identifier: Apache-2.0
// simdjson's on-demand parser over a padded copy of the body: strings stay where they are.
#include "api/pipeline/hot_body.h"

#include <openssl/crypto.h>
#include <simdjson.h>

#include <cstring>
#include <vector>

namespace kms::api {
namespace {

namespace ondemand = simdjson::ondemand;

// Names met so far in one object, to see a second one.
enum NameBit : unsigned {
  kInput = 1U << 0U,
  kContext = 1U << 1U,
  kAssociatedData = 1U << 2U,
  kReference = 1U << 3U,
  kKeyVersion = 1U << 4U,
  kBatch = 1U << 5U,
  kPartialFailure = 1U << 6U,
  kBits = 1U << 7U,
  kInputChecksum = 1U << 8U,
  kAssociatedDataChecksum = 1U << 9U,
  kChecksum = 1U << 10U,
  kUnknown = 1U << 31U,
};

NameBit ChecksumBitOf(std::string_view name, HotVerb verb, bool in_batch) {
  if (name == "plaintext_crc32c" && verb == HotVerb::kEncrypt) {
    return kInputChecksum;
  }
  if (name == "ciphertext_crc32c" && (verb == HotVerb::kDecrypt || verb == HotVerb::kRewrap)) {
    return kInputChecksum;
  }
  if (name == "associated_data_crc32c") {
    return kAssociatedDataChecksum;
  }
  return name == "checksum" && !in_batch ? kChecksum : kUnknown;
}

NameBit BitOf(std::string_view name, HotVerb verb, bool in_batch) {
  if (name == "plaintext" && verb == HotVerb::kEncrypt) {
    return kInput;
  }
  if (name == "ciphertext" && (verb == HotVerb::kDecrypt || verb == HotVerb::kRewrap)) {
    return kInput;
  }
  if (name == "context") {
    return kContext;
  }
  if (name == "associated_data") {
    return kAssociatedData;
  }
  if (name == "reference" && in_batch) {
    return kReference;
  }
  if (name == "key_version" && verb != HotVerb::kDecrypt) {
    return kKeyVersion;
  }
  const bool batches = verb != HotVerb::kDataKey && !in_batch;
  if (name == "batch_input" && batches) {
    return kBatch;
  }
  if (name == "partial_failure_response_code" && batches && verb != HotVerb::kRewrap) {
    return kPartialFailure;
  }
  return name == "bits" && verb == HotVerb::kDataKey ? kBits
                                                     : ChecksumBitOf(name, verb, in_batch);
}

// The text between the quotes; the body has no backslash, so that is the string itself.
bool TakeString(ondemand::value value, std::string_view& out) {
  std::string_view token = value.raw_json_token();
  while (!token.empty() && token.back() != '"') {
    token.remove_suffix(1);  // blanks after the string
  }
  if (token.size() < 2 || token.front() != '"') {
    return false;
  }
  out = token.substr(1, token.size() - 2);
  // Consumes the value; its kind was the only thing left to judge.
  simdjson::ondemand::raw_json_string raw;
  return value.get_raw_json_string().get(raw) == simdjson::SUCCESS;
}

bool TakeInteger(ondemand::value value, std::int64_t& out) {
  return value.get_int64().get(out) == simdjson::SUCCESS;
}

class Reader {
 public:
  // `end` is that of the body.
  Reader(CryptoRequest& request, std::size_t max_items, const char* end)
      : request_(request), max_items_(max_items), end_(end) {}

  bool ReadBody(ondemand::document& document) {
    ondemand::object object;
    if (document.get_object().get(object) != simdjson::SUCCESS) {
      return false;
    }
    CryptoItem single;
    unsigned met = 0;
    if (!ReadObject(object, /*in_batch=*/false, single, met) ||
        document.current_location().error() != simdjson::OUT_OF_BOUNDS) {  // something follows
      return false;
    }
    if (request_.is_batch) {
      return (met & (kInput | kContext | kAssociatedData | kKeyVersion | kInputChecksum |
                     kAssociatedDataChecksum)) == 0;
    }
    request_.items.push_back(single);
    return true;
  }

 private:
  bool ReadObject(ondemand::object& object, bool in_batch, CryptoItem& item, unsigned& met) {
    for (auto found : object) {
      ondemand::field field;
      if (std::move(found).get(field) != simdjson::SUCCESS) {
        return false;
      }
      const char* name = field.key().raw();
      const auto room = static_cast<std::size_t>(end_ - name);
      const auto* quote = static_cast<const char*>(std::memchr(name, '"', room));
      const NameBit bit = BitOf({name, quote}, request_.verb, in_batch);
      if (bit == kUnknown || (met & bit) != 0) {
        return false;
      }
      met |= bit;
      if (!ReadValue(bit, field.value(), item)) {
        return false;
      }
    }
    return true;
  }

  bool ReadValue(NameBit bit, ondemand::value value, CryptoItem& item) {
    switch (bit) {
      case kInput: item.has_input = true; return TakeString(value, item.input);
      case kContext: return TakeString(value, item.context);
      case kAssociatedData: return TakeString(value, item.associated_data);
      case kReference: return TakeString(value, item.reference);
      case kKeyVersion: return TakeInteger(value, item.key_version);
      case kBits: return TakeInteger(value, request_.bits);
      case kPartialFailure: return TakeInteger(value, request_.partial_failure_status.emplace());
      case kInputChecksum: return TakeInteger(value, item.input_crc32c.emplace());
      case kAssociatedDataChecksum:
        return TakeInteger(value, item.associated_data_crc32c.emplace());
      case kChecksum: return value.get_bool().get(request_.wants_checksums) == simdjson::SUCCESS;
      case kBatch: return ReadBatch(value);
      case kUnknown: break;
    }
    return false;
  }

  bool ReadBatch(ondemand::value value) {
    ondemand::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) {
      return false;
    }
    request_.is_batch = true;
    for (auto found : array) {
      ondemand::object object;
      if (found.get_object().get(object) != simdjson::SUCCESS ||
          request_.items.size() == max_items_) {
        return false;
      }
      CryptoItem& item = request_.items.emplace_back();
      unsigned met = 0;
      if (!ReadObject(object, /*in_batch=*/true, item, met) || (met & kInput) == 0) {
        return false;
      }
    }
    return true;
  }

  CryptoRequest& request_;
  std::size_t max_items_;
  const char* end_;
};

}  // namespace

struct HotBody::State {
  ondemand::parser parser;
  std::vector<char> buffer;
  std::size_t used = 0;
};

HotBody::HotBody() : state_(std::make_unique<State>()) {}
HotBody::~HotBody() { Wipe(); }

void HotBody::Wipe() {
  OPENSSL_cleanse(state_->buffer.data(), state_->used);
  state_->used = 0;
}

bool HotBody::Decode(std::string_view body, std::size_t max_items, CryptoRequest& request) {
  if (body.empty() || std::memchr(body.data(), '\\', body.size()) != nullptr) {
    return false;
  }
  std::vector<char>& buffer = state_->buffer;
  if (buffer.size() < body.size() + simdjson::SIMDJSON_PADDING) {
    Wipe();
    buffer.resize(body.size() + simdjson::SIMDJSON_PADDING);
  }
  state_->used = body.size();
  std::memcpy(buffer.data(), body.data(), body.size());
  std::memset(buffer.data() + body.size(), 0, simdjson::SIMDJSON_PADDING);
  ondemand::document document;
  if (state_->parser.iterate(buffer.data(), body.size(), buffer.size()).get(document) !=
      simdjson::SUCCESS) {
    return false;
  }
  return Reader(request, max_items, buffer.data() + body.size()).ReadBody(document);
}

}  // namespace kms::api
