// SPDX-License-Identifier: Apache-2.0
// Field rules: RFC 9112 §3.2, §6 and §7 read as narrowly as they allow, and narrower where readers
// are known to disagree.
#include "api/front/field_rules.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "api/front/ascii.h"

namespace kms::api {
namespace {

enum class Known : std::uint8_t {
  kOther,
  kHost,
  kContentLength,
  kTransferEncoding,
  kContentEncoding,
  kContentType,
  kExpect,
  kToken,
  kAuthorization,
  kNamespace,
  kWrapTtl,
  kConnection,
};

struct KnownName {
  std::string_view lower;
  Known field;
};

constexpr std::array<KnownName, 11> kKnownNames{{
    {"host", Known::kHost},
    {"content-length", Known::kContentLength},
    {"transfer-encoding", Known::kTransferEncoding},
    {"content-encoding", Known::kContentEncoding},
    {"content-type", Known::kContentType},
    {"expect", Known::kExpect},
    {"x-vault-token", Known::kToken},
    {"authorization", Known::kAuthorization},
    {"x-vault-namespace", Known::kNamespace},
    {"x-vault-wrap-ttl", Known::kWrapTtl},
    {"connection", Known::kConnection},
}};

constexpr std::size_t kMaxLengthDigits = 10;
constexpr std::string_view kHostPunctuation = "-._~:[]%!$&'()*+;=";

constexpr Refusal kBadHost{400, "exactly one valid Host header is required"};
constexpr Refusal kDuplicate{400, "a header that must stand once was sent twice"};
constexpr Refusal kBadLength{400, "malformed Content-Length"};
constexpr Refusal kBadTransferEncoding{400, "unsupported Transfer-Encoding"};
constexpr Refusal kTwoFramings{400, "Content-Length and Transfer-Encoding exclude each other"};
constexpr Refusal kDisguised{400, "a header resembles one that frames the body"};
constexpr Refusal kTooLarge{413, "http: request body too large"};
constexpr Refusal kEncoded{415, "encoded request bodies are not supported"};
constexpr Refusal kMultipart{415, "multipart request bodies are not supported"};
constexpr Refusal kExpectation{417, "unsupported expectation"};

Known Classify(std::string_view name) {
  for (const KnownName& known : kKnownNames) {
    if (known.lower.size() == name.size() && EqualsIgnoringCase(name, known.lower)) {
      return known.field;
    }
  }
  return Known::kOther;
}

// Some servers read "Transfer_Encoding" and its like as the real thing. Called for names that are
// not exactly one of the known ones.
bool ResemblesFraming(std::string_view name) {
  std::array<char, 64> buffer{};
  std::size_t length = 0;
  for (const char byte : name) {
    if (IsAlphanumeric(byte) && length < buffer.size()) {
      buffer[length++] = ToLower(byte);
    }
  }
  const std::string_view letters{buffer.data(), length};
  return letters == "contentlength" || letters.find("transferencoding") != std::string_view::npos;
}

bool IsHost(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char byte) {
    return IsAlphanumeric(byte) || kHostPunctuation.find(byte) != std::string_view::npos;
  });
}

bool StartsWithIgnoringCase(std::string_view text, std::string_view lower) {
  return EqualsIgnoringCase(text.substr(0, lower.size()), lower);
}

bool IsForm(std::string_view content_type) {
  return EqualsIgnoringCase(TrimBlanks(content_type.substr(0, content_type.find(';'))),
                            "application/x-www-form-urlencoded");
}

constexpr std::uint32_t Bit(Known field) { return 1U << static_cast<unsigned>(field); }

}  // namespace

Refusal FieldRules::Accept(std::string_view name, std::string_view value) {
  const Known field = Classify(name);
  if (field == Known::kOther) {
    return name.size() >= 13 && ResemblesFraming(name) ? kDisguised : Refusal{};
  }
  if ((seen_ & Bit(field)) != 0 && field != Known::kConnection) {
    return field == Known::kHost ? kBadHost : kDuplicate;
  }
  seen_ |= Bit(field);
  switch (field) {
    case Known::kHost: return IsHost(value) ? Refusal{} : kBadHost;
    case Known::kContentLength: return AcceptContentLength(value);
    case Known::kTransferEncoding:
      facts_->framing = BodyFraming::kChunked;
      return value == "chunked" && !facts_->http_1_0 ? Refusal{} : kBadTransferEncoding;
    case Known::kContentEncoding:
      if (StartsWithIgnoringCase(value, "chunked")) {
        return kBadTransferEncoding;
      }
      encoded_ = !value.empty() && !EqualsIgnoringCase(value, "identity");
      return {};
    case Known::kContentType:
      multipart_ = StartsWithIgnoringCase(value, "multipart/");
      facts_->form = IsForm(value);
      return {};
    case Known::kExpect: return AcceptExpect(value);
    case Known::kConnection: AcceptConnection(value); return {};
    case Known::kToken:
    case Known::kAuthorization:
    case Known::kNamespace:
    case Known::kWrapTtl:
    case Known::kOther: return {};
  }
  return {};
}

Refusal FieldRules::AcceptContentLength(std::string_view value) {
  const bool digits =
      std::all_of(value.begin(), value.end(), [](char byte) { return byte >= '0' && byte <= '9'; });
  if (value.empty() || value.size() > kMaxLengthDigits || !digits ||
      (value.front() == '0' && value.size() > 1)) {
    return kBadLength;
  }
  std::uint64_t length = 0;
  std::from_chars(value.data(), value.data() + value.size(), length);
  too_large_ = length > max_body_bytes_;
  facts_->content_length = length;
  return {};
}

Refusal FieldRules::AcceptExpect(std::string_view value) {
  facts_->expects_continue = EqualsIgnoringCase(value, "100-continue") && !facts_->http_1_0;
  unknown_expectation_ = !facts_->expects_continue && !facts_->http_1_0;
  return {};
}

void FieldRules::AcceptConnection(std::string_view value) {
  while (!value.empty()) {
    const std::size_t comma = value.find(',');
    const std::string_view option = TrimBlanks(value.substr(0, comma));
    if (EqualsIgnoringCase(option, "close")) {
      facts_->keep_alive = false;
      asked_to_close_ = true;  // wins over a later "keep-alive"
    } else if (EqualsIgnoringCase(option, "keep-alive") && !asked_to_close_) {
      facts_->keep_alive = true;
    }
    value = comma == std::string_view::npos ? std::string_view{} : value.substr(comma + 1);
  }
}

Refusal FieldRules::Finish() {
  const auto seen = [&](Known field) { return (seen_ & Bit(field)) != 0; };
  if (!seen(Known::kHost) && !facts_->http_1_0) {
    return kBadHost;
  }
  if (seen(Known::kTransferEncoding) && seen(Known::kContentLength)) {
    return kTwoFramings;
  }
  if (too_large_) {
    return kTooLarge;
  }
  if (encoded_) {
    return kEncoded;
  }
  if (multipart_) {
    return kMultipart;
  }
  if (unknown_expectation_) {
    return kExpectation;
  }
  if (facts_->content_length > 0) {
    facts_->framing = BodyFraming::kLength;
  }
  return {};
}

}  // namespace kms::api
