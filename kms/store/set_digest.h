// SPDX-License-Identifier: Apache-2.0
// SetDigest: keyed sums over the sealed entries of a store, one for each directory and one over
// all, so that an entry that vanishes or comes back behind our back is noticed (failures D11).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/hmac_sha256.h"
#include "kms/store/store.h"

namespace kms {

// How many entries, and the sum mod 2^256 of the HMACs of path, value and revision of each:
// whatever the order of changes, the same set has the same sum.
struct EntrySum {
  std::uint64_t count = 0;
  std::array<std::uint64_t, 4> sum{};  // the least significant first

  EntrySum& operator+=(const EntrySum& other);
  EntrySum& operator-=(const EntrySum& other);
  friend bool operator==(const EntrySum&, const EntrySum&) = default;
};

// Stored sums are masked and authenticated: who owns the file learns nothing by comparing them and
// can neither make one nor give it another directory.
// Thread rule: one thread at a time.
class SetDigest {
 public:
  static constexpr std::size_t kKeyBytes = 32;

  // Errors: kInvalidArgument (key size), kUnavailable, kInternal.
  static Result<SetDigest> Create(const SecretBytes& key);

  // Only sealed entries count: what opens them authenticates itself.
  static bool Covers(std::string_view path) { return path.starts_with("e/"); }
  // "e/<environment id>/<first segment>"; "" names the sum over all.
  static std::string DirectoryOf(std::string_view path);

  // The sum of one entry.
  Result<EntrySum> SumOf(std::string_view path, ByteView value, Revision revision);

  // A stored sum, as of the commit `revision`.
  Result<Bytes> SealSum(std::string_view directory, const EntrySum& sum, Revision revision);
  struct OpenedSum {
    EntrySum sum;
    Revision revision = 0;
  };
  // Errors: kCorrupted for anything SealSum did not make for this directory under this key.
  Result<OpenedSum> OpenSum(std::string_view directory, ByteView stored);

  // What may be told to the world: 32 hexadecimal digits that say nothing about the entries but
  // whether they are the same.
  Result<std::string> Tag(const EntrySum& sum, Revision revision);

 private:
  SetDigest(HmacSha256 entries, HmacSha256 sums)
      : entries_(std::move(entries)), sums_(std::move(sums)) {}
  Status Mask(MutableByteView sum, ByteView nonce, ByteView revision);

  HmacSha256 entries_;
  HmacSha256 sums_;
};

}  // namespace kms
