// SPDX-License-Identifier: Apache-2.0
// A backup blob made of what a server exports: for keys whose owner allowed export but no backup.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "kms/base/result.h"

namespace kms::tools {

// What GET keys/NAME and export/… answered, their "data".
struct ExportedKey {
  const nlohmann::json& key;            // the key object
  const nlohmann::json& material;       // "keys" of the encryption or signing key export; {} of hmac
  const nlohmann::json& hmac_material;  // "keys" of the HMAC key export
};

// The base64 of a blob for `restore`: the exported versions under their numbers, with their HMAC
// keys and times; settings as they are, but for the minimum that a key needs whose oldest versions
// stay behind. Plaintext key material: the caller wipes it.
// Errors: kFailedPrecondition with the reason when the key cannot exist here.
Result<std::string> BlobOfExport(const ExportedKey& exported);

}  // namespace kms::tools
