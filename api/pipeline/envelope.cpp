// SPDX-License-Identifier: Apache-2.0
// Envelope, hoisting and error bodies.
#include "api/pipeline/envelope.h"

#include <openssl/crypto.h>

#include <array>
#include <cstring>

#include "api/pipeline/json_writer.h"
#include "kms/base/random.h"

namespace kms::api {
namespace {

constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kIdsPerRefill = 64;

// Sixteen fresh random bytes; one system call serves many requests.
std::array<std::uint8_t, kIdBytes> NextIdBytes() {
  thread_local std::array<std::uint8_t, kIdBytes * kIdsPerRefill> pool;
  thread_local std::size_t used = pool.size();
  if (used == pool.size()) {
    FillRandom(pool);
    used = 0;
  }
  std::array<std::uint8_t, kIdBytes> bytes;
  std::memcpy(bytes.data(), pool.data() + used, kIdBytes);
  used += kIdBytes;
  return bytes;
}

void AppendNullable(std::string_view key, std::string_view json, std::string& out) {
  out += '"';
  out += key;
  out += "\":";
  out += json.empty() ? std::string_view("null") : json;
}

void AppendWarnings(const std::vector<std::string>& warnings, std::string& out) {
  if (warnings.empty()) {
    out += "null";
    return;
  }
  JsonArray array(out);
  for (const std::string& warning : warnings) {
    AppendJsonString(warning, array.Next());
  }
  array.Close();
}

// The members of an object without its braces, with a comma in front.
void AppendHoisted(std::string_view object, std::string& out) {
  if (object.size() > 2) {
    out += ',';
    out += object.substr(1, object.size() - 2);
  }
}

void WriteEnvelope(const Reply& reply, const EnvelopeOptions& options, std::string& out) {
  out.reserve(out.size() + reply.data.size() * (options.hoisted ? 2 : 1) + reply.auth.size() +
              reply.wrap_info.size() + 512);
  AppendEnvelopeHead(options.request_id, out);
  out += reply.data.empty() ? std::string_view("null") : std::string_view(reply.data);
  out += ',';
  AppendNullable("wrap_info", reply.wrap_info, out);
  out += R"(,"warnings":)";
  AppendWarnings(reply.warnings, out);
  out += ',';
  AppendNullable("auth", reply.auth, out);
  out += ",\"mount_type\":";
  AppendJsonString(options.mount_type, out);
  if (options.hoisted) {
    AppendHoisted(reply.data, out);
  }
  out += "}\n";
}

}  // namespace

RequestId::RequestId() {
  constexpr std::string_view kHex = "0123456789abcdef";
  auto bytes = NextIdBytes();
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0FU) | 0x40U);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3FU) | 0x80U);
  char* out = text_;
  for (std::size_t i = 0; i < kIdBytes; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      *out++ = '-';
    }
    *out++ = kHex[bytes[i] >> 4U];
    *out++ = kHex[bytes[i] & 0x0FU];
  }
}

void AppendEnvelopeHead(std::string_view request_id, std::string& out) {
  out += R"({"request_id":")";
  out += request_id;
  out += R"(","lease_id":"","renewable":false,"lease_duration":0,"data":)";
}

void AppendEnvelopeTail(std::string_view mount_type, std::string& out) {
  out += R"(,"wrap_info":null,"warnings":null,"auth":null,"mount_type":")";
  out += mount_type;
  out += "\"}\n";
}

void WriteReply(Reply& reply, const EnvelopeOptions& options, HttpResponse& response) {
  response.Clear();
  response.status = reply.status;
  response.holds_secret = reply.holds_secret;
  response.content_type = reply.content_type;
  switch (reply.kind) {
    case Reply::Kind::kData:
    case Reply::Kind::kWrapped: WriteEnvelope(reply, options, response.body); break;
    case Reply::Kind::kNoContent: response.content_type = {}; break;
    case Reply::Kind::kAbsent: WriteErrorBody(reply.status, {}, response); break;
    case Reply::Kind::kRefused: WriteErrorBody(reply.status, Wrapped(reply.data), response); break;
    case Reply::Kind::kBare:
      response.body = std::move(reply.data);
      // Texts end a line; a file is what it is, byte for byte.
      if (reply.content_type != "application/octet-stream") {
        response.body += '\n';
      }
      break;
  }
  if (reply.holds_secret) {
    for (std::string* text : {&reply.data, &reply.auth, &reply.wrap_info}) {
      OPENSSL_cleanse(text->data(), text->size());
    }
  }
}

void WriteErrorBody(int status, std::string_view text, HttpResponse& response) {
  response.Clear();
  response.status = status;
  response.content_type = "application/json";
  response.body += R"({"errors":[)";
  if (!text.empty()) {
    AppendJsonString(text, response.body);
  }
  response.body += "]}\n";
}

std::string Wrapped(std::string_view text) {
  std::string out = "1 error occurred:\n\t* ";
  out += text;
  out += "\n\n";
  return out;
}

}  // namespace kms::api
