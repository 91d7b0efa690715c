// SPDX-License-Identifier: Apache-2.0
// Item by item: decode base64, call the operation, append the result.
#include "api/pipeline/crypto_items.h"

#include <algorithm>

#include "api/pipeline/error_response.h"
#include "api/pipeline/json_writer.h"
#include "kms/base/base64.h"
#include "kms/keys/key_type.h"
#include "kms/operations/decrypt.h"
#include "kms/operations/encrypt.h"
#include "kms/operations/generate_data_key.h"
#include "kms/operations/rewrap.h"

namespace kms::api {
namespace {

// Room per item beside its input: keys, quotes, version, reference.
constexpr std::size_t kItemOverheadBytes = 160;

struct Scratch {
  PlaintextBuffer plaintext;
  PlaintextBuffer associated_data;
  PlaintextBuffer context;
};

Scratch& ThreadScratch() {
  thread_local Scratch scratch;
  return scratch;
}

Status DecodeInto(std::string_view text, PlaintextBuffer& buffer) {
  const MutableByteView room = buffer.Reset(Base64DecodedBound(text.size()));
  buffer.Truncate(KMS_TRY(Base64DecodeInto(text, room)));
  return Ok();
}

Result<ByteView> DecodeAssociatedData(const CryptoItem& item, PlaintextBuffer& buffer) {
  if (item.associated_data.empty()) {
    return ByteView();
  }
  if (const Status decoded = DecodeInto(item.associated_data, buffer); !decoded) {
    return InvalidArgument("unable to get associated_data/additional_data from factory[0]: " +
                           decoded.error().public_message);
  }
  return buffer.View();
}

// A context means nothing to keys that are not derived, but a broken one is still refused.
Result<ByteView> DecodeContext(const CryptoItem& item, PlaintextBuffer& buffer) {
  if (item.context.empty()) {
    return ByteView();
  }
  KMS_TRY(DecodeInto(item.context, buffer));
  return buffer.View();
}

// Every function below appends the members of one result, without braces, and returns the key
// version; on an error the caller cuts off what was appended.

Result<std::int64_t> EncryptItem(const Key& key, const CryptoItem& item, std::string& out) {
  if (!item.has_input) {
    return InvalidArgument("missing plaintext to encrypt");
  }
  Scratch& scratch = ThreadScratch();
  const ByteView context = KMS_TRY(DecodeContext(item, scratch.context));
  const ByteView associated_data = KMS_TRY(DecodeAssociatedData(item, scratch.associated_data));
  KMS_TRY(DecodeInto(item.input, scratch.plaintext));
  out += R"("ciphertext":")";
  const EncryptInput input{.plaintext = scratch.plaintext.View(),
                           .associated_data = associated_data,
                           .key_version = item.key_version,
                           .context = context};
  const std::int64_t version = KMS_TRY(Encrypt(key, input, out));
  out += R"(","key_version":)";
  AppendInteger(version, out);
  return version;
}

Result<std::int64_t> DecryptItem(const Key& key, const CryptoItem& item, std::string& out) {
  if (item.input.empty()) {
    return InvalidArgument("missing ciphertext to decrypt");
  }
  Scratch& scratch = ThreadScratch();
  const ByteView context = KMS_TRY(DecodeContext(item, scratch.context));
  const ByteView associated_data = KMS_TRY(DecodeAssociatedData(item, scratch.associated_data));
  const DecryptInput input{
      .ciphertext = item.input, .associated_data = associated_data, .context = context};
  const std::int64_t version = KMS_TRY(Decrypt(key, input, scratch.plaintext));
  out += R"("plaintext":")";
  AppendBase64(scratch.plaintext.View(), out);
  out += '"';
  return version;
}

Result<std::int64_t> RewrapItem(const Key& key, const CryptoItem& item, std::string& out) {
  if (item.input.empty()) {
    return InvalidArgument("missing ciphertext to decrypt");
  }
  Scratch& scratch = ThreadScratch();
  const ByteView context = KMS_TRY(DecodeContext(item, scratch.context));
  const ByteView associated_data = KMS_TRY(DecodeAssociatedData(item, scratch.associated_data));
  out += R"("ciphertext":")";
  const RewrapInput input{.ciphertext = item.input,
                          .associated_data = associated_data,
                          .key_version = item.key_version,
                          .context = context};
  const std::int64_t version = KMS_TRY(Rewrap(key, input, out));
  out += R"(","key_version":)";
  AppendInteger(version, out);
  return version;
}

Result<std::int64_t> MakeDataKey(const Key& key, const CryptoRequest& request, std::string& out) {
  const CryptoItem& item = request.items.front();
  Scratch& scratch = ThreadScratch();
  const Result<ByteView> context = DecodeContext(item, scratch.context);
  if (!context) {
    return InvalidArgument("failed to base64-decode context");
  }
  const ByteView associated_data = KMS_TRY(DecodeAssociatedData(item, scratch.associated_data));
  out += R"("ciphertext":")";
  const DataKeyInput input{.bits = request.bits,
                           .associated_data = associated_data,
                           .key_version = item.key_version,
                           .context = *context};
  const std::int64_t version = KMS_TRY(GenerateDataKey(key, input, scratch.plaintext, out));
  out += R"(","key_version":)";
  AppendInteger(version, out);
  if (request.reveals_data_key) {
    out += R"(,"plaintext":")";
    AppendBase64(scratch.plaintext.View(), out);
    out += '"';
  }
  return version;
}

Result<std::int64_t> RunItem(const Key& key, const CryptoRequest& request, const CryptoItem& item,
                             std::string& out) {
  switch (request.verb) {
    case HotVerb::kEncrypt: return EncryptItem(key, item, out);
    case HotVerb::kDecrypt: return DecryptItem(key, item, out);
    case HotVerb::kRewrap: return RewrapItem(key, item, out);
    case HotVerb::kDataKey: return MakeDataKey(key, request, out);
    case HotVerb::kNone: break;
  }
  return Internal("an item without a verb");
}

void WipeScratch() {
  ThreadScratch().plaintext.Wipe();
  ThreadScratch().associated_data.Wipe();
  ThreadScratch().context.Wipe();
}

void Reserve(const CryptoRequest& request, std::string& data) {
  std::size_t bytes = kItemOverheadBytes;
  for (const CryptoItem& item : request.items) {
    bytes += item.input.size() + item.reference.size() + kItemOverheadBytes;
  }
  // Growth must not leave copies of a plaintext behind in freed memory.
  data.reserve(data.size() + bytes);
}

void AppendItemError(HotVerb verb, const Error& error, std::string& data) {
  if (verb == HotVerb::kDecrypt) {
    data += R"("plaintext":"",)";
  }
  data += R"("error":)";
  AppendJsonString(PublicText(error), data);
}

struct BatchTally {
  std::int64_t succeeded = 0;
  std::int64_t user_failures = 0;
  std::int64_t internal_failures = 0;
};

void ApplyBatchStatus(const CryptoRequest& request, const BatchTally& tally,
                      CryptoResult& result) {
  result.failed_items = tally.user_failures + tally.internal_failures;
  if (request.verb == HotVerb::kRewrap || result.failed_items == 0) {
    return;
  }
  result.status = tally.user_failures > 0 ? 400 : 500;
  if (!request.partial_failure_status || tally.succeeded == 0) {
    return;
  }
  const std::int64_t wanted = *request.partial_failure_status;
  if (wanted >= 200 && wanted <= 599) {
    result.status = static_cast<int>(wanted);
    return;
  }
  result.warning =
      "invalid HTTP response code override from partial_failure_response_code, reverting to " +
      std::to_string(result.status);
}

Result<CryptoResult> RunBatch(const Key& key, const CryptoRequest& request, std::string& data) {
  const std::size_t start = data.size();
  data += R"({"batch_results":)";
  BatchTally tally;
  JsonArray results(data);
  for (const CryptoItem& item : request.items) {
    results.Next() += '{';
    const std::size_t members = data.size();
    const Result<std::int64_t> version = RunItem(key, request, item, data);
    if (version) {
      ++tally.succeeded;
    } else {
      data.resize(members);
      AppendItemError(request.verb, version.error(), data);
      const bool user_error = IsUserError(version.error().code);
      ++(user_error ? tally.user_failures : tally.internal_failures);
      if (!user_error && request.verb == HotVerb::kRewrap) {
        data.resize(start);
        return version.error();
      }
    }
    data += R"(,"reference":)";
    AppendJsonString(item.reference, data);
    data += '}';
  }
  results.Close();
  data += '}';
  CryptoResult result;
  ApplyBatchStatus(request, tally, result);
  return result;
}

Result<CryptoResult> RunSingle(const Key& key, const CryptoRequest& request, std::string& data) {
  const std::size_t start = data.size();
  data += '{';
  const Result<std::int64_t> version = RunItem(key, request, request.items.front(), data);
  if (!version) {
    data.resize(start);
    return version.error();
  }
  data += '}';
  CryptoResult result;
  result.key_version = *version;
  return result;
}

std::string_view Unsupported(const Key& key, HotVerb verb) {
  const KeyTypeTraits& traits = TraitsOf(key.policy().type);
  const bool encrypts = verb != HotVerb::kDecrypt;
  if (encrypts && !traits.supports_encryption) {
    return "message encryption not supported for key type ";
  }
  const bool decrypts = verb == HotVerb::kDecrypt || verb == HotVerb::kRewrap;
  return decrypts && !traits.supports_decryption ? "message decryption not supported for key type "
                                                 : std::string_view();
}

}  // namespace

void CryptoRequest::Clear() {
  verb = HotVerb::kNone;
  is_batch = false;
  items.clear();
  partial_failure_status.reset();
  bits = 256;
  reveals_data_key = false;
}

Status CheckCryptoRequest(const CryptoRequest& request) {
  if (request.items.empty()) {
    return InvalidArgument("missing batch input to process");
  }
  if (!request.is_batch) {
    const CryptoItem& item = request.items.front();
    if (request.verb == HotVerb::kEncrypt && !item.has_input) {
      return InvalidArgument("missing plaintext to encrypt");
    }
    const bool takes_ciphertext =
        request.verb == HotVerb::kDecrypt || request.verb == HotVerb::kRewrap;
    if (takes_ciphertext && item.input.empty()) {
      return InvalidArgument("missing ciphertext to decrypt");
    }
    return Ok();
  }
  const auto with_context = static_cast<std::size_t>(std::ranges::count_if(
      request.items, [](const CryptoItem& item) { return !item.context.empty(); }));
  if (with_context != 0 && with_context != request.items.size()) {
    return InvalidArgument("context should be set either in all the request blocks or in none");
  }
  return Ok();
}

Result<CryptoResult> RunCrypto(const Key& key, const CryptoRequest& request, std::string& data) {
  if (const std::string_view refusal = Unsupported(key, request.verb); !refusal.empty()) {
    return InvalidArgument(std::string(refusal) +
                           std::string(TraitsOf(key.policy().type).name));
  }
  Reserve(request, data);
  Result<CryptoResult> result =
      request.is_batch ? RunBatch(key, request, data) : RunSingle(key, request, data);
  WipeScratch();
  if (result) {
    result->holds_secret = request.verb == HotVerb::kDecrypt || request.reveals_data_key;
  }
  return result;
}

void ForgetCryptoBuffers() { ThreadScratch() = Scratch(); }

}  // namespace kms::api
