// SPDX-License-Identifier: Apache-2.0
// What is stored of application roles and of their secret ids.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kms/auth/cidr.h"
#include "kms/auth/token_parameters.h"
#include "kms/base/digest.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

inline constexpr std::size_t kSecretIdKeyBytes = 32;

// What an operator sets of a role (transit-api 10.3). Times in seconds; 0: never, not limited.
struct AppRoleSettings {
  bool bind_secret_id = true;
  bool local_secret_ids = false;  // kept for clients that read it back: there is one site
  std::int64_t secret_id_num_uses = 0;
  std::int64_t secret_id_ttl_seconds = 0;
  std::vector<CidrBlock> secret_id_bound_cidrs;
  TokenParameters parameters;
};

struct StoredAppRole {
  Uuid
      id;  // of this incarnation: a role made again under the name has no secret ids of the old one
  std::string role_id;
  AppRoleSettings settings;
  SecretBytes secret_id_key;  // what secret ids are hashed under
};

// A secret id, without the secret.
struct StoredSecretId {
  std::string accessor;
  std::int64_t created_unix_seconds = 0;
  std::int64_t updated_unix_seconds = 0;
  std::int64_t expires_unix_seconds = 0;  // 0: never
  std::int64_t ttl_seconds = 0;           // 0: never
  bool limited = false;                   // in uses
  std::int64_t uses_left = 0;             // at least 1 when limited: with the last one it goes
  std::map<std::string, std::string> metadata;
  std::vector<CidrBlock> cidr_list;          // where a login with it may come from; empty: anywhere
  std::vector<CidrBlock> token_bound_cidrs;  // of tokens it earns; empty: the role's
};

// Errors of Encode: kUnavailable (secret memory). Of Decode: kCorrupted for anything Encode did not
// make.
Result<SecretBytes> EncodeAppRole(const StoredAppRole& role);
Result<StoredAppRole> DecodeAppRole(ByteView encoded);
Result<SecretBytes> EncodeSecretId(const StoredSecretId& secret_id);
Result<StoredSecretId> DecodeSecretId(ByteView encoded);
// Which secret id an accessor belongs to.
Result<SecretBytes> EncodeSecretIdAccessor(const Sha256Digest& secret_id);
Result<Sha256Digest> DecodeSecretIdAccessor(ByteView encoded);
// Which role a role_id belongs to.
Result<SecretBytes> EncodeRoleIdIndex(std::string_view role_name);
Result<std::string> DecodeRoleIdIndex(ByteView encoded);

}  // namespace kms
