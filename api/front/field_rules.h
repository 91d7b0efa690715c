// SPDX-License-Identifier: Apache-2.0
// What header fields mean for framing: which may stand once, how long the body is, what is refused.
#pragma once

#include <cstdint>
#include <string_view>

#include "api/front/http_message.h"
#include "api/front/refusal.h"

namespace kms::api {

enum class BodyFraming : std::uint8_t { kNone, kLength, kChunked };

struct HeadFacts {
  HttpMethod method = HttpMethod::kGet;
  bool http_1_0 = false;
  bool keep_alive = true;
  bool expects_continue = false;
  bool form = false;  // Content-Type: application/x-www-form-urlencoded
  BodyFraming framing = BodyFraming::kNone;
  std::uint64_t content_length = 0;
};

// Looks at the fields of one head in order, then at what they amount to.
class FieldRules {
 public:
  FieldRules(HeadFacts& facts, std::uint64_t max_body_bytes)
      : facts_(&facts), max_body_bytes_(max_body_bytes) {}

  Refusal Accept(std::string_view name, std::string_view value);
  Refusal Finish();

 private:
  Refusal AcceptContentLength(std::string_view value);
  Refusal AcceptExpect(std::string_view value);
  void AcceptConnection(std::string_view value);

  HeadFacts* facts_;
  std::uint64_t max_body_bytes_;
  std::uint32_t seen_ = 0;  // one bit per known field
  bool asked_to_close_ = false;
  bool too_large_ = false;
  bool unknown_expectation_ = false;
  bool encoded_ = false;
  bool multipart_ = false;
};

}  // namespace kms::api
