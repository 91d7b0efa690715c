// SPDX-License-Identifier: Apache-2.0
// Recovery holders as the command line names them, made into what the API takes.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "kms/base/result.h"

namespace kms::tools {

struct RecoveryOptions {
  int threshold = 0;
  std::vector<std::string> keys;  // NAME=FILE
};

// {"threshold": 2, "recipients": {"alice": "-----BEGIN PUBLIC KEY-----…"}}.
// Errors: kInvalidArgument naming the option: no NAME=FILE, a name twice, an unreadable file, a
// file with a private key (it must not leave its holder).
Result<nlohmann::json> ReadRecoveryOptions(const RecoveryOptions& options);

}  // namespace kms::tools
