// SPDX-License-Identifier: Apache-2.0
// StringItems: the inputs of hmac, sign and verify, one request or a batch of objects of strings,
// and the answer that is made of them (transit-api 3.3, 7).
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"

namespace kms::api {

// Views of the call's fields, which must outlive it.
class StringItems {
 public:
  // Errors: kInvalidArgument "missing batch input to process", "failed to parse batch input: ..."
  // and for more items than allowed.
  static Result<StringItems> Read(const Call& call);

  [[nodiscard]] bool is_batch() const { return !batch_.is_null(); }
  [[nodiscard]] std::size_t size() const { return is_batch() ? batch_.size() : 1; }
  // nullopt when absent or null.
  [[nodiscard]] std::optional<std::string_view> Text(std::size_t index,
                                                     std::string_view name) const;

 private:
  StringItems(const Fields& fields, JsonView batch) : fields_(&fields), batch_(batch) {}

  const Fields* fields_;
  JsonView batch_;
};

// Appends the members of one result; appends nothing when it fails.
using AnswerItem = std::function<Status(std::size_t index, JsonObject& result)>;
// Appends what a failed item of a batch says besides its error.
using AnswerFailure = std::function<void(JsonObject& result)>;

// One object, or "batch_results" with the items' errors among them: such a batch answers 200.
// Counts the items for the audit record. Errors: that of a single item.
Result<Reply> AnswerItems(Call& call, const StringItems& items, const AnswerItem& answer,
                          const AnswerFailure& failure = [](JsonObject&) {});

}  // namespace kms::api
