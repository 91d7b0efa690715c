// SPDX-License-Identifier: Apache-2.0
// Taking OAEP off what a raw RSA operation gave: every hash, every damaged byte.
#include "pkcs11/oaep.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <memory>

#include "kms/base/random.h"
#include "kms/master/import_key.h"
#include "tests/fakes/fake_master_key_device.h"
#include "tests/support/matchers.h"

namespace kms::pkcs11 {
namespace {

using ::kms::testing::FakeEvpPkey;
using ::kms::testing::HasError;
using ::kms::testing::MakeFakeImportKey;

Bytes PublicKeyOf(EVP_PKEY* key) {
  Bytes encoded(static_cast<std::size_t>(i2d_PUBKEY(key, nullptr)));
  std::uint8_t* out = encoded.data();
  i2d_PUBKEY(key, &out);
  return encoded;
}

// What CKM_RSA_X_509 gives for a ciphertext.
SecretBytes RawDecrypt(EVP_PKEY* key, const Bytes& ciphertext) {
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context{
      EVP_PKEY_CTX_new(key, nullptr), &EVP_PKEY_CTX_free};
  SecretBytes encoded = SecretBytes::OfSize(kImportCiphertextBytes).value();
  std::size_t size = encoded.size();
  EXPECT_TRUE(EVP_PKEY_decrypt_init(context.get()) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_NO_PADDING) == 1 &&
              EVP_PKEY_decrypt(context.get(), encoded.MutableView().data(), &size,
                               ciphertext.data(), ciphertext.size()) == 1);
  return encoded;
}

class Oaep : public ::testing::Test {
 protected:
  SecretBytes Encoded(HashAlgorithm hash, ByteView message) {
    return RawDecrypt(key_.get(), EncryptOaep(public_key_, hash, message).value());
  }

  const FakeEvpPkey key_ = MakeFakeImportKey(1);
  const Bytes public_key_ = PublicKeyOf(key_.get());
};

TEST_F(Oaep, GivesTheMessageForEveryHashAndLength) {
  for (const HashAlgorithm hash : kImportHashes) {
    const std::size_t longest = kImportCiphertextBytes - 2 * TraitsOf(hash).bytes - 2;
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{32}, longest}) {
      Bytes message(size);
      FillRandom(message);
      KMS_ASSERT_OK_AND_ASSIGN(const auto opened, RemoveOaep(hash, Encoded(hash, message)));
      ASSERT_TRUE(opened.has_value()) << TraitsOf(hash).name << " " << size;
      EXPECT_TRUE(EqualInConstantTime(opened->View(), message));
    }
  }
}

TEST_F(Oaep, C10_RefusesEveryDamagedByteAlike) {
  const SecretBytes good = Encoded(HashAlgorithm::kSha2_256, Bytes(32, 7));
  for (std::size_t index = 0; index < good.size(); ++index) {
    SecretBytes damaged = good.Clone().value();
    damaged.MutableView()[index] ^= 1U;
    KMS_ASSERT_OK_AND_ASSIGN(const auto opened, RemoveOaep(HashAlgorithm::kSha2_256, damaged));
    EXPECT_FALSE(opened.has_value()) << "byte " << index;
  }
}

TEST_F(Oaep, RefusesAnotherHash) {
  const SecretBytes encoded = Encoded(HashAlgorithm::kSha1, Bytes(32, 7));
  for (const HashAlgorithm hash : {HashAlgorithm::kSha2_224, HashAlgorithm::kSha2_256,
                                   HashAlgorithm::kSha2_384, HashAlgorithm::kSha2_512}) {
    KMS_ASSERT_OK_AND_ASSIGN(const auto opened, RemoveOaep(hash, encoded));
    EXPECT_FALSE(opened.has_value());
  }
}

TEST_F(Oaep, RefusesWhatHasNoRoomForItsHashes) {
  const SecretBytes tiny = SecretBytes::OfSize(16).value();
  KMS_ASSERT_OK_AND_ASSIGN(const auto opened, RemoveOaep(HashAlgorithm::kSha2_512, tiny));
  EXPECT_FALSE(opened.has_value());
}

TEST_F(Oaep, EncryptsToNothingButAnRsaKeyAndNothingTooLong) {
  EXPECT_THAT(EncryptOaep({}, HashAlgorithm::kSha1, Bytes(1)), HasError(ErrorCode::kCorrupted));
  EXPECT_FALSE(EncryptOaep(public_key_, HashAlgorithm::kSha2_512, Bytes(383)).has_value());
}

}  // namespace
}  // namespace kms::pkcs11
