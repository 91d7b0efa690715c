// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/totp.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>

#include "kms/base/random.h"
#include "kms/crypto/hmac.h"

namespace kms {
namespace {

constexpr std::string_view kUpperBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::string_view kLowerBase32 = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::int64_t kStepsAround = 1;  // RFC 6238, 5.2: one step of delay at the most
constexpr std::size_t kBackupCodeBytes = kBackupCodeCharacters * 5 / 8;

std::array<std::uint8_t, 8> BigEndian(std::uint64_t number) {
  std::array<std::uint8_t, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(number >> (56 - i * 8));
  }
  return bytes;
}

std::array<char, kTotpDigits> Digits(std::uint32_t value) {
  std::array<char, kTotpDigits> digits{};
  for (std::size_t i = digits.size(); i-- > 0; value /= 10) {
    digits[i] = static_cast<char>('0' + value % 10);
  }
  return digits;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

void AppendBase32(ByteView bytes, std::string_view alphabet, std::string& out) {
  std::uint32_t pending = 0;
  unsigned bits = 0;
  for (const std::uint8_t byte : bytes) {
    pending = pending << 8U | byte;
    for (bits += 8; bits >= 5; bits -= 5) {
      out += alphabet[pending >> (bits - 5) & 31U];
    }
  }
  if (bits > 0) {
    out += alphabet[pending << (5 - bits) & 31U];
  }
}

}  // namespace

Result<std::uint32_t> HotpValue(ByteView secret, std::uint64_t counter, std::size_t digits) {
  const HashValue mac = KMS_TRY(ComputeHmac(HashAlgorithm::kSha1, secret, BigEndian(counter)));
  const ByteView bytes = mac.View();
  const std::size_t at = bytes.back() & 15U;
  std::uint32_t value = bytes[at] & 127U;
  for (std::size_t i = 1; i < 4; ++i) {
    value = value << 8U | bytes[at + i];
  }
  std::uint32_t modulus = 1;
  for (std::size_t i = 0; i < digits; ++i) {
    modulus *= 10;
  }
  return value % modulus;
}

Result<std::optional<std::int64_t>> MatchTotp(ByteView secret, std::string_view passcode,
                                              std::int64_t unix_seconds,
                                              std::int64_t last_used_step) {
  if (passcode.size() != kTotpDigits || !std::ranges::all_of(passcode, IsDigit)) {
    return std::optional<std::int64_t>{};
  }
  const std::int64_t now = unix_seconds / kTotpStepSeconds;
  std::optional<std::int64_t> match;
  for (std::int64_t step = now - kStepsAround; step <= now + kStepsAround; ++step) {
    const std::uint32_t value =
        KMS_TRY(HotpValue(secret, static_cast<std::uint64_t>(step), kTotpDigits));
    const std::array<char, kTotpDigits> code = Digits(value);
    const bool equal = EqualInConstantTime(AsBytes({code.data(), code.size()}), AsBytes(passcode));
    if (equal && step > last_used_step && !match) {
      match = step;
    }
  }
  return match;
}

void AppendBase32(ByteView bytes, std::string& out) { AppendBase32(bytes, kUpperBase32, out); }

void AppendTotpUrl(std::string_view issuer, std::string_view account, ByteView secret,
                   std::string& out) {
  out += "otpauth://totp/";
  out += issuer;
  out += ':';
  out += account;
  out += "?secret=";
  AppendBase32(secret, out);
  out += "&issuer=";
  out += issuer;
  out += "&algorithm=SHA1&digits=6&period=30";
}

Result<SecretBytes> MakeBackupCodes() {
  SecretBytes codes = KMS_TRY(SecretBytes::OfSize(kBackupCodes * kBackupCodeCharacters));
  SecretBytes random = KMS_TRY(SecretBytes::OfSize(kBackupCodes * kBackupCodeBytes));
  FillRandom(random.MutableView());
  std::string text;
  text.reserve(codes.size());
  AppendBase32(random.View(), kLowerBase32, text);
  std::ranges::copy(AsBytes(text), codes.MutableView().begin());
  OPENSSL_cleanse(text.data(), text.size());
  return codes;
}

std::string_view BackupCode(const SecretBytes& codes, std::size_t n) {
  return AsText(codes.View()).substr(n * kBackupCodeCharacters, kBackupCodeCharacters);
}

Result<Sha256Digest> BackupCodeDigest(ByteView key, std::string_view code) {
  const HashValue mac = KMS_TRY(ComputeHmac(HashAlgorithm::kSha2_256, key, AsBytes(code)));
  Sha256Digest digest{};
  std::ranges::copy(mac.View(), digest.begin());
  return digest;
}

Result<std::optional<std::size_t>> MatchBackupCode(ByteView key, std::string_view code,
                                                   std::span<const Sha256Digest> digests) {
  const Sha256Digest wanted = KMS_TRY(BackupCodeDigest(key, code));
  std::optional<std::size_t> match;
  for (std::size_t i = 0; i < digests.size(); ++i) {
    if (EqualInConstantTime(wanted, digests[i])) {
      match = i;
    }
  }
  return match;
}

}  // namespace kms
