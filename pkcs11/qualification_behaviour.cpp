// SPDX-License-Identifier: Apache-2.0
// Output sizes, what damaged input does to a session, and the random number generator.
#include <algorithm>
#include <array>
#include <bit>
#include <set>

#include "kms/base/random.h"
#include "pkcs11/qualification_bench.h"

namespace kms::pkcs11 {
namespace {

constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kRandomDraws = 256;
constexpr std::size_t kRandomBytes = 64;
// Of 131,072 fair bits the ones stay within 3 % of a half but once in 10^26 times.
constexpr double kLargestBias = 0.03;

Result<SecretBytes> RandomSecret() {
  SecretBytes secret = KMS_TRY(SecretBytes::OfSize(kSecretBytes));
  FillRandom(secret.MutableView());
  return secret;
}

const ByteView kContext = AsBytes("kms-test");

// C_Encrypt for the three kinds of secret-key mechanism, with an output buffer of `size` bytes.
CK_RV EncryptInto(QualificationBench& bench, Session& session,
                  const QualificationBench::TestKey& key, CK_BYTE* out, CK_ULONG& size) {
  std::array<std::uint8_t, 16> nonce{};
  FillRandom(nonce);
  GcmParametersWithIvBits with{nonce.data(), 12, 96, nullptr, 0, 128};
  GcmParametersWithoutIvBits without{nonce.data(), 12, nullptr, 0, 128};
  CK_MECHANISM mechanism{RowOf(key.profile.mechanism).type, nullptr, 0};
  if (key.profile.mechanism == WrapMechanism::kGcmEncrypt) {
    const bool bits = key.profile.gcm_layout == GcmParameterLayout::kWithIvBits;
    mechanism.pParameter = bits ? static_cast<void*>(&with) : static_cast<void*>(&without);
    mechanism.ulParameterLen = bits ? sizeof(with) : sizeof(without);
  }
  const CK_RV rv = bench.calls().C_EncryptInit(session.handle(), &mechanism, key.key.handle);
  if (rv != CKR_OK) return rv;
  std::array<std::uint8_t, kSecretBytes> plaintext{};
  return bench.calls().C_Encrypt(session.handle(), plaintext.data(), plaintext.size(), out, &size);
}

Status TellSizeQuery(QualificationBench& bench, const QualificationBench::TestKey& key) {
  Session session = KMS_TRY(bench.Open());
  CK_ULONG told = 0;
  const CK_RV query = EncryptInto(bench, session, key, nullptr, told);
  Session other = KMS_TRY(bench.Open());
  std::array<CK_BYTE, 256> room{};
  CK_ULONG real = room.size();
  const CK_RV rv = EncryptInto(bench, other, key, room.data(), real);
  if (query != CKR_OK || rv != CKR_OK) {
    bench.Note("size query", "refused: " + RvName(query == CKR_OK ? rv : query));
    return Ok();
  }
  bench.Note("size query", told == real
                               ? "true"
                               : "false: " + std::to_string(told) + " for what has " +
                                     std::to_string(real) + " bytes; this service makes none");
  return Ok();
}

Status TellSmallBuffer(QualificationBench& bench, const QualificationBench::TestKey& key) {
  Session session = KMS_TRY(bench.Open());
  std::array<CK_BYTE, 256> room{};
  CK_ULONG size = 1;
  const CK_RV rv = EncryptInto(bench, session, key, room.data(), size);
  if (rv == CKR_OK) {
    bench.Bad("small buffer", "the library writes past the end of the caller's buffer");
    return Ok();
  }
  size = room.size();
  std::array<std::uint8_t, kSecretBytes> plaintext{};
  const CK_RV again = bench.calls().C_Encrypt(session.handle(), plaintext.data(), plaintext.size(),
                                              room.data(), &size);
  bench.Note("small buffer", RvName(rv) + "; the operation " +
                                 (again == CKR_OK ? "goes on" : "ends, " + RvName(again)));
  return Ok();
}

}  // namespace

Status QualifyBuffers(QualificationBench& bench) {
  const auto profile = bench.BestProfile();
  const bool encrypts = profile.has_value() && !UsesRsa(profile->mechanism) &&
                        RowOf(profile->mechanism).usage == KeyUsage::kEncryptDecrypt;
  if (!encrypts) {
    bench.Note("sizes", "not tested: no secret key that encrypts would be used");
    return Ok();
  }
  Session keeper = KMS_TRY(bench.Open());
  const auto key = KMS_TRY(bench.MakeKey(keeper, /*in_token=*/false));
  KMS_TRY(TellSizeQuery(bench, key));
  return TellSmallBuffer(bench, key);
}

// What a damaged blob is called, and whether the session still works after it.
Status QualifyErrors(QualificationBench& bench) {
  Session keeper = KMS_TRY(bench.Open());
  const auto key = KMS_TRY(bench.MakeKey(keeper, /*in_token=*/false));
  const SecretBytes secret = KMS_TRY(RandomSecret());
  Session session = KMS_TRY(bench.Open());
  const WrappedKey good = KMS_TRY(WrapUnder(session, key.wrapping(), secret, kContext));
  WrappedKey damaged = good;
  damaged.blob.back() ^= 1U;
  const auto opened = UnwrapUnder(session, key.wrapping(), damaged, kContext);
  if (opened.has_value()) {
    bench.Bad("damaged input", "the token opens a damaged blob");
    return Ok();
  }
  const auto& failure = session.failure();
  const std::string name = failure.has_value() ? RvName(failure->value) : "found by its digest";
  bench.Learn("errors.damaged", name);
  bench.Note("damaged input", name);
  const auto again = UnwrapUnder(session, key.wrapping(), good, kContext);
  const bool works = again.has_value() && *again == secret;
  bench.Learn("errors.session_after", works ? "usable" : "lost");
  bench.Note(
      "session afterwards",
      works ? "usable"
            : "lost: " + ToldError(again.has_value() ? Internal("other bytes") : again.error()) +
                  "; this service opens a new one after every failure");
  return Ok();
}

Status QualifyRandom(QualificationBench& bench) {
  Session session = KMS_TRY(bench.Open());
  std::set<Bytes> seen;
  std::size_t ones = 0;
  for (std::size_t draw = 0; draw < kRandomDraws; ++draw) {
    const auto random = session.Random(kRandomBytes);
    if (!random.has_value()) {
      bench.Warn("random",
                 "no random bytes, the kernel's are used alone: " + ToldError(random.error()));
      return Ok();
    }
    seen.insert(CopyOf(random->View()));
    for (const std::uint8_t byte : random->View())
      ones += static_cast<unsigned>(std::popcount(byte));
  }
  const double share = static_cast<double>(ones) / (kRandomDraws * kRandomBytes * 8);
  const bool biased = share < 0.5 - kLargestBias || share > 0.5 + kLargestBias;
  if (seen.size() != kRandomDraws || biased) {
    bench.Bad("random",
              "the token's random bytes repeat or are biased: its keys cannot be trusted");
    return Ok();
  }
  bench.Good("random", std::to_string(kRandomDraws) + " draws of 64 bytes: no repetition, no bias");
  return Ok();
}

}  // namespace kms::pkcs11
