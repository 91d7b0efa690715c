// SPDX-License-Identifier: Apache-2.0
// The hash functions that callers may name, as one table (transit-api 5.6, 5.7, 6.14).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms {

enum class HashAlgorithm : std::uint8_t {
  kSha1,
  kSha2_224,
  kSha2_256,
  kSha2_384,
  kSha2_512,
  kSha3_224,
  kSha3_256,
  kSha3_384,
  kSha3_512,
};

inline constexpr std::size_t kMaxHashBytes = 64;

struct HashTraits {
  HashAlgorithm algorithm;
  std::string_view name;       // on the wire
  const char* provider_name;   // what OpenSSL calls it
  std::size_t bytes;           // of a value
  bool collision_resistant;    // whether it is offered for hashing without a key
};

// In the order of the enumeration.
std::span<const HashTraits> AllHashes();
const HashTraits& TraitsOf(HashAlgorithm algorithm);
// Exact match; nullopt when there is no such hash, "none" included.
std::optional<HashAlgorithm> FindHash(std::string_view name);

// A hash or HMAC value: as many bytes as its algorithm makes, without allocation.
class HashValue {
 public:
  explicit HashValue(std::size_t size) : size_(size) {}
  [[nodiscard]] ByteView View() const { return ByteView(bytes_).first(size_); }
  [[nodiscard]] MutableByteView MutableView() { return MutableByteView(bytes_).first(size_); }

 private:
  std::array<std::uint8_t, kMaxHashBytes> bytes_{};
  std::size_t size_;
};

// FIPS 180-4, FIPS 202. Errors: kInternal. Any thread.
Result<HashValue> ComputeHash(HashAlgorithm algorithm, ByteView input);

}  // namespace kms
