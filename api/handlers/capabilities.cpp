// SPDX-License-Identifier: Apache-2.0
// sys/capabilities, -self, -accessor: what a token may do on a path (transit-api 9.6).
#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/handlers/auth_object.h"
#include "api/handlers/handlers.h"
#include "api/handlers/policy_question.h"
#include "api/handlers/token_parameter_fields.h"
#include "api/pipeline/json_writer.h"
#include "kms/auth/acl.h"

namespace kms::api {
namespace {

// In the order of their names.
constexpr std::array kAll = {Capability::kCreate, Capability::kDelete, Capability::kDeny,
                             Capability::kList,   Capability::kPatch,  Capability::kRead,
                             Capability::kScan,   Capability::kSudo,   Capability::kUpdate};

Result<std::vector<std::string>> PathsOf(const Call& call) {
  std::vector<std::string> paths = KMS_TRY(ListField(call.fields, "paths"));
  if (paths.empty()) {
    paths = KMS_TRY(ListField(call.fields, "path"));
  }
  if (paths.empty()) {
    return InvalidArgument("paths must be supplied");
  }
  // Each path is a member of the answer, so it stands there once.
  std::set<std::string_view> seen;
  std::vector<std::string> unique;
  for (const std::string& path : paths) {
    if (seen.insert(path).second) {
      unique.push_back(path);
    }
  }
  return unique;
}

std::vector<std::string> CapabilitiesOf(const Call& call, const Principal& principal,
                                        std::string_view path) {
  if (principal.is_root) {
    return {"root"};
  }
  RouteMatch match;
  MatchAsRequest(call, path.ends_with('/') ? HttpMethod::kList : HttpMethod::kGet, path, match);
  const CapabilitySet set = principal.acl->CapabilitiesOn(match.policy_path);
  std::vector<std::string> names;
  for (const Capability capability : kAll) {
    if (set.Has(capability)) {
      names.emplace_back(CapabilityName(capability));
    }
  }
  return names;
}

Result<Reply> Answer(const Call& call, const Principal& principal) {
  const std::vector<std::string> paths = KMS_TRY(PathsOf(call));
  std::string data;
  JsonObject object(data);
  for (const std::string& path : paths) {
    AppendTexts(path, CapabilitiesOf(call, principal, path), object, data);
  }
  if (paths.size() == 1 && paths.front() != "capabilities") {
    AppendTexts("capabilities", CapabilitiesOf(call, principal, paths.front()), object, data);
  }
  object.Close();
  return Reply::Data(std::move(data));
}

}  // namespace

Result<Reply> HandleCapabilitiesSelf(Call& call) { return Answer(call, *call.principal); }

Result<Reply> HandleCapabilities(Call& call) {
  const PrincipalHandle owner = KMS_TRY(OwnerOfToken(call));
  return Answer(call, *owner);
}

Result<Reply> HandleCapabilitiesOfAccessor(Call& call) {
  const PrincipalHandle owner = KMS_TRY(OwnerOfAccessor(call));
  return Answer(call, *owner);
}

}  // namespace kms::api
