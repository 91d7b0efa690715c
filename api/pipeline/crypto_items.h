// SPDX-License-Identifier: Apache-2.0
// Encrypt, decrypt, rewrap and datakey on wire-form items: the rules of transit-api 6.9 to 6.12 and
// 7, once. Two decoders feed it: hot_body (simdjson, on the loop) and item_decoder (pool).
//
// Checksums, which no reference server has (the model is Google Cloud KMS), are CRC-32C as numbers:
//
//   request    plaintext_crc32c (encrypt), ciphertext_crc32c (decrypt, rewrap): of the item's input;
//              associated_data_crc32c; per item in a batch. A wrong one is refused before anything
//              is done with the item. `checksum`: true beside the items asks for those of answers.
//   answer     ciphertext_crc32c, plaintext_crc32c: of each result, if `checksum` is true or the item
//              had a checksum; verified_<name>: true for each checksum that was compared. A client
//              that sent one and misses this does not know whether it arrived.
//
// Those of plaintext and associated data cover the bytes behind the base64, those of a ciphertext
// the string "vault:v…" as it stands. Who asks for none of this gets answers without any of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/pipeline/route.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/operations/environment.h"

namespace kms::api {

// Views of the request; base64 is not yet decoded.
struct CryptoItem {
  bool has_input = false;
  std::string_view input;  // plaintext (base64) or ciphertext
  std::string_view context;
  std::string_view associated_data;
  std::string_view reference;
  std::int64_t key_version = 0;
  std::optional<std::int64_t> input_crc32c;
  std::optional<std::int64_t> associated_data_crc32c;
  // RSA keys only; empty: oaep. A rewrap has one for each side.
  std::string_view padding_scheme;
  std::string_view decrypt_padding_scheme;
  std::string_view nonce;  // must be empty: a caller's nonce is how nonces repeat
};

struct CryptoRequest {
  HotVerb verb = HotVerb::kNone;
  bool is_batch = false;
  std::vector<CryptoItem> items;  // exactly one unless is_batch
  std::optional<std::int64_t> partial_failure_status;
  std::int64_t bits = 256;      // datakey
  bool reveals_data_key = false;  // datakey/plaintext
  std::optional<std::int64_t> count;  // datakeys
  bool wants_checksums = false;

  void Clear();
};

// What server and environment demand of every request.
struct CryptoRules {
  std::size_t max_request_bytes = 0;  // a ciphertext must fit into the request that decrypts it
  bool verify_encryption = false;
  bool allow_pkcs1v15 = false;
};
CryptoRules RulesOf(const Environment& environment, std::size_t max_request_bytes);

struct CryptoResult {
  int status = 200;
  std::string warning;  // empty: none
  std::int64_t key_version = 0;  // of a single item; 0 in a batch
  std::int64_t failed_items = 0;
  bool holds_secret = false;
  // The first failure of an item that is ours: for the log, the answer does not tell.
  std::optional<Error> internal_failure;
};

// Whole-request refusals that need no key, in the order of transit-api 7.2.
// Errors: kInvalidArgument.
Status CheckCryptoRequest(const CryptoRequest& request);

// Whether the key may be used for it at all. Errors: kInvalidArgument "refusing to use soft-deleted
// key", "message encryption not supported for key type T" and its sibling.
Status CheckUse(const Key& key, HotVerb verb);

// The versions that the request encrypts under, one for each encryption (0: the latest); empty for
// decrypt.
std::vector<std::int64_t> EncryptionVersions(const CryptoRequest& request);

// Runs a checked request and appends the envelope's `data` object to `data`. On an error nothing
// is appended. Errors: those of CheckUse; of a single item, those of the operation; of a batch only
// when a rewrap fails for a reason that is ours and UsageLeaseUsedUp, after which the whole request
// may be repeated. Any thread; keeps buffers per thread and wipes them.
Result<CryptoResult> RunCrypto(const Key& key, const CryptoRequest& request,
                               const CryptoRules& rules, std::string& data);

// Frees and wipes the calling thread's buffers.
void ForgetCryptoBuffers();

}  // namespace kms::api
