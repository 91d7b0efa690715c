// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/key_wrap.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

namespace kms {

namespace {

struct ContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter>;

enum Direction : int { kUnwrap = 0, kWrap = 1 };

// Fetched once and kept: a fetch takes a lock that every thread shares.
const EVP_CIPHER* CipherFor(std::size_t kek_bytes) {
  static const std::array<EVP_CIPHER*, 3> ciphers = {
      EVP_CIPHER_fetch(nullptr, "AES-128-WRAP-PAD", nullptr),
      EVP_CIPHER_fetch(nullptr, "AES-192-WRAP-PAD", nullptr),
      EVP_CIPHER_fetch(nullptr, "AES-256-WRAP-PAD", nullptr)};
  return kek_bytes == 16   ? ciphers[0]
         : kek_bytes == 24 ? ciphers[1]
         : kek_bytes == 32 ? ciphers[2]
                           : nullptr;
}

Result<Context> Prepare(ByteView kek, Direction direction) {
  const EVP_CIPHER* cipher = CipherFor(kek.size());
  if (cipher == nullptr) {
    return InvalidArgument("a key-wrapping key has 128, 192 or 256 bits");
  }
  Context context(EVP_CIPHER_CTX_new());
  if (context == nullptr) {
    return Internal("no cipher context");
  }
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  if (EVP_CipherInit_ex2(context.get(), cipher, kek.data(), nullptr, direction, nullptr) != 1) {
    ERR_clear_error();
    return Internal("key wrapping cannot be keyed");
  }
  return context;
}

Error UnwrapFailed() {
  return MakeError(ErrorCode::kDecryptionFailed,
                   "failed to unwrap the key: integrity check failed");
}

bool IsPossibleWrapping(ByteView wrapped) {
  return wrapped.size() >= WrappedKeyBytes(1) && wrapped.size() % 8 == 0 &&
         wrapped.size() <= WrappedKeyBytes(kMaxWrappableKeyBytes);
}

}  // namespace

Result<Bytes> WrapKeyPadded(ByteView kek, ByteView key) {
  if (key.empty() || key.size() > kMaxWrappableKeyBytes) {
    return InvalidArgument("a key of " + std::to_string(key.size()) + " bytes cannot be wrapped");
  }
  const Context context = KMS_TRY(Prepare(kek, kWrap));
  Bytes wrapped(WrappedKeyBytes(key.size()));
  int written = 0;
  if (EVP_CipherUpdate(context.get(), wrapped.data(), &written, key.data(),
                       static_cast<int>(key.size())) != 1 ||
      static_cast<std::size_t>(written) != wrapped.size()) {
    ERR_clear_error();
    return Internal("key wrapping failed");
  }
  return wrapped;
}

Result<SecretBytes> UnwrapKeyPadded(ByteView kek, ByteView wrapped) {
  const Context context = KMS_TRY(Prepare(kek, kUnwrap));
  if (!IsPossibleWrapping(wrapped)) {
    return UnwrapFailed();
  }
  SecretBytes padded = KMS_TRY(SecretBytes::OfSize(wrapped.size()));
  int written = 0;
  if (EVP_CipherUpdate(context.get(), padded.MutableView().data(), &written, wrapped.data(),
                       static_cast<int>(wrapped.size())) != 1 ||
      written <= 0) {
    ERR_clear_error();
    return UnwrapFailed();
  }
  return SecretBytes::CopyOf(padded.View().first(static_cast<std::size_t>(written)));
}

}  // namespace kms
