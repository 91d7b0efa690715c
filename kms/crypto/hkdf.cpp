// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/hkdf.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <memory>

namespace kms {

namespace {

constexpr std::size_t kMaxOutputBytes = std::size_t{255} * 32;  // RFC 5869 section 2.3

struct KdfContextDeleter {
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};

EVP_KDF* Hkdf() {
  static EVP_KDF* const algorithm = EVP_KDF_fetch(nullptr, OSSL_KDF_NAME_HKDF, nullptr);
  return algorithm;
}

// OSSL_PARAM's constructors take mutable memory, yet inputs are only read.
OSSL_PARAM OctetParam(const char* name, ByteView bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(bytes.data()),
                                           bytes.size());
}

}  // namespace

Result<SecretBytes> HkdfSha256(ByteView input_key, ByteView salt, ByteView info, std::size_t size) {
  if (input_key.empty() || size == 0 || size > kMaxOutputBytes) {
    return InvalidArgument("wrong size of a key to derive");
  }
  SecretBytes output = KMS_TRY(SecretBytes::OfSize(size));
  char digest[] = "SHA256";
  OSSL_PARAM params[5] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                          OctetParam(OSSL_KDF_PARAM_KEY, input_key)};
  OSSL_PARAM* next = params + 2;
  if (!salt.empty()) {  // absent means the same as 32 zero bytes
    *next++ = OctetParam(OSSL_KDF_PARAM_SALT, salt);
  }
  if (!info.empty()) {
    *next++ = OctetParam(OSSL_KDF_PARAM_INFO, info);
  }
  *next = OSSL_PARAM_construct_end();
  const std::unique_ptr<EVP_KDF_CTX, KdfContextDeleter> context{EVP_KDF_CTX_new(Hkdf())};
  const MutableByteView out = output.MutableView();
  if (context == nullptr || EVP_KDF_derive(context.get(), out.data(), out.size(), params) != 1) {
    ERR_clear_error();
    return Internal("HKDF failed");
  }
  return output;
}

}  // namespace kms
