// SPDX-License-Identifier: Apache-2.0
// RootToken: the configured root token's record, sealed in `sys` at "tokens/root": its digest and
// whether it was revoked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/clock.h"
#include "kms/base/digest.h"
#include "kms/base/result.h"
#include "kms/master/sealed_store.h"

namespace kms {

struct RootToken {
  Sha256Digest digest{};
  std::int64_t created_unix_seconds = 0;
  bool revoked = false;
};

// The digest it is recorded by; unkeyed, for the record is older than the key of all other tokens.
Sha256Digest RootTokenDigest(std::string_view token);
// Its accessor: stable, and useless to whoever wants the token.
std::string RootTokenAccessor(const Sha256Digest& digest);

// Makes `token` the root token and returns its record. A token that was revoked stays revoked
// across restarts; a token never seen before replaces the one before it. Errors: kInvalidArgument
// for an empty token, store errors.
Result<RootToken> RecordRootToken(SealedStore& sys, const Clock& clock, std::string_view token);

// Records that the token with this digest is revoked. Success when it is revoked already.
// Errors: store errors; nothing was changed then.
Status RecordRootRevocation(SealedStore& sys, const Sha256Digest& digest);

}  // namespace kms
