// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/nonce.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "kms/base/digest.h"
#include "kms/base/random.h"
#include "kms/crypto/fork_generation.h"

namespace kms {

namespace {

constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kRandomBytes = 32;
constexpr std::size_t kCounterBytes = 8;

struct MacContextDeleter {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};

EVP_MAC* Hmac() {
  static EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr);
  return algorithm;
}

std::array<std::uint8_t, 8> BigEndian(std::uint64_t number) {
  std::array<std::uint8_t, 8> bytes{};
  for (std::size_t index = bytes.size(); index-- > 0; number >>= 8U) {
    bytes[index] = static_cast<std::uint8_t>(number);
  }
  return bytes;
}

// A nonce that is not what it should be would break the cipher; there is no safe way to go on.
void Require(bool good) {
  if (!good) {
    std::abort();
  }
}

}  // namespace

// Keyed once; each message starts again from the keyed state, so the secret itself is not kept.
struct NonceHedge::KeyedMac {
  std::unique_ptr<EVP_MAC_CTX, MacContextDeleter> context{EVP_MAC_CTX_new(Hmac())};

  void SetKey(ByteView secret) {
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    Require(context != nullptr &&
            EVP_MAC_init(context.get(), secret.data(), secret.size(), params) == 1);
  }

  Sha256Digest Compute(ByteView message) {
    Sha256Digest digest{};
    std::size_t written = 0;
    Require(EVP_MAC_init(context.get(), nullptr, 0, nullptr) == 1 &&
            EVP_MAC_update(context.get(), message.data(), message.size()) == 1 &&
            EVP_MAC_final(context.get(), digest.data(), &written, digest.size()) == 1);
    return digest;
  }
};

NonceHedge::NonceHedge(RandomSource random) : random_(random), mac_(std::make_unique<KeyedMac>()) {
  TakeSecret(ForkGeneration());
}

NonceHedge::NonceHedge(NonceHedge&&) noexcept = default;
NonceHedge& NonceHedge::operator=(NonceHedge&&) noexcept = default;
NonceHedge::~NonceHedge() = default;

void NonceHedge::TakeSecret(std::uint64_t generation) {
  std::array<std::uint8_t, kSecretBytes> secret;
  random_(secret);
  mac_->SetKey(secret);
  OPENSSL_cleanse(secret.data(), secret.size());
  generation_ = generation;
}

void NonceHedge::Fill(MutableByteView nonce, ByteView message, ByteView associated_data) {
  const std::uint64_t generation = ForkGeneration();
  if (generation != generation_) [[unlikely]] {
    TakeSecret(generation);
  }
  std::array<std::uint8_t, kRandomBytes + kCounterBytes + kSha256Bytes> input;
  const MutableByteView view{input};
  random_(view.first(kRandomBytes));
  std::ranges::copy(BigEndian(counter_++), view.subspan(kRandomBytes).begin());
  const Sha256Digest digest = Sha256({BigEndian(associated_data.size()), associated_data, message});
  std::ranges::copy(digest, view.last(kSha256Bytes).begin());
  const Sha256Digest mac = mac_->Compute(input);
  Require(!nonce.empty() && nonce.size() <= mac.size());
  std::ranges::copy(ByteView{mac}.first(nonce.size()), nonce.begin());
}

void FillHedgedNonce(MutableByteView nonce, ByteView message, ByteView associated_data) {
  thread_local NonceHedge hedge(&FillRandom);
  hedge.Fill(nonce, message, associated_data);
}

}  // namespace kms
