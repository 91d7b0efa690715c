// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::api::HeadParser::Advance, FillRequest.
// However the bytes are cut, the result is the same, and what is accepted stays within the bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "api/front/head_parser.h"

namespace {

using kms::api::HeadParser;

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

bool Within(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view bytes{reinterpret_cast<const char*>(data + 1), size - 1};
  const kms::api::HeadLimits limits{
      .max_head_bytes = 1024, .max_headers = 8, .max_field_bytes = 256, .max_target_bytes = 128};
  HeadParser whole{limits};
  const HeadParser::Progress progress = whole.Advance(bytes);
  HeadParser cut{limits};
  cut.Advance(std::string{bytes.substr(0, bytes.size() * data[0] / 256)});
  Require(cut.Advance(bytes) == progress);
  Require(cut.refusal().status == whole.refusal().status);
  if (progress != HeadParser::Progress::kComplete) {
    return 0;
  }
  Require(cut.head_bytes() == whole.head_bytes() && whole.head_bytes() <= bytes.size());
  kms::api::HttpRequest request;
  whole.FillRequest(bytes, request);
  const std::string_view head = bytes.substr(0, whole.head_bytes());
  Require(Within(request.target, head) && Within(request.query, head));
  Require(request.path.starts_with('/') && request.path.find("/../") == std::string_view::npos);
  for (const kms::api::HeaderField& field : request.headers) {
    Require(Within(field.name, head) && Within(field.value, head) && !field.name.empty());
  }
  return 0;
}
