// SPDX-License-Identifier: Apache-2.0
// One item of encrypt, decrypt, rewrap or datakey. Private to crypto_items.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "api/pipeline/crypto_items.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"

namespace kms::api {

// What one item is run with.
struct ItemRun {
  const Key& key;
  const CryptoRules& rules;
  const CryptoRequest& request;
  const CryptoItem& item;
  std::size_t index;  // of the item in its batch
};

// The one mistake that a batch reports for an item without counting the item as failed
// (transit-api 7.2): RunItem refuses it first of all.
bool HasMisplacedAssociatedData(const ItemRun& run);

// Appends the members of one result, without braces, and returns the key version; on an error the
// caller cuts off what was appended. Uses buffers of the thread, which the caller wipes.
Result<std::int64_t> RunItem(const ItemRun& run, std::string& out);

// Wipes the calling thread's buffers and keeps their memory.
void WipeItemBuffers();

}  // namespace kms::api
