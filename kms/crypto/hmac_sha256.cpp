// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/hmac_sha256.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>

#include "kms/base/digest.h"

namespace kms {

namespace {

Error HmacFailed() {
  ERR_clear_error();
  return Internal("HMAC failed");
}

// A context that knows its digest; its key is replaced in every copy.
EVP_MAC_CTX* MakeTemplate() {
  EVP_MAC* algorithm = EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr);
  EVP_MAC_CTX* context = EVP_MAC_CTX_new(algorithm);
  EVP_MAC_free(algorithm);  // the context holds it too
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                               OSSL_PARAM_construct_end()};
  constexpr std::array<std::uint8_t, kSha256Bytes> kNoKey{};
  if (context != nullptr &&
      EVP_MAC_init(context, kNoKey.data(), kNoKey.size(), params) != 1) {
    EVP_MAC_CTX_free(context);
    return nullptr;
  }
  return context;
}

}  // namespace

void HmacSha256::Free::operator()(evp_mac_ctx_st* context) const { EVP_MAC_CTX_free(context); }

// Made once: looking the digest up by name costs more than the MAC of a short message.
const evp_mac_ctx_st* HmacSha256::Template() {
  static const EVP_MAC_CTX* const context = MakeTemplate();
  return context;
}

Result<HmacSha256> HmacSha256::Create(ByteView key) {
  const EVP_MAC_CTX* source = Template();
  Context context{source == nullptr ? nullptr : EVP_MAC_CTX_dup(source)};
  if (context == nullptr || key.empty() ||
      EVP_MAC_init(context.get(), key.data(), key.size(), nullptr) != 1) {
    return HmacFailed();
  }
  return HmacSha256(std::move(context));
}

Status HmacSha256::Compute(std::initializer_list<ByteView> parts, MutableByteView out) {
  if (out.size() != kSha256Bytes || EVP_MAC_init(context_.get(), nullptr, 0, nullptr) != 1) {
    return HmacFailed();
  }
  for (const ByteView part : parts) {
    if (!part.empty() && EVP_MAC_update(context_.get(), part.data(), part.size()) != 1) {
      return HmacFailed();
    }
  }
  std::size_t written = 0;
  if (EVP_MAC_final(context_.get(), out.data(), &written, out.size()) != 1) {
    return HmacFailed();
  }
  return Ok();
}

}  // namespace kms
