// SPDX-License-Identifier: Apache-2.0
// What every ResidentKeyDevice promises, whatever is behind it. What it makes is judged by
// kms/crypto, that is by OpenSSL.
#include "tests/contract/resident_key_device_contract.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "kms/base/random.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/certificate_request.h"
#include "kms/crypto/key_agreement.h"
#include "kms/crypto/rsa_encryption.h"
#include "kms/crypto/signature.h"

namespace kms::testing {

namespace {

constexpr ResidentKeyType kEcTypes[] = {ResidentKeyType::kEcdsaP256, ResidentKeyType::kEcdsaP384,
                                        ResidentKeyType::kEcdsaP521};

Bytes RandomBytes(std::size_t size) {
  Bytes bytes(size);
  if (size != 0) {
    FillRandom(bytes);
  }
  return bytes;
}

SecretBytes RandomSecret(std::size_t size) {
  SecretBytes secret = SecretBytes::OfSize(size).value();
  if (size != 0) {
    FillRandom(secret.MutableView());
  }
  return secret;
}

AsymmetricKey PublicKeyOf(const ResidentKeyRecord& record) {
  return AsymmetricKey::FromPublicKey(*AsymmetricAlgorithmOf(record.type), record.public_key)
      .value();
}

bool Verifies(const ResidentKeyRecord& record, const ResidentSignRequest& request,
              ByteView signature) {
  const bool pss = request.scheme == ResidentSignatureScheme::kRsaPss;
  return VerifySignature(PublicKeyOf(record),
                         {.hash = request.hash,
                          .prehashed = true,
                          .rsa = pss ? RsaSignatureScheme::kPss : RsaSignatureScheme::kPkcs1v15,
                          .salt_length = request.salt_bytes},
                         request.digest, signature)
      .value_or(false);
}

Status Use(ResidentKeyDevice& device, const ResidentKeyRecord& key) {
  const Deadline soon = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  if (key.type == ResidentKeyType::kAes256Gcm) {
    KMS_TRY(device.ResidentEncrypt(key, RandomSecret(8), {}, soon));
  } else {
    KMS_TRY(device.ResidentSign(key, {.digest = Bytes(32, 1)}, soon));
  }
  return Ok();
}

}  // namespace

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ResidentKeyDeviceContract);

TEST_P(ResidentKeyDeviceContract, RecordsWhatItGenerated) {
  const Uuid id = Uuid::Random();
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentKeyRecord record,
                           device().GenerateResidentKey(id, ResidentKeyType::kEcdsaP256,
                                                        "kms/contract/recorded", Soon()));
  EXPECT_EQ(record.id, CopyOf(id.View()));
  EXPECT_EQ(record.label, "kms/contract/recorded");
  EXPECT_EQ(record.type, ResidentKeyType::kEcdsaP256);
  EXPECT_FALSE(record.token_label.empty());
  EXPECT_EQ(record.nonce_bytes, 0);
  EXPECT_THAT(AsymmetricKey::FromPublicKey(AsymmetricAlgorithm::kEcdsaP256, record.public_key),
              IsOk());
  const ResidentKeyRecord cipher = Make(ResidentKeyType::kAes256Gcm);
  EXPECT_TRUE(cipher.public_key.empty());
  EXPECT_GE(cipher.nonce_bytes, kMinResidentNonceBytes);
  EXPECT_LE(cipher.nonce_bytes, kMaxResidentNonceBytes);
}

TEST_P(ResidentKeyDeviceContract, GenerateAdoptsTheKeyOfAnEarlierCall) {
  for (const ResidentKeyType type :
       {ResidentKeyType::kAes256Gcm, ResidentKeyType::kRsa2048, ResidentKeyType::kEcdsaP384}) {
    const ResidentKeyRecord first = Make(type);
    KMS_ASSERT_OK_AND_ASSIGN(
        const ResidentKeyRecord second,
        device().GenerateResidentKey(*Uuid::FromBytes(first.id), type, first.label, Soon()));
    EXPECT_EQ(second, first) << ResidentKeyTypeName(type);
  }
}

TEST_P(ResidentKeyDeviceContract, EcSignaturesVerifyUnderThePublicKey) {
  for (const ResidentKeyType type : kEcTypes) {
    const ResidentKeyRecord key = Make(type);
    const std::size_t field = EcdsaFieldBytes(*AsymmetricAlgorithmOf(type));
    for (const HashAlgorithm hash : {HashAlgorithm::kSha1, HashAlgorithm::kSha2_256,
                                     HashAlgorithm::kSha2_384, HashAlgorithm::kSha2_512}) {
      ResidentSignRequest request{.hash = hash, .digest = RandomBytes(TraitsOf(hash).bytes)};
      request.digest.resize(std::min(request.digest.size(), field));
      KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, device().ResidentSign(key, request, Soon()));
      EXPECT_TRUE(Verifies(key, request, signature)) << ResidentKeyTypeName(type);
      request.digest.front() ^= 1U;
      EXPECT_FALSE(Verifies(key, request, signature));
    }
  }
}

TEST_P(ResidentKeyDeviceContract, RsaSignaturesVerifyUnderThePublicKey) {
  const ResidentKeyRecord key = Make(ResidentKeyType::kRsa2048);
  for (const HashTraits& hash : AllHashes()) {
    const Bytes digest = RandomBytes(hash.bytes);
    const auto size = static_cast<std::uint32_t>(hash.bytes);
    const auto longest = static_cast<std::uint32_t>(256 - hash.bytes - 2);
    for (const ResidentSignRequest& request : std::vector<ResidentSignRequest>{
             {ResidentSignatureScheme::kRsaPkcs1v15, hash.algorithm, digest, 0},
             {ResidentSignatureScheme::kRsaPss, hash.algorithm, digest, size},
             {ResidentSignatureScheme::kRsaPss, hash.algorithm, digest, longest},
             {ResidentSignatureScheme::kRsaPss, hash.algorithm, digest, 1}}) {
      KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, device().ResidentSign(key, request, Soon()));
      EXPECT_EQ(signature.size(), 256U);
      EXPECT_TRUE(Verifies(key, request, signature)) << hash.name << " " << request.salt_bytes;
    }
  }
}

TEST_P(ResidentKeyDeviceContract, RsaSignsBareBytes) {
  const ResidentKeyRecord key = Make(ResidentKeyType::kRsa2048);
  for (const std::size_t size : {0U, 1U, 36U, 245U}) {
    const ResidentSignRequest request{ResidentSignatureScheme::kRsaPkcs1v15, std::nullopt,
                                      RandomBytes(size), 0};
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, device().ResidentSign(key, request, Soon()));
    EXPECT_TRUE(Verifies(key, request, signature)) << size;
  }
}

TEST_P(ResidentKeyDeviceContract, LargerRsaKeysSignAndDecrypt) {
  for (const ResidentKeyType type : {ResidentKeyType::kRsa3072, ResidentKeyType::kRsa4096}) {
    const ResidentKeyRecord key = Make(type);
    const ResidentSignRequest request{ResidentSignatureScheme::kRsaPss, HashAlgorithm::kSha2_512,
                                      RandomBytes(64), 64};
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, device().ResidentSign(key, request, Soon()));
    EXPECT_TRUE(Verifies(key, request, signature));
  }
}

TEST_P(ResidentKeyDeviceContract, RsaOpensWhatWasEncryptedToThePublicKey) {
  const ResidentKeyRecord key = Make(ResidentKeyType::kRsa2048);
  const AsymmetricKey public_key = PublicKeyOf(key);
  for (const auto& [hash, padding] :
       {std::pair{std::optional(HashAlgorithm::kSha2_256), RsaEncryptionPadding::kOaep},
        std::pair{std::optional<HashAlgorithm>(), RsaEncryptionPadding::kPkcs1v15}}) {
    for (const std::size_t size : {0U, 1U, 32U, 190U}) {
      const Bytes secret = RandomBytes(size);
      Bytes ciphertext(256);
      ASSERT_THAT(RsaEncrypt(public_key, padding, secret, ciphertext), IsOk());
      KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                               device().ResidentRsaDecrypt(key, hash, ciphertext, Soon()));
      EXPECT_TRUE(EqualInConstantTime(opened.View(), secret)) << size;
    }
  }
}

TEST_P(ResidentKeyDeviceContract, C10_EveryDamagedRsaCiphertextIsRefusedAlike) {
  const ResidentKeyRecord key = Make(ResidentKeyType::kRsa2048);
  Bytes good(256);
  ASSERT_THAT(RsaEncrypt(PublicKeyOf(key), RsaEncryptionPadding::kOaep, Bytes(32, 7), good),
              IsOk());
  std::vector<Bytes> damaged = {Bytes(), Bytes(256, 0), Bytes(256, 0xFF),
                                Bytes(good.begin(), good.end() - 1), good};
  damaged.back().push_back(0);
  for (std::size_t index = 0; index < good.size(); index += 51) {
    damaged.push_back(good);
    damaged.back()[index] ^= 1U;
  }
  for (const Bytes& ciphertext : damaged) {
    EXPECT_THAT(device().ResidentRsaDecrypt(key, HashAlgorithm::kSha2_256, ciphertext, Soon()),
                HasError(ErrorCode::kDecryptionFailed));
  }
  EXPECT_THAT(device().ResidentRsaDecrypt(key, HashAlgorithm::kSha2_256, good, Soon()), IsOk());
}

TEST_P(ResidentKeyDeviceContract, DecryptsWhatItEncrypted) {
  const ResidentKeyRecord key = Make(ResidentKeyType::kAes256Gcm);
  const Bytes aad = {'e', 'n', 'v', 0, 1};
  for (const std::size_t size : {1U, 16U, 100U, 30'000U}) {
    const SecretBytes plaintext = RandomSecret(size);
    KMS_ASSERT_OK_AND_ASSIGN(const ResidentCiphertext sealed,
                             device().ResidentEncrypt(key, plaintext, aad, Soon()));
    EXPECT_EQ(sealed.nonce.size(), key.nonce_bytes);
    EXPECT_EQ(sealed.ciphertext.size(), size + 16);
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                             device().ResidentDecrypt(key, sealed, aad, Soon()));
    EXPECT_TRUE(opened == plaintext) << size;
  }
}

TEST_P(ResidentKeyDeviceContract, EncryptsNothingAtAll) {
  const ResidentKeyRecord key = Make(ResidentKeyType::kAes256Gcm);
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentCiphertext sealed,
                           device().ResidentEncrypt(key, SecretBytes(), {}, Soon()));
  EXPECT_EQ(sealed.ciphertext.size(), 16U);
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                           device().ResidentDecrypt(key, sealed, {}, Soon()));
  EXPECT_TRUE(opened.empty());
}

TEST_P(ResidentKeyDeviceContract, NoncesDiffer) {
  const ResidentKeyRecord key = Make(ResidentKeyType::kAes256Gcm);
  const SecretBytes plaintext = RandomSecret(16);
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentCiphertext first,
                           device().ResidentEncrypt(key, plaintext, {}, Soon()));
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentCiphertext second,
                           device().ResidentEncrypt(key, plaintext, {}, Soon()));
  EXPECT_NE(first.nonce, second.nonce);
  EXPECT_NE(first.ciphertext, second.ciphertext);
}

TEST_P(ResidentKeyDeviceContract, RefusesEveryDamagedCiphertextAndAnotherContext) {
  const ResidentKeyRecord key = Make(ResidentKeyType::kAes256Gcm);
  const Bytes aad = {'a'};
  KMS_ASSERT_OK_AND_ASSIGN(const ResidentCiphertext good,
                           device().ResidentEncrypt(key, RandomSecret(8), aad, Soon()));
  std::vector<ResidentCiphertext> damaged;
  for (std::size_t index = 0; index < good.ciphertext.size(); index += 5) {
    damaged.push_back(good);
    damaged.back().ciphertext[index] ^= 0x80U;
  }
  damaged.push_back(good);
  damaged.back().nonce.front() ^= 1U;
  damaged.push_back(good);
  damaged.back().ciphertext.pop_back();
  damaged.push_back(good);
  damaged.back().ciphertext.clear();
  damaged.push_back(good);
  damaged.back().nonce.clear();
  for (const ResidentCiphertext& ciphertext : damaged) {
    EXPECT_THAT(device().ResidentDecrypt(key, ciphertext, aad, Soon()),
                HasError(ErrorCode::kDecryptionFailed));
  }
  EXPECT_THAT(device().ResidentDecrypt(key, good, Bytes{'b'}, Soon()),
              HasError(ErrorCode::kDecryptionFailed));
  EXPECT_THAT(device().ResidentDecrypt(Make(ResidentKeyType::kAes256Gcm), good, aad, Soon()),
              HasError(ErrorCode::kDecryptionFailed));
  EXPECT_THAT(device().ResidentDecrypt(key, good, aad, Soon()), IsOk());
}

TEST_P(ResidentKeyDeviceContract, RefusesMessagesThatAreTooLong) {
  const ResidentKeyRecord key = Make(ResidentKeyType::kAes256Gcm);
  EXPECT_THAT(
      device().ResidentEncrypt(key, RandomSecret(kMaxResidentMessageBytes), Bytes(1), Soon()),
      HasError(ErrorCode::kInvalidArgument));
}

TEST_P(ResidentKeyDeviceContract, RefusesWhatTheTypeDoesNotDo) {
  const ResidentKeyRecord cipher = Make(ResidentKeyType::kAes256Gcm);
  const ResidentKeyRecord signer = Make(ResidentKeyType::kEcdsaP256);
  EXPECT_THAT(device().ResidentSign(cipher, {.digest = Bytes(32, 1)}, Soon()),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(
      device().ResidentSign(
          signer,
          {.scheme = ResidentSignatureScheme::kRsaPss, .digest = Bytes(32, 1), .salt_bytes = 32},
          Soon()),
      HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(device().ResidentRsaDecrypt(signer, HashAlgorithm::kSha2_256, Bytes(256), Soon()),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(device().ResidentEncrypt(signer, RandomSecret(8), {}, Soon()),
              HasError(ErrorCode::kInvalidArgument));
}

// ---- certificate requests and key agreement ----------------------------------------------------

TEST_P(ResidentKeyDeviceContract, SignsCertificateRequests) {
  for (const ResidentKeyType type :
       {ResidentKeyType::kEcdsaP256, ResidentKeyType::kEcdsaP384, ResidentKeyType::kEcdsaP521,
        ResidentKeyType::kRsa2048}) {
    const ResidentKeyRecord key = Make(type);
    const auto scheme = type == ResidentKeyType::kRsa2048 ? ResidentSignatureScheme::kRsaPkcs1v15
                                                          : ResidentSignatureScheme::kEcdsa;
    const DigestSigner sign = [&](HashAlgorithm hash, ByteView digest) {
      return device().ResidentSign(
          key, {.scheme = scheme, .hash = hash, .digest = CopyOf(digest)}, Soon());
    };
    // Verified by OpenSSL before it is returned.
    EXPECT_THAT(SignCertificateRequestElsewhere(PublicKeyOf(key), {}, sign), IsOk())
        << ResidentKeyTypeName(type);
  }
}

TEST_P(ResidentKeyDeviceContract, AgreesAsThePeerDoes) {
  for (const ResidentKeyType type : kEcTypes) {
    const ResidentKeyRecord key = Make(type);
    for (int round = 0; round < 3; ++round) {
      KMS_ASSERT_OK_AND_ASSIGN(const AsymmetricKey peer,
                               AsymmetricKey::Generate(*AsymmetricAlgorithmOf(type)));
      KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes of_peer,
                               internal::EcdhSharedSecret(peer, PublicKeyOf(key)));
      KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes of_device,
                               device().ResidentAgree(key, peer.PublicKey().value(), Soon()));
      EXPECT_TRUE(of_device == of_peer) << ResidentKeyTypeName(type);
    }
  }
}

TEST_P(ResidentKeyDeviceContract, C14_AgreesWithNoPointOfAnotherCurveOrOfNone) {
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP256);
  Bytes off_curve = Make(ResidentKeyType::kEcdsaP256).public_key;
  off_curve.back() ^= 1U;
  for (const Bytes& peer : {Bytes(), Bytes(91, 0), off_curve,
                            Make(ResidentKeyType::kEcdsaP384).public_key,
                            Make(ResidentKeyType::kRsa2048).public_key}) {
    EXPECT_THAT(device().ResidentAgree(key, peer, Soon()), HasError(ErrorCode::kInvalidArgument));
  }
}

TEST_P(ResidentKeyDeviceContract, OnlyEcKeysAgree) {
  const Bytes peer = Make(ResidentKeyType::kEcdsaP256).public_key;
  for (const ResidentKeyType type : {ResidentKeyType::kAes256Gcm, ResidentKeyType::kRsa2048}) {
    EXPECT_THAT(device().ResidentAgree(Make(type), peer, Soon()),
                HasError(ErrorCode::kInvalidArgument));
  }
}

TEST_P(ResidentKeyDeviceContract, DestroyedKeyDoesNothing) {
  for (const ResidentKeyType type : {ResidentKeyType::kAes256Gcm, ResidentKeyType::kEcdsaP256}) {
    const ResidentKeyRecord doomed = Make(type);
    const ResidentKeyRecord kept = Make(type);
    EXPECT_THAT(device().DestroyResidentKey(doomed, Soon()), IsOk());
    EXPECT_THAT(device().DestroyResidentKey(doomed, Soon()), IsOk()) << "a second time";
    for (const auto& [key, works] : {std::pair{doomed, false}, std::pair{kept, true}}) {
      const Status done = Use(device(), key);
      EXPECT_EQ(done.has_value(), works);
      if (!works) {
        EXPECT_THAT(done, HasError(ErrorCode::kFailedPrecondition));
      }
    }
  }
}

TEST_P(ResidentKeyDeviceContract, D10_AKeyOfAnotherLabelIsNotDestroyed) {
  const ResidentKeyRecord victim = Make(ResidentKeyType::kEcdsaP256);
  ResidentKeyRecord forged = victim;
  for (const char* label : {"kms/dev/keys/", "elsewhere"}) {
    forged.label = label;
    EXPECT_THAT(device().DestroyResidentKey(forged, Soon()),
                HasError(ErrorCode::kFailedPrecondition, ::testing::HasSubstr(victim.label)));
  }
  EXPECT_THAT(Use(device(), victim), IsOk());
}

TEST_P(ResidentKeyDeviceContract, KeysOfThisServiceAreNoExternalKeys) {
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP256);
  EXPECT_THAT(device().FindResidentKey(key.label, Soon()),
              HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(device().FindResidentKey("id=" + HexEncode(key.id), Soon()),
              HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(device().FindResidentKey("nobody made this one", Soon()),
              HasError(ErrorCode::kNotFound));
}

TEST_P(ResidentKeyDeviceContract, H13_AnotherKeyThanTheRecordedOneIsNotUsed) {
  ResidentKeyRecord mixed = Make(ResidentKeyType::kEcdsaP256);
  mixed.public_key = Make(ResidentKeyType::kEcdsaP256).public_key;
  EXPECT_THAT(device().ResidentSign(mixed, {.digest = Bytes(32, 1)}, Soon()),
              HasError(ErrorCode::kCorrupted));
  EXPECT_THAT(device().ResidentAgree(mixed, mixed.public_key, Soon()),
              HasError(ErrorCode::kCorrupted));
}

TEST_P(ResidentKeyDeviceContract, RefusesADeadlineThatHasPassed) {
  const ResidentKeyRecord key = Make(ResidentKeyType::kEcdsaP256);
  const Deadline passed = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  EXPECT_THAT(device().ResidentSign(key, {.digest = Bytes(32, 1)}, passed),
              HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(device().GenerateResidentKey(Uuid::Random(), ResidentKeyType::kEcdsaP256,
                                           "kms/contract/late", passed),
              HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(device().DestroyResidentKey(key, passed), HasError(ErrorCode::kUnavailable));
}

TEST_P(ResidentKeyDeviceContract, ServesManyThreadsAtOnce) {
  const ResidentKeyRecord signer = Make(ResidentKeyType::kEcdsaP256);
  const ResidentKeyRecord cipher = Make(ResidentKeyType::kAes256Gcm);
  std::atomic<int> good = 0;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < 10; ++round) {
        const ResidentSignRequest request{.digest = RandomBytes(32)};
        const auto signature = device().ResidentSign(signer, request, Soon());
        good += signature.has_value() && Verifies(signer, request, *signature) ? 1 : 0;
        const SecretBytes plaintext = RandomSecret(32);
        const auto sealed = device().ResidentEncrypt(cipher, plaintext, {}, Soon());
        const auto opened = sealed.has_value()
                                ? device().ResidentDecrypt(cipher, *sealed, {}, Soon())
                                : Result<SecretBytes>(sealed.error());
        good += opened.has_value() && *opened == plaintext ? 1 : 0;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(good, 8 * 20);
}

}  // namespace kms::testing
