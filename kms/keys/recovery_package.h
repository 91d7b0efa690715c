// SPDX-License-Identifier: Apache-2.0
// RecoveryPackage and RecoveryAnswer: the two files of a recovery ceremony, as JSON. The package
// goes to every holder; each sends back an answer that only the ceremony can open.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/crypto/share_encryption.h"
#include "kms/keys/split_key.h"

namespace kms {

// Larger files are none of ours.
inline constexpr std::size_t kMaxRecoveryFileBytes = std::size_t{32} << 20U;

struct RecoveryPackage {
  Uuid ceremony;
  std::int64_t created_unix_seconds = 0;
  Bytes public_key;  // of the ceremony: X25519, SubjectPublicKeyInfo DER
  std::vector<SplitKey> keys;

  [[nodiscard]] std::string ToJson() const;
  // Errors: kInvalidArgument saying what is wrong, for anything but a package.
  static Result<RecoveryPackage> Parse(std::string_view json);
};

struct AnsweredShare {
  Uuid environment_id;
  std::uint32_t version = 0;
  Uuid split_id;
  std::uint8_t number = 0;
  std::string holder;
  Bytes encrypted;  // EncryptToHolder(ceremony's key, value, AnswerContext)
};

struct RecoveryAnswer {
  Uuid ceremony;
  std::vector<AnsweredShare> shares;

  [[nodiscard]] std::string ToJson() const;
  // Errors: as RecoveryPackage::Parse.
  static Result<RecoveryAnswer> Parse(std::string_view json);
};

// Which keys of the package a holder wants to open; empty: all.
using SplitKeyFilter = std::function<bool(const SplitKey&)>;

// The shares that are encrypted to `spki`, in the order of the package.
struct HeldShare {
  const SplitKey* key;
  const EncryptedShare* share;
};
std::vector<HeldShare> SharesOf(const RecoveryPackage& package, ByteView spki,
                                const SplitKeyFilter& wanted);

// Opens the holder's shares and encrypts each to the ceremony. Errors: kNotFound when none is for
// this key; kDecryptionFailed, naming environment and version, when one does not open: the package
// is damaged or says other things than when the key was split; kUnavailable, kInternal.
Result<RecoveryAnswer> AnswerPackage(const RecoveryPackage& package, const HolderPrivateKey& key,
                                     const SplitKeyFilter& wanted);

}  // namespace kms
