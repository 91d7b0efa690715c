// SPDX-License-Identifier: Apache-2.0
#include "kms/master/environment_key.h"

#include <algorithm>
#include <array>
#include <utility>

namespace kms {

namespace {

void AppendSized(ByteView field, Bytes& out) {
  const auto size = static_cast<std::uint32_t>(field.size());
  for (int shift = 24; shift >= 0; shift -= 8) {
    out.push_back(static_cast<std::uint8_t>(size >> static_cast<unsigned>(shift)));
  }
  out.insert(out.end(), field.begin(), field.end());
}

Status CheckSize(const SecretBytes& key) {
  if (key.size() != kEnvironmentKeyBytes) {
    return InvalidArgument("an environment key has 32 bytes");
  }
  return Ok();
}

Error SealedError() { return Unavailable("environment is sealed"); }

}  // namespace

Bytes EnvironmentKeyContext(const Uuid& environment_id, EnvironmentKeyVersion version) {
  const std::array<std::uint8_t, 4> number{
      static_cast<std::uint8_t>(version >> 24U), static_cast<std::uint8_t>(version >> 16U),
      static_cast<std::uint8_t>(version >> 8U), static_cast<std::uint8_t>(version)};
  Bytes context;
  AppendSized(AsBytes("kms environment key v1"), context);
  AppendSized(environment_id.View(), context);
  AppendSized(number, context);
  return context;
}

Status EnvironmentKeyring::Add(EnvironmentKeyVersion version, SecretBytes key) {
  KMS_TRY(CheckSize(key));
  const ScopedLock lock(mutex_);
  const auto found = keys_.find(version);
  if (found == keys_.end()) {
    keys_.emplace(version, std::move(key));
    return Ok();
  }
  if (!(found->second == key)) {
    return InvalidArgument("another environment key has this version");
  }
  return Ok();
}

Status EnvironmentKeyring::Replace(std::map<EnvironmentKeyVersion, SecretBytes> keys) {
  if (keys.empty()) {
    return InvalidArgument("an environment has at least one key");
  }
  for (const auto& [version, key] : keys) {
    KMS_TRY(CheckSize(key));
  }
  const ScopedLock lock(mutex_);
  keys_.swap(keys);
  return Ok();
}

Result<SecretBytes> EnvironmentKeyring::Find(EnvironmentKeyVersion version) const {
  const ScopedSharedLock lock(mutex_);
  if (keys_.empty()) {
    return SealedError();
  }
  const auto found = keys_.find(version);
  if (found == keys_.end()) {
    return Corrupted("damaged entry", "unknown environment key version");
  }
  return found->second.Clone();
}

Result<EnvironmentKeyVersion> EnvironmentKeyring::Latest() const {
  const ScopedSharedLock lock(mutex_);
  if (keys_.empty()) {
    return SealedError();
  }
  return keys_.rbegin()->first;
}

bool EnvironmentKeyring::Holds(EnvironmentKeyVersion version, const SecretBytes& key) const {
  const ScopedSharedLock lock(mutex_);
  const auto found = keys_.find(version);
  return found != keys_.end() && found->second == key;
}

void EnvironmentKeyring::Forget(EnvironmentKeyVersion keep_from) {
  const ScopedLock lock(mutex_);
  while (keys_.size() > 1 && keys_.begin()->first < keep_from) {
    keys_.erase(keys_.begin());
  }
}

void EnvironmentKeyring::Wipe() {
  const ScopedLock lock(mutex_);
  keys_.clear();
}

bool EnvironmentKeyring::sealed() const {
  const ScopedSharedLock lock(mutex_);
  return keys_.empty();
}

}  // namespace kms
