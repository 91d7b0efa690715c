// SPDX-License-Identifier: Apache-2.0
// The key object that create, read, rotate, config and trim answer with (transit-api 4.4).
#pragma once

#include <span>
#include <string>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"

namespace kms {
class Environment;
struct VersionUsage;
}  // namespace kms

namespace kms::api {

// One JSON object with the usage of each version; what handlers answer with. Errors: as
// RenderKeyInfo and DescribeUsage.
Result<std::string> DescribeKey(Environment& environment, const Key& key, ByteView context = {});

// One JSON object; `usages` are left out when there are none. Nothing secret in it. With a `context`, the public keys of a derived Ed25519 key
// are those of that context; without one they are "". Errors: kUnavailable, kInternal.
Result<std::string> RenderKeyInfo(const Key& key, ByteView context = {},
                                  std::span<const VersionUsage> usages = {});

}  // namespace kms::api
