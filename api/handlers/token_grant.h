// SPDX-License-Identifier: Apache-2.0
// What a caller may give to a token that it makes (transit-api 10.2): the rules of every verb that
// creates one, in one place.
#pragma once

#include <string>
#include <vector>

#include "api/pipeline/call.h"
#include "kms/identity/token_roles.h"
#include "kms/identity/token_store.h"

namespace kms::api {

// How the token is asked for.
struct TokenRequest {
  bool orphan_path = false;         // create-orphan
  const TokenRole* role = nullptr;  // null: none
  std::string role_name;
};

// The grant of this call's fields, bounded by what the caller has, by its rights on the path and by
// the role:
// - a caller without sudo gives only policies that it has, or that the role allows;
// - nobody but root gives "root"; nobody gives "response-wrapping" or "control-group";
// - a chosen id, a period and no_parent need sudo;
// - what binds the caller's token to addresses or to a certificate binds the new one too.
// Errors: kInvalidArgument with the texts of the reference servers.
Result<TokenGrant> GrantOf(const Call& call, const TokenRequest& request);

}  // namespace kms::api
