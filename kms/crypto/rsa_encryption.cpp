// SPDX-License-Identifier: Apache-2.0
// Every failed decryption ends in one code and one text. With OAEP that is enough (RFC 8017,
// 7.1.2). With PKCS #1 v1.5 whether a decryption succeeds tells an attacker the padding all the
// same: OpenSSL 3.0 has no implicit rejection (3.2 has), which is why that padding is off unless an
// environment allows it.
#include "kms/crypto/rsa_encryption.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include <array>
#include <memory>
#include <optional>
#include <string>

namespace kms {

namespace {

constexpr std::size_t kPkcs1FrameBytes = 11;  // RFC 8017, 7.2.1
constexpr HashAlgorithm kDefaultHash = HashAlgorithm::kSha2_256;

struct ContextDeleter {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_PKEY_CTX, ContextDeleter>;

using Initialize = int (*)(EVP_PKEY_CTX*, const OSSL_PARAM*);

// nullopt: PKCS #1 v1.5.
using OaepHash = std::optional<HashAlgorithm>;

OaepHash HashOf(RsaEncryptionPadding padding) {
  return padding == RsaEncryptionPadding::kOaep ? OaepHash(kDefaultHash) : std::nullopt;
}

std::size_t LongestMessage(AsymmetricAlgorithm algorithm, OaepHash hash) {
  const std::size_t frame = hash.has_value() ? 2 * TraitsOf(*hash).bytes + 2 : kPkcs1FrameBytes;
  const std::size_t modulus = RsaCiphertextBytes(algorithm);
  return modulus < frame ? 0 : modulus - frame;
}

Error RsaFailed(const char* step) {
  ERR_clear_error();
  return Internal(std::string("RSA failed: ") + step);
}

Result<Context> Prepare(const AsymmetricKey& key, OaepHash hash, Initialize initialize) {
  if (!IsRsa(key.algorithm())) {
    return RsaFailed("not an RSA key");
  }
  int padding = hash.has_value() ? RSA_PKCS1_OAEP_PADDING : RSA_PKCS1_PADDING;
  std::array<OSSL_PARAM, 4> params{OSSL_PARAM_construct_int(OSSL_PKEY_PARAM_PAD_MODE, &padding)};
  params[1] = OSSL_PARAM_construct_end();
  if (hash.has_value()) {
    char* const name = const_cast<char*>(TraitsOf(*hash).provider_name);  // only read
    params[1] = OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, name, 0);
    params[2] = OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, name, 0);
    params[3] = OSSL_PARAM_construct_end();
  }
  Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.native(), nullptr));
  if (context == nullptr || initialize(context.get(), params.data()) != 1) {
    return RsaFailed("options");
  }
  return context;
}

// `message` is short enough, `out` as long as the modulus.
Status Encrypt(const AsymmetricKey& key, OaepHash hash, ByteView message, MutableByteView out) {
  const Context context = KMS_TRY(Prepare(key, hash, &EVP_PKEY_encrypt_init_ex));
  std::size_t written = out.size();
  if (EVP_PKEY_encrypt(context.get(), out.data(), &written, message.data(), message.size()) != 1 ||
      written != out.size()) {
    return RsaFailed("encrypt");
  }
  return Ok();
}

// Writes the message to the front of `out`, which is as long as the modulus, and returns its size;
// nullopt when there is none. OpenSSL 3.0 frees the block that OAEP stood in, still masked, without
// wiping it.
Result<std::optional<std::size_t>> Decrypt(const AsymmetricKey& key, OaepHash hash,
                                           ByteView ciphertext, MutableByteView out) {
  if (!key.has_private()) {
    return InvalidArgument(
        "cannot decrypt ciphertext, key version does not have a private counterpart");
  }
  const Context context = KMS_TRY(Prepare(key, hash, &EVP_PKEY_decrypt_init_ex));
  if (ciphertext.size() != out.size()) {  // OpenSSL takes shorter ones as numbers
    return std::optional<std::size_t>();
  }
  std::size_t written = out.size();
  const bool good = EVP_PKEY_decrypt(context.get(), out.data(), &written, ciphertext.data(),
                                     ciphertext.size()) == 1;
  ERR_clear_error();
  return good ? std::optional(written) : std::nullopt;
}

}  // namespace

std::size_t RsaCiphertextBytes(AsymmetricAlgorithm algorithm) { return RsaBits(algorithm) / 8; }

std::size_t MaxRsaPlaintextBytes(AsymmetricAlgorithm algorithm, RsaEncryptionPadding padding) {
  return LongestMessage(algorithm, HashOf(padding));
}

Status RsaEncrypt(const AsymmetricKey& key, RsaEncryptionPadding padding, ByteView plaintext,
                  MutableByteView out) {
  if (plaintext.size() > MaxRsaPlaintextBytes(key.algorithm(), padding)) {
    return InvalidArgument(
        "failed to RSA encrypt the plaintext: message too long for RSA key size");
  }
  if (out.size() != RsaCiphertextBytes(key.algorithm())) {
    return RsaFailed("wrong size of output");
  }
  return Encrypt(key, HashOf(padding), plaintext, out);
}

Status RsaDecrypt(const AsymmetricKey& key, RsaEncryptionPadding padding, ByteView ciphertext,
                  PlaintextBuffer& plaintext) {
  const MutableByteView out = plaintext.Reset(RsaCiphertextBytes(key.algorithm()));
  const Result<std::optional<std::size_t>> size = Decrypt(key, HashOf(padding), ciphertext, out);
  plaintext.Truncate(size.has_value() ? size->value_or(0) : 0);
  if (!size.has_value()) {
    return size.error();
  }
  return size->has_value()
             ? Ok()
             : Status(MakeError(
                   ErrorCode::kDecryptionFailed,
                   "failed to RSA decrypt the ciphertext: crypto/rsa: decryption error"));
}

Result<Bytes> OaepEncrypt(const AsymmetricKey& key, HashAlgorithm hash, ByteView secret) {
  if (secret.size() > LongestMessage(key.algorithm(), hash)) {
    return InvalidArgument("crypto/rsa: message too long for RSA key size");
  }
  Bytes ciphertext(RsaCiphertextBytes(key.algorithm()));
  KMS_TRY(Encrypt(key, hash, secret, ciphertext));
  return ciphertext;
}

Result<SecretBytes> OaepDecrypt(const AsymmetricKey& key, HashAlgorithm hash,
                                ByteView ciphertext) {
  SecretBytes block = KMS_TRY(SecretBytes::OfSize(RsaCiphertextBytes(key.algorithm())));
  const std::optional<std::size_t> size =
      KMS_TRY(Decrypt(key, hash, ciphertext, block.MutableView()));
  if (!size.has_value()) {
    return MakeError(ErrorCode::kDecryptionFailed, "crypto/rsa: decryption error");
  }
  return SecretBytes::CopyOf(block.View().first(*size));
}

}  // namespace kms
