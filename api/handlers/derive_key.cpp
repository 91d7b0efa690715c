// SPDX-License-Identifier: Apache-2.0
// POST derive-key/:name (transit-api 6.27).
#include "kms/operations/derive_key.h"

#include "api/handlers/handlers.h"
#include "api/handlers/import_source.h"
#include "api/pipeline/call.h"

namespace kms::api {

Result<Reply> HandleDeriveKey(Call& call) {
  const Fields& fields = call.fields;
  const KeyName name = KMS_TRY(KeyName::Parse(fields.Text("name")));
  const std::string_view type_name = fields.Text("derived_key_type");
  const std::optional<KeyType> type = FindTypeInAnyCase(type_name);
  if (!type) {
    return InvalidArgument("unknown key type " + std::string(type_name.substr(0, 64)));
  }
  const DeriveKeyRequest request{.algorithm = fields.Text("key_derivation_algorithm"),
                                 .peer_public_key = fields.Text("peer_public_key"),
                                 .base_key_name = fields.Text("base_key_name"),
                                 .base_key_version = fields.Integer("base_key_version"),
                                 .type = *type};
  KMS_TRY(DeriveKey(*call.environment, name, request));
  call.key_version = 1;
  return Reply::NoContent();
}

}  // namespace kms::api
