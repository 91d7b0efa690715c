// SPDX-License-Identifier: Apache-2.0
// From typed fields to the items of encrypt, decrypt, rewrap and datakey (transit-api 3.3): the
// decoder of the pool, which judges every shape and says what is wrong with it.
#pragma once

#include "api/pipeline/crypto_items.h"
#include "api/pipeline/fields.h"

namespace kms::api {

// Fills `request` (whose views point into `fields`). Errors: kInvalidArgument "failed to parse
// batch input: ..." with one line per problem, "missing batch input to process", a batch of more
// than `max_items`, and those of CheckCryptoRequest.
Status DecodeCryptoRequest(HotVerb verb, const Fields& fields, std::size_t max_items,
                           CryptoRequest& request);

}  // namespace kms::api
