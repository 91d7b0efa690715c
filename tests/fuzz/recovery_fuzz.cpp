// SPDX-License-Identifier: Apache-2.0
// Under test: SplitKey::Decode, RecoveryPackage::Parse, RecoveryAnswer::Parse, RecoveryRecipients::
// Decode, ReadHolderPublicKey and HolderPrivateKey::Open. What decodes encodes to the same bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "kms/crypto/share_encryption.h"
#include "kms/keys/recovery_package.h"
#include "kms/keys/split_key.h"
#include "kms/recovery/recipients.h"
#include "tests/fuzz/secret_memory.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kms::testing::PrepareSecretMemory();
  static const kms::HolderPrivateKey holder = kms::HolderPrivateKey::Generate().value();
  const kms::ByteView input(data, size);
  const std::string_view text = kms::AsText(input);
  if (const auto split = kms::SplitKey::Decode(input);
      split.has_value() && split->Encode() != kms::CopyOf(input)) {
    std::abort();
  }
  if (const auto recipients = kms::RecoveryRecipients::Decode(input);
      recipients.has_value() && recipients->Encode() != kms::CopyOf(input)) {
    std::abort();
  }
  if (const auto package = kms::RecoveryPackage::Parse(text); package.has_value()) {
    if (kms::RecoveryPackage::Parse(package->ToJson())->keys != package->keys) {
      std::abort();
    }
    kms::IgnoreError(kms::AnswerPackage(*package, holder, nullptr), "any outcome but a crash");
  }
  kms::IgnoreError(kms::RecoveryAnswer::Parse(text), "any outcome but a crash");
  kms::IgnoreError(kms::ReadHolderPublicKey(text), "any outcome but a crash");
  if (holder.Open(input, {}).has_value()) {
    std::abort();
  }
  return 0;
}
