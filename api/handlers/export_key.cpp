// SPDX-License-Identifier: Apache-2.0
// GET export/:type/:name(/:version) (transit-api 6.18).
#include "kms/operations/export_key.h"

#include "api/handlers/exported_keys.h"
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "kms/keys/names.h"

namespace kms::api {
namespace {

Result<ExportRequest> ReadRequest(const Fields& fields) {
  const std::string_view type_name = fields.Text("type");
  const std::optional<ExportType> type = FindExportType(type_name);
  if (!type) {
    return InvalidArgument("invalid export type: " + std::string(type_name.substr(0, 64)));
  }
  const std::string_view format_name = fields.Text("format");
  const std::optional<KeyFormat> format = FindKeyFormat(format_name);
  if (!format) {
    return InvalidArgument("invalid format: " + std::string(format_name.substr(0, 64)));
  }
  return ExportRequest{.type = *type, .version = fields.Text("version"), .format = *format};
}

}  // namespace

Result<Reply> HandleExport(Call& call) {
  const ExportRequest request = KMS_TRY(ReadRequest(call.fields));
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  const KeyHandle key = KMS_TRY(call.environment->FindKey(name));
  if (key == nullptr) {
    return Reply::Absent();
  }
  return RenderExportedKeys(call, [&](const ExportVisitor& visit) -> Result<KeyHandle> {
    KMS_TRY(ExportKey(*key, request, visit));
    return key;
  });
}

}  // namespace kms::api
