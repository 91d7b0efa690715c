// SPDX-License-Identifier: Apache-2.0
// RFC 5649 section 6; transit-api 16.
#include "kms/crypto/key_wrap.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <memory>
#include <string_view>

#include "kms/base/base64.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using ::kms::testing::FromHex;
using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::testing::ElementsAreArray;

constexpr std::string_view kUnwrapText = "failed to unwrap the key: integrity check failed";

Bytes Counting(std::uint8_t first, std::size_t size) {
  Bytes bytes(size);
  for (std::uint8_t& byte : bytes) {
    byte = first++;
  }
  return bytes;
}

Bytes FromBase64(std::string_view text) { return Base64Decode(text).value(); }

struct Vector {
  std::string_view name;
  Bytes kek, key, wrapped;
};

std::vector<Vector> Vectors() {
  const Bytes rfc_kek = FromHex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
  const Bytes ephemeral = Counting(0x40, 32);
  return {
      {"RFC 5649, 20 octets", rfc_kek, FromHex("c37b7e6492584340bed12207808941155068f738"),
       FromHex("138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a")},
      {"RFC 5649, 7 octets", rfc_kek, FromHex("466f7250617369"),
       FromHex("afbeb0f07dfbf5419200f2ccb50bb24f")},
      {"transit-api 16, 32 octets", ephemeral, Counting(0, 32),
       FromBase64("ZXGKToSnu3d1uUSkT9ubwhcMCy6oILp7E7owPVs4V+eU4Bdv5R8glg==")},
      {"transit-api 16, 16 octets", ephemeral, Counting(0, 16),
       FromBase64("To7LUul77/JXeqwKnJtcpRJzoxUcu3AQ")},
      {"transit-api 16, 33 zeros", ephemeral, Bytes(33),
       FromBase64("dXLuv7J46SLstHgbUUyHN40bbJm1yaDeuwpnneiyG1ix5DqNZWF40VA8ANFidx40")},
  };
}

TEST(KeyWrap, MatchesPublishedVectors) {
  for (const Vector& vector : Vectors()) {
    SCOPED_TRACE(vector.name);
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes wrapped, WrapKeyPadded(vector.kek, vector.key));
    EXPECT_EQ(HexEncode(wrapped), HexEncode(vector.wrapped));
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes key, UnwrapKeyPadded(vector.kek, vector.wrapped));
    EXPECT_EQ(HexEncode(key.View()), HexEncode(vector.key));
  }
}

TEST(KeyWrap, OpensWhatItWrappedOfEveryLength) {
  for (const std::size_t kek_bytes : {16U, 24U, 32U}) {
    const Bytes kek = Counting(7, kek_bytes);
    for (std::size_t size = 1; size <= 80; ++size) {
      const Bytes key = Counting(0x90, size);
      KMS_ASSERT_OK_AND_ASSIGN(const Bytes wrapped, WrapKeyPadded(kek, key));
      EXPECT_EQ(wrapped.size(), WrappedKeyBytes(size));
      KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened, UnwrapKeyPadded(kek, wrapped));
      EXPECT_THAT(opened.View(), ElementsAreArray(key));
    }
  }
}

TEST(KeyWrap, RefusesEveryFlippedBit) {
  const Bytes kek = Counting(1, 32);
  for (const std::size_t size : {5U, 8U, 32U, 33U}) {
    KMS_ASSERT_OK_AND_ASSIGN(Bytes wrapped, WrapKeyPadded(kek, Counting(0, size)));
    for (std::size_t bit = 0; bit < wrapped.size() * 8; ++bit) {
      wrapped[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
      EXPECT_THAT(UnwrapKeyPadded(kek, wrapped),
                  HasError(ErrorCode::kDecryptionFailed, kUnwrapText));
      wrapped[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    }
    EXPECT_THAT(UnwrapKeyPadded(kek, wrapped), IsOk());
  }
}

TEST(KeyWrap, RefusesEveryOtherLength) {
  const Bytes kek = Counting(1, 32);
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes wrapped, WrapKeyPadded(kek, Counting(0, 32)));
  for (std::size_t size = 0; size <= wrapped.size() + 16; ++size) {
    Bytes other = wrapped;
    other.resize(size);
    if (size != wrapped.size()) {
      EXPECT_THAT(UnwrapKeyPadded(kek, other), HasError(ErrorCode::kDecryptionFailed, kUnwrapText))
          << size;
    }
  }
}

TEST(KeyWrap, RefusesAnotherKeyWrappingKey) {
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes wrapped, WrapKeyPadded(Counting(1, 32), Counting(0, 32)));
  EXPECT_THAT(UnwrapKeyPadded(Counting(2, 32), wrapped),
              HasError(ErrorCode::kDecryptionFailed, kUnwrapText));
  EXPECT_THAT(UnwrapKeyPadded(Counting(1, 16), wrapped),
              HasError(ErrorCode::kDecryptionFailed, kUnwrapText));
}

// Plain key wrap (RFC 3394) with a chosen initial value makes what an honest peer never would.
Bytes WrapRaw(const Bytes& kek, const Bytes& initial_value, const Bytes& padded) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
      EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  Bytes wrapped(padded.size() + 8);
  int size = 0;
  EXPECT_EQ(EVP_EncryptInit_ex2(context.get(), EVP_aes_256_wrap(), kek.data(), initial_value.data(),
                                nullptr),
            1);
  EXPECT_EQ(EVP_EncryptUpdate(context.get(), wrapped.data(), &size, padded.data(),
                              static_cast<int>(padded.size())),
            1);
  return wrapped;
}

TEST(KeyWrap, RefusesALengthOrPaddingThatAnHonestPeerNeverMakes) {
  const Bytes kek = Counting(1, 32);
  const Bytes padded = FromHex("0102030405060708090a0b0c0d000000");
  EXPECT_THAT(UnwrapKeyPadded(kek, WrapRaw(kek, FromHex("a65959a60000000d"), padded)), IsOk());
  for (const std::string_view initial_value :
       {"a65959a600000008", "a65959a60000000c", "a65959a600000011", "a65959a600000000",
        "a65959a6ffffffff", "a65959a70000000d", "a6a6a6a6a6a6a6a6"}) {
    EXPECT_THAT(UnwrapKeyPadded(kek, WrapRaw(kek, FromHex(initial_value), padded)),
                HasError(ErrorCode::kDecryptionFailed, kUnwrapText))
        << initial_value;
  }
  const Bytes bad_padding = FromHex("0102030405060708090a0b0c0d000001");
  EXPECT_THAT(UnwrapKeyPadded(kek, WrapRaw(kek, FromHex("a65959a60000000d"), bad_padding)),
              HasError(ErrorCode::kDecryptionFailed, kUnwrapText));
}

TEST(KeyWrap, RefusesWrongSizesBeforeAnyWork) {
  const Bytes kek = Counting(1, 32);
  EXPECT_THAT(WrapKeyPadded(kek, {}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(WrapKeyPadded(kek, Bytes(kMaxWrappableKeyBytes)), IsOk());
  EXPECT_THAT(WrapKeyPadded(kek, Bytes(kMaxWrappableKeyBytes + 1)),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(UnwrapKeyPadded(kek, Bytes(WrappedKeyBytes(kMaxWrappableKeyBytes) + 8)),
              HasError(ErrorCode::kDecryptionFailed, kUnwrapText));
  for (const std::size_t size : {0U, 15U, 17U, 31U, 33U, 64U}) {
    EXPECT_THAT(WrapKeyPadded(Bytes(size), Bytes(16)), HasError(ErrorCode::kInvalidArgument));
    EXPECT_THAT(UnwrapKeyPadded(Bytes(size), Bytes(24)), HasError(ErrorCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace kms
