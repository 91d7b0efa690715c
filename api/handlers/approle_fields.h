// SPDX-License-Identifier: Apache-2.0
// What the routes of application roles share (transit-api 10.3).
#pragma once

#include <string>
#include <string_view>

#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "kms/auth/identity_name.h"
#include "kms/base/result.h"
#include "kms/identity/approle.h"

namespace kms::api {

// The role that the path names. Errors: kInvalidArgument.
Result<IdentityName> RoleName(const Call& call);

// Replaces what the request gives and its route declares; leaves the rest.
// Errors: kInvalidArgument.
Status ApplyAppRoleFields(const Fields& fields, AppRoleSettings& settings);

// {"keys": […]}; Absent when there are none.
Reply ReplyWithKeys(const std::vector<std::string>& keys);

void AppendCidrs(std::string_view key, const std::vector<CidrBlock>& blocks, JsonObject& object,
                 std::string& out);

}  // namespace kms::api
