// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/key_type.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace kms {
namespace {

// The stored numbers of transit-api 4.1, exactly.
TEST(KeyTypes, HaveTheNumbersOfTheContract) {
  std::map<std::string_view, int> numbers;
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    numbers[traits.name] = static_cast<int>(traits.type);
  }
  EXPECT_EQ(numbers, (std::map<std::string_view, int>{
                         {"aes256-gcm96", 0},
                         {"ecdsa-p256", 1},
                         {"ed25519", 2},
                         {"rsa-2048", 3},
                         {"rsa-4096", 4},
                         {"chacha20-poly1305", 5},
                         {"ecdsa-p384", 6},
                         {"ecdsa-p521", 7},
                         {"aes128-gcm96", 8},
                         {"rsa-3072", 9},
                         {"hmac", 10},
                         {"xchacha20-poly1305", 11},
                     }));
}

TEST(KeyTypes, AreFoundByNameAndNumber) {
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    EXPECT_EQ(FindKeyType(traits.name), traits.type);
    EXPECT_EQ(KeyTypeFromNumber(static_cast<std::uint8_t>(traits.type)), traits.type);
    EXPECT_EQ(&TraitsOf(traits.type), &traits);
    EXPECT_EQ(traits.key_bytes,
              traits.family == KeyFamily::kAead ? AeadKeyBytes(traits.aead) : 0U);
  }
}

TEST(KeyTypes, UnknownOnesAreNotFound) {
  for (const char* name : {"", "aes256-gcm", "AES256-GCM96", "aes256-gcm96 ", "rsa-1024", "managed_key",
                           "external-key"}) {
    EXPECT_EQ(FindKeyType(name), std::nullopt) << name;
  }
  int known = 0;
  for (int number = 0; number < 256; ++number) {
    known += KeyTypeFromNumber(static_cast<std::uint8_t>(number)).has_value() ? 1 : 0;
  }
  EXPECT_EQ(known, 12);
}

// The table of transit-api 4.1.
TEST(KeyTypes, CanDoWhatTheContractSays) {
  const auto names = [](auto can) {
    std::set<std::string_view> found;
    for (const KeyTypeTraits& traits : AllKeyTypes()) {
      if (can(traits)) {
        found.insert(traits.name);
      }
    }
    return found;
  };
  using Names = std::set<std::string_view>;
  const Names aead = {"aes256-gcm96", "aes128-gcm96", "chacha20-poly1305", "xchacha20-poly1305"};
  const Names rsa = {"rsa-2048", "rsa-3072", "rsa-4096"};
  const Names ecdsa = {"ecdsa-p256", "ecdsa-p384", "ecdsa-p521"};
  const auto united = [](Names a, const Names& b) {
    a.insert(b.begin(), b.end());
    return a;
  };
  const auto encrypts = [](const KeyTypeTraits& type) { return type.supports_encryption; };
  EXPECT_EQ(names(encrypts), united(aead, rsa));
  EXPECT_EQ(names([](const KeyTypeTraits& type) { return type.supports_decryption; }),
            united(aead, rsa));
  EXPECT_EQ(names([](const KeyTypeTraits& type) { return type.supports_signing; }),
            united(united(ecdsa, rsa), {"ed25519"}));
  EXPECT_EQ(names([](const KeyTypeTraits& type) { return type.supports_derivation; }),
            united(aead, {"ed25519"}));
  EXPECT_EQ(names([](const KeyTypeTraits& type) { return type.supports_convergent; }), aead);
  EXPECT_EQ(names([](const KeyTypeTraits& type) { return type.takes_associated_data; }), aead);
  EXPECT_EQ(names([](const KeyTypeTraits& type) { return type.supports_key_agreement; }), ecdsa);
}

}  // namespace
}  // namespace kms
