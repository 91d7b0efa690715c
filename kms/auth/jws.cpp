// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/jws.h"

#include <algorithm>

#include "kms/auth/json_value.h"
#include "kms/base/base64url.h"

namespace kms {

namespace {

using enum HashAlgorithm;
using enum VerificationScheme;

constexpr std::array<JwsAlgorithmTraits, kJwsAlgorithms> kAlgorithms = {{
    {"RS256", kRsaPkcs1v15, kSha2_256, std::nullopt},
    {"RS384", kRsaPkcs1v15, kSha2_384, std::nullopt},
    {"RS512", kRsaPkcs1v15, kSha2_512, std::nullopt},
    {"PS256", kRsaPss, kSha2_256, std::nullopt},
    {"PS384", kRsaPss, kSha2_384, std::nullopt},
    {"PS512", kRsaPss, kSha2_512, std::nullopt},
    {"ES256", kEcdsa, kSha2_256, AsymmetricAlgorithm::kEcdsaP256},
    {"ES384", kEcdsa, kSha2_384, AsymmetricAlgorithm::kEcdsaP384},
    {"ES512", kEcdsa, kSha2_512, AsymmetricAlgorithm::kEcdsaP521},
    {"EdDSA", kEd25519, kSha2_512, AsymmetricAlgorithm::kEd25519},
}};

constexpr JsonLimits kHeaderLimits = {.max_bytes = 8192, .max_depth = 8, .max_values = 256};

bool EqualIgnoringCase(std::string_view a, std::string_view lower) {
  return std::ranges::equal(a, lower, [](char x, char y) {
    return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
  });
}

// RFC 8725, 3.11: a logout token or a security event is signed by the same key and is no login.
bool IsLoginType(std::string_view type) {
  constexpr std::string_view kPrefix = "application/";
  if (type.size() > kPrefix.size() && EqualIgnoringCase(type.substr(0, kPrefix.size()), kPrefix)) {
    type.remove_prefix(kPrefix.size());
  }
  return EqualIgnoringCase(type, "jwt") || EqualIgnoringCase(type, "at+jwt");
}

Status CheckHeader(const JsonValue& header) {
  for (const std::string_view refused : {"crit", "b64", "zip", "enc"}) {
    if (header.Find(refused) != nullptr) {
      return InvalidJwt("its header demands what is not supported");
    }
  }
  if (header.Find("typ") != nullptr) {
    const std::optional<std::string_view> type = header.FindString("typ");
    if (!type || !IsLoginType(*type)) {
      return InvalidJwt("it is a token of another kind");
    }
  }
  return Ok();
}

Status ReadHeader(const JsonValue& header, Jws& jws) {
  if (!header.IsObject()) {
    return InvalidJwt("its header is malformed");
  }
  const std::optional<JwsAlgorithm> algorithm =
      FindJwsAlgorithm(header.FindString("alg").value_or(""));
  if (!algorithm) {
    return InvalidJwt("its signature algorithm is not allowed");
  }
  jws.algorithm = *algorithm;
  if (header.Find("kid") != nullptr) {
    const std::optional<std::string_view> key_id = header.FindString("kid");
    if (!key_id) {
      return InvalidJwt("its header is malformed");
    }
    jws.key_id = std::string(*key_id);
  }
  return CheckHeader(header);
}

}  // namespace

const std::array<JwsAlgorithmTraits, kJwsAlgorithms>& AllJwsAlgorithms() { return kAlgorithms; }

const JwsAlgorithmTraits& TraitsOf(JwsAlgorithm algorithm) {
  return kAlgorithms[static_cast<std::size_t>(algorithm)];
}

std::optional<JwsAlgorithm> FindJwsAlgorithm(std::string_view name) {
  const auto* const found = std::ranges::find(kAlgorithms, name, &JwsAlgorithmTraits::name);
  if (found == kAlgorithms.end()) {
    return std::nullopt;
  }
  return static_cast<JwsAlgorithm>(found - kAlgorithms.begin());
}

Error InvalidJwt(std::string_view why) {
  return MakeError(ErrorCode::kUnauthenticated, "error validating token: " + std::string(why));
}

Result<Jws> ParseJws(std::string_view token) {
  if (token.size() > kMaxJwtBytes) {
    return InvalidJwt("it is too large");
  }
  const std::size_t first = token.find('.');
  const std::size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) {
    return InvalidJwt("it does not have three parts");
  }
  Jws jws;
  jws.signing_input = token.substr(0, second);
  jws.encoded_payload = token.substr(first + 1, second - first - 1);
  Result<Bytes> signature = Base64UrlDecode(token.substr(second + 1));
  const Result<Bytes> header_text = Base64UrlDecode(token.substr(0, first));
  if (!header_text.has_value() || !signature.has_value() || signature->empty() ||
      jws.encoded_payload.empty()) {
    return InvalidJwt("it is malformed");
  }
  jws.signature = *std::move(signature);
  const Result<JsonValue> header = ParseStrictJson(AsText(*header_text), kHeaderLimits);
  if (!header.has_value()) {
    return InvalidJwt("its header is malformed");
  }
  KMS_TRY(ReadHeader(*header, jws));
  return jws;
}

}  // namespace kms
