// SPDX-License-Identifier: Apache-2.0
// The files of a recovery ceremony on the operator's side.
#pragma once

#include <string>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/share_encryption.h"
#include "kms/keys/recovery_package.h"

namespace kms::api {

// Where the private half of the ceremony's key lies: "<package>.key".
std::string CeremonyKeyPath(const std::string& package_path);

// Writes a file that did not exist, mode 0600, durably. Errors: kInvalidArgument when it exists,
// kUnavailable; nothing is left then.
Status WriteNewFile(const std::string& path, ByteView content);

// Errors of all: kNotFound (unreadable, with its name), kInvalidArgument (not what it should be).
Result<RecoveryPackage> ReadRecoveryPackage(const std::string& path);
Result<HolderPrivateKey> ReadCeremonyKey(const std::string& package_path);
Result<std::vector<RecoveryAnswer>> ReadRecoveryAnswers(const std::vector<std::string>& paths);

}  // namespace kms::api
