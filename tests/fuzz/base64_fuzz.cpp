// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::Base64Decode in both forms, kms::Base64Encode,
// kms::DecodeCiphertextPayload. What decodes canonically is exactly what encodes; the lenient form
// accepts every canonical text with the same result; the ciphertext rule lies between the two.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "kms/base/base64.h"
#include "kms/keys/ciphertext.h"

namespace {

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

kms::Result<kms::Bytes> DecodePayload(std::string_view text) {
  kms::Bytes bytes(kms::Base64DecodedBound(text.size()));
  bytes.resize(KMS_TRY(kms::DecodeCiphertextPayload(text, bytes)));
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const kms::ByteView input(data, size);
  const std::string_view text = kms::AsText(input);
  const auto canonical = kms::Base64Decode(text, kms::Base64Form::kCanonical);
  const auto lenient = kms::Base64Decode(text, kms::Base64Form::kLenient);
  const auto payload = DecodePayload(text);
  if (canonical.has_value()) {
    Require(kms::Base64Encode(*canonical) == text);
    Require(payload.has_value() && *payload == *canonical);
  }
  if (payload.has_value()) {
    std::string joined(text);
    std::erase_if(joined, [](char c) { return c == '\r' || c == '\n'; });
    Require(kms::Base64Encode(*payload) == joined);
    Require(lenient.has_value() && *lenient == *payload);
  }
  const auto decoded = kms::Base64Decode(kms::Base64Encode(input), kms::Base64Form::kCanonical);
  Require(decoded.has_value() && std::ranges::equal(*decoded, input));
  return 0;
}
