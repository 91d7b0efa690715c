// SPDX-License-Identifier: Apache-2.0
// POST random(/:source)(/:bytes), also as sys/tools/random (transit-api 6.13).
#include "kms/operations/random.h"

#include <charconv>

#include "api/handlers/handlers.h"
#include "api/handlers/output_format.h"
#include "api/pipeline/call.h"

namespace kms::api {
namespace {

constexpr std::string_view kReplacedSource =
    "Endpoint replaced the value of these parameters with the values captured from the endpoint's "
    "path: [source]";

bool Captures(const Route& route, std::string_view segment) {
  return route.pattern.find(segment) != std::string_view::npos;
}

Result<std::int64_t> ParseByteCount(std::string_view text) {
  std::int64_t bytes = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, bytes);
  if (error != std::errc() || stop != end) {
    return InvalidArgument("error parsing url-set byte count: not a decimal number");
  }
  return bytes;
}

// The one segment of random/x is a source or a byte count; without it the source is the platform,
// whatever the body says, as in the reference servers.
Result<RandomRequest> ReadRequest(const Call& call) {
  RandomRequest request{.bytes = call.fields.Integer("bytes"), .source = RandomSource::kPlatform};
  if (!Captures(call.route, "{source}")) {
    return request;
  }
  const std::string_view text = call.fields.Text("source");
  const std::optional<RandomSource> source = FindRandomSource(text);
  const bool has_both = Captures(call.route, "{bytes}");
  if (has_both || !source) {
    request.bytes = KMS_TRY(ParseByteCount(has_both ? call.fields.Text("bytes") : text));
  }
  if (has_both && !source) {
    return InvalidArgument("unsupported entropy source " + Quoted(text) +
                           R"(; must be "platform" or "seal", or "all")");
  }
  request.source = source.value_or(RandomSource::kPlatform);
  return request;
}

}  // namespace

Result<Reply> HandleRandom(Call& call) {
  const RandomRequest request = KMS_TRY(ReadRequest(call));
  KMS_TRY(CheckRandomBytes(request.bytes));
  const OutputFormat format = KMS_TRY(ParseOutputFormat(call.fields.Text("format")));
  PlaintextBuffer random;
  KMS_TRY(GenerateRandom(call.services.environments.hsm_randomness(), request, random));
  Reply reply;
  reply.holds_secret = true;
  reply.data.reserve(FormattedSize(random.size()) + 32);
  reply.data = R"({"random_bytes":")";
  AppendFormatted(random.View(), format, reply.data);
  reply.data += "\"}";
  if (!Captures(call.route, "{source}") && call.fields.Has("source")) {
    reply.warnings.emplace_back(kReplacedSource);
  }
  return reply;
}

}  // namespace kms::api
