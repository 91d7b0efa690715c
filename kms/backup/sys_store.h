// SPDX-License-Identifier: Apache-2.0
// SysStore: the sealed entries of `sys` without the rest of the service: for what must be known
// before anything is served, and for backups.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/environment_key.h"
#include "kms/master/hsm_registry.h"
#include "kms/master/key_group.h"
#include "kms/master/sealed_store.h"
#include "kms/master/wrapped_key.h"
#include "kms/store/store.h"

namespace kms {

// One wrap of an environment key, with the master key that opens it.
struct StoredWrap {
  std::string hsm;  // the token it was made by
  MasterKeyRecord master;
  WrappedKey wrapped;
};

// Every wrap of that version that can be read, those under newer master keys first.
std::vector<StoredWrap> WrapsOf(const GroupMaterial& material, EnvironmentKeyVersion version);

// Opens one of `wraps` by the token of its name. `timeout` is that of one HSM call, unless the token has its own. Errors: of the
// last attempt; kFailedPrecondition when no token of the registry was asked.
Result<SecretBytes> UnwrapByAnyToken(HsmRegistry& hsms, const Uuid& environment_id,
                                     EnvironmentKeyVersion version,
                                     const std::vector<StoredWrap>& wraps,
                                     std::chrono::milliseconds timeout);

// Thread rule: any thread.
class SysStore {
 private:
  struct Private {};

 public:
  // Reads where the store begins and opens every key version of `sys`. nullptr when the store is
  // new, or its first start never finished. `store` must outlive it. Errors: kCorrupted, store
  // errors, those of UnwrapByAnyToken.
  static Result<std::unique_ptr<SysStore>> Open(Store& store, HsmRegistry& hsms,
                                                std::chrono::milliseconds timeout);

  SysStore(Private, Store& store, const Uuid& id) : id_(id), entries_(store, keys_, id) {}
  SysStore(const SysStore&) = delete;
  SysStore& operator=(const SysStore&) = delete;

  [[nodiscard]] const Uuid& id() const { return id_; }
  [[nodiscard]] const EnvironmentKeyring& keys() const { return keys_; }
  [[nodiscard]] SealedStore& entries() { return entries_; }

 private:
  const Uuid id_;
  EnvironmentKeyring keys_;
  SealedStore entries_;
};

// The id of `sys`, which names this cluster; nullopt when the store is new or its first start never
// finished. Errors: kCorrupted, store errors.
Result<std::optional<Uuid>> ReadSysId(Store& store);

}  // namespace kms
