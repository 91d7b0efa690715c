// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/verify_hmac.h"

#include <charconv>

#include "kms/base/base64.h"
#include "kms/crypto/hmac.h"
#include "kms/keys/ciphertext.h"

namespace kms {

namespace {

constexpr std::string_view kPrefix = "vault:v";

struct ParsedHmac {
  KeyVersionNumber version = 0;
  std::string_view payload;
};

Result<ParsedHmac> Parse(std::string_view text) {
  if (!text.starts_with(kPrefix)) {
    return InvalidArgument("invalid HMAC to verify: no prefix");
  }
  text.remove_prefix(kPrefix.size());
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return InvalidArgument("invalid HMAC: wrong number of fields");
  }
  ParsedHmac parsed{.version = 0, .payload = text.substr(colon + 1)};
  const char* end = text.data() + colon;
  const auto [stop, error] = std::from_chars(text.data(), end, parsed.version);
  const bool leading_zero = colon > 1 && text.front() == '0';
  if (error != std::errc{} || stop != end || leading_zero) {
    return InvalidArgument("invalid HMAC: version number could not be decoded");
  }
  return parsed;
}

Result<Bytes> DecodePayload(std::string_view payload) {
  constexpr std::string_view kText = "unable to decode verification HMAC as base64: ";
  Result<Bytes> decoded = Base64Decode(payload);
  if (!decoded.has_value()) {
    return InvalidArgument(std::string(kText) + decoded.error().public_message);
  }
  // What was decoded once is refused only for bits beyond its last byte.
  Bytes again(Base64DecodedBound(payload.size()));
  if (!DecodeCiphertextPayload(payload, again).has_value()) {
    return InvalidArgument(std::string(kText) + "bits after the last byte are not zero");
  }
  return decoded;
}

}  // namespace

Result<HmacVerdict> VerifyHmac(const Key& key, const VerifyHmacInput& input) {
  const ParsedHmac parsed = KMS_TRY(Parse(input.hmac));
  const Bytes expected = KMS_TRY(DecodePayload(parsed.payload));
  if (parsed.version > key.policy().latest_version) {
    return InvalidArgument("invalid HMAC: version is too new");
  }
  const KeyVersion* version = key.FindVersion(parsed.version);
  if (parsed.version < key.policy().min_decryption_version || version == nullptr) {
    return InvalidArgument("cannot verify HMAC: version is too old (disallowed by policy)");
  }
  const bool valid = KMS_TRY(
      CheckHmac(input.algorithm, version->hmac_key.View(), input.input, expected));
  return HmacVerdict{.valid = valid, .version = parsed.version};
}

}  // namespace kms
