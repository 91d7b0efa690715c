// SPDX-License-Identifier: Apache-2.0
// What sign and verify read from their fields and items alike (transit-api 6.16, 6.17).
#pragma once

#include <cstddef>
#include <string_view>

#include "api/handlers/string_items.h"
#include "api/pipeline/fields.h"
#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/operations/signature_request.h"

namespace kms::api {

// The URL's, then hash_algorithm, then its alias: which counts only when hash_algorithm is sent
// empty, because absent it has a default.
std::string_view HashNameOf(const Fields& fields);

// Errors: as ParseSignatureNames.
Result<SignatureRequest> ReadSignatureRequest(const Fields& fields);

// One item's data, decoded; reused from item to item.
struct ItemData {
  PlaintextBuffer input;
  Bytes context;
};

// A single request may leave out its input, an item of a batch may not. Errors: kInvalidArgument
// "missing input", "unable to decode input as base64: ...", "failed to base64-decode context".
Status ReadItemInput(const StringItems& items, std::size_t index, PlaintextBuffer& input);
Status ReadItemData(const StringItems& items, std::size_t index, ItemData& data);

}  // namespace kms::api
