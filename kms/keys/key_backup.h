// SPDX-License-Identifier: Apache-2.0
// The blob that `backup` gives and `restore` takes: a whole key with every version, in the JSON of
// Vault and OpenBao, so that keys move both ways (transit-api 5.10).
#pragma once

#include <string>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"

namespace kms {

struct KeyBackup {
  // As in the blob, but for what a restore makes anew: `incarnation` is unset, and
  // `imported_allow_rotation` is dropped where the key is not imported.
  KeyPolicy policy;
  // Every version there is, max(1, min_available_version)..latest_version in order.
  std::vector<KeyVersion> versions;
};

// The JSON text and a newline, not yet base64. Plaintext key material: the caller wipes it.
// `versions` as in KeyBackup. Errors: kUnavailable, kInternal.
Result<std::string> EncodeKeyBackup(const KeyPolicy& policy,
                                    const std::vector<KeyVersion>& versions);

// The base64 of that, as it stands in a response. The same holds of it.
Result<std::string> EncodeBackupBlob(const KeyPolicy& policy,
                                     const std::vector<KeyVersion>& versions);

// Reads a blob of this service, Vault or OpenBao: integers of any size, absent members, members it
// does not know. Key material is judged as an import's is (kms/crypto/key_import.h).
// Errors: kInvalidArgument, never with content: not the JSON of a backup, a key type that this
// service does not have, legacy derivation or convergent encryption, versions that are missing or
// unsound; kUnavailable.
Result<KeyBackup> DecodeKeyBackup(std::string_view json);

}  // namespace kms
