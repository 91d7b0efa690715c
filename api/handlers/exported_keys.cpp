// SPDX-License-Identifier: Apache-2.0
#include "api/handlers/exported_keys.h"

#include <string>

#include "api/pipeline/json_writer.h"

namespace kms::api {

Result<Reply> RenderExportedKeys(Call& call, const Export& export_versions) {
  Reply reply;
  reply.holds_secret = true;
  JsonObject data(reply.data);
  data.Key("keys");
  JsonObject keys(reply.data);
  const auto append = [&](KeyVersionNumber version, ByteView text) {
    call.key_version = version;
    ++call.items;
    keys.String(std::to_string(version), AsText(text));
    return Ok();
  };
  const KeyHandle key = KMS_TRY(export_versions(append));
  keys.Close();
  data.String("name", key->policy().name);
  data.String("type", TraitsOf(key->policy().type).name);
  data.Close();
  return reply;
}

}  // namespace kms::api
