// SPDX-License-Identifier: Apache-2.0
// Keys with known material for tests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/keys/key.h"

namespace kms::testing {

// `size` bytes first, first + 1, …
inline Bytes CountingBytes(std::size_t size, std::uint8_t first = 0) {
  Bytes bytes(size);
  for (std::uint8_t& byte : bytes) {
    byte = first++;
  }
  return bytes;
}

// The types that encrypt by an AEAD.
inline std::vector<KeyTypeTraits> AeadKeyTypes() {
  std::vector<KeyTypeTraits> aead;
  std::ranges::copy_if(AllKeyTypes(), std::back_inserter(aead), [](const KeyTypeTraits& traits) {
    return traits.family == KeyFamily::kAead;
  });
  return aead;
}

// Material 00 01 02 … (the K of transit-api 16; the seed of an Ed25519 key), plus `salt` in every
// byte; HMAC key 20 21 22 …. Not for EC and RSA.
inline KeyVersion KnownVersion(KeyType type, KeyVersionNumber number, std::uint8_t salt = 0) {
  const WallTime created(std::chrono::nanoseconds(1'700'000'000'123'456'789) +
                         std::chrono::seconds(number));
  KeyVersion version;
  if (type == KeyType::kEd25519) {
    version = *KeyVersion::FromAsymmetricKey(
        number, created, *AsymmetricKey::FromEd25519Seed(CountingBytes(32, salt)));
  } else {
    const std::size_t size = type == KeyType::kHmac ? kMinHmacKeySize : TraitsOf(type).key_bytes;
    version = *KeyVersion::FromRawKey(type, number, created,
                                      *SecretBytes::CopyOf(CountingBytes(size, salt)));
  }
  if (type != KeyType::kHmac) {
    version.hmac_key =
        *SecretBytes::CopyOf(CountingBytes(kHmacKeyBytes, static_cast<std::uint8_t>(salt + 0x20)));
  }
  return version;
}

inline KeyPolicy PolicyOf(KeyType type, KeyVersionNumber latest = 1) {
  KeyPolicy policy;
  policy.name = "app";
  policy.incarnation = *Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11");
  policy.type = type;
  policy.latest_version = latest;
  policy.key_size = type == KeyType::kHmac ? kMinHmacKeySize : 0;
  return policy;
}

// A key whose version N has KnownVersion(type, N, salt + N - 1).
inline Result<Key> MakeKey(KeyPolicy policy, std::uint8_t salt = 0) {
  std::vector<KeyVersion> versions;
  for (KeyVersionNumber number = policy.min_decryption_version; number <= policy.latest_version;
       ++number) {
    versions.push_back(
        KnownVersion(policy.type, number, static_cast<std::uint8_t>(salt + number - 1)));
  }
  return Key::Create(std::move(policy), std::move(versions));
}

// A key of any type with fresh material. RSA material is made once per size and process.
inline Result<Key> MakeFreshKey(KeyPolicy policy) {
  static std::map<KeyType, KeyVersion> rsa;
  std::vector<KeyVersion> versions;
  for (KeyVersionNumber number = policy.min_decryption_version; number <= policy.latest_version;
       ++number) {
    if (TraitsOf(policy.type).family != KeyFamily::kRsa) {
      versions.push_back(
          KMS_TRY(KeyVersion::Generate(policy.type, number, WallTime{}, policy.key_size)));
      continue;
    }
    if (!rsa.contains(policy.type)) {
      rsa.emplace(policy.type, KMS_TRY(KeyVersion::Generate(policy.type, number, WallTime{})));
    }
    versions.push_back(KMS_TRY(rsa.at(policy.type).Clone()));
    versions.back().number = number;
  }
  return Key::Create(std::move(policy), std::move(versions));
}

}  // namespace kms::testing
