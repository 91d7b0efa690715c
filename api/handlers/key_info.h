// SPDX-License-Identifier: Apache-2.0
// The key object that create, read, rotate, config and trim answer with (transit-api 4.4).
#pragma once

#include <string>

#include "kms/keys/key.h"

namespace kms::api {

// One JSON object; no key material in it.
std::string RenderKeyInfo(const Key& key);

}  // namespace kms::api
