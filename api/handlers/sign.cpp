// SPDX-License-Identifier: Apache-2.0
// POST sign/:name(/:hash_algorithm) (transit-api 6.16).
#include "kms/operations/sign.h"

#include "api/handlers/handlers.h"
#include "api/handlers/signature_fields.h"
#include "api/handlers/string_items.h"
#include "kms/base/base64.h"
#include "kms/operations/usable_key.h"

namespace kms::api {
namespace {

Result<KeyHandle> FindSigningKey(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  KeyHandle key = KMS_TRY(call.environment->FindKey(name));
  if (key == nullptr) {
    return InvalidArgument("signing key not found");
  }
  const KeyTypeTraits& traits = TraitsOf(key->policy().type);
  if (!traits.supports_signing) {
    return InvalidArgument("key type " + std::string(traits.name) + " does not support signing");
  }
  KMS_TRY(CheckUsable(*key));
  return key;
}

// The name of the public key differs between one and many; that is the contract's.
void WriteOutcome(const SignOutcome& outcome, bool is_batch, JsonObject& result) {
  result.String("signature", outcome.signature);
  result.Integer("key_version", outcome.key_version);
  if (!outcome.public_key.empty()) {
    result.String(is_batch ? "publickey" : "public_key", Base64Encode(outcome.public_key));
  }
}

}  // namespace

Result<Reply> HandleSign(Call& call) {
  const SignatureRequest request = KMS_TRY(ReadSignatureRequest(call.fields));
  const KeyHandle key = KMS_TRY(FindSigningKey(call));
  KMS_TRY(CheckUnhashed(request));
  const StringItems items = KMS_TRY(StringItems::Read(call));
  ItemData data;
  const auto sign = [&](std::size_t index, JsonObject& result) -> Status {
    KMS_TRY(ReadItemData(items, index, data));
    const SignOutcome outcome =
        KMS_TRY(Sign(*key, {.request = request,
                            .key_version = call.fields.Integer("key_version"),
                            .context = data.context,
                            .input = data.input.View()}));
    call.key_version = outcome.key_version;
    WriteOutcome(outcome, items.is_batch(), result);
    return Ok();
  };
  return AnswerItems(call, items, sign,
                     [](JsonObject& result) { result.Integer("key_version", 0); });
}

}  // namespace kms::api
