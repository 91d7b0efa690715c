// SPDX-License-Identifier: Apache-2.0
// HeadParser: a strict, incremental parser of HTTP/1.1 request heads. What it accepts has one
// reading only, whoever else looks at the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/front/field_rules.h"
#include "api/front/http_message.h"
#include "api/front/refusal.h"
#include "api/front/target.h"

namespace kms::api {

struct HeadLimits {
  std::size_t max_head_bytes = 16U << 10U;    // beyond: 431
  std::size_t max_headers = 64;               // beyond: 431
  std::size_t max_field_bytes = 8U << 10U;    // one header line; beyond: 431
  std::size_t max_target_bytes = 2U << 10U;   // beyond: 414
  std::uint64_t max_body_bytes = 32U << 20U;  // beyond: 413
};

// Thread rule: like a plain value. `limits` must outlive the parser.
class HeadParser {
 public:
  enum class Progress : std::uint8_t { kNeedMore, kComplete, kRefused };

  explicit HeadParser(const HeadLimits& limits) : limits_(&limits) {}

  // `bytes` is all that was received of this request, from its first byte on; it may lie elsewhere
  // than at the call before. The result depends on the bytes only, not on how they were cut.
  Progress Advance(std::string_view bytes);

  // After kRefused; the connection must then be closed.
  [[nodiscard]] Refusal refusal() const { return refusal_; }

  // After kComplete.
  [[nodiscard]] std::size_t head_bytes() const { return line_begin_; }
  [[nodiscard]] const HeadFacts& facts() const { return facts_; }
  // Sets method, target, path, query and headers as views into `bytes` (and, for an escaped path,
  // into this parser).
  void FillRequest(std::string_view bytes, HttpRequest& request) const;

  // Ready for the next request.
  void Reset();

 private:
  struct Slice {
    std::uint32_t at = 0;
    std::uint32_t bytes = 0;
    [[nodiscard]] std::string_view Of(std::string_view whole) const {
      return whole.substr(at, bytes);
    }
  };
  struct Field {
    Slice name;
    Slice value;
  };

  [[nodiscard]] bool InRequestLine() const { return line_begin_ == 0; }
  [[nodiscard]] Refusal TooLong() const;
  // The index of the first byte that may not stand within a line, or of the limit.
  [[nodiscard]] std::size_t ScanLine(std::string_view bytes, std::size_t stop) const;
  // `end` is the index of the line's CR.
  void AcceptLine(std::string_view bytes, std::size_t end);
  Refusal AcceptRequestLine(std::string_view line);
  Refusal AcceptVersion(std::string_view version);
  Refusal AcceptField(std::string_view line);
  Refusal Finish(std::string_view bytes);
  Progress Refuse(Refusal refusal);

  const HeadLimits* limits_;
  Progress progress_ = Progress::kNeedMore;
  Refusal refusal_;
  std::size_t scanned_ = 0;
  std::size_t line_begin_ = 0;
  Slice target_text_;
  Target target_;
  std::string decoded_path_;
  std::vector<Field> fields_;
  HeadFacts facts_;
};

}  // namespace kms::api
