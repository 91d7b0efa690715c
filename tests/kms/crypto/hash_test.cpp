// SPDX-License-Identifier: Apache-2.0
// Hashes against the examples of FIPS 180-4 and FIPS 202.
#include "kms/crypto/hash.h"

#include "tests/support/matchers.h"

namespace kms::testing {
namespace {

std::string HexHash(HashAlgorithm algorithm, std::string_view message) {
  const Result<HashValue> value = ComputeHash(algorithm, AsBytes(message));
  return value ? HexEncode(value->View()) : Describe(value.error());
}

TEST(ComputeHash, MatchesThePublishedExamples) {
  struct Row {
    HashAlgorithm algorithm;
    const char* message;
    const char* digest;
  };
  const Row rows[] = {
      {HashAlgorithm::kSha1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
      {HashAlgorithm::kSha1, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
      {HashAlgorithm::kSha2_224, "abc",
       "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
      {HashAlgorithm::kSha2_256, "abc",
       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {HashAlgorithm::kSha2_256, "",
       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {HashAlgorithm::kSha2_384, "abc",
       "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
       "8086072ba1e7cc2358baeca134c825a7"},
      {HashAlgorithm::kSha2_512, "abc",
       "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
       "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
      {HashAlgorithm::kSha3_224, "abc",
       "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"},
      {HashAlgorithm::kSha3_256, "",
       "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"},
      {HashAlgorithm::kSha3_256, "abc",
       "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"},
      {HashAlgorithm::kSha3_384, "abc",
       "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b2"
       "98d88cea927ac7f539f1edf228376d25"},
      {HashAlgorithm::kSha3_512, "abc",
       "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
       "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(HexHash(row.algorithm, row.message), row.digest) << TraitsOf(row.algorithm).name;
  }
}

TEST(FindHash, KnowsEveryNameOfTheTableAndNoOther) {
  std::string names;
  for (const HashTraits& hash : AllHashes()) {
    names += std::string(hash.name) + " ";
    EXPECT_EQ(FindHash(hash.name), hash.algorithm);
  }
  EXPECT_EQ(names,
            "sha1 sha2-224 sha2-256 sha2-384 sha2-512 sha3-224 sha3-256 sha3-384 sha3-512 ");
  for (const char* name : {"", "none", "sha256", "SHA2-256", "sha2-256 ", "sha2", "md5"}) {
    EXPECT_EQ(FindHash(name), std::nullopt) << name;
  }
}

TEST(FindHash, OnlySha1IsNotCollisionResistant) {
  for (const HashTraits& hash : AllHashes()) {
    EXPECT_EQ(hash.collision_resistant, hash.name != "sha1") << hash.name;
  }
}

}  // namespace
}  // namespace kms::testing
