// SPDX-License-Identifier: Apache-2.0
// CRC-32C from end to end: sent with what goes out, compared with what comes back.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "kms/base/result.h"
#include "tools/kmsctl/data_verb.h"
#include "tools/kmsctl/json_body.h"

namespace kms::tools {

// Adds those of one input to the object that `body` has open.
void AddChecksums(JsonBody& body, const DataVerb& verb, std::string_view input,
                  const DataParameters& parameters);

enum class ChecksumAnswer { kVerified, kUnknownToServer };

// Whether the server compared what it was sent and says what its result's checksum is. To be asked
// before the result is taken out. Errors: kCorrupted when the result does not match.
Result<ChecksumAnswer> CheckAnswer(const nlohmann::json& result, const DataVerb& verb,
                                   const DataParameters& parameters);

// Tells the user that the server does not know checksums.
void NoteUnknownChecksums();

}  // namespace kms::tools
