// SPDX-License-Identifier: Apache-2.0
// Encrypt, decrypt, rewrap and datakey on wire-form items: the rules of transit-api 6.9 to 6.12 and
// 7, once. Two decoders feed it: hot_body (simdjson, on the loop) and item_decoder (pool).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/pipeline/route.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"

namespace kms::api {

// Views of the request; base64 is not yet decoded.
struct CryptoItem {
  bool has_input = false;
  std::string_view input;  // plaintext (base64) or ciphertext
  std::string_view context;
  std::string_view associated_data;
  std::string_view reference;
  std::int64_t key_version = 0;
};

struct CryptoRequest {
  HotVerb verb = HotVerb::kNone;
  bool is_batch = false;
  std::vector<CryptoItem> items;  // exactly one unless is_batch
  std::optional<std::int64_t> partial_failure_status;
  std::int64_t bits = 256;      // datakey
  bool reveals_data_key = false;  // datakey/plaintext

  void Clear();
};

struct CryptoResult {
  int status = 200;
  std::string warning;  // empty: none
  std::int64_t key_version = 0;  // of a single item; 0 in a batch
  std::int64_t failed_items = 0;
  bool holds_secret = false;
};

// Whole-request refusals that need no key, in the order of transit-api 7.2.
// Errors: kInvalidArgument.
Status CheckCryptoRequest(const CryptoRequest& request);

// Runs a checked request and appends the envelope's `data` object to `data`. On an error nothing
// is appended. Errors: of a single item, those of the operation; of a batch only when a rewrap
// fails for a reason that is ours. Any thread; keeps buffers per thread and wipes them.
Result<CryptoResult> RunCrypto(const Key& key, const CryptoRequest& request, std::string& data);

// Frees and wipes the calling thread's buffers.
void ForgetCryptoBuffers();

}  // namespace kms::api
