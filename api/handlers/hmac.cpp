// SPDX-License-Identifier: Apache-2.0
// POST hmac/:name(/:algorithm) (transit-api 6.15).
#include "kms/operations/hmac.h"

#include "api/handlers/base64_input.h"
#include "api/handlers/handlers.h"
#include "api/handlers/key_name.h"
#include "api/handlers/string_items.h"
#include "kms/operations/hash.h"
#include "kms/operations/usable_key.h"

namespace kms::api {

Result<Reply> HandleHmac(Call& call) {
  const StringItems items = KMS_TRY(StringItems::Read(call));
  const KeyHandle key = KMS_TRY(RequireKey(call));
  KMS_TRY(CheckUsable(*key));
  const KeyVersion* version =
      KMS_TRY(ChooseHmacVersion(*key, call.fields.Integer("key_version")));
  const HashAlgorithm algorithm = KMS_TRY(ParseHashName(call.fields.Text("algorithm")));
  call.key_version = version->number;
  PlaintextBuffer input;
  return AnswerItems(call, items, [&](std::size_t index, JsonObject& result) -> Status {
    const std::optional<std::string_view> text = items.Text(index, "input");
    if (!text) {
      return InvalidArgument("missing input for HMAC");
    }
    KMS_TRY(DecodeInput(*text, input));
    std::string hmac;
    KMS_TRY(Hmac(*version, algorithm, input.View(), hmac));
    result.String("hmac", hmac);
    return Ok();
  });
}

}  // namespace kms::api
