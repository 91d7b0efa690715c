// SPDX-License-Identifier: Apache-2.0
// POST encrypt, decrypt, rewrap and datakey for requests that the loop left to the pool: cold keys,
// keys to be created, unusual shapes (transit-api 6.9 to 6.12).
#include "api/pipeline/crypto_items.h"

#include "api/handlers/handlers.h"
#include "api/handlers/key_name.h"
#include "api/pipeline/item_decoder.h"
#include "kms/base/base64.h"
#include "kms/crypto/derived_cipher.h"

namespace kms::api {
namespace {

Result<CryptoRequest> ReadItems(Call& call) {
  CryptoRequest request;
  KMS_TRY(DecodeCryptoRequest(call.route.hot, call.fields,
                              call.services.options.max_batch_items, request));
  return request;
}

Result<Reply> RunOn(Call& call, const Key& key, const CryptoRequest& request) {
  Reply reply;
  CryptoResult result = KMS_TRY(RunCrypto(key, request, reply.data));
  reply.status = result.status;
  reply.holds_secret = result.holds_secret;
  if (!result.warning.empty()) {
    reply.warnings.push_back(std::move(result.warning));
  }
  call.key_version = result.key_version;
  call.items = static_cast<std::int64_t>(request.is_batch ? request.items.size() : 0);
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

}  // namespace

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
  const KeyHandle key = KMS_TRY(RequireKey(call));
  return RunOn(call, *key, request);
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
  return RunOn(call, *key, request);
}

Result<Reply> HandleDataKey(Call& call) {
  const std::string_view form = call.fields.Text("plaintext");
  if (form != "plaintext" && form != "wrapped") {
    return InvalidArgument("Invalid path, must be 'plaintext' or 'wrapped'");
  }
  return HandleCrypto(call);
}

}  // namespace kms::api
