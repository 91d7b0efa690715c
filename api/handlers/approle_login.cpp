// SPDX-License-Identifier: Apache-2.0
// login of approle mounts (transit-api 10.3).
#include "api/handlers/handlers.h"
#include "api/handlers/login_reply.h"
#include "kms/identity/approle.h"

namespace kms::api {

// Failures count against the role_id, which has one spelling; what cannot be one names nobody.
Result<Reply> HandleAppRoleLogin(Call& call) {
  const std::string_view role_id = call.fields.Text("role_id");
  if (IsRoleId(role_id)) {
    KMS_TRY(call.BeginLogin(role_id));
  }
  const LoginGrant grant = KMS_TRY(call.services.identity.approles().Login(
      *call.auth_mount, role_id, call.fields.Text("secret_id"), call.Origin()));
  return ReplyWithLogin(call, grant);
}

}  // namespace kms::api
