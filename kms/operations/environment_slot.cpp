// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/environment_slot.h"

#include <charconv>
#include <cstdio>
#include <utility>

#include "kms/base/random.h"

namespace kms::internal {

namespace {

// Far more versions of one environment's key than rotation ever keeps.
constexpr std::size_t kMaxWrappedKeys = 1000;

std::string_view Remedy(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnavailable:
      return "it opens by itself as soon as the HSM answers again";
    case ErrorCode::kFailedPrecondition:
      return "restore the token or its login; a master key is never made again, for it would not "
             "open what is stored";
    case ErrorCode::kCorrupted:
      return "the token or the stored wrap is not the recorded one: restore the right one from its "
             "backup";
    default: return "see the log";
  }
}

// Says whose key failed and what to do about it.
Error Explain(const EnvironmentIdentity& identity, const std::string& master_label, Error error) {
  error.public_message = "environment " + identity.name + ", master key " + master_label + ": " +
                         error.public_message + "; " + std::string(Remedy(error.code));
  return error;
}

Result<EnvironmentKeyVersion> VersionOf(std::string_view path, std::size_t prefix_size) {
  const std::string_view digits = path.substr(prefix_size);
  EnvironmentKeyVersion version = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), version);
  if (code != std::errc{} || end != digits.data() + digits.size()) {
    return Corrupted("damaged store: a wrapped key has no version", std::string(path));
  }
  return version;
}

}  // namespace

std::string MasterPath(const Uuid& environment_id) { return "master/" + environment_id.ToString(); }

std::string WrappedPrefix(const Uuid& environment_id) {
  return "wrapped/" + environment_id.ToString() + "/";
}

std::string WrappedPath(const Uuid& environment_id, EnvironmentKeyVersion version) {
  char digits[16];
  std::snprintf(digits, sizeof digits, "%010u", version);
  return WrappedPrefix(environment_id) + digits;
}

Result<EnvironmentMaterial> ReadMaterial(Store& store, const Uuid& environment_id) {
  const std::optional<StoredValue> master = KMS_TRY(store.Get(MasterPath(environment_id)));
  if (!master) {
    return Corrupted("damaged store: the master key record is missing; restore a backup");
  }
  EnvironmentMaterial material;
  material.master = KMS_TRY(MasterKeyRecord::Decode(master->value));
  const std::string prefix = WrappedPrefix(environment_id);
  for (const ListedEntry& entry : KMS_TRY(store.List(prefix, {}, kMaxWrappedKeys))) {
    const EnvironmentKeyVersion version = KMS_TRY(VersionOf(entry.path, prefix.size()));
    const std::optional<StoredValue> wrapped = KMS_TRY(store.Get(entry.path));
    if (wrapped) {
      material.wrapped.emplace(version, KMS_TRY(WrappedKey::Decode(wrapped->value)));
    }
  }
  if (material.wrapped.empty()) {
    return Corrupted("damaged store: the wrapped environment key is missing; restore a backup");
  }
  return material;
}

Result<std::map<EnvironmentKeyVersion, SecretBytes>> UnwrapAll(
    MasterKeyDevice& device, const Clock& clock, CallTimeout timeout,
    const EnvironmentIdentity& identity, const EnvironmentMaterial& material) {
  const Status sentinel = device.CheckSentinel(material.master, clock.SteadyNow() + timeout);
  if (!sentinel.has_value()) {
    return Explain(identity, material.master.label, sentinel.error());
  }
  std::map<EnvironmentKeyVersion, SecretBytes> keys;
  for (const auto& [version, wrapped] : material.wrapped) {
    Result<SecretBytes> key =
        device.Unwrap(material.master, wrapped, EnvironmentKeyContext(identity.id, version),
                      clock.SteadyNow() + timeout);
    if (!key.has_value()) {
      return Explain(identity, material.master.label, std::move(key).error());
    }
    keys.emplace(version, *std::move(key));
  }
  return keys;
}

Result<FreshEnvironmentKey> MakeEnvironmentKey(MasterKeyDevice& device, const Clock& clock,
                                               CallTimeout timeout, const MasterKeyRecord& master,
                                               const Uuid& environment_id) {
  const Bytes context = EnvironmentKeyContext(environment_id, 1);
  FreshEnvironmentKey fresh;
  fresh.key = KMS_TRY(SecretBytes::OfSize(kEnvironmentKeyBytes));
  FillRandom(fresh.key.MutableView());
  fresh.wrapped =
      KMS_TRY(device.Wrap(master, fresh.key, context, clock.SteadyNow() + timeout));
  const Result<SecretBytes> opened =
      device.Unwrap(master, fresh.wrapped, context, clock.SteadyNow() + timeout);
  if (!opened.has_value() && opened.error().code != ErrorCode::kCorrupted) {
    return opened.error();
  }
  if (!opened.has_value() || !(*opened == fresh.key)) {
    return Unavailable("the HSM returned a wrapped key that does not open; nothing was stored");
  }
  return fresh;
}

EnvironmentSlot::EnvironmentSlot(std::shared_ptr<Environment> environment, Store& store,
                                 MasterKeyDevice& device, const Clock& clock,
                                 const EnvironmentsOptions& options)
    : environment_(std::move(environment)),
      store_(store),
      device_(device),
      clock_(clock),
      options_(options) {}

Status EnvironmentSlot::Open(CallTimeout timeout) {
  const SteadyTime started = clock_.SteadyNow();
  Result<EnvironmentMaterial> material = ReadMaterial(store_, environment_->identity().id);
  if (!material.has_value()) {
    SealFor(material.error());
    return std::move(material).error();
  }
  auto keys = UnwrapAll(device_, clock_, timeout, environment_->identity(), *material);
  if (!keys.has_value()) {
    SealFor(keys.error());
    const ScopedLock lock(mutex_);
    material_ = *std::move(material);
    return std::move(keys).error();
  }
  return Unseal(*std::move(material), *std::move(keys), started);
}

Status EnvironmentSlot::Adopt(EnvironmentMaterial material, EnvironmentKeyVersion version,
                              SecretBytes key) {
  std::map<EnvironmentKeyVersion, SecretBytes> keys;
  keys.emplace(version, std::move(key));
  return Unseal(std::move(material), std::move(keys), clock_.SteadyNow());
}

Status EnvironmentSlot::Unseal(EnvironmentMaterial material,
                               std::map<EnvironmentKeyVersion, SecretBytes> keys,
                               SteadyTime proven) {
  const ScopedLock lock(mutex_);
  material_ = std::move(material);
  if (held_sealed_) {
    return FailedPrecondition("environment is sealed", environment_->seal_reason());
  }
  KMS_TRY(environment_->Unseal(std::move(keys)));
  proven_ = proven;
  return Ok();
}

Status EnvironmentSlot::Prove(CallTimeout timeout) {
  std::optional<EnvironmentMaterial> material;
  {
    const ScopedLock lock(mutex_);
    if (held_sealed_) {
      return Ok();
    }
    material = material_;
  }
  if (environment_->sealed() || !material) {
    return Open(timeout);
  }
  const SteadyTime started = clock_.SteadyNow();
  Status proof = ProveLatest(timeout, *material);
  if (proof.has_value()) {
    const ScopedLock lock(mutex_);
    proven_ = started;
    return Ok();
  }
  SealIfExpired(proof.error());
  return proof;
}

void EnvironmentSlot::SealIfExpired(const Error& error) {
  if (!environment_->sealed() && GraceIsOver()) {
    SealFor(error);
  }
}

Status EnvironmentSlot::ProveLatest(CallTimeout timeout, const EnvironmentMaterial& material) {
  const EnvironmentIdentity& identity = environment_->identity();
  const auto& [version, wrapped] = *material.wrapped.rbegin();
  const Status sentinel = device_.CheckSentinel(material.master, clock_.SteadyNow() + timeout);
  if (!sentinel.has_value()) {
    return Explain(identity, material.master.label, sentinel.error());
  }
  const Result<SecretBytes> key =
      device_.Unwrap(material.master, wrapped, EnvironmentKeyContext(identity.id, version),
                     clock_.SteadyNow() + timeout);
  if (!key.has_value()) {
    return Explain(identity, material.master.label, key.error());
  }
  if (!environment_->keyring().Holds(version, *key)) {
    return Explain(identity, material.master.label,
                   Corrupted("the HSM opened the environment key to another value"));
  }
  return Ok();
}

bool EnvironmentSlot::GraceIsOver() const {
  const ScopedLock lock(mutex_);
  return !proven_ || clock_.SteadyNow() - *proven_ > options_.lease_grace;
}

void EnvironmentSlot::SealFor(const Error& error) {
  const ScopedLock lock(mutex_);
  if (!held_sealed_) {
    environment_->Seal(error.public_message);
  }
}

Status EnvironmentSlot::Release(CallTimeout timeout) {
  {
    const ScopedLock lock(mutex_);
    held_sealed_ = false;
  }
  return environment_->sealed() ? Open(timeout) : Ok();
}

void EnvironmentSlot::HoldSealed(std::string reason) {
  const ScopedLock lock(mutex_);
  held_sealed_ = true;
  environment_->Seal(std::move(reason));
}

EnvironmentStatus EnvironmentSlot::Describe() const {
  EnvironmentStatus status;
  status.name = environment_->identity().name;
  status.reason = environment_->seal_reason();
  status.sealed = environment_->sealed();
  const ScopedLock lock(mutex_);
  if (material_) {
    status.master_key_label = material_->master.label;
    status.master_key_version = material_->master.version;
    status.environment_key_version = material_->wrapped.rbegin()->first;
    status.wrap_mechanism = WrapMechanismName(material_->wrapped.rbegin()->second.mechanism);
  }
  if (proven_) {
    status.lease_age_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(clock_.SteadyNow() - *proven_)
            .count();
  }
  return status;
}

}  // namespace kms::internal
