// SPDX-License-Identifier: Apache-2.0
// sys/policies/acl and the older sys/policy (transit-api 9.7).
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "api/handlers/auth_object.h"
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "kms/auth/acl.h"
#include "kms/auth/identity_name.h"
#include "kms/base/base64.h"

namespace kms::api {
namespace {

Result<IdentityName> NameOf(const Call& call) {
  return IdentityName::Parse(call.fields.Text("name"));
}

// The document, out of base64 where it came so: no document is base64 by chance, for each has
// quotes, blanks or braces. Errors: kInvalidArgument when there is none.
Result<std::string> TextOf(const Call& call) {
  std::string_view given = call.fields.Text("policy");
  if (given.empty()) {
    given = call.fields.Text("rules");
  }
  const Result<Bytes> decoded = Base64Decode(given);
  std::string text(decoded.has_value() ? AsText(*decoded) : given);
  if (text.empty()) {
    return InvalidArgument("'policy' parameter not supplied or empty");
  }
  return text;
}

// Whoever could change a policy that they have could give themselves everything: that takes sudo on
// the path, which an ordinary grant of create and update does not hold (U21).
Status MayChange(const Call& call, const IdentityName& name) {
  const Principal& principal = *call.principal;
  const bool own = std::ranges::find(principal.policies, name.text()) != principal.policies.end();
  if (own && !call.May(Capability::kSudo)) {
    return MakeError(ErrorCode::kPermissionDenied,
                     "permission denied: changing a policy that the caller's own token has needs "
                     "sudo on its path");
  }
  return Ok();
}

Result<Reply> ReadPolicy(Call& call, std::string_view text_key) {
  const IdentityName name = KMS_TRY(NameOf(call));
  const std::optional<StoredPolicy> policy = call.services.identity.policies().Get(name);
  if (!policy) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  object.String("name", policy->name);
  object.String(text_key, policy->text);
  object.Close();
  return Reply::Data(std::move(data));
}

}  // namespace

Result<Reply> HandleListPolicies(Call& call) {
  const std::vector<std::string> names = call.services.identity.policies().List();
  std::string data;
  JsonObject object(data);
  AppendTexts("keys", names, object, data);
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleListOldPolicies(Call& call) {
  const std::vector<std::string> names = call.services.identity.policies().List();
  std::string data;
  JsonObject object(data);
  AppendTexts("keys", names, object, data);
  AppendTexts("policies", names, object, data);
  object.Close();
  return Reply::Data(std::move(data));
}

Result<Reply> HandleReadPolicy(Call& call) { return ReadPolicy(call, "policy"); }

Result<Reply> HandleReadOldPolicy(Call& call) { return ReadPolicy(call, "rules"); }

Result<Reply> HandleWritePolicy(Call& call) {
  const IdentityName name = KMS_TRY(NameOf(call));
  const std::string text = KMS_TRY(TextOf(call));
  KMS_TRY(MayChange(call, name));
  KMS_TRY(call.services.identity.policies().Put(name, text));
  if (name.text() == call.fields.Text("name")) {
    return Reply::NoContent();
  }
  Reply reply;
  reply.warnings.push_back("policy name was converted to " + name.text());
  return reply;
}

Result<Reply> HandleDeletePolicy(Call& call) {
  const IdentityName name = KMS_TRY(NameOf(call));
  KMS_TRY(MayChange(call, name));
  KMS_TRY(call.services.identity.policies().Delete(name));
  return Reply::NoContent();
}

}  // namespace kms::api
