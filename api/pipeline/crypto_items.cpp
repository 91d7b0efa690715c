// SPDX-License-Identifier: Apache-2.0
// Requests and batches: what is refused as a whole, what counts as failed, which status that makes.
#include "api/pipeline/crypto_items.h"

#include <algorithm>

#include "api/pipeline/crypto_item_run.h"
#include "api/pipeline/error_response.h"
#include "api/pipeline/json_writer.h"
#include "kms/operations/message_cipher.h"
#include "kms/operations/usable_key.h"
#include "kms/operations/usage.h"

namespace kms::api {
namespace {

// Room per item beside its input: keys, quotes, version, checksums, reference.
constexpr std::size_t kItemOverheadBytes = 256;
// Room per data key: its RSA ciphertext and its 512 bits in base64.
constexpr std::size_t kDataKeyBytes = 1024;

void Reserve(const CryptoRequest& request, std::string& data) {
  std::size_t bytes = kItemOverheadBytes;
  for (const CryptoItem& item : request.items) {
    bytes += item.input.size() + item.reference.size() + kItemOverheadBytes;
  }
  if (request.verb == HotVerb::kDataKey) {
    bytes += static_cast<std::size_t>(request.count.value_or(1)) * kDataKeyBytes;
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
  std::int64_t excused = 0;  // reported with the item, but the status does not tell
};

void ApplyBatchStatus(const CryptoRequest& request, const BatchTally& tally,
                      CryptoResult& result) {
  const std::int64_t failures = tally.user_failures + tally.internal_failures;
  result.failed_items = failures + tally.excused;
  if (request.verb == HotVerb::kRewrap || failures == 0) {
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

class Batch {
 public:
  Batch(const Key& key, const CryptoRequest& request, const CryptoRules& rules)
      : key_(key), request_(request), rules_(rules) {}

  Result<CryptoResult> Run(std::string& data) {
    const std::size_t start = data.size();
    data += R"({"batch_results":)";
    JsonArray results(data);
    for (std::size_t index = 0; index < request_.items.size(); ++index) {
      results.Next() += '{';
      if (const Status status = RunOne(index, data); !status) {
        data.resize(start);
        return status.error();
      }
      data += R"(,"reference":)";
      AppendJsonString(request_.items[index].reference, data);
      data += '}';
    }
    results.Close();
    data += '}';
    ApplyBatchStatus(request_, tally_, result_);
    return std::move(result_);
  }

 private:
  // Fails when the whole request does.
  Status RunOne(std::size_t index, std::string& data) {
    const ItemRun run{.key = key_,
                      .rules = rules_,
                      .request = request_,
                      .item = request_.items[index],
                      .index = index};
    const std::size_t members = data.size();
    const Result<std::int64_t> version = RunItem(run, data);
    if (version) [[likely]] {
      ++tally_.succeeded;
      return Ok();
    }
    const Error& error = version.error();
    const bool ours = !IsUserError(error.code);
    if (IsUsageLeaseUsedUp(error) || (ours && request_.verb == HotVerb::kRewrap)) {
      return error;
    }
    data.resize(members);
    AppendItemError(request_.verb, error, data);
    Count(run, error, ours);
    return Ok();
  }

  void Count(const ItemRun& run, const Error& error, bool ours) {
    if (ours) {
      ++tally_.internal_failures;
      if (!result_.internal_failure) {
        result_.internal_failure = error;
      }
      return;
    }
    ++(HasMisplacedAssociatedData(run) ? tally_.excused : tally_.user_failures);
  }

  const Key& key_;
  const CryptoRequest& request_;
  const CryptoRules& rules_;
  BatchTally tally_;
  CryptoResult result_;
};

Result<CryptoResult> RunSingle(const Key& key, const CryptoRequest& request,
                               const CryptoRules& rules, std::string& data) {
  const std::size_t start = data.size();
  data += '{';
  const ItemRun run{.key = key,
                    .rules = rules,
                    .request = request,
                    .item = request.items.front(),
                    .index = 0};
  const Result<std::int64_t> version = RunItem(run, data);
  if (!version) {
    data.resize(start);
    return version.error();
  }
  data += '}';
  CryptoResult result;
  result.key_version = *version;
  return result;
}

}  // namespace

// A rewrap decrypts first.
Status CheckUse(const Key& key, HotVerb verb) {
  KMS_TRY(CheckUsable(key));
  const bool decrypts = verb == HotVerb::kDecrypt || verb == HotVerb::kRewrap;
  return decrypts ? CheckDecrypts(key) : CheckEncrypts(key);
}

CryptoRules RulesOf(const Environment& environment, std::size_t max_request_bytes) {
  return {.max_request_bytes = max_request_bytes,
          .verify_encryption = environment.verifies_encryption(),
          .allow_pkcs1v15 = environment.allows_pkcs1v15()};
}

void CryptoRequest::Clear() {
  verb = HotVerb::kNone;
  is_batch = false;
  items.clear();
  partial_failure_status.reset();
  bits = 256;
  reveals_data_key = false;
  count.reset();
  wants_checksums = false;
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

std::vector<std::int64_t> EncryptionVersions(const CryptoRequest& request) {
  std::vector<std::int64_t> versions;
  if (request.verb == HotVerb::kDecrypt) {
    return versions;
  }
  if (request.count) {
    versions.assign(static_cast<std::size_t>(*request.count), request.items.front().key_version);
    return versions;
  }
  versions.reserve(request.items.size());
  for (const CryptoItem& item : request.items) {
    versions.push_back(item.key_version);
  }
  return versions;
}

Result<CryptoResult> RunCrypto(const Key& key, const CryptoRequest& request,
                               const CryptoRules& rules, std::string& data) {
  KMS_TRY(CheckUse(key, request.verb));
  Reserve(request, data);
  Result<CryptoResult> result = request.is_batch ? Batch(key, request, rules).Run(data)
                                                 : RunSingle(key, request, rules, data);
  WipeItemBuffers();
  if (result) {
    result->holds_secret = request.verb == HotVerb::kDecrypt || request.reveals_data_key;
  }
  return result;
}

}  // namespace kms::api
