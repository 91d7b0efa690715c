// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/hash.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>

namespace kms {

namespace {

using enum HashAlgorithm;

constexpr std::array<HashTraits, 9> kHashes = {{
    {kSha1, "sha1", "SHA1", 20, false},
    {kSha2_224, "sha2-224", "SHA2-224", 28, true},
    {kSha2_256, "sha2-256", "SHA2-256", 32, true},
    {kSha2_384, "sha2-384", "SHA2-384", 48, true},
    {kSha2_512, "sha2-512", "SHA2-512", 64, true},
    {kSha3_224, "sha3-224", "SHA3-224", 28, true},
    {kSha3_256, "sha3-256", "SHA3-256", 32, true},
    {kSha3_384, "sha3-384", "SHA3-384", 48, true},
    {kSha3_512, "sha3-512", "SHA3-512", 64, true},
}};

constexpr bool RowsStandAtTheirNumbers() {
  for (std::size_t i = 0; i < kHashes.size(); ++i) {
    if (static_cast<std::size_t>(kHashes[i].algorithm) != i || kHashes[i].bytes > kMaxHashBytes) {
      return false;
    }
  }
  return true;
}
static_assert(RowsStandAtTheirNumbers());

// Fetched once and kept: a fetch takes a lock that every thread shares.
const EVP_MD* Implementation(HashAlgorithm algorithm) {
  static const std::array<EVP_MD*, kHashes.size()> implementations = [] {
    std::array<EVP_MD*, kHashes.size()> fetched{};
    std::ranges::transform(kHashes, fetched.begin(), [](const HashTraits& row) {
      return EVP_MD_fetch(nullptr, row.provider_name, nullptr);
    });
    return fetched;
  }();
  return implementations[static_cast<std::size_t>(algorithm)];
}

}  // namespace

std::span<const HashTraits> AllHashes() { return kHashes; }

const HashTraits& TraitsOf(HashAlgorithm algorithm) {
  return kHashes[static_cast<std::size_t>(algorithm)];
}

std::optional<HashAlgorithm> FindHash(std::string_view name) {
  const auto* found = std::ranges::find(kHashes, name, &HashTraits::name);
  return found == kHashes.end() ? std::nullopt : std::optional(found->algorithm);
}

Result<HashValue> ComputeHash(HashAlgorithm algorithm, ByteView input) {
  HashValue value(TraitsOf(algorithm).bytes);
  const EVP_MD* implementation = Implementation(algorithm);
  if (implementation == nullptr ||
      EVP_Digest(input.data(), input.size(), value.MutableView().data(), nullptr, implementation,
                 nullptr) != 1) {
    ERR_clear_error();
    return Internal("hashing failed");
  }
  return value;
}

}  // namespace kms
