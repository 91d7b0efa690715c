// SPDX-License-Identifier: Apache-2.0
// By HMAC: OpenSSL's own HKDF takes at most 1024 bytes of info in 3.0, and contexts may be longer.
#include "kms/crypto/hkdf.h"

#include <algorithm>
#include <array>

#include "kms/base/digest.h"
#include "kms/crypto/hmac_sha256.h"

namespace kms {

namespace {

constexpr std::size_t kMaxOutputBytes = std::size_t{255} * kSha256Bytes;  // RFC 5869 section 2.3

// RFC 5869 section 2.2.
Result<SecretBytes> Extract(ByteView input_key, ByteView salt) {
  constexpr std::array<std::uint8_t, kSha256Bytes> kNoSalt{};
  HmacSha256 mac = KMS_TRY(HmacSha256::Create(salt.empty() ? ByteView{kNoSalt} : salt));
  SecretBytes key = KMS_TRY(SecretBytes::OfSize(kSha256Bytes));
  KMS_TRY(mac.Compute({input_key}, key.MutableView()));
  return key;
}

}  // namespace

Result<SecretBytes> HkdfSha256(ByteView input_key, ByteView salt, ByteView info, std::size_t size) {
  if (input_key.empty() || size == 0 || size > kMaxOutputBytes) {
    return InvalidArgument("wrong size of a key to derive");
  }
  SecretBytes output = KMS_TRY(SecretBytes::OfSize(size));
  SecretBytes block = KMS_TRY(SecretBytes::OfSize(kSha256Bytes));
  const SecretBytes key = KMS_TRY(Extract(input_key, salt));
  HmacSha256 mac = KMS_TRY(HmacSha256::Create(key.View()));
  // RFC 5869 section 2.3: each block continues the one before.
  ByteView previous;
  std::uint8_t counter = 0;
  for (MutableByteView rest = output.MutableView(); !rest.empty();) {
    ++counter;
    KMS_TRY(mac.Compute({previous, info, ByteView{&counter, 1}}, block.MutableView()));
    previous = block.View();
    const std::size_t taken = std::min(rest.size(), previous.size());
    std::ranges::copy(previous.first(taken), rest.begin());
    rest = rest.subspan(taken);
  }
  return output;
}

}  // namespace kms
