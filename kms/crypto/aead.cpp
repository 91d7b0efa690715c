// SPDX-License-Identifier: Apache-2.0
// OpenSSL EVP. Algorithms are fetched once: a fetch per call costs more than the encryption of a
// small message and gets slower with more threads.
#include "kms/crypto/aead.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

#include <atomic>
#include <utility>

#include "kms/base/secret_bytes.h"
#include "kms/base/vector_registers.h"
#include "kms/crypto/context_cache.h"
#include "kms/crypto/xchacha.h"

namespace kms {

namespace {

using internal::AeadId;
using internal::CipherContext;
using internal::ContextCache;
using internal::ContextSlot;
using internal::XChaChaMessage;

// EVP takes lengths as int; the service's bodies are far below this.
constexpr std::size_t kMaxMessageBytes = std::size_t{1} << 30U;

enum class Direction : int { kOpen = 0, kSeal = 1 };

// Of XChaCha20-Poly1305 there is no cipher: each of its messages is one of ChaCha20-Poly1305.
const EVP_CIPHER* Fetched(AeadAlgorithm algorithm) {
  static EVP_CIPHER* const aes256 = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  static EVP_CIPHER* const aes128 = EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr);
  static EVP_CIPHER* const chacha = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  switch (algorithm) {
    case AeadAlgorithm::kAes256Gcm: return aes256;
    case AeadAlgorithm::kAes128Gcm: return aes128;
    case AeadAlgorithm::kChaCha20Poly1305: return chacha;
    case AeadAlgorithm::kXChaCha20Poly1305: break;
  }
  return nullptr;
}

// The texts of the Transit API's reference implementation (transit-api 6.10).
Error AuthenticationFailed(AeadAlgorithm algorithm) {
  return MakeError(ErrorCode::kDecryptionFailed,
                   algorithm >= AeadAlgorithm::kChaCha20Poly1305
                       ? "chacha20poly1305: message authentication failed"
                       : "cipher: message authentication failed");
}

Error CipherFailed(const char* step) {
  ERR_clear_error();
  return Internal(std::string("cipher failed: ") + step);
}

bool Start(EVP_CIPHER_CTX* context, ByteView nonce, Direction direction) {
  return EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(),
                           static_cast<int>(direction)) == 1;
}

// Feeds `in` to the cipher; `out` is null for associated data.
bool Update(EVP_CIPHER_CTX* context, ByteView in, std::uint8_t* out) {
  int written = 0;
  return in.empty() ||
         EVP_CipherUpdate(context, out, &written, in.data(), static_cast<int>(in.size())) == 1;
}

bool Finish(EVP_CIPHER_CTX* context) {
  std::uint8_t none[EVP_MAX_BLOCK_LENGTH];
  int written = 0;
  return EVP_CipherFinal_ex(context, none, &written) == 1;
}

Status CheckKeySize(AeadAlgorithm algorithm, ByteView key) {
  return key.size() == AeadKeyBytes(algorithm) ? Ok() : Status(InvalidArgument("wrong key length"));
}

Result<CipherContext> KeyedContext(AeadAlgorithm algorithm, ByteView key) {
  KMS_TRY(CheckKeySize(algorithm, key));
  CipherContext context{EVP_CIPHER_CTX_new()};
  const EVP_CIPHER* cipher = Fetched(algorithm);
  if (context == nullptr || cipher == nullptr ||
      EVP_EncryptInit_ex(context.get(), cipher, nullptr, key.data(), nullptr) != 1) {
    return CipherFailed("key");
  }
  return context;
}

Status CheckSealSizes(AeadAlgorithm algorithm, ByteView nonce, ByteView associated_data,
                      ByteView plaintext, MutableByteView out) {
  const bool fit = nonce.size() == AeadNonceBytes(algorithm) &&
                   out.size() == plaintext.size() + kAeadTagBytes &&
                   plaintext.size() <= kMaxMessageBytes &&
                   associated_data.size() <= kMaxMessageBytes;
  return fit ? Ok() : Status(InvalidArgument("wrong size of nonce, message or output"));
}

bool AreOpenSizes(AeadAlgorithm algorithm, ByteView nonce, ByteView associated_data,
                  ByteView ciphertext_and_tag, MutableByteView out) {
  return nonce.size() == AeadNonceBytes(algorithm) && ciphertext_and_tag.size() >= kAeadTagBytes &&
         out.size() == ciphertext_and_tag.size() - kAeadTagBytes &&
         out.size() <= kMaxMessageBytes && associated_data.size() <= kMaxMessageBytes;
}

// What every failed Open ends with: nothing of the plaintext and one text.
Error Rejected(AeadAlgorithm algorithm, MutableByteView out) {
  OPENSSL_cleanse(out.data(), out.size());
  ERR_clear_error();
  return AuthenticationFailed(algorithm);
}

Status SealWith(EVP_CIPHER_CTX* context, ByteView nonce, ByteView associated_data,
                ByteView plaintext, MutableByteView out) {
  std::uint8_t* tag = out.data() + plaintext.size();
  if (!Start(context, nonce, Direction::kSeal) || !Update(context, associated_data, nullptr) ||
      !Update(context, plaintext, out.data()) || !Finish(context) ||
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kAeadTagBytes, tag) != 1) {
    return CipherFailed("seal");
  }
  return Ok();
}

bool OpenWith(EVP_CIPHER_CTX* context, ByteView nonce, ByteView associated_data,
              ByteView ciphertext_and_tag, MutableByteView out) {
  const ByteView message = ciphertext_and_tag.first(out.size());
  // EVP's tag parameter is not const, but the tag is only read.
  void* tag = const_cast<std::uint8_t*>(ciphertext_and_tag.data() + out.size());
  return Start(context, nonce, Direction::kOpen) &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kAeadTagBytes, tag) == 1 &&
         Update(context, associated_data, nullptr) && Update(context, message, out.data()) &&
         Finish(context);
}

}  // namespace

// `prepared` is only ever copied, which OpenSSL allows from many threads at once.
struct Aead::State {
  AeadAlgorithm algorithm;
  AeadId id;
  CipherContext prepared;  // of all but XChaCha20-Poly1305
  SecretBytes key;         // of XChaCha20-Poly1305 only

  State(AeadAlgorithm which, AeadId name, CipherContext context)
      : algorithm(which), id(name), prepared(std::move(context)) {}
  explicit State(SecretBytes extended)
      : algorithm(AeadAlgorithm::kXChaCha20Poly1305), id(0), key(std::move(extended)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (prepared != nullptr) {
      ContextCache::ForgetEverywhere(id);
    }
  }

  // Makes the slot's context one keyed for this Aead. The caller holds the slot's mutex.
  bool Prepare(ContextSlot& slot) const {
    if (slot.keyed_for.load(std::memory_order_relaxed) == id) [[likely]] {
      return true;
    }
    if (slot.context == nullptr) {
      slot.context.reset(EVP_CIPHER_CTX_new());
    }
    const bool good =
        slot.context != nullptr && EVP_CIPHER_CTX_copy(slot.context.get(), prepared.get()) == 1;
    ClearVectorRegisters();
    slot.keyed_for.store(good ? id : 0, std::memory_order_relaxed);
    return good;
  }
};

Result<Aead> Aead::Create(AeadAlgorithm algorithm, ByteView key) {
  static std::atomic<AeadId> last_id{0};
  if (algorithm == AeadAlgorithm::kXChaCha20Poly1305) {
    KMS_TRY(CheckKeySize(algorithm, key));
    return Aead(std::make_unique<const State>(KMS_TRY(SecretBytes::CopyOf(key))));
  }
  CipherContext context = KMS_TRY(KeyedContext(algorithm, key));
  ClearVectorRegisters();
  return Aead(std::make_unique<const State>(algorithm, ++last_id, std::move(context)));
}

Aead::Aead(std::unique_ptr<const State> state) : state_(std::move(state)) {}
Aead::Aead(Aead&&) noexcept = default;
Aead& Aead::operator=(Aead&&) noexcept = default;
Aead::~Aead() {
  state_.reset();
  ClearVectorRegisters();
}

AeadAlgorithm Aead::algorithm() const { return state_->algorithm; }

Status Aead::Seal(ByteView nonce, ByteView associated_data, ByteView plaintext,
                  MutableByteView out) const {
  if (state_->algorithm == AeadAlgorithm::kXChaCha20Poly1305) {
    return SealOnce(state_->algorithm, state_->key.View(), nonce, associated_data, plaintext, out);
  }
  KMS_TRY(CheckSealSizes(state_->algorithm, nonce, associated_data, plaintext, out));
  ContextSlot& slot = ContextCache::OfThisThread().SlotFor(state_->id);
  const ScopedLock lock(slot.mutex);
  return state_->Prepare(slot)
             ? SealWith(slot.context.get(), nonce, associated_data, plaintext, out)
             : CipherFailed("context");
}

Status Aead::Open(ByteView nonce, ByteView associated_data, ByteView ciphertext_and_tag,
                  MutableByteView out) const {
  if (state_->algorithm == AeadAlgorithm::kXChaCha20Poly1305) {
    return OpenOnce(state_->algorithm, state_->key.View(), nonce, associated_data,
                    ciphertext_and_tag, out);
  }
  if (!AreOpenSizes(state_->algorithm, nonce, associated_data, ciphertext_and_tag, out)) {
    return Rejected(state_->algorithm, out);
  }
  ContextSlot& slot = ContextCache::OfThisThread().SlotFor(state_->id);
  const ScopedLock lock(slot.mutex);
  if (!state_->Prepare(slot)) {
    return CipherFailed("context");
  }
  return OpenWith(slot.context.get(), nonce, associated_data, ciphertext_and_tag, out)
             ? Ok()
             : Status(Rejected(state_->algorithm, out));
}

Status Aead::SealOnce(AeadAlgorithm algorithm, ByteView key, ByteView nonce,
                      ByteView associated_data, ByteView plaintext, MutableByteView out) {
  KMS_TRY(CheckSealSizes(algorithm, nonce, associated_data, plaintext, out));
  if (algorithm == AeadAlgorithm::kXChaCha20Poly1305) {
    KMS_TRY(CheckKeySize(algorithm, key));
    const XChaChaMessage message = KMS_TRY(XChaChaMessage::Derive(key, nonce));
    return SealOnce(AeadAlgorithm::kChaCha20Poly1305, message.key(), message.nonce(),
                    associated_data, plaintext, out);
  }
  const CipherContext context = KMS_TRY(KeyedContext(algorithm, key));
  return SealWith(context.get(), nonce, associated_data, plaintext, out);
}

Status Aead::OpenOnce(AeadAlgorithm algorithm, ByteView key, ByteView nonce,
                      ByteView associated_data, ByteView ciphertext_and_tag,
                      MutableByteView out) {
  if (!AreOpenSizes(algorithm, nonce, associated_data, ciphertext_and_tag, out)) {
    return Rejected(algorithm, out);
  }
  if (algorithm == AeadAlgorithm::kXChaCha20Poly1305) {
    KMS_TRY(CheckKeySize(algorithm, key));
    const XChaChaMessage message = KMS_TRY(XChaChaMessage::Derive(key, nonce));
    return OpenOnce(AeadAlgorithm::kChaCha20Poly1305, message.key(), message.nonce(),
                    associated_data, ciphertext_and_tag, out);
  }
  const CipherContext context = KMS_TRY(KeyedContext(algorithm, key));
  return OpenWith(context.get(), nonce, associated_data, ciphertext_and_tag, out)
             ? Ok()
             : Status(Rejected(algorithm, out));
}

void Aead::ForgetThreadContexts() { ContextCache::OfThisThread().Forget(); }

}  // namespace kms
