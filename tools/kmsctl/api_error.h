// SPDX-License-Identifier: Apache-2.0
// Turns an answer that is not a success into an error that says what to do next.
#pragma once

#include <string_view>

#include "kms/base/error.h"

namespace kms::tools {

// `text` is the first of the answer's "errors", empty when there is none.
Error ApiError(int status, std::string_view text);

// True for the answer to a read or list of nothing: 404 without a text.
bool IsEmptyAnswer(int status, std::string_view text);

}  // namespace kms::tools
