// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::Key::Decode, kms::Key::Encode, kms::DecodeArchivedVersion,
// kms::EncodeArchivedVersion. Whatever decodes must encode to the very same bytes; what an older
// format says is written in the latest one, and then likewise.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "kms/keys/key.h"
#include "tests/fuzz/secret_memory.h"

namespace {

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

constexpr std::uint8_t kLatestFormat = 2;

// `encoded` was made of what `input` said.
template <typename Decode, typename Encode>
void RequireOneEncoding(kms::ByteView input, kms::ByteView encoded, const Decode& decode,
                        const Encode& encode) {
  if (input[0] == kLatestFormat) {
    Require(std::ranges::equal(encoded, input));
    return;
  }
  const auto again = decode(encoded);
  Require(again.has_value());
  const auto same = encode(*again);
  Require(same.has_value() && std::ranges::equal(same->View(), encoded));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kms::testing::PrepareSecretMemory();
  const kms::ByteView input(data, size);
  if (const auto key = kms::Key::Decode(input); key.has_value()) {
    const auto encoded = key->Encode();
    Require(encoded.has_value());
    RequireOneEncoding(input, encoded->View(), &kms::Key::Decode,
                       [](const kms::Key& decoded) { return decoded.Encode(); });
  } else {
    Require(key.error().code != kms::ErrorCode::kInternal);
  }
  if (const auto version = kms::DecodeArchivedVersion(input); version.has_value()) {
    const auto encoded = kms::EncodeArchivedVersion(*version);
    Require(encoded.has_value());
    RequireOneEncoding(input, encoded->View(), &kms::DecodeArchivedVersion,
                       &kms::EncodeArchivedVersion);
  } else {
    Require(version.error().code != kms::ErrorCode::kInternal);
  }
  return 0;
}
