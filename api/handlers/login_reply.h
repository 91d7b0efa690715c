// SPDX-License-Identifier: Apache-2.0
// ReplyWithLogin: what every login ends with: a token for who was recognised, and its auth object.
#pragma once

#include "api/pipeline/call.h"
#include "kms/auth/token_parameters.h"

namespace kms::api {

// Issues the token that `grant` earns through `call.auth_mount` and answers with it; names the
// token in `call.audit`. TTLs are the grant's, else the mount's, else the server's; never above any
// maximum of the three. Errors: kPermissionDenied "permission denied" when the token could not be
// used from where the login came from; those of TokenStore::Issue.
Result<Reply> ReplyWithLogin(Call& call, const LoginGrant& grant);

}  // namespace kms::api
