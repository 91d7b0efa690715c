// SPDX-License-Identifier: Apache-2.0
// Passwords and the like: from a file, standard input or the terminal without echo; never from an
// argument, which others on the machine can read.
#pragma once

#include <string>
#include <string_view>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms::tools {

// The first line of `file` ("-": of standard input); without one, what is typed on the terminal
// after `question`. The line's end is not part of it.
// Errors: kInvalidArgument (unreadable, empty, more than 4096 bytes, or no terminal to ask on).
Result<PlaintextBuffer> ReadSecretLine(const std::string& file, std::string_view question);

// Whether somebody can be asked.
bool HasTerminal();

}  // namespace kms::tools
