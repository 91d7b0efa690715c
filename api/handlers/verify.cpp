// SPDX-License-Identifier: Apache-2.0
// POST verify/:name(/:hash_algorithm) (transit-api 6.17).
#include "api/handlers/base64_input.h"
#include "api/handlers/handlers.h"
#include "api/handlers/key_name.h"
#include "api/handlers/string_items.h"
#include "kms/operations/hash.h"
#include "kms/operations/verify_hmac.h"

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

// URL, then hash_algorithm, then its alias: which counts only when hash_algorithm is sent empty,
// because absent it has a default (transit-api 6.16).
std::string_view HashName(const Fields& fields) {
  const std::string_view name = fields.Text("hash_algorithm");
  const std::string_view alias = name.empty() ? fields.Text("algorithm") : name;
  return alias.empty() ? std::string_view("sha2-256") : alias;
}

Result<Reply> RefuseSignatures(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  const KeyHandle key = KMS_TRY(call.environment->FindKey(name));
  if (key == nullptr) {
    return InvalidArgument("signature verification key not found");
  }
  return InvalidArgument("key type " + std::string(TraitsOf(key->policy().type).name) +
                         " does not support verification");
}

Result<Reply> VerifyHmacs(Call& call, const StringItems& items) {
  const KeyHandle key = KMS_TRY(RequireKey(call));
  const HashAlgorithm algorithm = KMS_TRY(ParseHashName(HashName(call.fields)));
  PlaintextBuffer input;
  return AnswerItems(call, items, [&](std::size_t index, JsonObject& result) -> Status {
    const std::optional<std::string_view> text = items.Text(index, "input");
    if (!text && items.is_batch()) {
      return InvalidArgument("missing input");
    }
    KMS_TRY(DecodeInput(text.value_or(std::string_view()), input));
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
                                                 : RefuseSignatures(call);
}

}  // namespace kms::api
