// SPDX-License-Identifier: Apache-2.0
// The answer of export and byok-export: {"name","type","keys":{version: text}}.
#pragma once

#include <functional>

#include "api/pipeline/call.h"
#include "api/pipeline/reply.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/operations/exported_versions.h"

namespace kms::api {

// Hands its visitor to an export, which returns the exported key.
using Export = std::function<Result<KeyHandle>(const ExportVisitor& visit)>;

// Renders what `export_versions` exports; the answer is wiped after sending, and the audit record
// counts the versions. Errors: of `export_versions`.
Result<Reply> RenderExportedKeys(Call& call, const Export& export_versions);

}  // namespace kms::api
