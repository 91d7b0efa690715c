// SPDX-License-Identifier: Apache-2.0
// Appends JSON by hand, because a JSON library would leave copies of the plaintext behind.
#include "tools/kmsctl/json_body.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kms/base/base64.h"

namespace kms::tools {

JsonBody::~JsonBody() { Clear(); }

void JsonBody::BeginArray(std::string_view name) {
  Name(name);
  text_ += '[';
  is_first_ = true;
}

void JsonBody::AddBase64(std::string_view name, ByteView bytes) {
  Name(name);
  EnsureRoom(Base64EncodedSize(bytes.size()) + 2);
  text_ += '"';
  AppendBase64(bytes, text_);
  text_ += '"';
}

void JsonBody::AddText(std::string_view name, std::string_view text) {
  Name(name);
  const nlohmann::json value(text);
  const std::string quoted = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  EnsureRoom(quoted.size());
  text_ += quoted;
}

void JsonBody::AddNumber(std::string_view name, std::int64_t number) {
  Name(name);
  text_ += std::to_string(number);
}

void JsonBody::Clear() {
  OPENSSL_cleanse(text_.data(), text_.size());
  text_.clear();
  is_first_ = true;
}

void JsonBody::Open(char bracket) {
  Separate();
  text_ += bracket;
  is_first_ = true;
}

void JsonBody::Close(char bracket) {
  EnsureRoom(1);
  text_ += bracket;
  is_first_ = false;
}

void JsonBody::Name(std::string_view name) {
  Separate();
  text_ += '"';
  text_ += name;
  text_ += "\":";
}

void JsonBody::Separate() {
  constexpr std::size_t kRoomForNameAndNumber = 64;
  EnsureRoom(kRoomForNameAndNumber);
  if (!is_first_) {
    text_ += ',';
  }
  is_first_ = false;
}

void JsonBody::EnsureRoom(std::size_t bytes) {
  if (text_.capacity() - text_.size() >= bytes) {
    return;
  }
  std::string larger;
  larger.reserve(std::max(text_.capacity() * 2, text_.size() + bytes));
  larger.append(text_);
  text_.swap(larger);
  OPENSSL_cleanse(larger.data(), larger.size());
}

}  // namespace kms::tools
