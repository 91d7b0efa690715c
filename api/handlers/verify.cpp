// SPDX-License-Identifier: Apache-2.0
// POST verify/:name(/:hash_algorithm) (transit-api 6.17).
#include "api/handlers/handlers.h"
#include "api/handlers/key_name.h"
#include "api/handlers/signature_fields.h"
#include "api/handlers/string_items.h"
#include "kms/operations/hash.h"
#include "kms/operations/usable_key.h"
#include "kms/operations/verify_hmac.h"
#include "kms/operations/verify_signature.h"

namespace kms::api {
namespace {

enum class Proof : std::uint8_t { kSignature, kHmac };

Result<Proof> ProofOfBatch(bool signatures, bool hmacs, bool missing) {
  if (signatures && hmacs) {
    return InvalidArgument(
        "elements of batch_input must all provide 'signature' or all provide 'hmac'");
  }
  if (!signatures && !hmacs) {
    return InvalidArgument("no batch_input elements have 'signature' or 'hmac'");
  }
  if (missing) {
    return InvalidArgument(std::string("some elements of batch_input are missing ") +
                           (signatures ? "'signature'" : "'hmac'"));
  }
  return signatures ? Proof::kSignature : Proof::kHmac;
}

// What all items are to be verified by: present is not the same as not empty.
Result<Proof> ProofOf(const StringItems& items) {
  bool signatures = false;
  bool hmacs = false;
  bool missing = false;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const bool signature = items.Text(i, "signature").has_value();
    const bool hmac = items.Text(i, "hmac").has_value();
    signatures = signatures || signature;
    hmacs = hmacs || hmac;
    missing = missing || (!signature && !hmac);
  }
  if (items.is_batch()) {
    return ProofOfBatch(signatures, hmacs, missing);
  }
  if (signatures && hmacs) {
    return InvalidArgument("provide one of 'signature' or 'hmac'");
  }
  if (missing) {
    return InvalidArgument("neither a 'signature' nor an 'hmac' were given to verify");
  }
  return signatures ? Proof::kSignature : Proof::kHmac;
}

Result<KeyHandle> FindVerificationKey(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  KeyHandle key = KMS_TRY(call.environment->FindKey(name));
  if (key == nullptr) {
    return InvalidArgument("signature verification key not found");
  }
  const KeyTypeTraits& traits = TraitsOf(key->policy().type);
  if (!traits.supports_signing) {
    return InvalidArgument("key type " + std::string(traits.name) +
                           " does not support verification");
  }
  KMS_TRY(CheckUsable(*key));
  return key;
}

Result<Reply> VerifySignatures(Call& call, const StringItems& items) {
  const SignatureRequest request = KMS_TRY(ReadSignatureRequest(call.fields));
  const KeyHandle key = KMS_TRY(FindVerificationKey(call));
  KMS_TRY(CheckUnhashed(request));
  ItemData data;
  const auto verify = [&](std::size_t index, JsonObject& result) -> Status {
    KMS_TRY(ReadItemData(items, index, data));
    const SignatureVerdict verdict = KMS_TRY(VerifySignature(
        *key, {.request = request,
               .context = data.context,
               .input = data.input.View(),
               .signature = items.Text(index, "signature").value_or(std::string_view())}));
    if (!items.is_batch()) {
      call.key_version = verdict.version;
    }
    result.Boolean("valid", verdict.valid);
    return Ok();
  };
  return AnswerItems(call, items, verify,
                     [](JsonObject& result) { result.Boolean("valid", false); });
}

Result<Reply> VerifyHmacs(Call& call, const StringItems& items) {
  const KeyHandle key = KMS_TRY(RequireKey(call));
  KMS_TRY(CheckUsable(*key));
  const HashAlgorithm algorithm = KMS_TRY(ParseHashName(HashNameOf(call.fields)));
  PlaintextBuffer input;
  return AnswerItems(call, items, [&](std::size_t index, JsonObject& result) -> Status {
    KMS_TRY(ReadItemInput(items, index, input));
    const HmacVerdict verdict = KMS_TRY(
        VerifyHmac(*key, {.algorithm = algorithm,
                          .input = input.View(),
                          .hmac = items.Text(index, "hmac").value_or(std::string_view())}));
    if (!items.is_batch()) {
      call.key_version = verdict.version;
    }
    if (verdict.valid || !items.is_batch()) {  // a batch says nothing of what is not valid
      result.Boolean("valid", verdict.valid);
    }
    return Ok();
  });
}

}  // namespace

Result<Reply> HandleVerify(Call& call) {
  const StringItems items = KMS_TRY(StringItems::Read(call));
  return KMS_TRY(ProofOf(items)) == Proof::kHmac ? VerifyHmacs(call, items)
                                                 : VerifySignatures(call, items);
}

}  // namespace kms::api
