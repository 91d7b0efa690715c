// SPDX-License-Identifier: Apache-2.0
// SealedStore: the store as one environment sees it. Nothing above sees ciphertext, nothing below
// sees plaintext.
#pragma once

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
// Layout: format(1) | environment key version(4, BE) | salt(32) | nonce(12) | ciphertext | tag(16).
// Entries live at "e/<environment id>/<path>".
// Thread rule: any thread. Errors: as Store; kCorrupted "damaged entry" when an entry does not
// authenticate; kUnavailable when the environment is sealed.
class SealedStore {
 public:
  // `store` and `keys` must outlive it.
  SealedStore(Store& store, const EnvironmentKeyring& keys, const Uuid& environment_id);

  Result<std::optional<OpenedEntry>> Get(std::string_view path);
  // As Store::List, with paths relative to the environment.
  Result<std::vector<ListedEntry>> List(std::string_view prefix, std::string_view after,
                                        std::size_t limit);
  Result<Revision> Commit(std::vector<SealedMutation> mutations);

  // What Commit hands to the store: for one commit together with entries that are not sealed or
  // are sealed by another environment.
  Result<std::vector<Mutation>> Seal(const std::vector<SealedMutation>& mutations) const;

  // Where this environment's entries begin in the store.
  [[nodiscard]] const std::string& prefix() const { return prefix_; }

 private:
  [[nodiscard]] Result<Bytes> SealEntry(std::string_view path, const SecretBytes& value) const;
  [[nodiscard]] Result<SecretBytes> OpenEntry(std::string_view path, ByteView sealed) const;
  // The environment id and the path: what an entry is bound to besides its head.
  [[nodiscard]] Bytes AssociatedData(ByteView head, std::string_view path) const;

  Store& store_;
  const EnvironmentKeyring& keys_;
  Uuid environment_id_;
  std::string prefix_;
};

}  // namespace kms
