// SPDX-License-Identifier: Apache-2.0
// Keys with known material for tests.
#pragma once

#include <cstdint>
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

// Material 00 01 02 … (the K of transit-api 16), plus `salt` in every byte; HMAC key 20 21 22 …
inline KeyVersion KnownVersion(KeyType type, KeyVersionNumber number, std::uint8_t salt = 0) {
  KeyVersion version;
  version.number = number;
  version.created =
      WallTime(std::chrono::nanoseconds(1'700'000'000'123'456'789) + std::chrono::seconds(number));
  version.material = *SecretBytes::CopyOf(CountingBytes(TraitsOf(type).key_bytes, salt));
  version.hmac_key =
      *SecretBytes::CopyOf(CountingBytes(kHmacKeyBytes, static_cast<std::uint8_t>(salt + 0x20)));
  return version;
}

inline KeyPolicy PolicyOf(KeyType type, KeyVersionNumber latest = 1) {
  KeyPolicy policy;
  policy.name = "app";
  policy.incarnation = *Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11");
  policy.type = type;
  policy.latest_version = latest;
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

}  // namespace kms::testing
