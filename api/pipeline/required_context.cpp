// SPDX-License-Identifier: Apache-2.0
#include "api/pipeline/required_context.h"

#include <algorithm>
#include <string_view>

#include "kms/base/base64.h"

namespace kms::api {
namespace {

constexpr std::string_view kField = "associated_data";
constexpr std::string_view kBatch = "batch_input";

std::optional<std::string> Decoded(std::string_view base64) {
  const Result<Bytes> bytes = Base64Decode(base64);
  if (!bytes || bytes->empty()) {
    return std::nullopt;
  }
  return std::string(AsText(*bytes));
}

}  // namespace

std::vector<std::optional<std::string>> AssociatedDataOf(const Route& route,
                                                         const Fields& fields) {
  if (std::ranges::find(route.fields, kField, &FieldSpec::name) == route.fields.end()) {
    return {std::nullopt};
  }
  const JsonView batch = fields.Tree(kBatch);
  if (batch.is_null()) {
    return {Decoded(fields.Text(kField))};
  }
  if (batch.kind() != JsonKind::kArray) {
    return {std::nullopt};
  }
  std::vector<std::optional<std::string>> all;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const JsonView item = batch.At(i).Find(kField);
    all.push_back(item.kind() == JsonKind::kString ? Decoded(item.String()) : std::nullopt);
  }
  return all;
}

}  // namespace kms::api
