// SPDX-License-Identifier: Apache-2.0
// Rendering of answers from constant pieces; numbers are the only thing formatted.
#include "api/front/response_writer.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace kms::api {
namespace {

struct StatusLine {
  int status;
  std::string_view line;
};

#define KMS_STATUS_LINE(code, text) {code, "HTTP/1.1 " #code " " text "\r\n"}
constexpr std::array kStatusLines{
    StatusLine KMS_STATUS_LINE(200, "OK"),
    StatusLine KMS_STATUS_LINE(204, "No Content"),
    StatusLine KMS_STATUS_LINE(304, "Not Modified"),
    StatusLine KMS_STATUS_LINE(307, "Temporary Redirect"),
    StatusLine KMS_STATUS_LINE(400, "Bad Request"),
    StatusLine KMS_STATUS_LINE(401, "Unauthorized"),
    StatusLine KMS_STATUS_LINE(403, "Forbidden"),
    StatusLine KMS_STATUS_LINE(404, "Not Found"),
    StatusLine KMS_STATUS_LINE(405, "Method Not Allowed"),
    StatusLine KMS_STATUS_LINE(408, "Request Timeout"),
    StatusLine KMS_STATUS_LINE(409, "Conflict"),
    StatusLine KMS_STATUS_LINE(411, "Length Required"),
    StatusLine KMS_STATUS_LINE(412, "Precondition Failed"),
    StatusLine KMS_STATUS_LINE(413, "Content Too Large"),
    StatusLine KMS_STATUS_LINE(414, "URI Too Long"),
    StatusLine KMS_STATUS_LINE(415, "Unsupported Media Type"),
    StatusLine KMS_STATUS_LINE(417, "Expectation Failed"),
    StatusLine KMS_STATUS_LINE(422, "Unprocessable Content"),
    StatusLine KMS_STATUS_LINE(429, "Too Many Requests"),
    StatusLine KMS_STATUS_LINE(431, "Request Header Fields Too Large"),
    StatusLine KMS_STATUS_LINE(472, "Standby"),
    StatusLine KMS_STATUS_LINE(473, "Standby"),
    StatusLine KMS_STATUS_LINE(500, "Internal Server Error"),
    StatusLine KMS_STATUS_LINE(501, "Not Implemented"),
    StatusLine KMS_STATUS_LINE(502, "Bad Gateway"),
    StatusLine KMS_STATUS_LINE(503, "Service Unavailable"),
    StatusLine KMS_STATUS_LINE(504, "Gateway Timeout"),
    StatusLine KMS_STATUS_LINE(505, "HTTP Version Not Supported"),
};
#undef KMS_STATUS_LINE

constexpr std::string_view kStandardHeaders =
    "Cache-Control: no-store\r\n"
    "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
    "X-Content-Type-Options: nosniff\r\n";

void AppendNumber(std::uint64_t number, Buffer& out) {
  std::array<char, 20> digits{};
  const auto [end, error] = std::to_chars(digits.begin(), digits.end(), number);
  out.Append({digits.data(), end});
}

void AppendStatusLine(int status, Buffer& out) {
  for (const StatusLine& known : kStatusLines) {
    if (known.status == status) {
      out.Append(known.line);
      return;
    }
  }
  out.Append("HTTP/1.1 ");
  AppendNumber(static_cast<std::uint64_t>(status), out);
  out.Append(" \r\n");
}

// A value may echo what a client sent; a line end in it would let the client write headers.
bool IsSafe(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char byte) { return byte == '\r' || byte == '\n' || byte == '\0'; });
}

void AppendField(std::string_view name, std::string_view value, Buffer& out) {
  if (!IsSafe(name) || !IsSafe(value)) {
    return;
  }
  out.Append(name);
  out.Append(": ");
  out.Append(value);
  out.Append("\r\n");
}

}  // namespace

void AppendResponse(const HttpResponse& response, ResponseForm form, Buffer& out) {
  const bool has_body = response.status != 204 && response.status != 304;
  AppendStatusLine(response.status, out);
  out.Append(kStandardHeaders);
  if (has_body) {
    if (!response.content_type.empty()) {
      AppendField("Content-Type", response.content_type, out);
    }
    out.Append("Content-Length: ");
    AppendNumber(response.body.size(), out);
    out.Append("\r\n");
  }
  for (const auto& [name, value] : response.headers) {
    AppendField(name, value, out);
  }
  if (form.close) {
    out.Append("Connection: close\r\n");
  } else if (form.say_keep_alive) {
    out.Append("Connection: keep-alive\r\n");
  }
  out.Append("\r\n");
  if (has_body && !form.head_only) {
    out.Append(response.body);
  }
}

}  // namespace kms::api
