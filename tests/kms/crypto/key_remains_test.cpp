// SPDX-License-Identifier: Apache-2.0
// Looks for keys in this process's own memory: where an Aead or an AsymmetricKey is gone, its key
// must be gone too. An AES key schedule begins with the key, ChaCha20's state holds it whole, and
// OpenSSL keeps a private number in the CPU's byte order.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <latch>
#include <optional>
#include <random>
#include <sstream>
#include <thread>

#include "kms/crypto/aead.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/der.h"
#include "kms/crypto/rsa_encryption.h"
#include "kms/crypto/signature.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::IsOk;

constexpr std::size_t kKeyBytes = 16;
using Masked = std::array<std::uint8_t, kKeyBytes>;
constexpr std::size_t kMaxRegionBytes = std::size_t{256} << 20U;  // a sanitizer's are larger

// The key's complement: the pattern to look for must not be found in itself.
Masked MakeMaskedKey(unsigned seed) {
  std::minstd_rand generator(seed);
  Masked masked;
  for (std::uint8_t& byte : masked) {
    byte = static_cast<std::uint8_t>(generator() >> 8U);
  }
  return masked;
}

Aead MakeAead(const Masked& masked) {
  std::array<std::uint8_t, kKeyBytes> key;
  for (std::size_t index = 0; index < kKeyBytes; ++index) {
    key[index] = static_cast<std::uint8_t>(~masked[index]);
  }
  Aead aead = *Aead::Create(AeadAlgorithm::kAes128Gcm, key);
  OPENSSL_cleanse(key.data(), key.size());
  return aead;
}

void Use(const Aead& aead) {
  Bytes out(10 + kAeadTagBytes);
  ASSERT_THAT(aead.Seal(Bytes(kAeadNonceBytes), {}, Bytes(10), out), IsOk());
}

int CountIn(ByteView memory, const Masked& masked) {
  int count = 0;
  const auto first = static_cast<std::uint8_t>(~masked[0]);
  for (std::size_t at = 0; at + kKeyBytes <= memory.size(); ++at) {
    if (memory[at] != first) {
      continue;
    }
    std::size_t same = 1;
    while (same < kKeyBytes && memory[at + same] == static_cast<std::uint8_t>(~masked[same])) {
      ++same;
    }
    count += same == kKeyBytes ? 1 : 0;
  }
  return count;
}

// Copies of the key in all writable memory of this process.
int CountInMemory(const Masked& masked) {
  static Bytes window(std::size_t{1} << 20U);
  const int memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  std::ifstream maps("/proc/self/maps");
  int count = 0;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char writable = '-';
    if (std::sscanf(line.c_str(), "%lx-%lx %*c%c", &begin, &end, &writable) != 3 ||
        writable != 'w' || end - begin > kMaxRegionBytes) {
      continue;
    }
    for (std::uintptr_t at = begin; at < end; at += window.size()) {
      const std::size_t size = std::min(window.size(), end - at);
      const ssize_t got = ::pread(memory, window.data(), size, static_cast<off_t>(at));
      count += got > 0 ? CountIn(ByteView(window).first(static_cast<std::size_t>(got)), masked) : 0;
      OPENSSL_cleanse(window.data(), window.size());
    }
  }
  ::close(memory);
  return count;
}

TEST(KeyRemains, C18_NothingIsLeftInAnyThreadOfADestroyedAead) {
  const Masked masked = MakeMaskedKey(1);
  std::optional<Aead> aead = MakeAead(masked);
  std::latch used(2);
  std::latch done(1);
  std::thread idle([&] {
    Use(*aead);
    used.count_down();
    done.wait();
  });
  Use(*aead);
  used.arrive_and_wait();
  EXPECT_GE(CountInMemory(masked), 3);  // prepared, and a copy in each thread
  aead.reset();
  EXPECT_EQ(CountInMemory(masked), 0);
  done.count_down();
  idle.join();
}

TEST(KeyRemains, ForgettingLeavesThePreparedContextOnly) {
  const Masked masked = MakeMaskedKey(2);
  const Aead aead = MakeAead(masked);
  const int prepared = CountInMemory(masked);
  Use(aead);
  EXPECT_GT(CountInMemory(masked), prepared);
  Aead::ForgetThreadContexts();
  EXPECT_EQ(CountInMemory(masked), prepared);
  Use(aead);
}

TEST(KeyRemains, AThreadThatEndsTakesItsCopiesWithIt) {
  const Masked masked = MakeMaskedKey(3);
  const Aead aead = MakeAead(masked);
  const int prepared = CountInMemory(masked);
  std::thread([&] { Use(aead); }).join();
  EXPECT_EQ(CountInMemory(masked), prepared);
}

TEST(KeyRemains, NothingIsLeftOfADestroyedXChaChaKey) {
  std::array<std::uint8_t, 32> key;
  std::optional<Masked> masked = MakeMaskedKey(4);
  for (std::size_t index = 0; index < key.size(); ++index) {
    key[index] = static_cast<std::uint8_t>(~(*masked)[index % kKeyBytes]);
  }
  std::optional<Aead> aead = *Aead::Create(AeadAlgorithm::kXChaCha20Poly1305, key);
  OPENSSL_cleanse(key.data(), key.size());
  Bytes out(10 + kAeadTagBytes);
  ASSERT_THAT(aead->Seal(Bytes(kMaxAeadNonceBytes), {}, Bytes(10), out), IsOk());
  EXPECT_EQ(CountInMemory(*masked), 2);  // both halves of the key it keeps
  aead.reset();
  EXPECT_EQ(CountInMemory(*masked), 0);
}

// ---- asymmetric keys ---------------------------------------------------------------------------

// A prime, the fifth of the numbers in RSAPrivateKey.
ByteView PrimeOf(ByteView pkcs8) {
  DerReader outer(*DerReader(pkcs8).Take(DerTag::kSequence));
  IgnoreError(outer.Take(DerTag::kInteger), "the version");
  IgnoreError(outer.Take(DerTag::kSequence), "the algorithm");
  DerReader numbers(*DerReader(*outer.Take(DerTag::kOctetString)).Take(DerTag::kSequence));
  for (int before = 0; before < 4; ++before) {
    IgnoreError(numbers.TakeUnsigned(), "version, n, e, d");
  }
  return *numbers.TakeUnsigned();
}

// A part of the private half of a PrivateKeyInfo: of the scalar, the seed, a prime.
ByteView PrivatePart(AsymmetricAlgorithm algorithm, ByteView pkcs8) {
  switch (algorithm) {
    case AsymmetricAlgorithm::kEcdsaP256: return pkcs8.subspan(36 + 8, kKeyBytes);
    case AsymmetricAlgorithm::kEcdsaP384:
    case AsymmetricAlgorithm::kEcdsaP521: return pkcs8.subspan(35 + 8, kKeyBytes);
    case AsymmetricAlgorithm::kEd25519: return pkcs8.subspan(16, kKeyBytes);
    default: return PrimeOf(pkcs8).subspan(8, kKeyBytes);
  }
}

struct Remains {
  Masked as_written;
  Masked in_cpu_order;
};

Remains PatternsOf(const AsymmetricKey& key) {
  const SecretBytes pkcs8 = *key.ToPkcs8();
  const ByteView part = PrivatePart(key.algorithm(), pkcs8.View());
  Remains remains{};
  std::ranges::transform(part, remains.as_written.begin(),
                         [](std::uint8_t byte) { return static_cast<std::uint8_t>(~byte); });
  std::ranges::reverse_copy(remains.as_written, remains.in_cpu_order.begin());
  return remains;
}

int CountInMemory(const Remains& remains) {
  return CountInMemory(remains.as_written) + CountInMemory(remains.in_cpu_order);
}

void UsePrivateHalf(const AsymmetricKey& key) {
  EXPECT_THAT(CreateSignature(key, {}, Bytes(10)), IsOk());
  if (IsRsa(key.algorithm())) {
    Bytes ciphertext(RsaCiphertextBytes(key.algorithm()));
    PlaintextBuffer plaintext;
    EXPECT_THAT(RsaEncrypt(key, RsaEncryptionPadding::kOaep, Bytes(10), ciphertext), IsOk());
    EXPECT_THAT(RsaDecrypt(key, RsaEncryptionPadding::kOaep, ciphertext, plaintext), IsOk());
  }
}

class KeyRemainsOf : public ::testing::TestWithParam<AsymmetricAlgorithm> {};

TEST_P(KeyRemainsOf, C18_NothingIsLeftOfADestroyedAsymmetricKey) {
  std::optional<AsymmetricKey> key = *AsymmetricKey::Generate(GetParam());
  const Remains remains = PatternsOf(*key);
  EXPECT_GE(CountInMemory(remains), 1);
  {
    const SecretBytes pkcs8 = *key->ToPkcs8();
    key = *AsymmetricKey::FromPkcs8(GetParam(), pkcs8.View());
  }
  UsePrivateHalf(*key);
  EXPECT_GE(CountInMemory(remains), 1);
  key.reset();
  EXPECT_EQ(CountInMemory(remains), 0);
}

INSTANTIATE_TEST_SUITE_P(EveryType, KeyRemainsOf,
                         ::testing::Values(AsymmetricAlgorithm::kEcdsaP256,
                                           AsymmetricAlgorithm::kEcdsaP384,
                                           AsymmetricAlgorithm::kEcdsaP521,
                                           AsymmetricAlgorithm::kEd25519,
                                           AsymmetricAlgorithm::kRsa2048));

}  // namespace
}  // namespace kms
