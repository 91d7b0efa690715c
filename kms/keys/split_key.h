// SPDX-License-Identifier: Apache-2.0
// SplitKey: one environment key split among recovery holders, as it is stored and as it travels in
// the package of a ceremony. Nothing in it is secret; each share opens for its holder alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

inline constexpr std::size_t kSplitCheckBytes = 32;

struct EncryptedShare {
  std::uint8_t number = 0;  // x of the share, 1..32
  std::string holder;
  Bytes check;      // ShareCheck of its value
  Bytes encrypted;  // EncryptToHolder(holder's key, value, ShareContext)
  friend bool operator==(const EncryptedShare&, const EncryptedShare&) = default;
};

struct SplitKey {
  Uuid environment_id;
  std::string environment;
  std::uint32_t version = 0;  // of the environment key
  Uuid split_id;              // shares of different splits do not combine
  std::uint8_t threshold = 0;
  Bytes check;  // SplitKeyCheck of the key
  std::vector<EncryptedShare> shares;

  [[nodiscard]] const EncryptedShare* Find(std::uint8_t number) const;
  [[nodiscard]] Bytes Encode() const;
  // Errors: kCorrupted for anything Encode did not make; an unknown format names itself.
  static Result<SplitKey> Decode(ByteView encoded);
  friend bool operator==(const SplitKey&, const SplitKey&) = default;
};

// Errors: kInvalidArgument unless `name` has 1..64 characters of letters, digits and "._@-".
Status CheckHolderName(std::string_view name);

// What a share is bound to when it is encrypted to its holder: environment, version, split,
// threshold, number and holder.
Bytes ShareContext(const SplitKey& split, std::uint8_t number, std::string_view holder);
// The same share on its way from its holder to the ceremony.
Bytes AnswerContext(const Uuid& ceremony, const SplitKey& split, std::uint8_t number,
                    std::string_view holder);

// HKDF-SHA-256 of a share's value or of the key itself, 32 bytes: tells a wrong one from the right
// one and nothing else of it. Errors: kUnavailable, kInternal.
Result<Bytes> ShareCheck(const SplitKey& split, std::uint8_t number, const SecretBytes& value);
Result<Bytes> SplitKeyCheck(const SplitKey& split, const SecretBytes& key);

}  // namespace kms
