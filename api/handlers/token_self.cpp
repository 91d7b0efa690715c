// SPDX-License-Identifier: Apache-2.0
// auth/token/lookup-self, renew-self and revoke-self for the root token (transit-api 10.1, 10.2).
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "api/pipeline/presented_token.h"
#include "kms/operations/root_token.h"

namespace kms::api {
namespace {

void AppendPolicies(const Principal& principal, std::string& out) {
  JsonArray policies(out);
  for (const std::string& policy : principal.policies) {
    AppendJsonString(policy, policies.Next());
  }
  policies.Close();
}

}  // namespace

// The token goes back to whoever just presented it, as clients expect; the answer is wiped.
Result<Reply> HandleLookupSelf(Call& call) {
  const Principal& principal = *call.principal;
  std::string out;
  out.reserve(1024 + PresentedToken(call.request).size() * 2);
  JsonObject object(out);
  object.String("id", PresentedToken(call.request));
  object.String("accessor", principal.accessor);
  object.Key("policies");
  AppendPolicies(principal, out);
  object.String("path", principal.path);
  object.Null("meta");
  object.String("display_name", principal.display_name);
  object.Integer("num_uses", 0);
  object.Boolean("orphan", true);
  object.Integer("creation_time", principal.created_unix_seconds);
  object.Integer("creation_ttl", 0);
  object.Null("expire_time");
  object.Integer("ttl", 0);
  object.Integer("explicit_max_ttl", 0);
  object.String("entity_id", "");
  object.String("type", "service");
  object.Boolean("renewable", false);
  object.Close();
  Reply reply = Reply::Data(std::move(out));
  reply.holds_secret = true;
  return reply;
}

// A token that never expires has nothing to renew; clients renew at start and expect success.
Result<Reply> HandleRenewSelf(Call& call) {
  const Principal& principal = *call.principal;
  Reply reply;
  reply.auth.reserve(1024 + PresentedToken(call.request).size() * 2);
  JsonObject object(reply.auth);
  object.String("client_token", PresentedToken(call.request));
  object.String("accessor", principal.accessor);
  object.Key("policies");
  AppendPolicies(principal, reply.auth);
  object.Key("token_policies");
  AppendPolicies(principal, reply.auth);
  object.Null("metadata");
  object.Integer("lease_duration", 0);
  object.Boolean("renewable", false);
  object.String("entity_id", "");
  object.String("token_type", "service");
  object.Boolean("orphan", true);
  object.Null("mfa_requirement");
  object.Integer("num_uses", 0);
  object.Close();
  reply.holds_secret = true;
  return reply;
}

Result<Reply> HandleRevokeSelf(Call& call) {
  KMS_TRY(RevokeRootToken(*call.services.environments.sys(), call.services.tokens));
  return Reply::NoContent();
}

}  // namespace kms::api
