// SPDX-License-Identifier: Apache-2.0
// auth/token/create, create-orphan, create/:role (transit-api 10.2).
#include "api/handlers/auth_object.h"
#include "api/handlers/handlers.h"
#include "api/handlers/token_grant.h"
#include "api/pipeline/call.h"

namespace kms::api {
namespace {

Result<Reply> Create(Call& call, const TokenRequest& request) {
  const TokenGrant grant = KMS_TRY(GrantOf(call, request));
  const IssuedToken issued = KMS_TRY(call.services.identity.tokens().Issue(grant));
  call.audit.issued_accessor = issued.principal->accessor;
  call.audit.issued_name = issued.principal->display_name;
  Reply reply = ReplyWithAuth(*issued.principal, AsText(issued.token.View()),
                              ToUnixSeconds(call.services.clock.Now()));
  for (const std::string& policy : grant.policies) {
    if (!call.services.identity.policies().Exists(policy)) {
      reply.warnings.push_back("Policy \"" + policy + "\" does not exist");
    }
  }
  return reply;
}

}  // namespace

Result<Reply> HandleCreateToken(Call& call) { return Create(call, {}); }

Result<Reply> HandleCreateOrphanToken(Call& call) { return Create(call, {.orphan_path = true}); }

Result<Reply> HandleCreateRoleToken(Call& call) {
  const std::string_view text = call.fields.Text("role_name");
  const Result<IdentityName> name = IdentityName::Parse(text);
  std::optional<TokenRole> role;
  if (name.has_value()) {
    role = KMS_TRY(call.services.identity.token_roles().Read(*name));
  }
  if (!role) {
    return InvalidArgument("unknown role");
  }
  return Create(call, {.orphan_path = false, .role = &*role, .role_name = name->text()});
}

}  // namespace kms::api
