// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/rsa_encryption.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;
using testing::IsOkAndHolds;

using enum AsymmetricAlgorithm;
using enum RsaEncryptionPadding;

// One pair per size and program: they take long to make.
const AsymmetricKey& KeyOf(AsymmetricAlgorithm algorithm) {
  static const std::vector<AsymmetricKey> keys = [] {
    std::vector<AsymmetricKey> made;
    for (const AsymmetricAlgorithm each : {kRsa2048, kRsa3072, kRsa4096}) {
      made.push_back(*AsymmetricKey::Generate(each));
    }
    return made;
  }();
  return keys[static_cast<std::size_t>(algorithm) - static_cast<std::size_t>(kRsa2048)];
}

Result<Bytes> Encrypt(const AsymmetricKey& key, RsaEncryptionPadding padding, ByteView plaintext) {
  Bytes out(RsaCiphertextBytes(key.algorithm()));
  KMS_TRY(RsaEncrypt(key, padding, plaintext, out));
  return out;
}

Result<Bytes> Decrypt(const AsymmetricKey& key, RsaEncryptionPadding padding,
                      ByteView ciphertext) {
  PlaintextBuffer plaintext;
  KMS_TRY(RsaDecrypt(key, padding, ciphertext, plaintext));
  return CopyOf(plaintext.View());
}

struct Case {
  AsymmetricAlgorithm algorithm;
  RsaEncryptionPadding padding;
  std::size_t longest;
};

class RsaEncryption : public ::testing::TestWithParam<Case> {
 protected:
  const AsymmetricKey& key_ = KeyOf(GetParam().algorithm);
};

TEST_P(RsaEncryption, DecryptsEveryLengthThatFits) {
  const Case& c = GetParam();
  EXPECT_EQ(MaxRsaPlaintextBytes(c.algorithm, c.padding), c.longest);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{32}, c.longest}) {
    const Bytes plaintext(size, 0x17);
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes ciphertext, Encrypt(key_, c.padding, plaintext));
    EXPECT_THAT(Decrypt(key_, c.padding, ciphertext), IsOkAndHolds(plaintext));
  }
  EXPECT_THAT(Encrypt(key_, c.padding, Bytes(c.longest + 1)),
              HasError(ErrorCode::kInvalidArgument,
                       "failed to RSA encrypt the plaintext: message too long for RSA key size"));
}

INSTANTIATE_TEST_SUITE_P(EverySizeAndPadding, RsaEncryption,
                         ::testing::Values(Case{kRsa2048, kOaep, 190}, Case{kRsa3072, kOaep, 318},
                                           Case{kRsa4096, kOaep, 446},
                                           Case{kRsa2048, kPkcs1v15, 245},
                                           Case{kRsa3072, kPkcs1v15, 373},
                                           Case{kRsa4096, kPkcs1v15, 501}));

}  // namespace
}  // namespace kms
