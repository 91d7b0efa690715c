// SPDX-License-Identifier: Apache-2.0
#include "api/handlers/approle_fields.h"

#include "api/handlers/auth_object.h"
#include "api/handlers/token_parameter_fields.h"

namespace kms::api {

Result<IdentityName> RoleName(const Call& call) {
  return IdentityName::Parse(call.fields.Text("name"));
}

Status ApplyAppRoleFields(const Fields& fields, AppRoleSettings& settings) {
  settings.bind_secret_id =
      fields.OptionalBoolean("bind_secret_id").value_or(settings.bind_secret_id);
  settings.local_secret_ids =
      fields.OptionalBoolean("local_secret_ids").value_or(settings.local_secret_ids);
  settings.secret_id_num_uses =
      fields.OptionalInteger("secret_id_num_uses").value_or(settings.secret_id_num_uses);
  settings.secret_id_ttl_seconds =
      fields.OptionalInteger("secret_id_ttl").value_or(settings.secret_id_ttl_seconds);
  // The name of old clients first: it loses against the current one.
  for (const std::string_view name : {"bound_cidr_list", "secret_id_bound_cidrs"}) {
    if (fields.Has(name)) {
      settings.secret_id_bound_cidrs = KMS_TRY(CidrField(fields, name));
    }
  }
  return ApplyTokenParameters(fields, settings.parameters);
}

Reply ReplyWithKeys(const std::vector<std::string>& keys) {
  if (keys.empty()) {
    return Reply::Absent();
  }
  std::string data;
  JsonObject object(data);
  AppendTexts("keys", keys, object, data);
  object.Close();
  return Reply::Data(std::move(data));
}

void AppendCidrs(std::string_view key, const std::vector<CidrBlock>& blocks, JsonObject& object,
                 std::string& out) {
  std::vector<std::string> texts;
  for (const CidrBlock& block : blocks) {
    texts.push_back(block.ToText());
  }
  AppendTexts(key, texts, object, out);
}

}  // namespace kms::api
