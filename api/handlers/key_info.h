// SPDX-License-Identifier: Apache-2.0
// The key object that create, read, rotate, config and trim answer with (transit-api 4.4).
#pragma once

#include <string>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"

namespace kms::api {

// One JSON object; nothing secret in it. With a `context`, the public keys of a derived Ed25519 key
// are those of that context; without one they are "". Errors: kUnavailable, kInternal.
Result<std::string> RenderKeyInfo(const Key& key, ByteView context = {});

}  // namespace kms::api
