// SPDX-License-Identifier: Apache-2.0
// POST encrypt, decrypt, rewrap and datakey for requests that the loop left to the pool: cold keys,
// keys to be created, RSA, unusual shapes (transit-api 6.9 to 6.12); datakeys, which is never on it.
#include "api/pipeline/crypto_items.h"

#include "api/handlers/handlers.h"
#include "api/handlers/key_name.h"
#include "api/pipeline/budget_gate.h"
#include "api/pipeline/item_decoder.h"
#include "api/pipeline/router.h"
#include "kms/base/base64.h"
#include "kms/crypto/derived_cipher.h"
#include "kms/operations/generate_data_key.h"
#include "kms/operations/usage.h"

namespace kms::api {
namespace {

Result<CryptoRequest> ReadItems(Call& call) {
  CryptoRequest request;
  KMS_TRY(DecodeCryptoRequest(call.route.hot, call.fields,
                              call.services.options.max_batch_items, request));
  return request;
}

// Runs it with room for its encryptions; another request may take the room first.
Result<CryptoResult> RunCounted(Call& call, KeyHandle key, const CryptoRequest& request,
                                std::string& data) {
  constexpr int kAttempts = 8;
  KMS_TRY(CheckUse(*key, request.verb));
  const CryptoRules rules = RulesOf(*call.environment, call.services.options.max_body_bytes);
  const KeyName name = KMS_TRY(KeyName::Parse(key->policy().name));
  const std::vector<std::int64_t> versions = EncryptionVersions(request);
  Result<CryptoResult> result = UsageLeaseUsedUp();
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (!versions.empty()) {
      key = KMS_TRY(PrepareUsage(*call.environment, name, std::move(key), versions));
    }
    result = RunCrypto(*key, request, rules, data);
    if (result || !IsUsageLeaseUsedUp(result.error())) {
      break;
    }
  }
  return result;
}

// Decryptions are counted against the caller's budgets.
Status Charge(Call& call, const CryptoRequest& request) {
  if (request.verb != HotVerb::kDecrypt) {
    return Ok();
  }
  const auto refused = ChargeDecryptions(
      call.services, *call.principal, call.environment->identity().name,
      call.fields.Text("name"), static_cast<std::int64_t>(request.items.size()));
  if (!refused) {
    return Ok();
  }
  call.retry_after = refused->retry_after;
  return MakeError(ErrorCode::kResourceExhausted, refused->text);
}

Result<Reply> RunOn(Call& call, KeyHandle key, const CryptoRequest& request) {
  KMS_TRY(Charge(call, request));
  Reply reply;
  CryptoResult result = KMS_TRY(RunCounted(call, std::move(key), request, reply.data));
  reply.status = result.status;
  reply.holds_secret = result.holds_secret;
  if (!result.warning.empty()) {
    reply.warnings.push_back(std::move(result.warning));
  }
  if (result.internal_failure && call.services.options.report) {
    call.services.options.report(*result.internal_failure, call.request.path);
  }
  call.key_version = result.key_version;
  call.items = request.is_batch ? static_cast<std::int64_t>(request.items.size())
                                : request.count.value_or(0);
  call.failed_items = result.failed_items;
  return reply;
}

// Whether the first item has a context, and so the key to be created is derived. A context that no
// operation could use must not leave a key behind.
Result<bool> TakesContext(const CryptoRequest& request) {
  const std::string_view context = request.items.front().context;
  if (context.empty()) {
    return false;
  }
  const Bytes decoded = KMS_TRY(Base64Decode(context));
  if (decoded.empty()) {
    return MissingContext();
  }
  return true;
}

Status CheckForm(const Call& call) {
  const std::string_view form = call.fields.Text("plaintext");
  return form == "plaintext" || form == "wrapped"
             ? Ok()
             : Status(InvalidArgument("Invalid path, must be 'plaintext' or 'wrapped'"));
}

}  // namespace

// A name that is none is the handler's to refuse.
Result<bool> KeyExists(const Services& /*services*/, const RouteMatch& match) {
  const Result<KeyName> name = KeyName::Parse(match.Captures().front().value);
  if (!name) {
    return true;
  }
  return KMS_TRY(match.environment->FindKey(*name)) != nullptr;
}

Result<KeyHandle> RequireKey(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  KeyHandle key = KMS_TRY(call.environment->FindKey(name));
  if (key == nullptr) {
    return InvalidArgument("encryption key not found");
  }
  return key;
}

Result<Reply> HandleCrypto(Call& call) {
  const CryptoRequest request = KMS_TRY(ReadItems(call));
  KeyHandle key = KMS_TRY(RequireKey(call));
  return RunOn(call, std::move(key), request);
}

Result<Reply> HandleEncrypt(Call& call) {
  const CryptoRequest request = KMS_TRY(ReadItems(call));
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  KeyHandle key = KMS_TRY(call.environment->FindKey(name));
  if (key == nullptr) {
    const bool allowed = call.services.options.upsert_allowed &&
                         !call.environment->settings().disable_upsert;
    if (!allowed) {
      return InvalidArgument("encryption key not found");
    }
    if (!call.May(Capability::kCreate)) {
      return MakeError(ErrorCode::kPermissionDenied, "permission denied");
    }
    const bool derived = KMS_TRY(TakesContext(request));
    key = KMS_TRY(CreateOnDemand(call, name, derived));
  }
  return RunOn(call, std::move(key), request);
}

Result<Reply> HandleDataKey(Call& call) {
  KMS_TRY(CheckForm(call));
  return HandleCrypto(call);
}

Result<Reply> HandleDataKeys(Call& call) {
  KMS_TRY(CheckForm(call));
  CryptoRequest request;
  const std::size_t most = call.services.options.max_batch_items;
  KMS_TRY(DecodeCryptoRequest(HotVerb::kDataKey, call.fields, most, request));
  const std::int64_t count = call.fields.Integer("count");
  if (count < 1 || count > static_cast<std::int64_t>(most)) {
    return InvalidArgument("'count' must be between 1 and " + std::to_string(most));
  }
  request.count = count;
  KMS_TRY(CheckDataKeyBits(request.bits));
  KeyHandle key = KMS_TRY(RequireKey(call));
  return RunOn(call, std::move(key), request);
}

}  // namespace kms::api
