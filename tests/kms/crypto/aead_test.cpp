// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/aead.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <thread>

#include "kms/base/base64.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using testing::FromHex;
using testing::HasError;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::ReadVectors;

constexpr AeadAlgorithm kAlgorithms[] = {AeadAlgorithm::kAes256Gcm, AeadAlgorithm::kAes128Gcm,
                                         AeadAlgorithm::kChaCha20Poly1305,
                                         AeadAlgorithm::kXChaCha20Poly1305};

Bytes Pattern(std::size_t size, unsigned seed) {
  std::minstd_rand generator(seed);
  Bytes bytes(size);
  for (std::uint8_t& byte : bytes) {
    byte = static_cast<std::uint8_t>(generator() >> 8U);
  }
  return bytes;
}

Aead MakeAead(AeadAlgorithm algorithm, unsigned seed) {
  return *Aead::Create(algorithm, Pattern(AeadKeyBytes(algorithm), seed));
}

Result<Bytes> Seal(const Aead& aead, ByteView nonce, ByteView associated_data, ByteView message) {
  Bytes sealed(message.size() + kAeadTagBytes);
  KMS_TRY(aead.Seal(nonce, associated_data, message, sealed));
  return sealed;
}

Result<Bytes> Open(const Aead& aead, ByteView nonce, ByteView associated_data, ByteView sealed) {
  Bytes message(sealed.size() - std::min(sealed.size(), kAeadTagBytes));
  KMS_TRY(aead.Open(nonce, associated_data, sealed, message));
  return message;
}

TEST(Aead, MatchesNistVectors) {
  int sealed = 0;
  int refused = 0;
  for (const auto& row : ReadVectors("nist_gcm.txt")) {
    ASSERT_EQ(row.size(), 6U);
    const Bytes key = FromHex(row[1]);
    KMS_ASSERT_OK_AND_ASSIGN(
        const Aead aead,
        Aead::Create(key.size() == 16 ? AeadAlgorithm::kAes128Gcm : AeadAlgorithm::kAes256Gcm,
                     key));
    const Bytes nonce = FromHex(row[2]);
    const Bytes associated_data = FromHex(row[3]);
    const Bytes expected = FromHex(row[5]);
    if (row[0] == "refuse") {
      EXPECT_THAT(Open(aead, nonce, associated_data, expected),
                  HasError(ErrorCode::kDecryptionFailed));
      ++refused;
      continue;
    }
    const Bytes message = FromHex(row[4]);
    EXPECT_THAT(Seal(aead, nonce, associated_data, message), IsOkAndHolds(expected));
    EXPECT_THAT(Open(aead, nonce, associated_data, expected), IsOkAndHolds(message));
    ++sealed;
  }
  EXPECT_EQ(sealed, 100);
  EXPECT_EQ(refused, 50);
}

// RFC 8439 appendix A.5: a message that was sealed elsewhere.
TEST(Aead, OpensChaCha20Poly1305VectorOfRfc8439) {
  KMS_ASSERT_OK_AND_ASSIGN(
      const Aead aead,
      Aead::Create(AeadAlgorithm::kChaCha20Poly1305,
                   FromHex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0")));
  const Bytes sealed = FromHex(
      "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d"
      "26b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1"
      "ff37c8559797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b"
      "5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea"
      "1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d36"
      "1094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709b"
      "eead9d67890cbb22392336fea1851f38");
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes message, Open(aead, FromHex("000000000102030405060708"),
                                                     FromHex("f33388860000000000004e91"), sealed));
  EXPECT_EQ(AsText(message).substr(0, 39), "Internet-Drafts are draft documents val");
  EXPECT_EQ(message.size(), 265U);
}

// draft-irtf-cfrg-xchacha-03 appendix A.3.1.
TEST(Aead, MatchesXChaCha20Poly1305VectorOfTheDraft) {
  KMS_ASSERT_OK_AND_ASSIGN(
      const Aead aead,
      Aead::Create(AeadAlgorithm::kXChaCha20Poly1305,
                   FromHex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f")));
  const Bytes nonce = FromHex("404142434445464748494a4b4c4d4e4f5051525354555657");
  const Bytes associated_data = FromHex("50515253c0c1c2c3c4c5c6c7");
  const Bytes message = CopyOf(AsBytes(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
      "sunscreen would be it."));
  const Bytes sealed = FromHex(
      "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
      "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
      "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
      "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49");
  EXPECT_THAT(Seal(aead, nonce, associated_data, message), IsOkAndHolds(sealed));
  EXPECT_THAT(Open(aead, nonce, associated_data, sealed), IsOkAndHolds(message));
}

TEST(Aead, MatchesWycheproofVectorsOfXChaCha20Poly1305) {
  int sealed = 0;
  int refused = 0;
  for (const auto& row : ReadVectors("wycheproof_xchacha20_poly1305.txt")) {
    ASSERT_EQ(row.size(), 6U);
    KMS_ASSERT_OK_AND_ASSIGN(
        const Aead aead, Aead::Create(AeadAlgorithm::kXChaCha20Poly1305, FromHex(row[1])));
    const Bytes nonce = FromHex(row[2]);
    const Bytes associated_data = FromHex(row[3]);
    const Bytes message = FromHex(row[4]);
    const Bytes expected = FromHex(row[5]);
    if (row[0] == "invalid") {
      EXPECT_THAT(Open(aead, nonce, associated_data, expected),
                  HasError(ErrorCode::kDecryptionFailed));
      ++refused;
      continue;
    }
    EXPECT_THAT(Seal(aead, nonce, associated_data, message), IsOkAndHolds(expected));
    EXPECT_THAT(Open(aead, nonce, associated_data, expected), IsOkAndHolds(message));
    ++sealed;
  }
  EXPECT_EQ(sealed + refused, 315);
  EXPECT_GT(sealed, 200);
  EXPECT_GT(refused, 50);
}

// The row of the wire contract: key 00..1f, nonce a0..ab b0..bb.
TEST(Aead, SealsXChaCha20Poly1305AsTheWireContract) {
  KMS_ASSERT_OK_AND_ASSIGN(
      const Aead aead,
      Aead::Create(AeadAlgorithm::kXChaCha20Poly1305,
                   FromHex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")));
  const Bytes nonce = FromHex("a0a1a2a3a4a5a6a7a8a9aaabb0b1b2b3b4b5b6b7b8b9babb");
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes sealed, Seal(aead, nonce, {}, AsBytes("hello transit")));
  EXPECT_EQ(Base64Encode(sealed), "uFcbDWBaz9zZwP6qI2La/2dddH37x7s0wGcOmrg=");
}

TEST(Aead, OpensWhatItSealedAtEveryLength) {
  for (const AeadAlgorithm algorithm : kAlgorithms) {
    const Aead aead = MakeAead(algorithm, 1);
    for (unsigned length = 0; length < 300; ++length) {
      const Bytes nonce = Pattern(AeadNonceBytes(algorithm), length);
      const Bytes associated_data = Pattern(length % 37, length);
      const Bytes message = Pattern(length, length);
      KMS_ASSERT_OK_AND_ASSIGN(const Bytes sealed, Seal(aead, nonce, associated_data, message));
      ASSERT_THAT(Open(aead, nonce, associated_data, sealed), IsOkAndHolds(message));
    }
  }
}

TEST(Aead, RefusesKeysOfOtherLengths) {
  for (const AeadAlgorithm algorithm : kAlgorithms) {
    for (std::size_t size = 0; size <= 64; ++size) {
      if (size != AeadKeyBytes(algorithm)) {
        EXPECT_THAT(Aead::Create(algorithm, Bytes(size)), HasError(ErrorCode::kInvalidArgument));
      }
    }
  }
}

TEST(Aead, TakesNoOtherCiphersNonce) {
  for (const AeadAlgorithm algorithm : kAlgorithms) {
    const Aead aead = MakeAead(algorithm, 1);
    const Bytes nonce(kAeadNonceBytes + kMaxAeadNonceBytes - AeadNonceBytes(algorithm));
    EXPECT_THAT(Seal(aead, nonce, {}, Bytes(9)), HasError(ErrorCode::kInvalidArgument));
    EXPECT_THAT(Open(aead, nonce, {}, Bytes(32)), HasError(ErrorCode::kDecryptionFailed));
  }
}

TEST(Aead, RefusesWrongSizesOfNonceAndOutput) {
  const Aead aead = MakeAead(AeadAlgorithm::kAes256Gcm, 1);
  Bytes out(32 + kAeadTagBytes);
  for (const std::size_t size : {0U, 11U, 13U, 16U}) {
    EXPECT_THAT(aead.Seal(Bytes(size), {}, Bytes(32), out), HasError(ErrorCode::kInvalidArgument));
    EXPECT_THAT(aead.Open(Bytes(size), {}, Bytes(48), MutableByteView(out).first(32)),
                HasError(ErrorCode::kDecryptionFailed));
  }
  for (const std::size_t size : {0U, 31U, 33U}) {
    EXPECT_THAT(aead.Seal(Bytes(12), {}, Bytes(size), out), HasError(ErrorCode::kInvalidArgument));
  }
}

class AeadTampering : public ::testing::TestWithParam<AeadAlgorithm> {
 protected:
  // Whatever was changed: one code, one text, and nothing of the message in the output.
  void ExpectRefused(ByteView nonce, ByteView associated_data, ByteView sealed) {
    Bytes out(sealed.size() - std::min(sealed.size(), kAeadTagBytes), 0xee);
    const Status opened = aead_.Open(nonce, associated_data, sealed, out);
    ASSERT_FALSE(opened.has_value());
    codes_.insert(opened.error().code);
    texts_.insert(opened.error().public_message);
    EXPECT_EQ(opened.error().detail, "");
    EXPECT_EQ(out, Bytes(out.size(), 0));
  }

  const Aead aead_ = MakeAead(GetParam(), 7);
  const Bytes nonce_ = Pattern(AeadNonceBytes(GetParam()), 8);
  const Bytes associated_data_ = Pattern(20, 9);
  const Bytes message_ = Pattern(45, 10);
  const Bytes sealed_ = *Seal(aead_, nonce_, associated_data_, message_);
  std::set<ErrorCode> codes_;
  std::set<std::string> texts_;
};

Bytes FlipBit(Bytes bytes, std::size_t bit) {
  bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
  return bytes;
}

TEST_P(AeadTampering, C9_EveryChangeIsRefusedWithOneText) {
  for (std::size_t bit = 0; bit < sealed_.size() * 8; ++bit) {
    ExpectRefused(nonce_, associated_data_, FlipBit(sealed_, bit));
  }
  for (std::size_t bit = 0; bit < nonce_.size() * 8; ++bit) {
    ExpectRefused(FlipBit(nonce_, bit), associated_data_, sealed_);
  }
  for (std::size_t bit = 0; bit < associated_data_.size() * 8; ++bit) {
    ExpectRefused(nonce_, FlipBit(associated_data_, bit), sealed_);
  }
  for (std::size_t size = 0; size < sealed_.size(); ++size) {
    ExpectRefused(nonce_, associated_data_, ByteView(sealed_).first(size));
    ExpectRefused(nonce_, associated_data_, ByteView(sealed_).last(size));
  }
  for (std::size_t position = 0; position <= sealed_.size(); ++position) {
    Bytes longer = sealed_;
    longer.insert(longer.begin() + static_cast<std::ptrdiff_t>(position), 0);
    ExpectRefused(nonce_, associated_data_, longer);
  }
  EXPECT_EQ(codes_, std::set{ErrorCode::kDecryptionFailed});
  EXPECT_EQ(texts_, std::set<std::string>{GetParam() >= AeadAlgorithm::kChaCha20Poly1305
                                              ? "chacha20poly1305: message authentication failed"
                                              : "cipher: message authentication failed"});
}

TEST_P(AeadTampering, LeavesTheContextUsableAfterARefusal) {
  for (int round = 0; round < 3; ++round) {
    ExpectRefused(nonce_, associated_data_, FlipBit(sealed_, 0));
    EXPECT_THAT(Open(aead_, nonce_, associated_data_, sealed_), IsOkAndHolds(message_));
    ExpectRefused(nonce_, {}, sealed_);
    EXPECT_THAT(Seal(aead_, nonce_, associated_data_, message_), IsOkAndHolds(sealed_));
  }
}

INSTANTIATE_TEST_SUITE_P(EveryAlgorithm, AeadTampering, ::testing::ValuesIn(kAlgorithms));

// More keys than a thread keeps contexts, of all algorithms, in changing order: a context that
// stayed keyed for another key would give another ciphertext.
void UseManyKeys(unsigned seed) {
  std::vector<Aead> aeads;
  std::vector<Bytes> expected;
  const Bytes longest_nonce(kMaxAeadNonceBytes, 5);
  const auto nonce_of = [&](const Aead& aead) {
    return ByteView(longest_nonce).first(AeadNonceBytes(aead.algorithm()));
  };
  const Bytes message = Pattern(100, 3);
  for (unsigned index = 0; index < 60; ++index) {
    aeads.push_back(MakeAead(kAlgorithms[index % std::size(kAlgorithms)], index));
    const Aead twin = MakeAead(kAlgorithms[index % std::size(kAlgorithms)], index);
    expected.push_back(*Seal(twin, nonce_of(twin), {}, message));
  }
  std::minstd_rand generator(seed);
  for (int round = 0; round < 5000; ++round) {
    const std::size_t index = generator() % aeads.size();
    ASSERT_THAT(Seal(aeads[index], nonce_of(aeads[index]), {}, message),
                IsOkAndHolds(expected[index]));
    const std::size_t other = generator() % aeads.size();
    ASSERT_EQ(Open(aeads[other], nonce_of(aeads[other]), {}, expected[index]).has_value(),
              other == index);
    if (round % 500 == 0) {
      Aead::ForgetThreadContexts();
    }
  }
}

TEST(Aead, KeepsManyKeysApartInOneThread) { UseManyKeys(1); }

TEST(Aead, IsSharedByThreads) {
  const Aead shared = MakeAead(AeadAlgorithm::kAes256Gcm, 99);
  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed <= 4; ++seed) {
    threads.emplace_back([seed, &shared] {
      UseManyKeys(seed);
      const Bytes nonce(kAeadNonceBytes, static_cast<std::uint8_t>(seed));
      for (unsigned round = 0; round < 2000; ++round) {
        const Bytes message = Pattern(round % 64, round);
        const Result<Bytes> sealed = Seal(shared, nonce, {}, message);
        ASSERT_THAT(sealed, IsOk());
        ASSERT_THAT(Open(shared, nonce, {}, *sealed), IsOkAndHolds(message));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST(Aead, WorksAfterItWasMoved) {
  Aead first = MakeAead(AeadAlgorithm::kAes128Gcm, 1);
  const Bytes nonce(kAeadNonceBytes);
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes sealed, Seal(first, nonce, {}, Bytes(5)));
  Aead second = MakeAead(AeadAlgorithm::kAes256Gcm, 2);
  second = std::move(first);
  EXPECT_EQ(second.algorithm(), AeadAlgorithm::kAes128Gcm);
  EXPECT_THAT(Open(second, nonce, {}, sealed), IsOkAndHolds(Bytes(5)));
}

// One call under a key is the same cipher as a prepared one.
TEST(Aead, SealOnceAndOpenOnceAgreeWithThePreparedCipher) {
  for (const AeadAlgorithm algorithm : kAlgorithms) {
    const Bytes key = Pattern(AeadKeyBytes(algorithm), 5);
    const Aead aead = MakeAead(algorithm, 5);
    const Bytes nonce = Pattern(AeadNonceBytes(algorithm), 6);
    const Bytes message = Pattern(100, 7);
    const Bytes associated_data = Pattern(9, 8);
    Bytes sealed(message.size() + kAeadTagBytes);
    ASSERT_THAT(Aead::SealOnce(algorithm, key, nonce, associated_data, message, sealed), IsOk());
    EXPECT_THAT(Seal(aead, nonce, associated_data, message), IsOkAndHolds(sealed));
    Bytes opened(message.size());
    ASSERT_THAT(Aead::OpenOnce(algorithm, key, nonce, associated_data, sealed, opened), IsOk());
    EXPECT_EQ(opened, message);
    sealed.back() ^= 1U;
    EXPECT_THAT(Aead::OpenOnce(algorithm, key, nonce, associated_data, sealed, opened),
                HasError(ErrorCode::kDecryptionFailed));
    EXPECT_EQ(opened, Bytes(message.size()));
  }
}

TEST(Aead, SealOnceAndOpenOnceRefuseWrongSizes) {
  const Bytes key(32);
  const Bytes nonce(kAeadNonceBytes);
  Bytes sealed(kAeadTagBytes + 1);
  Bytes opened(1);
  constexpr AeadAlgorithm kCipher = AeadAlgorithm::kAes256Gcm;
  const ByteView short_key = ByteView(key).first(31);
  const ByteView short_nonce = ByteView(nonce).first(11);
  EXPECT_THAT(Aead::SealOnce(kCipher, short_key, nonce, {}, Bytes(1), sealed),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Aead::SealOnce(kCipher, key, short_nonce, {}, Bytes(1), sealed),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Aead::SealOnce(kCipher, key, nonce, {}, Bytes(2), sealed),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Aead::OpenOnce(kCipher, short_key, nonce, {}, sealed, opened),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Aead::OpenOnce(kCipher, key, short_nonce, {}, sealed, opened),
              HasError(ErrorCode::kDecryptionFailed));
}

}  // namespace
}  // namespace kms
