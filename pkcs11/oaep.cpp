// SPDX-License-Identifier: Apache-2.0
// RSA-OAEP by EVP. Padding alone EVP does not take off: OpenSSL's own constant-time function for it
// is older, and marked deprecated without a successor.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "pkcs11/oaep.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <memory>

namespace kms::pkcs11 {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using KeyPointer = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using KeyContextPointer = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;
using NumberPointer = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using BuilderPointer = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD_free>>;
using ParametersPointer = std::unique_ptr<OSSL_PARAM, Deleter<OSSL_PARAM_free>>;

const EVP_MD* DigestOf(HashAlgorithm hash) {
  return EVP_get_digestbyname(TraitsOf(hash).provider_name);
}

}  // namespace

Result<Bytes> EncodeRsaPublicKey(ByteView modulus, ByteView exponent) {
  const NumberPointer n(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr));
  const NumberPointer e(BN_bin2bn(exponent.data(), static_cast<int>(exponent.size()), nullptr));
  const BuilderPointer builder(OSSL_PARAM_BLD_new());
  if (n == nullptr || e == nullptr || builder == nullptr ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return Internal("RSA public key numbers");
  }
  const ParametersPointer parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const KeyContextPointer context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* made = nullptr;
  if (parameters == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return Internal("RSA public key from numbers");
  }
  const KeyPointer key(made);
  std::uint8_t* encoded = nullptr;
  const int size = i2d_PUBKEY(key.get(), &encoded);
  if (size <= 0) return Internal("i2d_PUBKEY");
  Bytes out(encoded, encoded + size);
  OPENSSL_free(encoded);
  return out;
}

Result<Bytes> EncryptOaep(ByteView public_key, HashAlgorithm hash, ByteView plaintext) {
  const std::uint8_t* in = public_key.data();
  const KeyPointer key(d2i_PUBKEY(nullptr, &in, static_cast<long>(public_key.size())));
  const KeyContextPointer context(
      key == nullptr ? nullptr : EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  const EVP_MD* const digest = DigestOf(hash);
  std::size_t size = 0;
  if (context == nullptr || digest == nullptr || EVP_PKEY_encrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), digest) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), digest) != 1 ||
      EVP_PKEY_encrypt(context.get(), nullptr, &size, plaintext.data(), plaintext.size()) != 1) {
    return Corrupted("the HSM key's record has no usable RSA public key");
  }
  Bytes out(size);
  if (EVP_PKEY_encrypt(context.get(), out.data(), &size, plaintext.data(), plaintext.size()) != 1) {
    return Internal("EVP_PKEY_encrypt");
  }
  out.resize(size);
  return out;
}

Result<std::optional<SecretBytes>> RemoveOaep(HashAlgorithm hash, const SecretBytes& encoded) {
  const EVP_MD* const digest = DigestOf(hash);
  if (digest == nullptr) return Internal("EVP_get_digestbyname");
  const int size = static_cast<int>(encoded.size());
  SecretBytes message = KMS_TRY(SecretBytes::OfSize(encoded.size()));
  const int length =
      RSA_padding_check_PKCS1_OAEP_mgf1(message.MutableView().data(), size, encoded.View().data(),
                                        size, size, nullptr, 0, digest, digest);
  ERR_clear_error();
  if (length < 0) return std::optional<SecretBytes>();
  return std::optional(
      KMS_TRY(SecretBytes::CopyOf(message.View().first(static_cast<std::size_t>(length)))));
}

}  // namespace kms::pkcs11
