// SPDX-License-Identifier: Apache-2.0
#include "api/handlers/string_items.h"

#include <string>

#include "api/pipeline/error_response.h"

namespace kms::api {
namespace {

// A batch of ten thousand broken items is told about its first few only.
constexpr std::size_t kMaxProblems = 64;

Error ParseError(const std::string& text) {
  return InvalidArgument("failed to parse batch input: " + text);
}

// Lines about one item, each ended by '\n'.
void CheckItem(std::size_t index, JsonView item, std::string& problems) {
  const std::string place = "[" + std::to_string(index) + "]";
  if (item.kind() != JsonKind::kObject) {
    problems += place + " expected a map\n";
    return;
  }
  // The name is the caller's and may be payload by mistake: it is not repeated.
  std::size_t wrong = 0;
  item.ForEachMember([&wrong](std::string_view /*name*/, JsonView value) {
    const bool fits = value.kind() == JsonKind::kString || value.is_null();
    wrong += fits ? 0U : 1U;
  });
  if (wrong != 0) {
    problems += place + " expected strings, got " + std::to_string(wrong) + " of another type\n";
  }
}

Status CheckBatch(JsonView batch, std::size_t max_items) {
  if (batch.kind() != JsonKind::kArray) {
    return ParseError("source data must be an array or slice");
  }
  if (batch.size() == 0) {
    return InvalidArgument("missing batch input to process");
  }
  if (batch.size() > max_items) {
    return InvalidArgument("batch_input has more than " + std::to_string(max_items) + " items");
  }
  std::string problems;
  std::size_t broken = 0;
  for (std::size_t i = 0; i < batch.size() && broken < kMaxProblems; ++i) {
    const std::size_t before = problems.size();
    CheckItem(i, batch.At(i), problems);
    broken += problems.size() > before ? 1U : 0U;
  }
  if (problems.empty()) {
    return Ok();
  }
  problems.pop_back();
  return ParseError(problems);
}

}  // namespace

Result<StringItems> StringItems::Read(const Call& call) {
  const JsonView batch = call.fields.Tree("batch_input");
  if (!batch.is_null()) {
    KMS_TRY(CheckBatch(batch, call.services.options.max_batch_items));
  }
  return StringItems(call.fields, batch);
}

std::optional<std::string_view> StringItems::Text(std::size_t index, std::string_view name) const {
  if (!is_batch()) {
    return fields_->Has(name) ? std::optional(fields_->Text(name)) : std::nullopt;
  }
  const JsonView value = batch_.At(index).Find(name);
  return value.is_null() ? std::nullopt : std::optional(value.String());
}

Result<Reply> AnswerItems(Call& call, const StringItems& items, const AnswerItem& answer,
                          const AnswerFailure& failure) {
  std::string out;
  if (!items.is_batch()) {
    JsonObject result(out);
    KMS_TRY(answer(0, result));
    result.Close();
    return Reply::Data(std::move(out));
  }
  out = R"({"batch_results":)";
  JsonArray results(out);
  for (std::size_t i = 0; i < items.size(); ++i) {
    JsonObject result(results.Next());
    if (const Status answered = answer(i, result); !answered) {
      ++call.failed_items;
      failure(result);
      result.String("error", PublicText(answered.error()));
    }
    result.String("reference", items.Text(i, "reference").value_or(std::string_view()));
    result.Close();
  }
  results.Close();
  out += '}';
  call.items = static_cast<std::int64_t>(items.size());
  return Reply::Data(std::move(out));
}

}  // namespace kms::api
