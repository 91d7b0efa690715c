// SPDX-License-Identifier: Apache-2.0
// Messages are hashed here and their hashes signed, so a prehashed input takes the same way.
#include "kms/crypto/signature.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "kms/crypto/ecdsa_encoding.h"

namespace kms {

namespace {

struct KeyContextDeleter {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, KeyContextDeleter>;

struct DigestContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using DigestContext = std::unique_ptr<EVP_MD_CTX, DigestContextDeleter>;

enum class Use : std::uint8_t { kSign, kVerify };

constexpr std::size_t kEd25519SignatureBytes = 64;
constexpr std::size_t kPkcs1FrameBytes = 11;  // RFC 8017, 9.2: 00 01, eight FF at least, 00

Error SigningFailed(const char* step) {
  ERR_clear_error();
  return Internal(std::string("signature failed: ") + step);
}

std::int64_t LongestSalt(const AsymmetricKey& key, HashAlgorithm hash) {
  const std::size_t encoded = (RsaBits(key.algorithm()) - 1 + 7) / 8;  // RFC 8017, 9.1.1: emLen
  return static_cast<std::int64_t>(encoded) - static_cast<std::int64_t>(TraitsOf(hash).bytes) - 2;
}

Status CheckOptions(const AsymmetricKey& key, const SignatureOptions& options) {
  if (!options.hash.has_value()) {
    return options.prehashed && options.rsa == RsaSignatureScheme::kPkcs1v15
               ? Ok()
               : Status(InvalidArgument("hash_algorithm=none requires both prehashed=true and "
                                        "signature_algorithm=pkcs1v15"));
  }
  const bool salted = IsRsa(key.algorithm()) && options.rsa == RsaSignatureScheme::kPss;
  if (salted && (options.salt_length < kPssSaltHash ||
                 options.salt_length > LongestSalt(key, *options.hash))) {
    return InvalidArgument("requested salt length " + std::to_string(options.salt_length) +
                           " is invalid");
  }
  return Ok();
}

// ---- what OpenSSL is given to sign -------------------------------------------------------------

bool FitsWithoutHash(const AsymmetricKey& key, ByteView input) {
  return !IsRsa(key.algorithm()) || input.size() + kPkcs1FrameBytes <= RsaBits(key.algorithm()) / 8;
}

// EMSA-PKCS1-v1_5 (RFC 8017, 9.2) of bare bytes: OpenSSL frames them as well, but does not verify
// an empty input that it signed.
Bytes FramedInput(const AsymmetricKey& key, ByteView input) {
  Bytes block(RsaBits(key.algorithm()) / 8, 0xff);
  block[0] = 0x00;
  block[1] = 0x01;
  const MutableByteView tail = MutableByteView(block).last(input.size() + 1);
  tail[0] = 0x00;
  std::ranges::copy(input, tail.begin() + 1);
  return block;
}

// The options are good. Errors: kInvalidArgument (an input of the wrong length), kInternal.
Result<Bytes> ToSign(const AsymmetricKey& key, const SignatureOptions& options, ByteView input) {
  const bool is_rsa = IsRsa(key.algorithm());
  if (!options.hash.has_value()) {
    return is_rsa ? FramedInput(key, input) : CopyOf(input);
  }
  if (!options.prehashed) {
    return CopyOf(KMS_TRY(ComputeHash(*options.hash, input)).View());
  }
  if (is_rsa && input.size() != TraitsOf(*options.hash).bytes) {
    return InvalidArgument("a prehashed input must be as long as its hash");
  }
  return CopyOf(input);
}

// ---- RSA and ECDSA -----------------------------------------------------------------------------

int OpenSslSalt(const AsymmetricKey& key, const SignatureOptions& options, Use use) {
  if (options.salt_length == kPssSaltHash) {
    return static_cast<int>(TraitsOf(*options.hash).bytes);
  }
  if (options.salt_length != kPssSaltAuto) {
    return static_cast<int>(options.salt_length);
  }
  return use == Use::kSign ? static_cast<int>(LongestSalt(key, *options.hash))
                           : RSA_PSS_SALTLEN_AUTO;
}

// RSA needs to know the hash: PKCS #1 v1.5 writes its name into the signature, PSS uses it again.
Result<KeyContext> Prepare(const AsymmetricKey& key, const SignatureOptions& options, Use use) {
  std::array<OSSL_PARAM, 5> params{};
  std::size_t used = 0;
  int padding = RSA_NO_PADDING;
  int salt = 0;
  if (IsRsa(key.algorithm()) && options.hash.has_value()) {
    char* const hash = const_cast<char*>(TraitsOf(*options.hash).provider_name);  // only read
    const bool salted = options.rsa == RsaSignatureScheme::kPss;
    padding = salted ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
    params[used++] = OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, hash, 0);
    if (salted) {
      salt = OpenSslSalt(key, options, use);
      params[used++] = OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, hash, 0);
      params[used++] = OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, &salt);
    }
  }
  if (IsRsa(key.algorithm())) {
    params[used++] = OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_PAD_MODE, &padding);
  }
  params[used] = OSSL_PARAM_construct_end();
  KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.native(), nullptr));
  const auto start = use == Use::kSign ? &EVP_PKEY_sign_init_ex : &EVP_PKEY_verify_init_ex;
  if (context == nullptr || start(context.get(), params.data()) != 1) {
    return SigningFailed("options");
  }
  return context;
}

Result<Bytes> Sign(const AsymmetricKey& key, const SignatureOptions& options, ByteView input) {
  const Bytes message = KMS_TRY(ToSign(key, options, input));
  const KeyContext context = KMS_TRY(Prepare(key, options, Use::kSign));
  Bytes signature(static_cast<std::size_t>(EVP_PKEY_get_size(key.native())));
  std::size_t size = signature.size();
  if (EVP_PKEY_sign(context.get(), signature.data(), &size, message.data(), message.size()) != 1) {
    return SigningFailed("sign");
  }
  signature.resize(size);
  return signature;
}

Result<bool> Verify(const AsymmetricKey& key, const SignatureOptions& options, ByteView input,
                    ByteView signature) {
  const Bytes message = KMS_TRY(ToSign(key, options, input));
  // OpenSSL takes a PSS signature without its leading zero bytes: one signature, one encoding.
  if (IsRsa(key.algorithm()) && signature.size() != RsaBits(key.algorithm()) / 8) {
    return false;
  }
  const KeyContext context = KMS_TRY(Prepare(key, options, Use::kVerify));
  const bool good = EVP_PKEY_verify(context.get(), signature.data(), signature.size(),
                                    message.data(), message.size()) == 1;
  ERR_clear_error();
  return good;
}

// ---- Ed25519 -----------------------------------------------------------------------------------

Result<Bytes> SignEd25519(const AsymmetricKey& key, ByteView input) {
  const DigestContext context(EVP_MD_CTX_new());
  Bytes signature(kEd25519SignatureBytes);
  std::size_t size = signature.size();
  if (context == nullptr ||
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.native()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, input.data(), input.size()) != 1) {
    return SigningFailed("Ed25519");
  }
  return signature;
}

Result<bool> VerifyEd25519(const AsymmetricKey& key, ByteView input, ByteView signature) {
  const DigestContext context(EVP_MD_CTX_new());
  if (context == nullptr ||
      EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.native()) != 1) {
    return SigningFailed("Ed25519");
  }
  const bool good = EVP_DigestVerify(context.get(), signature.data(), signature.size(),
                                     input.data(), input.size()) == 1;
  ERR_clear_error();
  return good;
}

Result<bool> VerifyEcdsa(const AsymmetricKey& key, const SignatureOptions& options,
                         ByteView input, ByteView signature) {
  if (options.marshaling == SignatureMarshaling::kAsn1) {
    KMS_TRY(internal::CheckEcdsaDer(signature));
    return Verify(key, options, input, signature);
  }
  const std::optional<Bytes> der = internal::EcdsaJwsToDer(key.algorithm(), signature);
  return der.has_value() ? Verify(key, options, input, *der) : Result<bool>(false);
}

}  // namespace

Result<Bytes> CreateSignature(const AsymmetricKey& key, const SignatureOptions& options,
                              ByteView input) {
  if (!key.has_private()) {
    return FailedPrecondition("this key has no private half");
  }
  if (key.algorithm() == AsymmetricAlgorithm::kEd25519) {
    return SignEd25519(key, input);
  }
  KMS_TRY(CheckOptions(key, options));
  if (!options.hash.has_value() && !FitsWithoutHash(key, input)) {
    return InvalidArgument("crypto/rsa: message too long for RSA key size");
  }
  Bytes signature = KMS_TRY(Sign(key, options, input));
  return MarshalSignature(key, options, std::move(signature));
}

Result<Bytes> DigestToSign(const AsymmetricKey& key, const SignatureOptions& options,
                           ByteView input) {
  KMS_TRY(CheckOptions(key, options));
  if (!options.hash.has_value() && !FitsWithoutHash(key, input)) {
    return InvalidArgument("crypto/rsa: message too long for RSA key size");
  }
  if (IsRsa(key.algorithm()) && !options.hash.has_value()) {
    return CopyOf(input);
  }
  Bytes digest = KMS_TRY(ToSign(key, options, input));
  const std::size_t field = EcdsaFieldBytes(key.algorithm());
  if (field == 0 || (digest.size() < field && !digest.empty())) {
    return digest;
  }
  // The order of P-521 does not fill its last byte: a cut there would need a shift.
  if (digest.empty() || key.algorithm() == AsymmetricAlgorithm::kEcdsaP521) {
    return InvalidArgument("a prehashed input of this length is not signed by a key in an HSM; "
                           "send one as long as its hash");
  }
  digest.resize(field);
  return digest;
}

std::size_t PssSaltBytes(const AsymmetricKey& key, const SignatureOptions& options) {
  return static_cast<std::size_t>(OpenSslSalt(key, options, Use::kSign));
}

Result<Bytes> MarshalSignature(const AsymmetricKey& key, const SignatureOptions& options,
                               Bytes signature) {
  return IsEcdsa(key.algorithm()) && options.marshaling == SignatureMarshaling::kJws
             ? internal::EcdsaDerToJws(key.algorithm(), signature)
             : signature;
}

Result<bool> VerifySignature(const AsymmetricKey& key, const SignatureOptions& options,
                             ByteView input, ByteView signature) {
  if (key.algorithm() == AsymmetricAlgorithm::kEd25519) {
    return VerifyEd25519(key, input, signature);
  }
  KMS_TRY(CheckOptions(key, options));
  if (IsEcdsa(key.algorithm())) {
    return VerifyEcdsa(key, options, input, signature);
  }
  if (!options.hash.has_value() && !FitsWithoutHash(key, input)) {
    return false;
  }
  return Verify(key, options, input, signature);
}

}  // namespace kms
