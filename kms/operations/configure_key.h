// SPDX-License-Identifier: Apache-2.0
// Change a key's attributes, all or nothing (transit-api 6.5). Moves versions between working set
// and archive when min_decryption_version changes (4.3).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kms/base/result.h"
#include "kms/operations/environment.h"

namespace kms {

struct KeyConfigChange {  // absent: unchanged
  std::optional<std::int64_t> min_decryption_version;
  std::optional<std::int64_t> min_encryption_version;
  std::optional<bool> deletion_allowed;
  std::optional<bool> exportable;              // only true has an effect
  std::optional<bool> allow_plaintext_backup;  // only true has an effect
  std::optional<std::int64_t> auto_rotate_period_seconds;
};

struct ConfigureKeyOutcome {
  KeyHandle key;
  std::vector<std::string> warnings;
};

// Errors: kInvalidArgument with the texts and order of transit-api 6.5 (unknown key: "no existing
// key named NAME could be found"); store errors.
Result<ConfigureKeyOutcome> ConfigureKey(Environment& environment, const KeyName& name,
                                         const KeyConfigChange& change);

}  // namespace kms
