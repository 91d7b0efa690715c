// SPDX-License-Identifier: Apache-2.0
// What every MasterKeyDevice promises, whatever is behind it.
#include "tests/contract/master_key_device_contract.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <atomic>
#include <thread>
#include <vector>

#include "kms/base/digest.h"

namespace kms::testing {

namespace {

// Returns 1 when `signature` is one of `message` by the key in `public_key`.
int VerifyEcdsa(const Bytes& public_key, ByteView message, const Bytes& signature) {
  const std::uint8_t* in = public_key.data();
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key{
      d2i_PUBKEY(nullptr, &in, static_cast<long>(public_key.size())), EVP_PKEY_free};
  if (key == nullptr) {
    return -1;
  }
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context{EVP_MD_CTX_new(),
                                                                   EVP_MD_CTX_free};
  if (EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1) {
    return -1;
  }
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                          message.size());
}

// RSA-OAEP as a caller does it who imports a key, or somebody who forges a wrap.
Bytes EncryptTo(const Bytes& public_key, HashAlgorithm hash, ByteView plaintext,
                std::size_t expected_bytes = kImportCiphertextBytes) {
  const std::uint8_t* in = public_key.data();
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key{
      d2i_PUBKEY(nullptr, &in, static_cast<long>(public_key.size())), EVP_PKEY_free};
  const std::unique_ptr<EVP_PKEY_CTX, void (*)(EVP_PKEY_CTX*)> context{
      EVP_PKEY_CTX_new(key.get(), nullptr), EVP_PKEY_CTX_free};
  const EVP_MD* const digest = EVP_get_digestbyname(TraitsOf(hash).provider_name);
  Bytes ciphertext(kImportCiphertextBytes);
  std::size_t size = ciphertext.size();
  EXPECT_TRUE(context != nullptr && EVP_PKEY_encrypt_init(context.get()) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1 &&
              EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), digest) == 1 &&
              EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), digest) == 1 &&
              EVP_PKEY_encrypt(context.get(), ciphertext.data(), &size, plaintext.data(),
                               plaintext.size()) == 1);
  EXPECT_EQ(size, expected_bytes);
  ciphertext.resize(size);
  return ciphertext;
}

constexpr const char* kDoesNotOpen = "crypto/rsa: decryption error";

}  // namespace

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MasterKeyDeviceContract);

TEST_P(MasterKeyDeviceContract, DescribesItsTokenAndProvenMechanisms) {
  KMS_ASSERT_OK_AND_ASSIGN(const DeviceDescription description, device().Describe(InSeconds(10)));
  EXPECT_FALSE(description.token_label.empty());
  EXPECT_FALSE(description.module_path.empty());
  EXPECT_FALSE(description.module_description.empty());
  EXPECT_FALSE(description.usable_mechanisms.empty());
}

TEST_P(MasterKeyDeviceContract, RecordsWhatItGenerated) {
  const Uuid id = Uuid::Random();
  KMS_ASSERT_OK_AND_ASSIGN(const MasterKeyRecord record,
                           device().GenerateMasterKey(id, 7, "contract-label", InSeconds(10)));
  EXPECT_EQ(record.id, id);
  EXPECT_EQ(record.version, 7U);
  EXPECT_EQ(record.label, "contract-label");
  EXPECT_FALSE(record.token_label.empty());
  EXPECT_GT(record.created_unix_seconds, 0);
  EXPECT_EQ(record.sentinel.mechanism, record.mechanism);
  EXPECT_EQ(record.sentinel.master_key_id, id);
  EXPECT_EQ(record.sentinel.key_bytes, SentinelValue(id).size());
  EXPECT_THAT(device().CheckSentinel(record, InSeconds(10)), IsOk());
}

TEST_P(MasterKeyDeviceContract, GenerateAdoptsTheKeyOfAnEarlierCall) {
  const Uuid id = Uuid::Random();
  KMS_ASSERT_OK_AND_ASSIGN(const MasterKeyRecord first,
                           device().GenerateMasterKey(id, 1, "adopted", InSeconds(10)));
  const SecretBytes key = RandomKey(32);
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped,
                           device().Wrap(first, key, context_, InSeconds(10)));
  KMS_ASSERT_OK_AND_ASSIGN(const MasterKeyRecord second,
                           device().GenerateMasterKey(id, 1, "adopted", InSeconds(10)));
  EXPECT_EQ(second.id, first.id);
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                           device().Unwrap(second, wrapped, context_, InSeconds(10)));
  EXPECT_TRUE(opened == key);
  EXPECT_THAT(device().CheckSentinel(first, InSeconds(10)), IsOk());
}

TEST_P(MasterKeyDeviceContract, UnwrapReturnsWhatWasWrapped) {
  const MasterKeyRecord master = MakeMaster();
  for (const std::size_t size : {1U, 16U, 31U, 32U, 64U}) {
    const SecretBytes key = RandomKey(size);
    KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped,
                             device().Wrap(master, key, context_, InSeconds(10)));
    EXPECT_EQ(wrapped.mechanism, master.mechanism);
    EXPECT_EQ(wrapped.master_key_id, master.id);
    EXPECT_EQ(wrapped.master_key_version, master.version);
    EXPECT_EQ(wrapped.key_bytes, size);
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                             device().Unwrap(master, wrapped, context_, InSeconds(10)));
    EXPECT_TRUE(opened == key) << size;
  }
}

TEST_P(MasterKeyDeviceContract, WrapsOfOneKeyDiffer) {
  const MasterKeyRecord master = MakeMaster();
  if (master.sentinel.nonce_origin == NonceOrigin::kNone) {
    GTEST_SKIP() << "the mechanism is deterministic";
  }
  const SecretBytes key = RandomKey(32);
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey first,
                           device().Wrap(master, key, context_, InSeconds(10)));
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey second,
                           device().Wrap(master, key, context_, InSeconds(10)));
  EXPECT_NE(first.blob, second.blob);
}

TEST_P(MasterKeyDeviceContract, RefusesKeysOfImpossibleSize) {
  const MasterKeyRecord master = MakeMaster();
  EXPECT_FALSE(device().Wrap(master, SecretBytes(), context_, InSeconds(10)).has_value());
  EXPECT_FALSE(device().Wrap(master, RandomKey(65), context_, InSeconds(10)).has_value());
}

TEST_P(MasterKeyDeviceContract, RefusesAnotherContext) {
  const MasterKeyRecord master = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped,
                           device().Wrap(master, RandomKey(32), context_, InSeconds(10)));
  Bytes other = context_;
  other.back() ^= 1U;
  EXPECT_THAT(device().Unwrap(master, wrapped, other, InSeconds(10)),
              HasError(ErrorCode::kCorrupted));
  EXPECT_THAT(device().Unwrap(master, wrapped, {}, InSeconds(10)), HasError(ErrorCode::kCorrupted));
}

TEST_P(MasterKeyDeviceContract, RefusesEveryFlippedByteOfABlob) {
  const MasterKeyRecord master = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped,
                           device().Wrap(master, RandomKey(32), context_, InSeconds(10)));
  for (std::size_t index = 0; index < wrapped.blob.size(); index += traits().flip_every) {
    WrappedKey damaged = wrapped;
    damaged.blob[index] ^= 0x80U;
    EXPECT_THAT(device().Unwrap(master, damaged, context_, InSeconds(10)),
                HasError(ErrorCode::kCorrupted))
        << "byte " << index;
  }
}

TEST_P(MasterKeyDeviceContract, RefusesShortenedAndLengthenedBlobs) {
  const MasterKeyRecord master = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped,
                           device().Wrap(master, RandomKey(32), context_, InSeconds(10)));
  WrappedKey shorter = wrapped;
  shorter.blob.pop_back();
  EXPECT_THAT(device().Unwrap(master, shorter, context_, InSeconds(10)),
              HasError(ErrorCode::kCorrupted));
  WrappedKey longer = wrapped;
  longer.blob.push_back(0);
  EXPECT_THAT(device().Unwrap(master, longer, context_, InSeconds(10)),
              HasError(ErrorCode::kCorrupted));
  WrappedKey empty = wrapped;
  empty.blob.clear();
  EXPECT_THAT(device().Unwrap(master, empty, context_, InSeconds(10)),
              HasError(ErrorCode::kCorrupted));
}

TEST_P(MasterKeyDeviceContract, RefusesAWrapOfAnotherMasterKey) {
  const MasterKeyRecord first = MakeMaster();
  const MasterKeyRecord second = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped,
                           device().Wrap(first, RandomKey(32), context_, InSeconds(10)));
  EXPECT_THAT(device().Unwrap(second, wrapped, context_, InSeconds(10)),
              HasError(ErrorCode::kCorrupted));
}

TEST_P(MasterKeyDeviceContract, NeverTriesAnotherMechanismThanTheRecordedOne) {
  const MasterKeyRecord master = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(WrappedKey wrapped,
                           device().Wrap(master, RandomKey(32), context_, InSeconds(10)));
  wrapped.mechanism = wrapped.mechanism == WrapMechanism::kKwpEncrypt ? WrapMechanism::kGcmEncrypt
                                                                      : WrapMechanism::kKwpEncrypt;
  EXPECT_FALSE(device().Unwrap(master, wrapped, context_, InSeconds(10)).has_value());
}

TEST_P(MasterKeyDeviceContract, SentinelOfAnotherKeyIsCorrupted) {
  const MasterKeyRecord first = MakeMaster();
  MasterKeyRecord mixed = MakeMaster();
  mixed.sentinel.blob = first.sentinel.blob;
  mixed.sentinel.nonce = first.sentinel.nonce;
  EXPECT_THAT(device().CheckSentinel(mixed, InSeconds(10)), HasError(ErrorCode::kCorrupted));
}

TEST_P(MasterKeyDeviceContract, UnknownMasterKeyNeedsAnOperator) {
  MasterKeyRecord unknown = MakeMaster();
  unknown.id = Uuid::Random();
  unknown.label = "nobody made this one";
  EXPECT_THAT(device().Wrap(unknown, RandomKey(32), context_, InSeconds(10)),
              HasError(ErrorCode::kFailedPrecondition));
}

TEST_P(MasterKeyDeviceContract, DestroyedMasterKeyOpensNothing) {
  const MasterKeyRecord doomed = MakeMaster();
  const MasterKeyRecord kept = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey wrapped,
                           device().Wrap(doomed, RandomKey(32), context_, InSeconds(10)));
  EXPECT_THAT(device().DestroyMasterKey(doomed, InSeconds(10)), IsOk());
  EXPECT_THAT(device().Unwrap(doomed, wrapped, context_, InSeconds(10)),
              HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(device().CheckSentinel(doomed, InSeconds(10)),
              HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(device().CheckSentinel(kept, InSeconds(10)), IsOk());
}

TEST_P(MasterKeyDeviceContract, DestroyingTwiceSucceeds) {
  const MasterKeyRecord doomed = MakeMaster();
  EXPECT_THAT(device().DestroyMasterKey(doomed, InSeconds(10)), IsOk());
  EXPECT_THAT(device().DestroyMasterKey(doomed, InSeconds(10)), IsOk());
}

// Whoever can write to the store has the public key, and nothing else of an RSA master key.
TEST_P(MasterKeyDeviceContract, D10_AWrapMadeByThePublicKeyAloneDoesNotOpen) {
  const MasterKeyRecord master = MakeMaster();
  KMS_ASSERT_OK_AND_ASSIGN(const WrappedKey honest,
                           device().Wrap(master, RandomKey(32), context_, InSeconds(10)));
  if (master.public_key.empty()) {
    EXPECT_TRUE(honest.signature.empty());
    GTEST_SKIP() << "its master keys have no public half";
  }
  Bytes bound(32, 0x66);
  const Sha256Digest digest = Sha256(context_);
  bound.insert(bound.end(), digest.begin(), digest.end());
  WrappedKey forged = honest;
  forged.blob = EncryptTo(master.public_key, HashAlgorithm::kSha2_256, bound, honest.blob.size());
  EXPECT_THAT(device().Unwrap(master, forged, context_, InSeconds(10)),
              HasError(ErrorCode::kCorrupted));
  forged.signature.clear();
  EXPECT_THAT(device().Unwrap(master, forged, context_, InSeconds(10)),
              HasError(ErrorCode::kCorrupted, ::testing::HasSubstr("signature")));
  EXPECT_THAT(device().Unwrap(master, honest, context_, InSeconds(10)), IsOk());
}

// The record is a row of a store, and whoever wrote there must not choose what is destroyed.
TEST_P(MasterKeyDeviceContract, D10_AKeyOfAnotherLabelIsNotDestroyed) {
  const MasterKeyRecord victim = MakeMaster();
  MasterKeyRecord forged = MakeMaster();
  const MasterKeyRecord honest = forged;
  forged.id = victim.id;
  EXPECT_THAT(device().DestroyMasterKey(forged, InSeconds(10)),
              HasError(ErrorCode::kFailedPrecondition,
                       ::testing::AllOf(::testing::HasSubstr(victim.label),
                                        ::testing::HasSubstr(forged.label))));
  EXPECT_THAT(device().CheckSentinel(victim, InSeconds(10)), IsOk());
  EXPECT_THAT(device().CheckSentinel(honest, InSeconds(10)), IsOk());
  EXPECT_THAT(device().DestroyMasterKey(victim, InSeconds(10)), IsOk());
}

TEST_P(MasterKeyDeviceContract, SignaturesVerifyUnderItsPublicKey) {
  if (!traits().signs) {
    EXPECT_FALSE(device().Sign(AsBytes("checkpoint"), InSeconds(10)).has_value());
    EXPECT_FALSE(device().SigningPublicKey(InSeconds(10)).has_value());
    return;
  }
  const Bytes message = {'c', 'h', 'e', 'c', 'k', 'p', 'o', 'i', 'n', 't'};
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, device().Sign(message, InSeconds(10)));
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes public_key, device().SigningPublicKey(InSeconds(10)));
  EXPECT_EQ(VerifyEcdsa(public_key, message, signature), 1);
  Bytes other = message;
  other.back() ^= 1U;
  EXPECT_NE(VerifyEcdsa(public_key, other, signature), 1);
}

TEST_P(MasterKeyDeviceContract, KeepsItsSigningKey) {
  if (!traits().signs) GTEST_SKIP() << "the token makes no signing key";
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes first, device().SigningPublicKey(InSeconds(10)));
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes second, device().SigningPublicKey(InSeconds(10)));
  EXPECT_EQ(first, second);
}

TEST_P(MasterKeyDeviceContract, TokenWithoutImportKeysSaysSoAndGoesOn) {
  if (traits().makes_import_keys) GTEST_SKIP() << "the token makes import keys";
  KMS_ASSERT_OK_AND_ASSIGN(const auto made,
                           device().GenerateImportKey(Uuid::Random(), "none", InSeconds(90)));
  EXPECT_FALSE(made.has_value());
  const MasterKeyRecord master = MakeMaster();
  EXPECT_THAT(device().CheckSentinel(master, InSeconds(10)), IsOk());
}

TEST_P(MasterKeyDeviceContract, ImportKeyOpensWhatWasEncryptedToIt) {
  if (!traits().makes_import_keys) GTEST_SKIP() << "the token makes no RSA-4096 keys";
  const Uuid id = Uuid::Random();
  KMS_ASSERT_OK_AND_ASSIGN(const auto made,
                           device().GenerateImportKey(id, "import-label", InSeconds(90)));
  ASSERT_TRUE(made.has_value());
  const ImportKeyRecord& key = *made;
  EXPECT_EQ(key.id, id);
  EXPECT_EQ(key.label, "import-label");
  EXPECT_FALSE(key.token_label.empty());
  EXPECT_GT(key.created_unix_seconds, 0);
  for (const HashAlgorithm hash : kImportHashes) {
    EXPECT_NE(key.PlaceOf(hash), OaepPlace::kNowhere) << TraitsOf(hash).name;
    // Nothing, an AES key, and the longest that fits.
    for (const std::size_t size : {std::size_t{0}, std::size_t{32},
                                   kImportCiphertextBytes - 2 * TraitsOf(hash).bytes - 2}) {
      Bytes secret(size, 0);
      FillRandom(secret);
      KMS_ASSERT_OK_AND_ASSIGN(
          const SecretBytes opened,
          device().DecryptImport(key, hash, EncryptTo(key.public_key, hash, secret),
                                 InSeconds(10)));
      EXPECT_TRUE(EqualInConstantTime(opened.View(), secret)) << TraitsOf(hash).name << size;
    }
  }
}

TEST_P(MasterKeyDeviceContract, GenerateImportKeyAdoptsTheKeyOfAnEarlierCall) {
  if (!traits().makes_import_keys) GTEST_SKIP() << "the token makes no RSA-4096 keys";
  const ImportKeyRecord first = MakeImportKey();
  KMS_ASSERT_OK_AND_ASSIGN(const auto second,
                           device().GenerateImportKey(first.id, first.label, InSeconds(90)));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->public_key, first.public_key);
  EXPECT_EQ(second->places, first.places);
}

TEST_P(MasterKeyDeviceContract, C15_EveryDamagedImportHasOneTextAndIsNoDeviceFailure) {
  if (!traits().makes_import_keys) GTEST_SKIP() << "the token makes no RSA-4096 keys";
  const ImportKeyRecord key = MakeImportKey();
  const Bytes secret(32, 7);
  for (const HashAlgorithm hash : {HashAlgorithm::kSha1, HashAlgorithm::kSha2_256}) {
    const Bytes good = EncryptTo(key.public_key, hash, secret);
    std::vector<Bytes> damaged = {Bytes(),
                                  Bytes(kImportCiphertextBytes, 0),
                                  Bytes(kImportCiphertextBytes, 0xFF),
                                  Bytes(good.begin(), good.end() - 1),
                                  good,
                                  EncryptTo(key.public_key, HashAlgorithm::kSha2_384, secret)};
    damaged[4].push_back(0);
    for (std::size_t index = 0; index < good.size(); index += 73) {
      damaged.push_back(good);
      damaged.back()[index] ^= 1U;
    }
    for (const Bytes& ciphertext : damaged) {
      EXPECT_THAT(device().DecryptImport(key, hash, ciphertext, InSeconds(20)),
                  HasError(ErrorCode::kInvalidArgument, ::testing::StrEq(kDoesNotOpen)));
    }
    EXPECT_THAT(device().DecryptImport(key, hash, good, InSeconds(20)), IsOk());
  }
  const DeviceStatistics after = device().Statistics();
  EXPECT_EQ(after.state, DeviceState::kReady);
  EXPECT_EQ(after.reconnects, 0U);
  EXPECT_EQ(after.worker_restarts, 0U);
}

TEST_P(MasterKeyDeviceContract, C15_ImportKeysAndMasterKeysDoNotReplaceEachOther) {
  if (!traits().makes_import_keys) GTEST_SKIP() << "the token makes no RSA-4096 keys";
  const MasterKeyRecord master = MakeMaster();
  const ImportKeyRecord key = MakeImportKey();

  ImportKeyRecord master_as_import = key;
  master_as_import.id = master.id;
  EXPECT_THAT(device().DecryptImport(
                  master_as_import, HashAlgorithm::kSha2_256,
                  EncryptTo(key.public_key, HashAlgorithm::kSha2_256, Bytes(32)), InSeconds(10)),
              HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(device().GenerateImportKey(master.id, "stolen", InSeconds(90)),
              HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(device().DestroyImportKey(master.id, master.label, InSeconds(10)),
              HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(device().CheckSentinel(master, InSeconds(10)), IsOk());

  MasterKeyRecord import_as_master = master;
  import_as_master.id = key.id;
  EXPECT_THAT(device().Wrap(import_as_master, RandomKey(32), context_, InSeconds(10)),
              HasError(ErrorCode::kFailedPrecondition));
  import_as_master.mechanism = WrapMechanism::kOaepSha256;
  import_as_master.public_key = key.public_key;
  EXPECT_FALSE(device().CheckSentinel(import_as_master, InSeconds(10)).has_value());
  EXPECT_THAT(device().GenerateMasterKey(key.id, 1, "stolen", InSeconds(10)),
              HasError(ErrorCode::kFailedPrecondition));
}

TEST_P(MasterKeyDeviceContract, DestroyedImportKeyOpensNothing) {
  if (!traits().makes_import_keys) GTEST_SKIP() << "the token makes no RSA-4096 keys";
  const ImportKeyRecord key = MakeImportKey();
  const Bytes ciphertext = EncryptTo(key.public_key, HashAlgorithm::kSha2_256, Bytes(32));
  EXPECT_THAT(device().DestroyImportKey(key.id, key.label, InSeconds(10)), IsOk());
  EXPECT_THAT(device().DecryptImport(key, HashAlgorithm::kSha2_256, ciphertext, InSeconds(20)),
              HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(device().DestroyImportKey(key.id, key.label, InSeconds(10)), IsOk()) << "a second time";
}

TEST_P(MasterKeyDeviceContract, D10_AnImportKeyOfAnotherLabelOrKindIsNotDestroyed) {
  if (!traits().makes_import_keys) GTEST_SKIP() << "the token makes no RSA-4096 keys";
  const ImportKeyRecord key = MakeImportKey();
  EXPECT_THAT(device().DestroyImportKey(key.id, "kms/dev/import", InSeconds(10)),
              HasError(ErrorCode::kFailedPrecondition,
                       ::testing::AllOf(::testing::HasSubstr(key.label),
                                        ::testing::HasSubstr("kms/dev/import"))));
  MasterKeyRecord as_master;
  as_master.id = key.id;
  as_master.label = key.label;
  EXPECT_THAT(device().DestroyMasterKey(as_master, InSeconds(10)),
              HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(device().DecryptImport(
                  key, HashAlgorithm::kSha2_256,
                  EncryptTo(key.public_key, HashAlgorithm::kSha2_256, Bytes(32)), InSeconds(20)),
              IsOk());
}

TEST_P(MasterKeyDeviceContract, ImportKeyCallsRefuseADeadlineThatHasPassed) {
  const Deadline passed = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  EXPECT_THAT(device().GenerateImportKey(Uuid::Random(), "late", passed),
              HasError(ErrorCode::kUnavailable));
  ImportKeyRecord key;
  key.places.fill(OaepPlace::kToken);
  EXPECT_THAT(device().DecryptImport(key, HashAlgorithm::kSha2_256, Bytes(512), passed),
              HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(device().DestroyImportKey(Uuid::Random(), "late", passed),
              HasError(ErrorCode::kUnavailable));
}

TEST_P(MasterKeyDeviceContract, RefusesAHashFunctionThatTheRecordDoesNotName) {
  ImportKeyRecord key;
  key.places[1] = OaepPlace::kNowhere;
  for (const HashAlgorithm hash : {HashAlgorithm::kSha2_224, HashAlgorithm::kSha3_256}) {
    EXPECT_THAT(device().DecryptImport(key, hash, Bytes(512), InSeconds(10)),
                HasError(ErrorCode::kInvalidArgument, ::testing::HasSubstr("hash function")));
  }
}

TEST_P(MasterKeyDeviceContract, RandomBytesHaveTheSizeAskedForAndDiffer) {
  for (const std::size_t size : {16U, 4096U}) {
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes first, device().Random(size, InSeconds(10)));
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes second, device().Random(size, InSeconds(10)));
    EXPECT_EQ(first.size(), size);
    EXPECT_FALSE(first == second);
  }
}

TEST_P(MasterKeyDeviceContract, RefusesImpossibleAmountsOfRandomness) {
  EXPECT_FALSE(device().Random(0, InSeconds(10)).has_value());
  EXPECT_FALSE(device().Random(4097, InSeconds(10)).has_value());
}

TEST_P(MasterKeyDeviceContract, RefusesADeadlineThatHasPassed) {
  const MasterKeyRecord master = MakeMaster();
  const Deadline passed = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  EXPECT_THAT(device().Wrap(master, RandomKey(32), context_, passed),
              HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(device().CheckSentinel(master, passed), HasError(ErrorCode::kUnavailable));
}

TEST_P(MasterKeyDeviceContract, ServesManyThreadsAtOnce) {
  const MasterKeyRecord master = MakeMaster();
  std::atomic<int> good = 0;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        const SecretBytes key = RandomKey(32);
        const auto wrapped = device().Wrap(master, key, context_, InSeconds(20));
        if (!wrapped.has_value()) {
          continue;
        }
        const auto opened = device().Unwrap(master, *wrapped, context_, InSeconds(20));
        good += opened.has_value() && *opened == key ? 1 : 0;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(good, 8 * 20);
}

TEST_P(MasterKeyDeviceContract, CountsCallsAndFailures) {
  const DeviceStatistics before = device().Statistics();
  EXPECT_EQ(before.state, DeviceState::kReady);
  EXPECT_EQ(before.state_reason, "");
  EXPECT_THAT(device().Random(16, InSeconds(10)), IsOk());
  MasterKeyRecord unknown = MakeMaster();
  unknown.id = Uuid::Random();
  EXPECT_FALSE(device().CheckSentinel(unknown, InSeconds(10)).has_value());
  const DeviceStatistics after = device().Statistics();
  EXPECT_GE(after.calls, before.calls + 3);
  EXPECT_GE(after.failed_calls, before.failed_calls + 1);
}

}  // namespace kms::testing
