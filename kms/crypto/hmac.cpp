// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/hmac.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <memory>

namespace kms {

namespace {

struct MacContextDeleter {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};
using MacContext = std::unique_ptr<EVP_MAC_CTX, MacContextDeleter>;

constexpr std::size_t kAlgorithms = static_cast<std::size_t>(HashAlgorithm::kSha3_512) + 1;

// A context that knows its hash. It needs some key before OpenSSL lets it be copied.
MacContext MakeTemplate(EVP_MAC* hmac, const HashTraits& hash) {
  MacContext context(EVP_MAC_CTX_new(hmac));
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>(hash.provider_name),
                                       0),
      OSSL_PARAM_construct_end()};
  constexpr std::array<std::uint8_t, 32> kNoKey{};
  if (context == nullptr ||
      EVP_MAC_init(context.get(), kNoKey.data(), kNoKey.size(), params) != 1) {
    return nullptr;
  }
  return context;
}

// Made once and copied: naming the hash at every call would fetch it at every call.
const EVP_MAC_CTX* TemplateOf(HashAlgorithm algorithm) {
  static const std::array<MacContext, kAlgorithms> templates = [] {
    static EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    std::array<MacContext, kAlgorithms> made;
    for (const HashTraits& hash : AllHashes()) {
      made[static_cast<std::size_t>(hash.algorithm)] = MakeTemplate(hmac, hash);
    }
    return made;
  }();
  return templates[static_cast<std::size_t>(algorithm)].get();
}

bool Compute(EVP_MAC_CTX* context, ByteView key, ByteView message, MutableByteView out) {
  std::size_t written = 0;
  return context != nullptr && EVP_MAC_init(context, key.data(), key.size(), nullptr) == 1 &&
         EVP_MAC_update(context, message.data(), message.size()) == 1 &&
         EVP_MAC_final(context, out.data(), &written, out.size()) == 1 && written == out.size();
}

}  // namespace

Result<HashValue> ComputeHmac(HashAlgorithm algorithm, ByteView key, ByteView message) {
  if (key.empty()) {  // OpenSSL would take the template's key
    return Internal("an HMAC key is empty");
  }
  HashValue value(TraitsOf(algorithm).bytes);
  const EVP_MAC_CTX* prepared = TemplateOf(algorithm);
  const MacContext context(prepared == nullptr ? nullptr : EVP_MAC_CTX_dup(prepared));
  if (!Compute(context.get(), key, message, value.MutableView())) {
    ERR_clear_error();
    return Internal("HMAC failed");
  }
  return value;
}

Result<bool> CheckHmac(HashAlgorithm algorithm, ByteView key, ByteView message,
                       ByteView expected) {
  const HashValue value = KMS_TRY(ComputeHmac(algorithm, key, message));
  return EqualInConstantTime(value.View(), expected);
}

}  // namespace kms
