// SPDX-License-Identifier: Apache-2.0
// TokenParameters as a part of the records of roles and users.
#pragma once

#include "kms/auth/token_parameters.h"
#include "kms/base/record_codec.h"

namespace kms {

void PutTokenParameters(const TokenParameters& parameters, RecordWriter& writer);

// Damage makes the reader fail; what is returned then means nothing.
TokenParameters GetTokenParameters(RecordReader& reader);

}  // namespace kms
