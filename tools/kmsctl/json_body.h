// SPDX-License-Identifier: Apache-2.0
// JsonBody: a request body that may hold plaintext: written once, never copied, wiped at the end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"

namespace kms::tools {

// Writes one JSON value by appending. The caller reserves enough room: growing would leave copies
// behind, so appending past the reserve moves to new memory and wipes the old.
class JsonBody {
 public:
  explicit JsonBody(std::size_t reserved_bytes) { text_.reserve(reserved_bytes); }
  ~JsonBody();
  JsonBody(const JsonBody&) = delete;
  JsonBody& operator=(const JsonBody&) = delete;

  void BeginObject() { Open('{'); }
  void EndObject() { Close('}'); }
  // "name":[
  void BeginArray(std::string_view name);
  void EndArray() { Close(']'); }
  // "name":"base64 of bytes"
  void AddBase64(std::string_view name, ByteView bytes);
  void AddText(std::string_view name, std::string_view text);
  void AddNumber(std::string_view name, std::int64_t number);

  // Forgets and wipes everything, for the next body.
  void Clear();
  [[nodiscard]] std::string_view View() const { return text_; }

 private:
  void Open(char bracket);
  void Close(char bracket);
  void Name(std::string_view name);
  void Separate();
  void EnsureRoom(std::size_t bytes);

  std::string text_;
  bool is_first_ = true;
};

}  // namespace kms::tools
