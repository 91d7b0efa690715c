// SPDX-License-Identifier: Apache-2.0
// The root token's record, sealed in `sys` at "tokens/root": its digest and whether it was revoked.
#pragma once

#include <memory>
#include <string_view>

#include "kms/auth/token_registry.h"
#include "kms/base/result.h"
#include "kms/operations/environment.h"

namespace kms {

// Makes `token` the root token and returns the registry that knows it. A token that was revoked
// stays revoked across restarts; a token never seen before replaces the one before it.
// Errors: kInvalidArgument for an empty token, store errors.
Result<std::unique_ptr<TokenRegistry>> LoadRootToken(Environment& sys, std::string_view token);

// Revokes the root token durably, then in memory. Success when it is revoked already.
// Errors: store errors; the token stays good then.
Status RevokeRootToken(Environment& sys, TokenRegistry& registry);

}  // namespace kms
