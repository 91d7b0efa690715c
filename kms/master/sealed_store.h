// SPDX-License-Identifier: Apache-2.0
// SealedStore: the store as one environment sees it. Nothing above sees ciphertext, nothing below
// sees plaintext.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/environment_key.h"
#include "kms/store/store.h"

namespace kms {

struct OpenedEntry {
  SecretBytes value;
  Revision revision = 0;
};

struct SealedMutation {
  std::string path;  // relative to the environment, for example "keys/app"
  std::optional<SecretBytes> value;  // absent: delete
  std::optional<Revision> expected_revision;
};

// Seals each entry with AES-256-GCM under HKDF-SHA-256(environment key, fresh 32-byte salt), with
// the head (format, key version, salt), the environment id and the path as AAD, so that an entry
// cannot be moved (D9).
// While the environment key is rotated, entries are under the old or the new version: each says
// under which. A commit counts as being under way from the moment its entries are sealed, so that
// no key is forgotten that one of them needs (AwaitCommits).
// Layout: format(1) | environment key version(4, BE) | salt(32) | nonce(12) | ciphertext | tag(16).
// Entries live at "e/<environment id>/<path>".
// Thread rule: any thread. Errors: as Store; kCorrupted "damaged entry" when an entry does not
// authenticate; kUnavailable when the environment is sealed.
class SealedStore {
 public:
  class Ledger;

  // From before entries are sealed by Seal until what it made was committed or dropped.
  class Sealing {
   public:
    Sealing(std::shared_ptr<Ledger> ledger, std::uint64_t number)
        : ledger_(std::move(ledger)), number_(number) {}
    ~Sealing();
    Sealing(const Sealing&) = delete;
    Sealing& operator=(const Sealing&) = delete;

   private:
    const std::shared_ptr<Ledger> ledger_;
    const std::uint64_t number_;
  };

  // `store` and `keys` must outlive it.
  SealedStore(Store& store, const EnvironmentKeyring& keys, const Uuid& environment_id);

  Result<std::optional<OpenedEntry>> Get(std::string_view path);
  // As Store::List, with paths relative to the environment.
  Result<std::vector<ListedEntry>> List(std::string_view prefix, std::string_view after,
                                        std::size_t limit);
  Result<Revision> Commit(std::vector<SealedMutation> mutations);
  // The same in one commit with `more`: entries that are not sealed or are sealed by another
  // environment.
  Result<Revision> Commit(const std::vector<SealedMutation>& mutations,
                          std::vector<Mutation> more);

  // What Commit hands to the store. Whoever commits it by himself holds a Sealing meanwhile.
  Result<std::vector<Mutation>> Seal(const std::vector<SealedMutation>& mutations) const;
  [[nodiscard]] Sealing BeginSealing() const;

  // --- rotation of the environment key ---
  // Seals those of `paths` that are under an older key again, under the latest: the same value at
  // the same revision. What is changed or deleted meanwhile is left to whoever did that, what does
  // not open stays as it is. Returns how many were sealed again.
  Result<std::uint64_t> Reseal(const std::vector<std::string>& paths);
  // The key version that the entry says it is sealed under; it is not opened. nullopt when there is
  // no such entry.
  Result<std::optional<EnvironmentKeyVersion>> KeyVersionOf(std::string_view path);
  // Waits until every commit has ended that is under way now. Errors: kUnavailable when that takes
  // longer than `timeout`.
  Status AwaitCommits(std::chrono::milliseconds timeout) const;

  // Where this environment's entries begin in the store.
  [[nodiscard]] const std::string& prefix() const { return prefix_; }

 private:
  // The entry sealed again, or nullopt when that is not needed or it does not open.
  Result<std::optional<Mutation>> ResealOne(const std::string& path);
  [[nodiscard]] Result<Bytes> SealEntry(std::string_view path, const SecretBytes& value) const;
  [[nodiscard]] Result<SecretBytes> OpenEntry(std::string_view path, ByteView sealed) const;
  // The environment id and the path: what an entry is bound to besides its head.
  [[nodiscard]] Bytes AssociatedData(ByteView head, std::string_view path) const;

  Store& store_;
  const EnvironmentKeyring& keys_;
  Uuid environment_id_;
  std::string prefix_;
  std::shared_ptr<Ledger> ledger_;
};

}  // namespace kms
