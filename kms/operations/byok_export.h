// SPDX-License-Identifier: Apache-2.0
// Export a key's versions wrapped under an RSA key of the same environment, as import blobs for
// whoever has its private half (transit-api 5.8, 6.19).
#pragma once

#include <string_view>

#include "kms/base/result.h"
#include "kms/crypto/hash.h"
#include "kms/keys/key.h"
#include "kms/keys/names.h"
#include "kms/operations/environment.h"
#include "kms/operations/exported_versions.h"

namespace kms {

struct ByokExportRequest {
  HashAlgorithm hash = HashAlgorithm::kSha2_256;  // of OAEP
  std::string_view version;                       // as ChooseExportedVersions
};

// Calls `visit` with the base64 of each version's blob, in order, and returns the source. Wrapping
// is no weaker than export in the clear, for the destination may be anybody's public key (failures
// C15): the source must be exportable. Any thread.
// Errors, kInvalidArgument: "no such destination key to export to", "no such source key for
// export", "key is not exportable", "unsupported key type in use; must be a rsa key", "cannot
// export version N: it does not have a private counterpart", those of ChooseExportedVersions and
// CheckUsable (of either key); those of `visit`; as FindKey; kUnavailable, kInternal.
Result<KeyHandle> ByokExport(Environment& environment, const KeyName& destination,
                             const KeyName& source, const ByokExportRequest& request,
                             const ExportVisitor& visit);

}  // namespace kms
