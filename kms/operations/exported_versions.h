// SPDX-License-Identifier: Apache-2.0
// Which versions of a key an export means (transit-api 6.18, 6.19).
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"

namespace kms {

// Gets the text of one exported version; it is wiped when the visitor returns.
using ExportVisitor = std::function<Status(KeyVersionNumber version, ByteView text)>;

// "" is the whole working set, in order; "latest", "3" or "v3" one version of it.
// Errors, kInvalidArgument: "invalid key version", "version for export is below minimum decryption
// version", "version does not exist or cannot be found". Any thread.
Result<std::vector<const KeyVersion*>> ChooseExportedVersions(const Key& key,
                                                              std::string_view version);

}  // namespace kms
