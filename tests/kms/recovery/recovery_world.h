// SPDX-License-Identifier: Apache-2.0
// A store with two environments and holders, as a recovery finds it: no HSM opens anything.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kms/base/random.h"
#include "kms/crypto/share_encryption.h"
#include "kms/keys/recovery_package.h"
#include "kms/master/sealed_store.h"
#include "kms/recovery/ceremony.h"
#include "kms/recovery/recipients.h"
#include "tests/fakes/memory_store.h"

namespace kms::testing {

inline const Uuid kProd = Uuid::Parse("11111111-1111-4111-8111-111111111111").value();
inline const Uuid kStaging = Uuid::Parse("22222222-2222-4222-8222-222222222222").value();

inline SecretBytes RandomKey() {
  SecretBytes key = SecretBytes::OfSize(kEnvironmentKeyBytes).value();
  FillRandom(key.MutableView());
  return key;
}

struct RecoveryWorld {
  RecoveryWorld() {
    for (const char* name : {"alice", "bob", "carol"}) {
      holders.emplace(name, HolderPrivateKey::Generate().value());
    }
  }

  [[nodiscard]] RecoveryRecipients Recipients(std::uint8_t threshold,
                                              const std::vector<std::string>& names) const {
    RecoveryRecipients recipients{.threshold = threshold, .recipients = {}};
    for (const std::string& name : names) {
      recipients.recipients.push_back({.name = name, .public_key = holders.at(name).public_key()});
    }
    return recipients;
  }

  // Records that stand for wraps of a token that is gone: only their paths count.
  void AddOldRecords(const Uuid& id, EnvironmentKeyVersion version) {
    Put(MasterPathText(id), {1});
    Put("wrapped/" + id.ToString() + "/" + Digits(version) + "/default/0000000003", {1});
  }

  // A key version with an entry sealed under it, split among the recipients.
  void AddKey(const Uuid& id, const std::string& name, EnvironmentKeyVersion version,
              const RecoveryRecipients& recipients) {
    SecretBytes key = RandomKey();
    AddOldRecords(id, version);
    EnvironmentKeyring keyring;
    EXPECT_TRUE(keyring.Add(version, key.Clone().value()).has_value());
    SealedStore sealed(store, keyring, id);
    std::vector<SealedMutation> entries;
    entries.push_back({.path = "keys/app" + std::to_string(version),
                       .value = SecretBytes::CopyOf(AsBytes("a key")).value(),
                       .expected_revision = std::nullopt});
    EXPECT_TRUE(sealed.Commit(std::move(entries)).has_value());
    Split(id, name, version, key, recipients);
    keys[id].insert_or_assign(version, std::move(key));
  }

  void Split(const Uuid& id, const std::string& name, EnvironmentKeyVersion version,
             const SecretBytes& key, const RecoveryRecipients& recipients) {
    const auto mutation = SplitForRecovery(
        {.environment_id = id, .environment = name, .version = version}, key, recipients);
    EXPECT_TRUE(mutation.has_value());
    EXPECT_TRUE(store.Commit({*mutation}).has_value());
  }

  void SplitAgain(const Uuid& id, const std::string& name, EnvironmentKeyVersion version,
                  const RecoveryRecipients& recipients) {
    Split(id, name, version, keys.at(id).at(version), recipients);
  }

  [[nodiscard]] RecoveryAnswer AnswerOf(const RecoveryPackage& package,
                                        const std::string& name) const {
    return AnswerPackage(package, holders.at(name), nullptr).value();
  }

  void Put(const std::string& path, Bytes value) {
    EXPECT_TRUE(store.Commit({{.path = path, .value = std::move(value), .expected_revision = {}}})
                    .has_value());
  }

  static std::string Digits(std::uint32_t number) {
    const std::string digits = std::to_string(number);
    return std::string(10 - digits.size(), '0') + digits;
  }
  static std::string MasterPathText(const Uuid& id) {
    return "master/" + id.ToString() + "/default/0000000003";
  }

  MemoryStore store;
  std::map<std::string, HolderPrivateKey> holders;
  std::map<Uuid, std::map<EnvironmentKeyVersion, SecretBytes>> keys;
  HolderPrivateKey ceremony = HolderPrivateKey::Generate().value();
};

}  // namespace kms::testing
