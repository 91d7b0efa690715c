// SPDX-License-Identifier: Apache-2.0
// Soft delete and restore: a soft-deleted key keeps everything and refuses every use
// (transit-api 6.8).
#pragma once

#include "kms/base/result.h"
#include "kms/operations/environment.h"

namespace kms {

struct SoftDeleteOutcome {
  KeyHandle key;             // nullptr: there is no such key
  bool was_already = false;  // nothing was changed
};

// From the return on no lane uses the key, its prepared ciphers included; what was begun before may
// still finish. Errors: store errors.
Result<SoftDeleteOutcome> SoftDeleteKey(Environment& environment, const KeyName& name);
// Undoes it. Errors: store errors.
Result<SoftDeleteOutcome> RestoreSoftDeletedKey(Environment& environment, const KeyName& name);

}  // namespace kms
