// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/ciphertext.h"

#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "kms/base/base64.h"

namespace kms {

namespace {

constexpr std::string_view kPrefix = "vault:v";

std::optional<KeyVersionNumber> ParseVersion(std::string_view text) {
  if (text.empty() || (text.front() == '0' && text.size() > 1)) {
    return std::nullopt;
  }
  KeyVersionNumber version = 0;  // unsigned: from_chars refuses signs
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, version);
  if (code != std::errc{} || stop != end) {
    return std::nullopt;
  }
  return version;
}

// True if the last character before the padding carries no bits beyond the `decoded` bytes.
bool EndsCanonically(std::string_view payload, ByteView decoded) {
  const std::size_t whole_groups = decoded.size() / 3 * 3;
  if (whole_groups == decoded.size()) {
    return true;
  }
  std::string last_group;
  AppendBase64(decoded.subspan(whole_groups), last_group);
  const char canonical = last_group[decoded.size() - whole_groups];
  const std::size_t last = payload.find_last_not_of("=\r\n");
  return last != std::string_view::npos && payload[last] == canonical;
}

}  // namespace

Result<ParsedCiphertext> ParseCiphertext(std::string_view text) {
  if (!text.starts_with(kPrefix)) {
    return InvalidArgument("invalid ciphertext: no prefix");
  }
  text.remove_prefix(kPrefix.size());
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return InvalidArgument("invalid ciphertext: wrong number of fields");
  }
  const std::optional<KeyVersionNumber> version = ParseVersion(text.substr(0, colon));
  if (!version.has_value()) {
    return InvalidArgument("invalid ciphertext: version number could not be decoded");
  }
  return ParsedCiphertext{.version = *version == 0 ? 1 : *version,
                          .payload = text.substr(colon + 1)};
}

Status CheckCiphertextVersion(const ParsedCiphertext& ciphertext, const KeyPolicy& policy) {
  if (ciphertext.version > policy.latest_version) {
    return InvalidArgument("invalid ciphertext: version is too new");
  }
  if (ciphertext.version < policy.min_decryption_version) {
    return InvalidArgument("ciphertext or signature version is disallowed by policy (too old)");
  }
  return Ok();
}

Result<std::size_t> DecodeCiphertextPayload(std::string_view payload, MutableByteView out) {
  const Result<std::size_t> size = Base64DecodeInto(payload, out, Base64Form::kLenient);
  if (!size.has_value() || !EndsCanonically(payload, out.first(*size))) {
    return InvalidArgument("invalid ciphertext: could not decode base64");
  }
  return *size;
}

void AppendCiphertext(KeyVersionNumber version, ByteView payload, std::string& out) {
  std::array<char, std::numeric_limits<KeyVersionNumber>::digits10 + 2> digits;
  const auto [end, code] = std::to_chars(digits.begin(), digits.end(), version);
  out += kPrefix;
  out.append(digits.begin(), end);
  out += ':';
  AppendBase64(payload, out);
}

}  // namespace kms
