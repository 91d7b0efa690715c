// SPDX-License-Identifier: Apache-2.0
// ResidentBindings: the resident keys that one connection has found and proven, and what the token
// was found not to do with them.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "kms/base/mutex.h"
#include "kms/master/import_key.h"
#include "kms/master/resident_key_device.h"
#include "pkcs11/cryptoki.h"

namespace kms::pkcs11 {

// How a token takes the point of a peer: PKCS #11 allows both, modules often one.
enum class PointForm : std::uint8_t { kBare, kOctetString };

struct BoundResident {
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  ResidentKeyRecord record;
  Bytes modulus;  // of RSA: big-endian, without leading zeros
  GcmParameterLayout gcm_layout = GcmParameterLayout::kWithIvBits;
};

// Thread rule: any thread. Cleared at every login: handles of private objects go with the old one.
class ResidentBindings {
 public:
  // nullopt when the key, as it is recorded, was not proven yet.
  std::optional<BoundResident> Find(const ResidentKeyRecord& record) const {
    ScopedSharedLock lock(mutex_);
    const auto found = bound_.find(record.id);
    if (found == bound_.end() || !(found->second.record == record)) return std::nullopt;
    return found->second;
  }
  void Keep(const BoundResident& key) {
    ScopedLock lock(mutex_);
    bound_.insert_or_assign(key.record.id, key);
  }
  void Forget(const Bytes& id) {
    ScopedLock lock(mutex_);
    bound_.erase(id);
  }
  void Clear() {
    ScopedLock lock(mutex_);
    bound_.clear();
  }

  // Whether the token refused to use the key in this way before. `hash` tells parameters apart.
  [[nodiscard]] bool Refuses(const Bytes& id, CK_MECHANISM_TYPE mechanism, int hash) const {
    ScopedSharedLock lock(mutex_);
    return refused_.contains({id, mechanism, hash});
  }
  void NoteRefusal(const Bytes& id, CK_MECHANISM_TYPE mechanism, int hash) {
    ScopedLock lock(mutex_);
    refused_.insert({id, mechanism, hash});
  }

  // Where RSA-OAEP of this hash function is opened; nullopt when that was not found out yet.
  [[nodiscard]] std::optional<OaepPlace> PlaceOf(const Bytes& id, HashAlgorithm hash) const {
    ScopedSharedLock lock(mutex_);
    const auto found = places_.find({id, hash});
    return found == places_.end() ? std::nullopt : std::optional(found->second);
  }
  void KeepPlace(const Bytes& id, HashAlgorithm hash, OaepPlace place) {
    ScopedLock lock(mutex_);
    places_.insert_or_assign({id, hash}, place);
  }

  // How the key agrees; nullopt when that was not found out yet.
  [[nodiscard]] std::optional<PointForm> PointFormOf(const Bytes& id) const {
    ScopedSharedLock lock(mutex_);
    const auto found = point_forms_.find(id);
    return found == point_forms_.end() ? std::nullopt : std::optional(found->second);
  }
  void KeepPointForm(const Bytes& id, PointForm form) {
    ScopedLock lock(mutex_);
    point_forms_.insert_or_assign(id, form);
  }
  // Whether the token was seen to make keys of this type that agree.
  [[nodiscard]] bool MakesAgreeing(ResidentKeyType type) const {
    ScopedSharedLock lock(mutex_);
    return makes_agreeing_.contains(type);
  }
  void KeepMakesAgreeing(ResidentKeyType type) {
    ScopedLock lock(mutex_);
    makes_agreeing_.insert(type);
  }

 private:
  mutable SharedMutex mutex_;
  std::map<Bytes, BoundResident> bound_ KMS_GUARDED_BY(mutex_);
  std::set<std::tuple<Bytes, CK_MECHANISM_TYPE, int>> refused_ KMS_GUARDED_BY(mutex_);
  std::map<std::pair<Bytes, HashAlgorithm>, OaepPlace> places_ KMS_GUARDED_BY(mutex_);
  std::map<Bytes, PointForm> point_forms_ KMS_GUARDED_BY(mutex_);
  std::set<ResidentKeyType> makes_agreeing_ KMS_GUARDED_BY(mutex_);
};

}  // namespace kms::pkcs11
