// SPDX-License-Identifier: Apache-2.0
// How hash and random write bytes: the `format` parameter (transit-api 6.13, 6.14).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms::api {

enum class OutputFormat : std::uint8_t { kHex, kBase64 };

// Errors: kInvalidArgument `unsupported encoding format "x"; must be "hex" or "base64"`.
Result<OutputFormat> ParseOutputFormat(std::string_view name);

// Appends without growing `out` beyond its room of FormattedSize, so that no copy stays behind.
std::size_t FormattedSize(std::size_t bytes);
void AppendFormatted(ByteView bytes, OutputFormat format, std::string& out);

// At most so much of a wrong value as names the mistake, in quotes.
std::string Quoted(std::string_view value);

}  // namespace kms::api
