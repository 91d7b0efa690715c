// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/signature_request.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace kms {

namespace {

constexpr std::string_view kPkcs1v15 = "pkcs1v15";
constexpr std::size_t kMaxShownName = 64;

std::string Shown(std::string_view name) { return std::string(name.substr(0, kMaxShownName)); }

Result<std::optional<HashAlgorithm>> ParseHash(std::string_view name) {
  const std::optional<HashAlgorithm> hash = FindHash(name);
  if (!hash.has_value() && name != "none") {
    return InvalidArgument("invalid hash algorithm \"" + Shown(name) + "\"");
  }
  return hash;
}

Result<SignatureMarshaling> ParseMarshaling(std::string_view name) {
  if (name == "asn1") {
    return SignatureMarshaling::kAsn1;
  }
  if (name == "jws") {
    return SignatureMarshaling::kJws;
  }
  return InvalidArgument("invalid marshaling type \"" + Shown(name) + "\"");
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

Result<std::int64_t> ParseSaltLength(std::string_view text) {
  const std::string word = LowerCase(text);
  if (word == "auto") {
    return kPssSaltAuto;
  }
  if (word == "hash") {
    return kPssSaltHash;
  }
  std::int64_t length = 0;
  const char* begin = word.data() + (word.starts_with('+') ? 1 : 0);
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(begin, end, length);
  if (error != std::errc{} || stop != end) {
    return InvalidArgument("salt length neither 'auto', 'hash', nor an int: " + Shown(text));
  }
  if (length < kPssSaltHash) {
    return InvalidArgument("salt length is invalid: " + std::to_string(length));
  }
  return length;
}

}  // namespace

Result<SignatureRequest> ParseSignatureNames(const SignatureNames& names) {
  SignatureRequest request{.options = {}, .scheme = names.scheme};
  request.options.hash = KMS_TRY(ParseHash(names.hash));
  request.options.marshaling = KMS_TRY(ParseMarshaling(names.marshaling));
  request.options.salt_length = KMS_TRY(ParseSaltLength(names.salt_length));
  request.options.prehashed = names.prehashed;
  request.options.rsa = names.scheme == kPkcs1v15 ? RsaSignatureScheme::kPkcs1v15
                                                  : RsaSignatureScheme::kPss;
  return request;
}

Status CheckUnhashed(const SignatureRequest& request) {
  const bool allowed = request.options.prehashed && request.scheme == kPkcs1v15;
  if (!request.options.hash.has_value() && !allowed) {
    return InvalidArgument(
        "hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15");
  }
  return Ok();
}

Result<SignatureOptions> OptionsFor(const Key& key, const SignatureRequest& request) {
  const std::string_view scheme = request.scheme;
  const bool known = scheme.empty() || scheme == "pss" || scheme == kPkcs1v15;
  if (TraitsOf(key.policy().type).family == KeyFamily::kRsa && !known) {
    return InvalidArgument("unsupported rsa signature algorithm " + Shown(scheme));
  }
  return request.options;
}

}  // namespace kms
