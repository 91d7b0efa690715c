// SPDX-License-Identifier: Apache-2.0
#include "api/handlers/output_format.h"

#include "kms/base/base64.h"

namespace kms::api {
namespace {

constexpr std::size_t kMaxEchoedBytes = 64;
constexpr std::string_view kHexDigits = "0123456789abcdef";

}  // namespace

Result<OutputFormat> ParseOutputFormat(std::string_view name) {
  if (name == "hex") {
    return OutputFormat::kHex;
  }
  if (name == "base64") {
    return OutputFormat::kBase64;
  }
  return InvalidArgument("unsupported encoding format " + Quoted(name) +
                         R"(; must be "hex" or "base64")");
}

std::size_t FormattedSize(std::size_t bytes) { return bytes * 2 + 4; }

void AppendFormatted(ByteView bytes, OutputFormat format, std::string& out) {
  if (format == OutputFormat::kBase64) {
    AppendBase64(bytes, out);
    return;
  }
  for (const std::uint8_t byte : bytes) {
    out += kHexDigits[byte >> 4U];
    out += kHexDigits[byte & 0xFU];
  }
}

std::string Quoted(std::string_view value) {
  return '"' + std::string(value.substr(0, kMaxEchoedBytes)) + '"';
}

}  // namespace kms::api
