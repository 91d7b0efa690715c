// SPDX-License-Identifier: Apache-2.0
#include "api/handlers/policy_question.h"

#include "api/handlers/route_table.h"

namespace kms::api {
namespace {

Result<PrincipalHandle> Found(Result<PrincipalHandle> looked_up, const char* text) {
  if (!looked_up && looked_up.error().code == ErrorCode::kNotFound) {
    return InvalidArgument(text);
  }
  return looked_up;
}

}  // namespace

Result<PrincipalHandle> OwnerOfToken(const Call& call) {
  const std::string_view token = call.fields.Text("token");
  if (token.empty()) {
    return InvalidArgument("missing token");
  }
  return Found(call.services.identity.tokens().Lookup(token), "invalid token");
}

Result<PrincipalHandle> OwnerOfAccessor(const Call& call) {
  const std::string_view accessor = call.fields.Text("accessor");
  if (accessor.empty()) {
    return InvalidArgument("missing accessor");
  }
  return Found(call.services.identity.tokens().LookupAccessor(accessor), "invalid accessor");
}

void MatchAsRequest(const Call& call, HttpMethod method, std::string_view path, RouteMatch& match) {
  path.remove_prefix(path.starts_with('/') ? 1 : 0);
  const std::string target = "/v1/" + std::string(path);
  HttpRequest request;
  request.method = method;
  request.path = target;
  if (!call.name_space.empty()) {
    request.headers.push_back({.name = "X-Vault-Namespace", .value = call.name_space});
  }
  const Router router(RouteTable(), call.services.environments, call.services.identity.mounts());
  router.Match(request, match);
  if (match.policy_path.empty()) {
    match.policy_path = path;
  }
}

}  // namespace kms::api
