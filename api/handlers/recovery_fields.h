// SPDX-License-Identifier: Apache-2.0
// Recovery recipients as requests carry them.
#pragma once

#include <cstdint>

#include "api/pipeline/json_body.h"
#include "kms/base/result.h"
#include "kms/recovery/recipients.h"

namespace kms::api {

// `members` is an object of names with public keys in PEM form. Errors: kInvalidArgument naming the
// recipient; as RecoveryRecipients::Check.
Result<RecoveryRecipients> ReadRecipientFields(std::int64_t threshold, JsonView members);

}  // namespace kms::api
