// SPDX-License-Identifier: Apache-2.0
// login of jwt mounts (transit-api 10.4, 10.6).
#include <string>

#include "api/handlers/handlers.h"
#include "api/handlers/login_reply.h"
#include "api/pipeline/call.h"
#include "kms/auth/identity_name.h"
#include "kms/identity/jwt_auth.h"

namespace kms::api {

// Who a token speaks of is known only after it was judged, so failures count against the role.
Result<Reply> HandleJwtLogin(Call& call) {
  JwtAuth& jwt = call.services.identity.jwt();
  std::string role(call.fields.Text("role"));
  if (role.empty()) {
    role = KMS_TRY(jwt.DefaultRole(*call.auth_mount));
  }
  if (role.empty()) {
    return InvalidArgument("missing role");
  }
  const Result<IdentityName> name = IdentityName::Parse(role);
  if (!name.has_value()) {
    return MakeError(ErrorCode::kUnauthenticated, "role could not be found");
  }
  KMS_TRY(call.BeginLogin(name->text()));
  const LoginGrant grant =
      KMS_TRY(jwt.Login(*call.auth_mount, *name, call.fields.Text("jwt"), call.Origin()));
  return ReplyWithLogin(call, grant);
}

}  // namespace kms::api
