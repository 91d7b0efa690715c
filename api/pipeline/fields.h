// SPDX-License-Identifier: Apache-2.0
// Fields: a request's parameters, converted once as the route's table says (transit-api 3).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/pipeline/field.h"
#include "api/pipeline/json_body.h"
#include "kms/base/result.h"

namespace kms::api {

// A value captured from the path. It beats the body.
struct Capture {
  std::string_view name;
  std::string_view value;
};

// A parameter as a policy judges it: numbers in decimal, booleans as true or false, durations in
// seconds, whatever spelling the caller chose.
struct FieldText {
  std::string_view name;
  std::string value;
  bool is_scalar = true;  // false: an array or object, `value` is empty
};

class Fields {
 public:
  Fields() = default;

  // Takes what `specs` name from `body`. `captures` and `specs` must outlive the result.
  // Errors: kInvalidArgument `Field validation failed: error converting input for field "x": ...`
  // (never with the value), or a spec's missing_text.
  static Result<Fields> Decode(std::span<const FieldSpec> specs, std::span<const Capture> captures,
                               JsonBody body);

  // Present and not null. A capture is always present.
  [[nodiscard]] bool Has(std::string_view name) const;
  // The value or its fallback. Asking for a field that the route does not declare returns empty.
  [[nodiscard]] std::string_view Text(std::string_view name) const;
  [[nodiscard]] std::int64_t Integer(std::string_view name) const;
  [[nodiscard]] bool Boolean(std::string_view name) const;
  [[nodiscard]] std::optional<std::int64_t> OptionalInteger(std::string_view name) const;
  [[nodiscard]] std::optional<bool> OptionalBoolean(std::string_view name) const;
  // The array or object itself; null when absent.
  [[nodiscard]] JsonView Tree(std::string_view name) const;

  // Every parameter that was given and is not null, those that the route ignores included; those
  // captured from the path are not.
  [[nodiscard]] std::vector<FieldText> Parameters() const;

  // The two warnings of transit-api 3.2, in Go's slice syntax; empty when there is nothing to say.
  [[nodiscard]] std::vector<std::string> Warnings() const;

 private:
  struct Slot {
    const FieldSpec* spec = nullptr;
    bool present = false;
    std::string_view text;
    std::int64_t number = 0;
    JsonView tree;
  };

  Status Convert(Slot& slot, JsonView value);
  void ApplyFallback(Slot& slot);
  static std::string CanonicalText(const Slot& slot);
  void NoteUnknown(std::span<const Capture> captures);
  [[nodiscard]] const Slot* Find(std::string_view name) const;

  JsonBody body_;
  std::span<const Capture> captures_;
  std::vector<Slot> slots_;
  std::deque<std::string> rendered_;  // texts that the tree does not hold as such
  std::vector<std::string> ignored_;
  std::vector<std::string> replaced_;
};

// "90", "1h30m", "30d" in seconds. Errors: kInvalidArgument, also for a negative one.
Result<std::int64_t> ParseDurationSeconds(std::string_view text);
// The booleans Go knows: 1, t, T, TRUE, true, True and their opposites. nullopt for others.
std::optional<bool> ParseGoBoolean(std::string_view text);

}  // namespace kms::api
