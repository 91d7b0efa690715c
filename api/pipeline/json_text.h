// SPDX-License-Identifier: Apache-2.0
// JSON trees back as text, for the few answers that repeat what a client sent.
#pragma once

#include <string>

#include "api/pipeline/json_body.h"

namespace kms::api {

// Appends `value` in its one compact form: members in bytewise order, numbers as they were read.
// The tree is as deep as JsonLimits allow. `out` is the caller's to wipe; reserve it first, growing
// leaves copies behind.
void AppendJson(JsonView value, std::string& out);

}  // namespace kms::api
