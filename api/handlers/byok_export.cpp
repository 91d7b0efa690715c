// SPDX-License-Identifier: Apache-2.0
// GET byok-export/:destination/:source(/:version) (transit-api 6.19).
#include "kms/operations/byok_export.h"

#include "api/handlers/exported_keys.h"
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "kms/crypto/import_blob.h"

namespace kms::api {

Result<Reply> HandleByokExport(Call& call) {
  const KeyName destination = KMS_TRY(KeyName::Parse(call.fields.Text("destination")));
  const KeyName source = KMS_TRY(KeyName::Parse(call.fields.Text("source")));
  const std::string_view hash_name = call.fields.Text("hash");
  const std::optional<HashAlgorithm> hash = FindImportHash(hash_name);
  if (!hash) {
    return InvalidArgument("unknown hash function: " + std::string(hash_name.substr(0, 64)));
  }
  const ByokExportRequest request{.hash = *hash, .version = call.fields.Text("version")};
  return RenderExportedKeys(call, [&](const ExportVisitor& visit) {
    return ByokExport(*call.environment, destination, source, request, visit);
  });
}

}  // namespace kms::api
