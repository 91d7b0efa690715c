// SPDX-License-Identifier: Apache-2.0
// Finding, or on demand making, the key that a request names.
#pragma once

#include "api/pipeline/call.h"
#include "kms/keys/key.h"
#include "kms/keys/names.h"

namespace kms::api {

// The key of `:name`. Errors: kInvalidArgument "encryption key not found", and as FindKey.
Result<KeyHandle> RequireKey(Call& call);

// Creates the key that an encrypt found missing (transit-api 6.9). Errors: kInvalidArgument for
// types and options that cannot be made this way; those of CreateKey and of recording the attempt.
Result<KeyHandle> CreateOnDemand(Call& call, const KeyName& name, bool with_context);

}  // namespace kms::api
