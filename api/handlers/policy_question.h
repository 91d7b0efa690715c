// SPDX-License-Identifier: Apache-2.0
// What capabilities and explanations share: whose rights are asked about, and on which path.
#pragma once

#include <string>
#include <string_view>

#include "api/front/http_message.h"
#include "api/pipeline/call.h"
#include "api/pipeline/router.h"
#include "kms/auth/principal.h"

namespace kms::api {

// The owner of the token in the field "token". Errors: kInvalidArgument "missing token", "invalid
// token"; store errors.
Result<PrincipalHandle> OwnerOfToken(const Call& call);
// The same by the field "accessor": "missing accessor", "invalid accessor".
Result<PrincipalHandle> OwnerOfAccessor(const Call& call);

// Routes `path` as a request of this namespace would be: `match.policy_path` is what policies
// judge. `path` is without "/v1/"; one '/' in front is taken off. `match` holds views of itself
// only.
void MatchAsRequest(const Call& call, HttpMethod method, std::string_view path, RouteMatch& match);

}  // namespace kms::api
