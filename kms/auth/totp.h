// SPDX-License-Identifier: Apache-2.0
// One-time codes of a second factor: HOTP (RFC 4226), TOTP (RFC 6238), and codes for the day the
// telephone is lost.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/digest.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

inline constexpr std::size_t kTotpSecretBytes = 20;  // as RFC 4226, 4 recommends
inline constexpr std::int64_t kTotpStepSeconds = 30;
inline constexpr std::size_t kTotpDigits = 6;
inline constexpr std::size_t kBackupCodes = 10;
inline constexpr std::size_t kBackupCodeCharacters = 16;  // 80 bits in base32

// The value of RFC 4226, 5.3 with `digits` (6 to 9) digits, HMAC-SHA-1. Errors: kInternal.
Result<std::uint32_t> HotpValue(ByteView secret, std::uint64_t counter, std::size_t digits);

// The step whose code `passcode` is: now's, the one before or the one after, and later than
// `last_used_step`, so that a code counts once only. nullopt for anything but six digits, spaces
// included. Every step is compared, in constant time. Errors: kInternal.
Result<std::optional<std::int64_t>> MatchTotp(ByteView secret, std::string_view passcode,
                                              std::int64_t unix_seconds,
                                              std::int64_t last_used_step);

// RFC 4648, 6, upper case, without padding: appended to `out`, which the caller wipes.
void AppendBase32(ByteView bytes, std::string& out);

// "otpauth://totp/kms:alice?secret=…&issuer=kms&algorithm=SHA1&digits=6&period=30", appended to
// `out`, which the caller wipes. `issuer` and `account` hold unreserved characters only.
void AppendTotpUrl(std::string_view issuer, std::string_view account, ByteView secret,
                   std::string& out);

// kBackupCodes codes of kBackupCodeCharacters lower-case base32 characters, one after the other.
// Errors: kUnavailable when the secret arena is full.
Result<SecretBytes> MakeBackupCodes();
// The n-th of them (n < kBackupCodes); lives as long as `codes`.
std::string_view BackupCode(const SecretBytes& codes, std::size_t n);
// What is stored of one: HMAC-SHA-256 under a key of the user. Errors: kInternal.
Result<Sha256Digest> BackupCodeDigest(ByteView key, std::string_view code);
// Which of `digests` belongs to `code`; nullopt: none. All are compared, in constant time.
// Errors: kInternal.
Result<std::optional<std::size_t>> MatchBackupCode(ByteView key, std::string_view code,
                                                   std::span<const Sha256Digest> digests);

}  // namespace kms
