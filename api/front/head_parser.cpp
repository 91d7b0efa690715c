// SPDX-License-Identifier: Apache-2.0
// HeadParser: bytes first, then lines, then what the fields amount to; the first offence decides.
#include "api/front/head_parser.h"

#include <algorithm>
#include <array>
#include <optional>

#include "api/front/ascii.h"

namespace kms::api {
namespace {

// The longest method, two blanks and the version fit into this.
constexpr std::size_t kRequestLineOverhead = 32;

constexpr Refusal kBadByte{400, "forbidden byte in the request head"};
constexpr Refusal kBadLineEnd{400, "lines of the request head must end with CR LF"};
constexpr Refusal kBadRequestLine{400, "malformed request line"};
constexpr Refusal kBadField{400, "malformed header"};
constexpr Refusal kFolded{400, "folded headers are not supported"};
constexpr Refusal kUnknownMethod{405, ""};
constexpr Refusal kTargetTooLong{414, "the request target is too long"};
constexpr Refusal kHeadTooLarge{431, "the request headers are too large"};
constexpr Refusal kTooManyFields{431, "too many request headers"};
constexpr Refusal kBadVersion{505, "only HTTP/1.1 and HTTP/1.0 are supported"};

using ByteSet = std::array<bool, 256>;

constexpr ByteSet MakeSet(bool (*contains)(unsigned char)) {
  ByteSet set{};
  for (unsigned i = 0; i < set.size(); ++i) {
    set[i] = contains(static_cast<unsigned char>(i));
  }
  return set;
}

constexpr ByteSet kRequestLineBytes =
    MakeSet([](unsigned char byte) { return byte >= 0x20 && byte <= 0x7e; });
constexpr ByteSet kFieldBytes =
    MakeSet([](unsigned char byte) { return byte == '\t' || (byte >= 0x20 && byte != 0x7f); });
constexpr ByteSet kTokenBytes = MakeSet([](unsigned char byte) {
  return IsAlphanumeric(static_cast<char>(byte)) ||
         std::string_view{"!#$%&'*+-.^_`|~"}.find(static_cast<char>(byte)) !=
             std::string_view::npos;
});

bool Has(const ByteSet& set, char byte) { return set[static_cast<unsigned char>(byte)]; }

bool IsToken(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char byte) { return Has(kTokenBytes, byte); });
}

struct MethodName {
  std::string_view name;
  HttpMethod method;
};

constexpr std::array<MethodName, 9> kMethods{{{"GET", HttpMethod::kGet},
                                              {"POST", HttpMethod::kPost},
                                              {"PUT", HttpMethod::kPut},
                                              {"LIST", HttpMethod::kList},
                                              {"DELETE", HttpMethod::kDelete},
                                              {"HEAD", HttpMethod::kHead},
                                              {"PATCH", HttpMethod::kPatch},
                                              {"SCAN", HttpMethod::kScan},
                                              {"OPTIONS", HttpMethod::kOptions}}};

std::optional<HttpMethod> FindMethod(std::string_view name) {
  for (const MethodName& known : kMethods) {
    if (known.name == name) {
      return known.method;
    }
  }
  return std::nullopt;
}

bool IsVersion(std::string_view text) {
  const auto digit = [](char byte) { return byte >= '0' && byte <= '9'; };
  return text.size() == 8 && text.starts_with("HTTP/") && digit(text[5]) && text[6] == '.' &&
         digit(text[7]);
}

}  // namespace

HeadParser::Progress HeadParser::Advance(std::string_view bytes) {
  while (progress_ == Progress::kNeedMore) {
    const std::size_t line_limit =
        line_begin_ + (InRequestLine() ? limits_->max_target_bytes + kRequestLineOverhead
                                       : limits_->max_field_bytes);
    // The CR may stand at the limit, and two bytes of the head must be left for the line's end.
    const std::size_t limit = std::min(line_limit + 1, limits_->max_head_bytes - 1);
    const std::size_t at = ScanLine(bytes, std::min(bytes.size(), limit));
    scanned_ = at;
    if (at == limit) {
      return Refuse(TooLong());
    }
    if (at == bytes.size()) {
      return progress_;
    }
    if (bytes[at] == '\n') {
      return Refuse(kBadLineEnd);
    }
    if (bytes[at] != '\r') {
      return Refuse(kBadByte);
    }
    if (at + 1 == bytes.size()) {
      return progress_;
    }
    if (bytes[at + 1] != '\n') {
      return Refuse(kBadLineEnd);
    }
    AcceptLine(bytes, at);
  }
  return progress_;
}

std::size_t HeadParser::ScanLine(std::string_view bytes, std::size_t stop) const {
  const ByteSet& allowed = InRequestLine() ? kRequestLineBytes : kFieldBytes;
  std::size_t at = scanned_;
  while (at < stop && Has(allowed, bytes[at])) {
    ++at;
  }
  return at;
}

Refusal HeadParser::TooLong() const { return InRequestLine() ? kTargetTooLong : kHeadTooLarge; }

void HeadParser::AcceptLine(std::string_view bytes, std::size_t end) {
  const std::string_view line = bytes.substr(line_begin_, end - line_begin_);
  const bool last = line.empty() && !InRequestLine();
  Refusal refusal;
  if (last) {
    refusal = Finish(bytes);
  } else {
    refusal = InRequestLine() ? AcceptRequestLine(line) : AcceptField(line);
  }
  if (refusal) {
    Refuse(refusal);
    return;
  }
  line_begin_ = end + 2;
  scanned_ = line_begin_;
  if (last) {
    progress_ = Progress::kComplete;
  }
}

Refusal HeadParser::AcceptRequestLine(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::string_view method = line.substr(0, first);
  if (first == std::string_view::npos || !IsToken(method)) {
    return kBadRequestLine;
  }
  const std::size_t second = line.find(' ', first + 1);
  if (second == std::string_view::npos) {
    // The form of HTTP/0.9; anything else is no request at all.
    return FindMethod(method).has_value() ? kBadVersion : kBadRequestLine;
  }
  if (const Refusal refusal = AcceptVersion(line.substr(second + 1))) {
    return refusal;
  }
  const std::optional<HttpMethod> known = FindMethod(method);
  if (!known.has_value()) {
    return kUnknownMethod;
  }
  facts_.method = *known;
  target_text_ = {.at = static_cast<std::uint32_t>(first + 1),
                  .bytes = static_cast<std::uint32_t>(second - first - 1)};
  if (target_text_.bytes > limits_->max_target_bytes) {
    return kTargetTooLong;
  }
  return ParseTarget(target_text_.Of(line), target_, decoded_path_);
}

Refusal HeadParser::AcceptVersion(std::string_view version) {
  if (!IsVersion(version)) {
    return kBadRequestLine;
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return kBadVersion;
  }
  facts_.http_1_0 = version.back() == '0';
  facts_.keep_alive = !facts_.http_1_0;
  return {};
}

Refusal HeadParser::AcceptField(std::string_view line) {
  if (IsBlank(line.front())) {
    return kFolded;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) {
    return kBadField;
  }
  if (fields_.size() == limits_->max_headers) {
    return kTooManyFields;
  }
  const std::string_view value = TrimBlanks(line.substr(colon + 1));
  const std::size_t value_at =
      value.empty() ? colon + 1 : static_cast<std::size_t>(value.data() - line.data());
  fields_.push_back({.name = {.at = static_cast<std::uint32_t>(line_begin_),
                              .bytes = static_cast<std::uint32_t>(colon)},
                     .value = {.at = static_cast<std::uint32_t>(line_begin_ + value_at),
                               .bytes = static_cast<std::uint32_t>(value.size())}});
  return {};
}

Refusal HeadParser::Finish(std::string_view bytes) {
  FieldRules rules{facts_, limits_->max_body_bytes};
  for (const Field& field : fields_) {
    if (const Refusal refusal = rules.Accept(field.name.Of(bytes), field.value.Of(bytes))) {
      return refusal;
    }
  }
  return rules.Finish();
}

HeadParser::Progress HeadParser::Refuse(Refusal refusal) {
  refusal_ = refusal;
  progress_ = Progress::kRefused;
  return progress_;
}

void HeadParser::FillRequest(std::string_view bytes, HttpRequest& request) const {
  request.method = facts_.method;
  request.target = target_text_.Of(bytes);
  request.path = target_.escaped ? std::string_view{decoded_path_}
                                 : request.target.substr(0, target_.path_bytes);
  request.query =
      target_.has_query ? request.target.substr(target_.path_bytes + 1) : std::string_view{};
  request.headers.clear();
  for (const Field& field : fields_) {
    request.headers.push_back({.name = field.name.Of(bytes), .value = field.value.Of(bytes)});
  }
}

void HeadParser::Reset() {
  progress_ = Progress::kNeedMore;
  refusal_ = {};
  scanned_ = 0;
  line_begin_ = 0;
  fields_.clear();
  facts_ = {};
}

}  // namespace kms::api
