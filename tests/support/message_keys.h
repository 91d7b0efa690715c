// SPDX-License-Identifier: Apache-2.0
// Keys that encrypt messages, of every kind there is, and what is done with them in tests.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kms/operations/decrypt.h"
#include "kms/operations/encrypt.h"
#include "tests/support/key_factory.h"

namespace kms::testing {

// One way to be a key that encrypts.
struct MessageKeyKind {
  KeyType type;
  bool derived = false;
  bool convergent = false;

  [[nodiscard]] bool is_rsa() const { return TraitsOf(type).family == KeyFamily::kRsa; }
  [[nodiscard]] std::string Name() const {
    return std::string(TraitsOf(type).name) + (derived ? " derived" : "") +
           (convergent ? " convergent" : "");
  }
  [[nodiscard]] Result<Key> Make(KeyVersionNumber latest) const {
    KeyPolicy policy = PolicyOf(type, latest);
    policy.derived = derived;
    policy.convergent_encryption = convergent;
    return MakeFreshKey(std::move(policy));
  }
};

// RSA of 2048 bits only: larger ones take seconds to make.
inline std::vector<MessageKeyKind> MessageKeyKinds() {
  std::vector<MessageKeyKind> kinds;
  for (const KeyTypeTraits& traits : AeadKeyTypes()) {
    kinds.push_back({traits.type, false, false});
    kinds.push_back({traits.type, true, false});
    kinds.push_back({traits.type, true, true});
  }
  kinds.push_back({KeyType::kRsa2048, false, false});
  return kinds;
}

inline Result<std::string> Encrypted(const Key& key, const EncryptInput& input) {
  std::string ciphertext;
  KMS_TRY(Encrypt(key, input, ciphertext));
  return ciphertext;
}

inline Result<std::string> Decrypted(const Key& key, const DecryptInput& input) {
  PlaintextBuffer plaintext;
  KMS_TRY(Decrypt(key, input, plaintext));
  return std::string(AsText(plaintext.View()));
}

// The same key with nothing but its public halves.
inline Result<Key> PublicHalfOf(const Key& key) {
  std::vector<KeyVersion> versions;
  for (const KeyVersion& version : key.versions()) {
    const AsymmetricKey half = KMS_TRY(AsymmetricKey::FromPublicKey(
        TraitsOf(key.policy().type).asymmetric, version.public_key));
    versions.push_back(KMS_TRY(KeyVersion::FromAsymmetricKey(version.number, {}, half)));
  }
  return Key::Create(key.policy(), std::move(versions));
}

// PrivateKeyInfo of an RSA key whose private numbers a fault has changed: what its public half
// encrypts it cannot decrypt.
inline Bytes DamagedRsa(ByteView pkcs8) {
  constexpr std::string_view kExponentThenPrivate("\x02\x03\x01\x00\x01\x02", 6);
  Bytes damaged = CopyOf(pkcs8);
  const std::size_t at = AsText(damaged).find(kExponentThenPrivate);
  EXPECT_NE(at, std::string_view::npos);
  damaged[at + 40] ^= 1U;              // in the private exponent
  damaged[damaged.size() - 10] ^= 1U;  // in the last of the primes' numbers
  return damaged;
}

// A key of RSA whose every version is damaged like that.
inline Result<Key> DamagedCopyOf(const Key& key) {
  std::vector<KeyVersion> versions;
  for (const KeyVersion& version : key.versions()) {
    versions.push_back(KMS_TRY(version.Clone()));
    versions.back().material = KMS_TRY(SecretBytes::CopyOf(DamagedRsa(version.material.View())));
  }
  return Key::Create(key.policy(), std::move(versions));
}

}  // namespace kms::testing
