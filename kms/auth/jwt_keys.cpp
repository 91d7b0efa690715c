// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/jwt_keys.h"

#include <algorithm>
#include <set>
#include <utility>

#include "kms/base/base64url.h"

namespace kms {

namespace {

constexpr JsonLimits kJwksLimits = {
    .max_bytes = kMaxJwksBytes, .max_depth = 16, .max_values = 8192};

// Longer than any number of a key that is taken, so that nothing large is decoded.
constexpr std::size_t kMaxNumberCharacters = 2 * kMaxVerificationRsaBits / 8;

Error NotUsable() { return InvalidArgument("the key cannot verify signatures here"); }

Result<Bytes> NumberOf(const JsonValue& jwk, std::string_view name) {
  const std::string_view text = jwk.FindString(name).value_or("");
  if (text.empty() || text.size() > kMaxNumberCharacters) {
    return NotUsable();
  }
  return Base64UrlDecode(text);
}

std::optional<AsymmetricAlgorithm> CurveNamed(std::string_view name) {
  if (name == "P-256") {
    return AsymmetricAlgorithm::kEcdsaP256;
  }
  if (name == "P-384") {
    return AsymmetricAlgorithm::kEcdsaP384;
  }
  return name == "P-521" ? std::optional(AsymmetricAlgorithm::kEcdsaP521) : std::nullopt;
}

// RFC 7518, 6.2 and 6.3; RFC 8037, 2.
Result<VerificationKey> KeyOf(const JsonValue& jwk) {
  const std::string_view type = jwk.FindString("kty").value_or("");
  const std::string_view curve_name = jwk.FindString("crv").value_or("");
  if (type == "RSA") {
    const Bytes n = KMS_TRY(NumberOf(jwk, "n"));
    const Bytes e = KMS_TRY(NumberOf(jwk, "e"));
    return VerificationKey::FromRsa(n, e);
  }
  if (type == "OKP" && curve_name == "Ed25519") {
    const Bytes x = KMS_TRY(NumberOf(jwk, "x"));
    return VerificationKey::FromEd25519(x);
  }
  const std::optional<AsymmetricAlgorithm> curve = CurveNamed(curve_name);
  if (type != "EC" || !curve) {
    return NotUsable();
  }
  const Bytes x = KMS_TRY(NumberOf(jwk, "x"));
  const Bytes y = KMS_TRY(NumberOf(jwk, "y"));
  return VerificationKey::FromEc(*curve, x, y);
}

bool Fits(const VerificationKey& key, JwsAlgorithm algorithm) {
  return key.algorithm() == TraitsOf(algorithm).key;
}

bool IsForVerifying(const JsonValue& jwk) {
  if (jwk.Find("use") != nullptr && jwk.FindString("use") != "sig") {
    return false;
  }
  const JsonValue* const operations = jwk.Find("key_ops");
  if (operations == nullptr) {
    return true;
  }
  return operations->IsArray() &&
         std::ranges::any_of(operations->items, [](const JsonValue& operation) {
           return operation.IsString() && operation.text == "verify";
         });
}

// Errors: kInvalidArgument when the key is to be left out.
Result<JwtKey> ReadKey(const JsonValue& jwk) {
  if (!IsForVerifying(jwk) || jwk.Find("d") != nullptr || jwk.Find("k") != nullptr) {
    return NotUsable();
  }
  JwtKey read{.key = KMS_TRY(KeyOf(jwk))};
  if (jwk.Find("alg") != nullptr) {
    read.algorithm = FindJwsAlgorithm(jwk.FindString("alg").value_or(""));
    if (!read.algorithm || !Fits(read.key, *read.algorithm)) {
      return NotUsable();
    }
  }
  if (jwk.Find("kid") != nullptr) {
    const std::optional<std::string_view> id = jwk.FindString("kid");
    if (!id) {
      return NotUsable();
    }
    read.id = std::string(*id);
  }
  return read;
}

Status CheckIds(const std::vector<JwtKey>& keys) {
  std::set<std::string_view> ids;
  for (const JwtKey& key : keys) {
    if (key.id && !ids.insert(*key.id).second) {
      return InvalidArgument("two keys have the same key id");
    }
  }
  return Ok();
}

}  // namespace

Result<JwtKeySetHandle> JwtKeySet::ParseJwks(std::string_view text) {
  const JsonValue document = KMS_TRY(ParseStrictJson(text, kJwksLimits));
  const JsonValue* const list = document.Find("keys");
  if (list == nullptr || !list->IsArray()) {
    return InvalidArgument("it is no JSON Web Key Set");
  }
  if (list->items.size() > kMaxJwksKeys) {
    return InvalidArgument("it has too many keys");
  }
  std::vector<JwtKey> keys;
  for (const JsonValue& jwk : list->items) {
    Result<JwtKey> key = ReadKey(jwk);
    if (key.has_value()) {
      keys.push_back(*std::move(key));
    } else if (key.error().code != ErrorCode::kInvalidArgument) {
      return std::move(key).error();
    }
  }
  KMS_TRY(CheckIds(keys));
  if (keys.empty()) {
    return InvalidArgument("it has no key that can verify signatures");
  }
  return JwtKeySetHandle(new JwtKeySet(std::move(keys), /*ids_matter=*/true));
}

Result<JwtKeySetHandle> JwtKeySet::FromPem(std::span<const std::string> pems) {
  if (pems.empty() || pems.size() > kMaxKeysTried) {
    return InvalidArgument("between 1 and 16 public keys are needed");
  }
  std::vector<JwtKey> keys;
  for (const std::string& pem : pems) {
    keys.push_back({.key = KMS_TRY(VerificationKey::FromPem(pem))});
  }
  return JwtKeySetHandle(new JwtKeySet(std::move(keys), /*ids_matter=*/false));
}

bool JwtKeySet::IsCandidate(const JwtKey& key, const Jws& jws) const {
  if (!Fits(key.key, jws.algorithm) || (key.algorithm && *key.algorithm != jws.algorithm)) {
    return false;
  }
  return !ids_matter_ || !jws.key_id || key.id == jws.key_id;
}

Result<JwtSignature> JwtKeySet::Verify(const Jws& jws,
                                       std::span<const JwsAlgorithm> allowed) const {
  if (!allowed.empty() && std::ranges::find(allowed, jws.algorithm) == allowed.end()) {
    return InvalidJwt("its signature algorithm is not allowed");
  }
  const JwsAlgorithmTraits& traits = TraitsOf(jws.algorithm);
  std::size_t tried = 0;
  for (const JwtKey& key : keys_) {
    if (!IsCandidate(key, jws)) {
      continue;
    }
    if (++tried > kMaxKeysTried) {
      break;
    }
    const bool good = KMS_TRY(
        key.key.Verify(traits.scheme, traits.hash, AsBytes(jws.signing_input), jws.signature));
    if (good) {
      return JwtSignature::kGood;
    }
  }
  return tried == 0 || (ids_matter_ && !jws.key_id) ? JwtSignature::kUnknownKey
                                                    : JwtSignature::kWrong;
}

}  // namespace kms
