// SPDX-License-Identifier: Apache-2.0
// The rows of the wire contract for derived keys: key 00..1f, context "tenant-42", "hello transit".
#include "kms/crypto/derived_cipher.h"

#include <gtest/gtest.h>

#include <string>

#include "kms/base/base64.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;
using testing::IsOkAndHolds;

constexpr std::size_t kMessageBytes = 13;

Result<DerivedCipher> Derive(AeadAlgorithm algorithm, NonceChoice nonces) {
  Bytes material;
  for (std::uint8_t byte = 0; byte < AeadKeyBytes(algorithm); ++byte) {
    material.push_back(byte);
  }
  return DerivedCipher::Derive(algorithm, nonces, material, AsBytes("tenant-42"));
}

Result<Bytes> Seal(const DerivedCipher& cipher, AeadAlgorithm algorithm, ByteView associated_data) {
  Bytes out(AeadNonceBytes(algorithm) + kMessageBytes + kAeadTagBytes);
  KMS_TRY(cipher.Seal(associated_data, AsBytes("hello transit"), out));
  return out;
}

struct Row {
  AeadAlgorithm algorithm;
  const char* convergent;
};

constexpr Row kRows[] = {
    {AeadAlgorithm::kAes256Gcm, "dYRofrNPG+CWHYWa6Hk9Bd9aNKVywzCkOCWwJGYb3PzESZNRaPwWZFk="},
    {AeadAlgorithm::kAes128Gcm, "Mod/KLblivrAFT2qGTqrG2fuKlP+dL3PWO3hmVbsC/O+bYoK+tGj9Qo="},
    {AeadAlgorithm::kChaCha20Poly1305,
     "dYRofrNPG+CWHYWaWrvF7eaU50cJZD2bihiSp4nIFgP3Pi+thwtoTu8="},
    {AeadAlgorithm::kXChaCha20Poly1305,
     "dYRofrNPG+CWHYWaeHQdgpFMUIRd+4VZAVofq8DnZebqhCMxqmRjz2S9AjM3vxp6uj86sqc="},
};

class DerivedCipherOf : public ::testing::TestWithParam<Row> {
 protected:
  void ExpectOpens(const DerivedCipher& cipher, ByteView associated_data, ByteView sealed) {
    const std::size_t nonce_bytes = AeadNonceBytes(GetParam().algorithm);
    Bytes message(kMessageBytes);
    ASSERT_THAT(cipher.Open(sealed.first(nonce_bytes), associated_data,
                            sealed.subspan(nonce_bytes), message),
                IsOk());
    EXPECT_EQ(AsText(message), "hello transit");
  }
};

TEST_P(DerivedCipherOf, SealsConvergentlyAsTheWireContract) {
  KMS_ASSERT_OK_AND_ASSIGN(const DerivedCipher cipher,
                           Derive(GetParam().algorithm, NonceChoice::kConvergent));
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes sealed, Seal(cipher, GetParam().algorithm, {}));
  EXPECT_EQ(Base64Encode(sealed), GetParam().convergent);
  ExpectOpens(cipher, {}, sealed);
}

// The nonce differs where the associated data does (transit-api 5.5), in all its bytes.
TEST_P(DerivedCipherOf, C13_ConvergentNoncesDependOnTheAssociatedData) {
  KMS_ASSERT_OK_AND_ASSIGN(const DerivedCipher cipher,
                           Derive(GetParam().algorithm, NonceChoice::kConvergent));
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes without, Seal(cipher, GetParam().algorithm, {}));
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes with, Seal(cipher, GetParam().algorithm, AsBytes("row-7")));
  for (std::size_t at = 0; at + 8 <= AeadNonceBytes(GetParam().algorithm); ++at) {
    EXPECT_NE(HexEncode(ByteView(with).subspan(at, 8)),
              HexEncode(ByteView(without).subspan(at, 8)));
  }
  EXPECT_THAT(Seal(cipher, GetParam().algorithm, AsBytes("row-7")), IsOkAndHolds(with));
  ExpectOpens(cipher, AsBytes("row-7"), with);
}

TEST_P(DerivedCipherOf, SealsFreshlyOtherwise) {
  KMS_ASSERT_OK_AND_ASSIGN(const DerivedCipher cipher,
                           Derive(GetParam().algorithm, NonceChoice::kFresh));
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes first, Seal(cipher, GetParam().algorithm, {}));
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes second, Seal(cipher, GetParam().algorithm, {}));
  EXPECT_NE(first, second);
  ExpectOpens(cipher, {}, first);
  ExpectOpens(cipher, {}, second);
}

TEST_P(DerivedCipherOf, RefusesOutputsOfAnotherSize) {
  KMS_ASSERT_OK_AND_ASSIGN(const DerivedCipher cipher,
                           Derive(GetParam().algorithm, NonceChoice::kFresh));
  const std::size_t right = AeadNonceBytes(GetParam().algorithm) + kAeadTagBytes;
  for (const std::size_t size : {std::size_t{0}, right - 1, right + 1, right + 12}) {
    Bytes out(size);
    EXPECT_THAT(cipher.Seal({}, {}, out), HasError(ErrorCode::kInvalidArgument));
  }
}

INSTANTIATE_TEST_SUITE_P(EveryAlgorithm, DerivedCipherOf, ::testing::ValuesIn(kRows));

}  // namespace
}  // namespace kms
