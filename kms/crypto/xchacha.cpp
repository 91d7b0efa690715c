// SPDX-License-Identifier: Apache-2.0
// HChaCha20 is the ChaCha20 block function without its last step, which adds the initial state. So
// OpenSSL computes a block, and what was added is subtracted here.
#include "kms/crypto/xchacha.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>

namespace kms::internal {

namespace {

constexpr std::size_t kHeadBytes = 16;  // of the nonce: they go into the key
constexpr std::size_t kTailBytes = 8;   // of the nonce: they stay nonce
constexpr std::size_t kRowBytes = 16;   // of the ChaCha state: four words

constexpr std::array<std::uint8_t, 64> kZeroBlock{};

struct CipherContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

// Writes the block for `key` whose last state row is `last_row` (counter || nonce).
bool ComputeBlock(ByteView key, ByteView last_row, MutableByteView block) {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "ChaCha20", nullptr);
  const std::unique_ptr<EVP_CIPHER_CTX, CipherContextDeleter> context(EVP_CIPHER_CTX_new());
  int written = 0;
  return cipher != nullptr && context != nullptr &&
         EVP_EncryptInit_ex(context.get(), cipher, nullptr, key.data(), last_row.data()) == 1 &&
         EVP_EncryptUpdate(context.get(), block.data(), &written, kZeroBlock.data(),
                           static_cast<int>(kZeroBlock.size())) == 1;
}

std::uint32_t LoadLittleEndian(ByteView bytes) {
  return static_cast<std::uint32_t>(bytes[0]) | static_cast<std::uint32_t>(bytes[1]) << 8U |
         static_cast<std::uint32_t>(bytes[2]) << 16U | static_cast<std::uint32_t>(bytes[3]) << 24U;
}

// out = row - added, word by word.
void SubtractWords(ByteView row, ByteView added, MutableByteView out) {
  for (std::size_t at = 0; at < kRowBytes; at += 4) {
    std::uint32_t word = LoadLittleEndian(row.subspan(at)) - LoadLittleEndian(added.subspan(at));
    for (std::size_t byte = 0; byte < 4; ++byte, word >>= 8U) {
      out[at + byte] = static_cast<std::uint8_t>(word);
    }
  }
}

}  // namespace

XChaChaMessage::~XChaChaMessage() { OPENSSL_cleanse(key_.data(), key_.size()); }

Result<XChaChaMessage> XChaChaMessage::Derive(ByteView key, ByteView nonce) {
  const ByteView head = nonce.first(kHeadBytes);
  std::array<std::uint8_t, kZeroBlock.size()> block;
  if (!ComputeBlock(key, head, block)) {
    OPENSSL_cleanse(block.data(), block.size());
    ERR_clear_error();
    return Internal("cipher failed: subkey");
  }
  XChaChaMessage message;
  const MutableByteView subkey{message.key_};
  SubtractWords(block, AsBytes("expand 32-byte k"), subkey.first(kRowBytes));
  SubtractWords(ByteView(block).last(kRowBytes), head, subkey.last(kRowBytes));
  std::ranges::copy(nonce.last(kTailBytes), message.nonce_.end() - kTailBytes);
  OPENSSL_cleanse(block.data(), block.size());
  return message;
}

}  // namespace kms::internal
