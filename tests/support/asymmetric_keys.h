// SPDX-License-Identifier: Apache-2.0
// Asymmetric keys for tests, from tests/vectors/asymmetric_keys.txt: making RSA keys takes long.
#pragma once

#include <string>
#include <vector>

#include "kms/crypto/asymmetric_key.h"
#include "tests/support/vectors.h"

namespace kms::testing {

inline constexpr AsymmetricAlgorithm kAsymmetricAlgorithms[] = {
    AsymmetricAlgorithm::kEcdsaP256, AsymmetricAlgorithm::kEcdsaP384,
    AsymmetricAlgorithm::kEcdsaP521, AsymmetricAlgorithm::kEd25519,
    AsymmetricAlgorithm::kRsa2048,   AsymmetricAlgorithm::kRsa3072,
    AsymmetricAlgorithm::kRsa4096};

// As the openssl command line wrote it. `which` is 0 or 1.
inline const Bytes& TestKeyPkcs8(AsymmetricAlgorithm algorithm, std::size_t which = 0) {
  static const std::vector<Bytes> keys = [] {
    std::vector<Bytes> read;
    for (const auto& row : ReadVectors("asymmetric_keys.txt")) {
      read.push_back(FromHex(row.at(1)));
    }
    return read;
  }();
  return keys.at(which * std::size(kAsymmetricAlgorithms) + static_cast<std::size_t>(algorithm));
}

inline AsymmetricKey TestKey(AsymmetricAlgorithm algorithm, std::size_t which = 0) {
  return AsymmetricKey::FromPkcs8(algorithm, TestKeyPkcs8(algorithm, which)).value();
}

inline AsymmetricKey PublicHalf(const AsymmetricKey& key) {
  return AsymmetricKey::FromPublicKey(key.algorithm(), key.PublicKey().value()).value();
}

}  // namespace kms::testing
