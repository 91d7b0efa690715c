// SPDX-License-Identifier: Apache-2.0
// StoredUser: what is kept of a person who logs in with a password.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kms/auth/token_parameters.h"
#include "kms/base/digest.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

inline constexpr std::size_t kBackupKeyBytes = 32;

// A one-time code generator and the codes for the day it is lost.
struct SecondFactor {
  SecretBytes secret;      // kTotpSecretBytes
  SecretBytes backup_key;  // what backup_codes are hashed under
  std::int64_t last_used_step = 0;
  std::vector<Sha256Digest> backup_codes;  // those not used yet
};

struct StoredUser {
  std::string password_hash;  // as PasswordHasher writes it
  TokenParameters parameters;
  std::optional<SecondFactor> active;   // asked for at every login
  std::optional<SecondFactor> pending;  // until its first code proves that it was set up
};

// Errors of Encode: kUnavailable (secret memory). Of Decode: kCorrupted for anything Encode did not
// make.
Result<SecretBytes> EncodeUser(const StoredUser& user);
Result<StoredUser> DecodeUser(ByteView encoded);

}  // namespace kms
