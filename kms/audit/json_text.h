// SPDX-License-Identifier: Apache-2.0
// Writes JSON strings and numbers onto the end of a reused string.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kms {

// Appends `text` as a JSON string with its quotes, on one line and inert on any terminal: control
// characters (C0, DEL, C1), line and paragraph separators and direction overrides are escaped,
// invalid UTF-8 becomes U+FFFD. At most `max_bytes` bytes of `text` are used; "..." marks a cut.
void AppendJsonString(std::string_view text, std::size_t max_bytes, std::string& out);

void AppendJsonNumber(std::int64_t number, std::string& out);
void AppendJsonNumber(std::uint64_t number, std::string& out);

}  // namespace kms
