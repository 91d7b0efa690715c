// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/key_type.h"

#include <gtest/gtest.h>

#include <map>

namespace kms {
namespace {

// The stored numbers of transit-api 4.1, exactly.
TEST(KeyTypes, HaveTheNumbersOfTheContract) {
  std::map<std::string_view, int> numbers;
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    numbers[traits.name] = static_cast<int>(traits.type);
  }
  EXPECT_EQ(numbers, (std::map<std::string_view, int>{
                         {"aes256-gcm96", 0}, {"aes128-gcm96", 8}, {"chacha20-poly1305", 5}}));
}

TEST(KeyTypes, AreFoundByNameAndNumber) {
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    EXPECT_EQ(FindKeyType(traits.name), traits.type);
    EXPECT_EQ(KeyTypeFromNumber(static_cast<std::uint8_t>(traits.type)), traits.type);
    EXPECT_EQ(&TraitsOf(traits.type), &traits);
    EXPECT_EQ(traits.key_bytes, AeadKeyBytes(traits.aead));
  }
}

TEST(KeyTypes, UnknownOnesAreNotFound) {
  for (const char* name : {"", "aes256-gcm", "AES256-GCM96", "aes256-gcm96 ", "rsa-2048", "hmac"}) {
    EXPECT_EQ(FindKeyType(name), std::nullopt) << name;
  }
  int known = 0;
  for (int number = 0; number < 256; ++number) {
    known += KeyTypeFromNumber(static_cast<std::uint8_t>(number)).has_value() ? 1 : 0;
  }
  EXPECT_EQ(known, 3);
}

}  // namespace
}  // namespace kms
