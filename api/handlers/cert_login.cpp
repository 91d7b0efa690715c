// SPDX-License-Identifier: Apache-2.0
// login of cert mounts (transit-api 10.5).
#include "api/handlers/handlers.h"
#include "api/handlers/login_reply.h"
#include "api/pipeline/call.h"
#include "kms/identity/cert_auth.h"

namespace kms::api {

// Failures count against the certificate, which nobody else holds, rather than against the entry,
// which anybody can name.
Result<Reply> HandleCertLogin(Call& call) {
  if (call.request.certificates == nullptr) {
    return InvalidArgument("no client certificate found");
  }
  KMS_TRY(call.BeginLogin(HexEncode(call.request.certificates->leaf_digest)));
  std::optional<IdentityName> name;
  const std::string_view given = call.fields.Text("name");
  if (!given.empty()) {
    Result<IdentityName> parsed = IdentityName::Parse(given);
    if (!parsed.has_value()) {  // answered like a name that nothing has
      return MakeError(ErrorCode::kUnauthenticated,
                       "invalid certificate or no client certificate supplied");
    }
    name = *std::move(parsed);
  }
  const LoginGrant grant =
      KMS_TRY(call.services.identity.certificates().Login(*call.auth_mount, name, call.Origin()));
  return ReplyWithLogin(call, grant);
}

}  // namespace kms::api
