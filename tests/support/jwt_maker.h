// SPDX-License-Identifier: Apache-2.0
// Makes tokens and key sets as an identity provider would, and as an attacker would.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "kms/auth/jws.h"
#include "kms/base/base64url.h"
#include "kms/base/bytes.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/encoded_key.h"
#include "kms/crypto/signature.h"
#include "tests/support/asymmetric_keys.h"

namespace kms::testing {

inline std::string Base64Url(ByteView bytes) {
  std::string text;
  AppendBase64Url(bytes, text);
  return text;
}
inline std::string Base64Url(std::string_view text) { return Base64Url(AsBytes(text)); }

inline Bytes SignAs(const AsymmetricKey& key, JwsAlgorithm algorithm, std::string_view input) {
  const JwsAlgorithmTraits& traits = TraitsOf(algorithm);
  const SignatureOptions options = {.hash = traits.hash,
                                    .rsa = traits.scheme == VerificationScheme::kRsaPss
                                               ? RsaSignatureScheme::kPss
                                               : RsaSignatureScheme::kPkcs1v15,
                                    .salt_length = kPssSaltHash,
                                    .marshaling = SignatureMarshaling::kJws};
  return CreateSignature(key, options, AsBytes(input)).value();
}

// The header and the payload are taken as they stand; `algorithm` is how it is really signed.
inline std::string SignedToken(const AsymmetricKey& key, JwsAlgorithm algorithm,
                               std::string_view header, std::string_view payload) {
  const std::string input = Base64Url(header) + "." + Base64Url(payload);
  return input + "." + Base64Url(SignAs(key, algorithm, input));
}

inline std::string HeaderOf(JwsAlgorithm algorithm, std::string_view key_id = {}) {
  std::string header = "{\"alg\":\"" + std::string(TraitsOf(algorithm).name) + "\",\"typ\":\"JWT\"";
  if (!key_id.empty()) {
    header += ",\"kid\":\"" + std::string(key_id) + "\"";
  }
  return header + "}";
}

inline std::string GoodToken(const AsymmetricKey& key, JwsAlgorithm algorithm,
                             std::string_view payload, std::string_view key_id = {}) {
  return SignedToken(key, algorithm, HeaderOf(algorithm, key_id), payload);
}

// The public half as a JSON Web Key; `more` is further members, each beginning with a comma.
inline std::string JwkOf(const AsymmetricKey& key, std::string_view more = {}) {
  const Bytes spki = key.PublicKey().value();
  const internal::EncodedKey encoded = internal::ReadPublicKeyInfo(spki).value();
  std::string jwk = "{";
  if (const auto* rsa = std::get_if<internal::RsaNumbers>(&encoded)) {
    jwk += R"("kty":"RSA","n":")" + Base64Url(rsa->n) + R"(","e":")" + Base64Url(rsa->e) + "\"";
  } else if (const auto* ec = std::get_if<internal::EcNumbers>(&encoded)) {
    const std::size_t field = EcdsaFieldBytes(key.algorithm());
    const char* const curve = key.algorithm() == AsymmetricAlgorithm::kEcdsaP256   ? "P-256"
                              : key.algorithm() == AsymmetricAlgorithm::kEcdsaP384 ? "P-384"
                                                                                   : "P-521";
    jwk += R"("kty":"EC","crv":")" + std::string(curve) + R"(","x":")" +
           Base64Url(ec->point->subspan(1, field)) + R"(","y":")" +
           Base64Url(ec->point->subspan(1 + field)) + "\"";
  } else {
    jwk +=
        R"("kty":"OKP","crv":"Ed25519","x":")" + Base64Url(key.Ed25519PublicKey().value()) + "\"";
  }
  return jwk + std::string(more) + "}";
}

inline std::string WithKeyId(std::string_view id) { return ",\"kid\":\"" + std::string(id) + "\""; }

// {"keys":[…]} of keys as JwkOf spells them.
inline std::string JwksOf(std::initializer_list<std::string> keys) {
  std::string text = R"({"keys":[)";
  for (const std::string& key : keys) {
    text += (text.back() == '[' ? "" : ",") + key;
  }
  return text + "]}";
}

// The algorithm of the test key that fits.
inline AsymmetricAlgorithm KeyTypeFor(JwsAlgorithm algorithm) {
  return TraitsOf(algorithm).key.value_or(AsymmetricAlgorithm::kRsa2048);
}

}  // namespace kms::testing
