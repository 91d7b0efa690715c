// SPDX-License-Identifier: Apache-2.0
// Appends JSON text by hand into a string that is reused: no tree is built for what we only write.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kms::api {

// Appends `text` in quotes, escaped. Control bytes become \u00XX; bytes that are not UTF-8 become
// U+FFFD, so that no input makes the output invalid.
void AppendJsonString(std::string_view text, std::string& out);

// Appends the decimal form.
void AppendInteger(std::int64_t number, std::string& out);

// One object, open from construction to Close. Members are written in the order of the calls.
class JsonObject {
 public:
  // `out` must outlive it.
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }

  void String(std::string_view key, std::string_view value);
  void Integer(std::string_view key, std::int64_t value);
  void Boolean(std::string_view key, bool value);
  void Null(std::string_view key);
  // `json` is complete JSON text.
  void Raw(std::string_view key, std::string_view json);
  // Writes the key alone; the caller appends the value to the same string.
  void Key(std::string_view key);
  void Close() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

// One array of which the caller appends the elements: Next() before each.
class JsonArray {
 public:
  explicit JsonArray(std::string& out) : out_(out) { out_ += '['; }

  std::string& Next() {
    if (!first_) {
      out_ += ',';
    }
    first_ = false;
    return out_;
  }
  void Close() { out_ += ']'; }

 private:
  std::string& out_;
  bool first_ = true;
};

}  // namespace kms::api
