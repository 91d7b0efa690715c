// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::api::GuardJson, kms::api::JsonBody::Parse, ParseForm. What the guard
// passes is parsed within the limits; no error text holds input.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "api/pipeline/json_body.h"
#include "api/pipeline/json_guard.h"
#include "kms/base/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = kms::AsText({data, size});
  const kms::api::JsonLimits limits{.max_depth = 16, .max_strings = 64, .max_containers = 32};
  const auto guarded = kms::api::GuardJson(text, limits);
  if (guarded && guarded->size() > text.size()) {
    std::abort();
  }
  const auto body = kms::api::JsonBody::Parse(text, limits);
  if (body && body->root().kind() != kms::api::JsonKind::kObject) {
    std::abort();
  }
  if (!body && body.error().code != kms::ErrorCode::kInvalidArgument) {
    std::abort();
  }
  const auto form = kms::api::JsonBody::ParseForm(text, limits);
  if (form && form->root().kind() != kms::api::JsonKind::kObject) {
    std::abort();
  }
  return 0;
}
