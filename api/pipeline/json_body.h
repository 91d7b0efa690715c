// SPDX-License-Identifier: Apache-2.0
// JsonBody: a request's parameters as a read-only tree; its .cpp is the only file of the edge that parses JSON
// into memory. Every string of it is wiped when freed, for it may hold a caller's plaintext.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <memory>
#include <string>
#include <string_view>

#include "api/pipeline/json_guard.h"
#include "kms/base/result.h"

namespace kms::api {

enum class JsonKind : std::uint8_t { kNull, kBoolean, kInteger, kFloat, kString, kArray, kObject };

// One node; valid as long as its JsonBody. A default one is null.
class JsonView {
 public:
  JsonView() = default;

  [[nodiscard]] JsonKind kind() const;
  [[nodiscard]] bool is_null() const { return kind() == JsonKind::kNull; }
  // Each is meant for its kind and returns an empty value for every other.
  [[nodiscard]] bool Boolean() const;
  // The exact value; nullopt for anything but an integer (or an integral float) within int64.
  [[nodiscard]] std::optional<std::int64_t> Integer() const;
  [[nodiscard]] std::string_view String() const;
  // Elements of an array or members of an object.
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] JsonView At(std::size_t index) const;
  // The member, or a null view.
  [[nodiscard]] JsonView Find(std::string_view key) const;
  // Members in bytewise order of their keys.
  void ForEachMember(const std::function<void(std::string_view key, JsonView value)>& visit) const;
  // A scalar as text: a string as it is, a number or boolean rendered.
  [[nodiscard]] std::string Rendered() const;

 private:
  friend class JsonBody;
  explicit JsonView(const void* node) : node_(node) {}
  const void* node_ = nullptr;
};

class JsonBody {
 public:
  JsonBody();
  JsonBody(JsonBody&&) noexcept;
  JsonBody& operator=(JsonBody&&) noexcept;
  ~JsonBody();

  // An empty text and `null` are an empty object. Errors: kInvalidArgument "failed to decode JSON
  // input: ..." or that of GuardJson; never with any of the input in it.
  static Result<JsonBody> Parse(std::string_view text, const JsonLimits& limits);
  // application/x-www-form-urlencoded, as in bodies and query strings; repeated names become
  // arrays. Errors: kInvalidArgument for a broken escape or more than limits.max_strings.
  static Result<JsonBody> ParseForm(std::string_view text, const JsonLimits& limits);

  // Always an object.
  [[nodiscard]] JsonView root() const;

 private:
  struct Tree;
  std::unique_ptr<Tree> tree_;
};

// Undoes %XX and '+'. Errors: kInvalidArgument for a broken escape.
Result<std::string> DecodeFormComponent(std::string_view text);

}  // namespace kms::api
