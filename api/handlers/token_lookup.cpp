// SPDX-License-Identifier: Apache-2.0
// auth/token/lookup, lookup-self, lookup-accessor, accessors (transit-api 10.2).
#include <algorithm>

#include "api/handlers/auth_object.h"
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "api/pipeline/presented_token.h"

namespace kms::api {
namespace {

constexpr std::size_t kMaxListed = 100'000;

std::int64_t Now(const Call& call) { return ToUnixSeconds(call.services.clock.Now()); }

}  // namespace

// The token goes back to whoever just presented it, as clients expect; the answer is wiped.
Result<Reply> HandleLookupSelf(Call& call) {
  const Principal& principal = *call.principal;
  const Result<std::int64_t> left = call.services.identity.tokens().UsesLeft(principal);
  // With its last use, for this very request, the token went.
  if (!left.has_value() && left.error().code != ErrorCode::kNotFound) {
    return left.error();
  }
  return ReplyWithTokenInfo(principal, PresentedToken(call.request), left.value_or(0), Now(call));
}

Result<Reply> HandleLookupToken(Call& call) {
  const std::string_view token = call.fields.Text("token");
  if (token.empty()) {
    return HandleLookupSelf(call);
  }
  const Result<PrincipalHandle> found = call.services.identity.tokens().Lookup(token);
  if (!found.has_value()) {
    return found.error().code == ErrorCode::kNotFound
               ? MakeError(ErrorCode::kPermissionDenied, "bad token")
               : found.error();
  }
  return ReplyWithTokenInfo(**found, token, (*found)->num_uses, Now(call));
}

Result<Reply> HandleLookupAccessor(Call& call) {
  const Result<PrincipalHandle> found =
      call.services.identity.tokens().LookupAccessor(call.fields.Text("accessor"));
  if (!found.has_value()) {
    return found.error().code == ErrorCode::kNotFound ? InvalidArgument("invalid accessor")
                                                      : found.error();
  }
  return ReplyWithTokenInfo(**found, {}, (*found)->num_uses, Now(call));
}

Result<Reply> HandleListAccessors(Call& call) {
  const std::int64_t limit = call.fields.Integer("limit");
  const std::size_t most = limit > 0 ? static_cast<std::size_t>(limit) : kMaxListed;
  const std::vector<std::string> accessors = KMS_TRY(call.services.identity.tokens().ListAccessors(
      call.fields.Text("after"), std::min(most, kMaxListed)));
  if (accessors.empty()) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  AppendTexts("keys", accessors, object, data);
  object.Close();
  return Reply::Data(std::move(data));
}

}  // namespace kms::api
