// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::Key::Decode, kms::Key::Encode, kms::DecodeArchivedVersion,
// kms::EncodeArchivedVersion. Whatever decodes must encode to the very same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "kms/base/secret_bytes.h"
#include "kms/keys/key.h"

namespace {

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool prepared = kms::InitializeSecretMemory().has_value();
  Require(prepared);
  const kms::ByteView input(data, size);
  if (const auto key = kms::Key::Decode(input); key.has_value()) {
    const auto encoded = key->Encode();
    Require(encoded.has_value() && std::ranges::equal(encoded->View(), input));
  } else {
    Require(key.error().code != kms::ErrorCode::kInternal);
  }
  if (const auto version = kms::DecodeArchivedVersion(input); version.has_value()) {
    const auto encoded = kms::EncodeArchivedVersion(*version);
    Require(encoded.has_value() && std::ranges::equal(encoded->View(), input));
  } else {
    Require(version.error().code != kms::ErrorCode::kInternal);
  }
  return 0;
}
