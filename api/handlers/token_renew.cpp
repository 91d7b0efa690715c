// SPDX-License-Identifier: Apache-2.0
// auth/token/renew, renew-self, renew-accessor (transit-api 10.2).
#include "api/handlers/auth_object.h"
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/presented_token.h"

namespace kms::api {
namespace {

Result<Reply> Renew(Call& call, const Principal& principal, std::string_view token) {
  const Result<PrincipalHandle> renewed =
      call.services.identity.tokens().Renew(principal, call.fields.Integer("increment"));
  if (!renewed.has_value()) {
    return renewed.error().code == ErrorCode::kNotFound ? InvalidArgument("token not found")
                                                        : renewed.error();
  }
  return ReplyWithAuth(**renewed, token, ToUnixSeconds(call.services.clock.Now()));
}

Result<Reply> RenewFound(Call& call, const Result<PrincipalHandle>& found, std::string_view token,
                         std::string_view absent_text) {
  if (!found.has_value()) {
    return found.error().code == ErrorCode::kNotFound ? InvalidArgument(std::string(absent_text))
                                                      : found.error();
  }
  return Renew(call, **found, token);
}

}  // namespace

Result<Reply> HandleRenewSelf(Call& call) {
  return Renew(call, *call.principal, PresentedToken(call.request));
}

Result<Reply> HandleRenewToken(Call& call) {
  const std::string_view token = call.fields.Text("token");
  return RenewFound(call, call.services.identity.tokens().Lookup(token), token, "token not found");
}

Result<Reply> HandleRenewAccessor(Call& call) {
  const Result<PrincipalHandle> found =
      call.services.identity.tokens().LookupAccessor(call.fields.Text("accessor"));
  return RenewFound(call, found, {}, "invalid accessor");
}

}  // namespace kms::api
