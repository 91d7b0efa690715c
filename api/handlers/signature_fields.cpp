// SPDX-License-Identifier: Apache-2.0
#include "api/handlers/signature_fields.h"

#include "api/handlers/base64_input.h"

namespace kms::api {

std::string_view HashNameOf(const Fields& fields) {
  const std::string_view name = fields.Text("hash_algorithm");
  const std::string_view alias = name.empty() ? fields.Text("algorithm") : name;
  return alias.empty() ? std::string_view("sha2-256") : alias;
}

Result<SignatureRequest> ReadSignatureRequest(const Fields& fields) {
  return ParseSignatureNames({.hash = HashNameOf(fields),
                              .marshaling = fields.Text("marshaling_algorithm"),
                              .scheme = fields.Text("signature_algorithm"),
                              .salt_length = fields.Text("salt_length"),
                              .prehashed = fields.Boolean("prehashed")});
}

Status ReadItemInput(const StringItems& items, std::size_t index, PlaintextBuffer& input) {
  const std::optional<std::string_view> text = items.Text(index, "input");
  if (!text && items.is_batch()) {
    return InvalidArgument("missing input");
  }
  return DecodeInput(text.value_or(std::string_view()), input);
}

Status ReadItemData(const StringItems& items, std::size_t index, ItemData& data) {
  KMS_TRY(ReadItemInput(items, index, data.input));
  Result<Bytes> context =
      Base64Decode(items.Text(index, "context").value_or(std::string_view()));
  if (!context) {
    return InvalidArgument("failed to base64-decode context");
  }
  data.context = std::move(*context);
  return Ok();
}

}  // namespace kms::api
