// SPDX-License-Identifier: Apache-2.0
// Signatures: ECDSA (FIPS 186-5), Ed25519 (RFC 8032) and RSA (RFC 8017), as transit-api 5.6 says.
#pragma once

#include <cstdint>
#include <optional>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/hash.h"

namespace kms {

enum class RsaSignatureScheme : std::uint8_t { kPss, kPkcs1v15 };

enum class SignatureMarshaling : std::uint8_t {
  kAsn1,  // ECDSA: DER SEQUENCE{r, s}; others: the bytes themselves
  kJws,   // ECDSA: r || s, each as long as the curve's field (RFC 7518, 3.4); others: as kAsn1
};

// The salt of PSS. A number n >= 1 is taken literally.
inline constexpr std::int64_t kPssSaltAuto = 0;   // signing: the longest; verifying: detected
inline constexpr std::int64_t kPssSaltHash = -1;  // as long as the hash

// How an input is signed. Ed25519 ignores all of it.
struct SignatureOptions {
  // nullopt: "none", the bare bytes without DigestInfo; needs `prehashed` and PKCS #1 v1.5.
  std::optional<HashAlgorithm> hash = HashAlgorithm::kSha2_256;
  bool prehashed = false;  // the input is the hash already
  RsaSignatureScheme rsa = RsaSignatureScheme::kPss;
  std::int64_t salt_length = kPssSaltAuto;
  SignatureMarshaling marshaling = SignatureMarshaling::kAsn1;
};

// The signature's bytes in the asked marshaling (not base64). Any thread.
// Errors: kInvalidArgument "requested salt length N is invalid", "hash_algorithm=none requires both
// prehashed=true and signature_algorithm=pkcs1v15", an input that is not as long as its hash;
// kFailedPrecondition without a private half; kInternal.
Result<Bytes> CreateSignature(const AsymmetricKey& key, const SignatureOptions& options,
                              ByteView input);

// Whether `signature` is one of `input`; a well-formed wrong one is false and no error. Any thread.
// Errors: kInvalidArgument "supplied signature is invalid", "supplied signature contains extra
// data" (ECDSA, DER), and those about options of CreateSignature; kInternal.
Result<bool> VerifySignature(const AsymmetricKey& key, const SignatureOptions& options,
                             ByteView input, ByteView signature);

// ---- for a private half that is elsewhere; `key` may be its public half alone ----
// What it is given to sign: the hash of `input`, or the bare input without a hash. ECDSA: cut to the
// length of the curve (FIPS 186-5, 6.4). Errors: as CreateSignature; kInvalidArgument for ECDSA of
// an empty or, on P-521, of an overlong prehashed input, which only software can sign.
Result<Bytes> DigestToSign(const AsymmetricKey& key, const SignatureOptions& options,
                           ByteView input);
// Bytes of the PSS salt that `options`, which DigestToSign accepted, mean.
std::size_t PssSaltBytes(const AsymmetricKey& key, const SignatureOptions& options);
// `signature` as it came from there (ECDSA: DER) in the asked marshaling. Errors: kInternal.
Result<Bytes> MarshalSignature(const AsymmetricKey& key, const SignatureOptions& options,
                               Bytes signature);

}  // namespace kms
