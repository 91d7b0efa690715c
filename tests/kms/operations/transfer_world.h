// SPDX-License-Identifier: Apache-2.0
// TransferWorld: one environment over fakes, and what tests ask of keys that move in and out.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kms/base/base64.h"
#include "kms/crypto/import_blob.h"
#include "kms/operations/encrypt.h"
#include "kms/operations/import_key.h"
#include "kms/operations/import_version.h"
#include "kms/operations/key_storage.h"
#include "kms/operations/usage.h"
#include "kms/operations/wrapping_key.h"
#include "tests/kms/operations/world.h"
#include "tests/support/asymmetric_keys.h"
#include "tests/support/openssl_command.h"

namespace kms::testing {

inline KeyName NameOf(std::string_view text) { return KeyName::Parse(text).value(); }

// The PEM that callers give for a public key.
inline std::string PemOf(const AsymmetricKey& key) {
  const std::string body = Base64Encode(key.PublicKey().value());
  return "-----BEGIN PUBLIC KEY-----\n" + body + "\n-----END PUBLIC KEY-----\n";
}

class TransferWorld {
 public:
  TransferWorld() {
    world_.Start();
    environment_ = world_.Make("dev");
  }

  Environment& environment() { return *environment_; }
  World& world() { return world_; }
  MemoryStore& store() { return world_.store; }
  FakeMasterKeyDevice& device() { return world_.device; }
  // A new process over the same store and HSM; a fault that was not met yet is met now.
  void Restart() {
    for (int attempt = 0; attempt < 9 && !world_.TryStart().has_value(); ++attempt) {
    }
    ASSERT_TRUE(world_.running());
    environment_ = world_.environments().Find("dev");
  }

  AsymmetricKey WrappingKeyOf(Environment& environment) {
    return AsymmetricKey::FromPublicKey(AsymmetricAlgorithm::kRsa4096,
                                        WrappingPublicKey(environment, world_.device).value())
        .value();
  }
  // What a caller sends as `ciphertext`.
  std::string BlobFor(Environment& environment, ByteView target,
                      HashAlgorithm hash = HashAlgorithm::kSha2_256) {
    return Base64Encode(SealImportBlob(WrappingKeyOf(environment), hash, target).value());
  }
  std::string Blob(ByteView target, HashAlgorithm hash = HashAlgorithm::kSha2_256) {
    return BlobFor(*environment_, target, hash);
  }

  Result<KeyHandle> Import(std::string_view name, const ImportKeyRequest& request) {
    return ImportKey(*environment_, world_.device, NameOf(name), request);
  }
  Result<KeyHandle> ImportBytes(std::string_view name, KeyType type, ByteView target,
                                bool exportable = false) {
    const std::string blob = Blob(target);
    return Import(name, {.type = type, .source = {.ciphertext = blob}, .exportable = exportable});
  }
  Result<KeyHandle> ImportPublic(std::string_view name, KeyType type, const AsymmetricKey& key) {
    const std::string pem = PemOf(key);
    return Import(name, {.type = type, .source = {.public_key = pem}});
  }
  Result<ImportVersionOutcome> ImportVersionBytes(
      std::string_view name, ByteView target, std::optional<std::int64_t> version = std::nullopt) {
    const std::string blob = Blob(target);
    return ImportVersion(*environment_, world_.device, NameOf(name),
                         {.source = {.ciphertext = blob}, .version = version});
  }
  Result<ImportVersionOutcome> ImportVersionPublic(
      std::string_view name, const AsymmetricKey& key,
      std::optional<std::int64_t> version = std::nullopt) {
    const std::string pem = PemOf(key);
    return ImportVersion(*environment_, world_.device, NameOf(name),
                         {.source = {.public_key = pem}, .version = version});
  }

  // A ciphertext under the latest version.
  std::string EncryptUnder(std::string_view name, std::string_view plaintext) {
    const std::int64_t latest = 0;
    const KeyHandle key =
        PrepareUsage(*environment_, NameOf(name), Find(name), std::span(&latest, 1)).value();
    std::string ciphertext;
    EXPECT_THAT(Encrypt(*key, {.plaintext = AsBytes(plaintext), .associated_data = {}}, ciphertext),
                IsOk());
    return ciphertext;
  }

  KeyHandle Find(std::string_view name) { return environment_->FindKey(NameOf(name)).value(); }

  // Every version can be read back from the archive as the key has it.
  void ExpectArchived(std::string_view name) {
    const KeyHandle key = Find(name);
    ASSERT_NE(key, nullptr);
    KMS_ASSERT_OK_AND_ASSIGN(
        const std::vector<KeyVersion> archived,
        ReadArchive(*environment_, key->policy().incarnation, 1, key->policy().latest_version));
    for (const KeyVersion& version : archived) {
      const KeyVersion* live = key->FindVersion(version.number);
      ASSERT_NE(live, nullptr);
      EXPECT_EQ(live->material, version.material) << version.number;
      EXPECT_EQ(live->hmac_key, version.hmac_key) << version.number;
      EXPECT_EQ(live->public_key, version.public_key) << version.number;
      EXPECT_EQ(live->certificate_chain, version.certificate_chain) << version.number;
    }
  }

 private:
  World world_;
  std::shared_ptr<Environment> environment_;
};

}  // namespace kms::testing
