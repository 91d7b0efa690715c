// SPDX-License-Identifier: Apache-2.0
// KeyWorld: one unsealed environment over a store in memory, and what tests ask of its keys.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kms/operations/configure_key.h"
#include "kms/operations/create_key.h"
#include "kms/operations/decrypt.h"
#include "kms/operations/delete_key.h"
#include "kms/operations/encrypt.h"
#include "kms/operations/environment.h"
#include "kms/operations/key_storage.h"
#include "kms/operations/list_keys.h"
#include "kms/operations/rotate_key.h"
#include "kms/operations/trim_key.h"
#include "kms/operations/usable_key.h"
#include "kms/operations/usage.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/memory_store.h"
#include "tests/support/matchers.h"

namespace kms::testing {

inline KeyName Name(std::string_view text) { return KeyName::Parse(text).value(); }

// A ciphertext that was acknowledged, and what it must decrypt to.
struct Promise {
  KeyVersionNumber version = 0;
  std::string ciphertext;
  std::string plaintext;
};

// Encrypts with the key of that name as the pool's lane does: leases uses when there are none.
inline Result<KeyVersionNumber> EncryptUnder(Environment& environment, std::string_view name,
                                             std::string_view plaintext, std::string& ciphertext,
                                             std::int64_t version = 0) {
  KeyHandle key = KMS_TRY(environment.FindKey(Name(name)));
  if (key == nullptr) {
    return NotFound("encryption key not found");
  }
  const EncryptInput input{
      .plaintext = AsBytes(plaintext), .associated_data = {}, .key_version = version};
  while (true) {
    KMS_TRY(CheckUsable(*key));
    ciphertext.clear();
    Result<KeyVersionNumber> used = kms::Encrypt(*key, input, ciphertext);
    if (used.has_value() || !IsUsageLeaseUsedUp(used.error())) {
      return used;
    }
    key = KMS_TRY(PrepareUsage(environment, Name(name), std::move(key), std::span(&version, 1)));
  }
}

class KeyWorld {
 public:
  KeyWorld() { Restart(); }

  // A new process over the same store.
  void Restart() {
    environment_ = std::make_unique<Environment>(
        EnvironmentIdentity{.id = id_, .name = "dev", .accessor = "transit_00000001"},
        EnvironmentSettings{}, store, clock, limits);
    environment_->Unseal(1, SecretBytes::CopyOf(Bytes(32, 0x11)).value());
  }

  Environment& environment() { return *environment_; }
  [[nodiscard]] std::string Prefix() const { return "e/" + id_.ToString() + "/"; }
  [[nodiscard]] const Uuid& id() const { return id_; }

  KeyHandle Create(std::string_view name = "app") {
    return CreateKey(environment(), Name(name), {}).value().key;
  }
  // A key with `versions` versions and one promise under each.
  void CreateVersions(KeyVersionNumber versions, std::string_view name = "app") {
    Create(name);
    Encrypt(name);
    for (KeyVersionNumber version = 2; version <= versions; ++version) {
      EXPECT_THAT(RotateKey(environment(), Name(name)), IsOk());
      Encrypt(name);
    }
  }
  Status Configure(std::int64_t min_decryption, std::int64_t min_encryption,
                   std::string_view name = "app") {
    KMS_TRY(ConfigureKey(environment(), Name(name),
                         {.min_decryption_version = min_decryption,
                          .min_encryption_version = min_encryption,
                          .deletion_allowed = true,
                          .exportable = {},
                          .allow_plaintext_backup = {},
                          .auto_rotate_period_seconds = {}}));
    return Ok();
  }

  KeyHandle Find(std::string_view name = "app") {
    Result<KeyHandle> key = environment().FindKey(Name(name));
    EXPECT_THAT(key, IsOk());
    return key.value_or(nullptr);
  }

  // Encrypts with the latest version and remembers the promise.
  void Encrypt(std::string_view name = "app") {
    Promise promise;
    promise.plaintext = "plaintext " + std::to_string(promises.size());
    KMS_ASSERT_OK_AND_ASSIGN(
        promise.version,
        EncryptUnder(environment(), name, promise.plaintext, promise.ciphertext));
    promises.push_back(std::move(promise));
  }

  Status Decrypt(const Key& key, const Promise& promise) {
    PlaintextBuffer plaintext;
    KMS_TRY(kms::Decrypt(key, {.ciphertext = promise.ciphertext, .associated_data = {}},
                         plaintext));
    if (AsText(plaintext.View()) != promise.plaintext) {
      return Internal("decrypted to something else");
    }
    return Ok();
  }

  // Every promise from the key's minimum decryption version on is kept, and the versions are
  // without gap.
  void ExpectPromisesKept(std::string_view name = "app") {
    const KeyHandle key = Find(name);
    ASSERT_NE(key, nullptr);
    const KeyPolicy& policy = key->policy();
    ASSERT_EQ(key->versions().size(), policy.latest_version - policy.min_decryption_version + 1);
    for (const Promise& promise : promises) {
      ASSERT_LE(promise.version, policy.latest_version);
      if (promise.version >= policy.min_decryption_version) {
        EXPECT_THAT(Decrypt(*key, promise), IsOk()) << "version " << promise.version;
      }
    }
    ExpectArchiveComplete(policy);
  }

  // Every version that was not trimmed can be read back.
  void ExpectArchiveComplete(const KeyPolicy& policy) {
    const KeyVersionNumber first = std::max<KeyVersionNumber>(1, policy.min_available_version);
    KMS_ASSERT_OK_AND_ASSIGN(
        const std::vector<KeyVersion> archived,
        ReadArchive(environment(), policy.incarnation, first, policy.latest_version));
    for (const KeyVersion& version : archived) {
      const KeyVersion* live = Find(policy.name)->FindVersion(version.number);
      if (live != nullptr) {
        EXPECT_EQ(live->material, version.material) << "version " << version.number;
      }
    }
  }

  // Paths stored below `prefix` of this environment.
  [[nodiscard]] std::vector<std::string> Stored(const std::string& prefix) const {
    std::vector<std::string> paths;
    for (const auto& [path, value] : store.Contents()) {
      if (path.starts_with(Prefix() + prefix)) {
        paths.push_back(path.substr(Prefix().size()));
      }
    }
    return paths;
  }

  MemoryStore store;
  ManualClock clock;
  EnvironmentLimits limits;  // of the next restart
  std::vector<Promise> promises;

 private:
  const Uuid id_ = Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11").value();
  std::unique_ptr<Environment> environment_;
};

}  // namespace kms::testing
