// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/environment.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <utility>

#include "kms/operations/key_cache.h"
#include "kms/operations/key_storage.h"
#include "kms/operations/key_usage.h"
#include "kms/operations/resident_keys.h"

namespace kms {

namespace {

// Two names that share a stripe only wait for each other's commits.
constexpr std::size_t kWriteStripes = 64;

// Room that one more key certainly fits into.
constexpr std::size_t kSecretReserveBytes = 16 * 1024;

bool IsOn(const EnvironmentSettings& settings, const char* option) {
  const auto found = settings.options.find(option);
  return found != settings.options.end() && found->second == "true";
}

// Counters kept beyond this many keys are those of warm ones.
constexpr std::size_t kMinCountedKeys = 1024;

// What the environment's option asks for; options are judged when they are set.
std::uint64_t OptionLimit(const EnvironmentSettings& settings) {
  const auto option = settings.options.find(std::string(kMaxEncryptionsOption));
  std::uint64_t limit = kMaxEncryptionsPerVersion;
  if (option != settings.options.end()) {
    const std::string& text = option->second;
    std::from_chars(text.data(), text.data() + text.size(), limit);
  }
  return limit;
}

bool SecretMemoryIsShort() { return !SecretBytes::OfSize(kSecretReserveBytes).has_value(); }

}  // namespace

struct Environment::Impl {
  Impl(EnvironmentSettings first_settings, const EnvironmentLimits& limits)
      : configured_limit(std::min(limits.max_encryptions_per_version, kMaxEncryptionsPerVersion)),
        cache(limits.max_warm_keys),
        max_counted_keys(2 * std::max(limits.max_warm_keys, kMinCountedKeys)) {
    Adopt(std::move(first_settings));
  }

  void Adopt(EnvironmentSettings new_settings) {
    const ScopedLock lock(settings_mutex);
    settings = std::move(new_settings);
    verifies_encryption = IsOn(settings, "verify_encrypt");
    allows_pkcs1v15 = IsOn(settings, "allow_pkcs1v15");
    encryption_limit = std::min(configured_limit, OptionLimit(settings));
  }

  // Secret memory is one for all environments: warm keys of this one must not keep another from
  // making or reading its first.
  void LeaveRoom() {
    if (SecretMemoryIsShort()) {
      cache.Shrink();
    }
  }

  // Makes room among the counters: those of keys that are not in memory go.
  void DropIdleUsages() KMS_REQUIRES(usage_mutex) {
    std::erase_if(usages, [](const auto& entry) {
      return entry.second.use_count() == 1 && entry.second->unused();
    });
  }

  const std::uint64_t configured_limit;

  mutable Mutex settings_mutex;
  EnvironmentSettings settings KMS_GUARDED_BY(settings_mutex);
  // Written under settings_mutex, read without it.
  std::atomic<bool> verifies_encryption = false;
  std::atomic<bool> allows_pkcs1v15 = false;
  std::atomic<std::uint64_t> encryption_limit = kMaxEncryptionsPerVersion;

  // Sealing and unsealing happen one at a time, each as a whole.
  mutable Mutex seal_mutex;
  std::string seal_reason KMS_GUARDED_BY(seal_mutex) = "not opened yet";

  KeyCache cache;
  std::array<Mutex, kWriteStripes> write_mutexes;
  std::timed_mutex wrapping_key_mutex;

  const std::size_t max_counted_keys;
  mutable Mutex usage_mutex;
  std::map<Uuid, std::shared_ptr<KeyUsage>> usages KMS_GUARDED_BY(usage_mutex);
  Mutex self_rotation_mutex;
  AuditLog* audit = nullptr;    // set before other threads come
  HsmRegistry* hsms = nullptr;  // likewise
  std::shared_ptr<ResidentKeys> resident_keys;
};

Environment::Environment(EnvironmentIdentity identity, EnvironmentSettings settings, Store& store,
                         const Clock& clock, EnvironmentLimits limits)
    : identity_(std::move(identity)),
      clock_(clock),
      sealed_store_(store, keyring_, identity_.id),
      impl_(std::make_shared<Impl>(std::move(settings), limits)) {}

EnvironmentSettings Environment::settings() const {
  const ScopedLock lock(impl_->settings_mutex);
  return impl_->settings;
}

void Environment::ReplaceSettings(EnvironmentSettings settings) {
  impl_->Adopt(std::move(settings));
}

bool Environment::verifies_encryption() const {
  return impl_->verifies_encryption.load(std::memory_order_relaxed);
}

bool Environment::allows_pkcs1v15() const {
  return impl_->allows_pkcs1v15.load(std::memory_order_relaxed);
}

KeyHandle Environment::WarmKey(std::string_view name) const {
  KeyHandle key = impl_->cache.Find(name);
  if (key != nullptr && (key->policy().soft_deleted || key->policy().is_resident())) {
    return nullptr;
  }
  return key;
}

Result<KeyHandle> Environment::FindKey(const KeyName& name) {
  Result<KeyHandle> found = impl_->cache.FindOrLoad(name.text(), [&] {
    Result<std::optional<LoadedKey>> loaded = LoadKey(*this, name.text());
    // What one round frees may lie in pieces too small.
    while (!loaded.has_value() && loaded.error().code == ErrorCode::kUnavailable &&
           SecretMemoryIsShort() && impl_->cache.size() != 0) {
      impl_->cache.Shrink();
      loaded = LoadKey(*this, name.text());
    }
    return loaded;
  });
  impl_->LeaveRoom();
  // A key that was being read while the environment was sealed must not be used any more.
  if (found.has_value() && sealed()) {
    return Unavailable("environment is sealed");
  }
  return found;
}

void Environment::ForgetKey(std::string_view name) { impl_->cache.Forget(name); }

void Environment::PublishKey(KeyHandle key, Revision revision) {
  impl_->cache.Publish(std::move(key), revision);
  impl_->LeaveRoom();
}

Mutex& Environment::KeyWriteMutex(std::string_view name) {
  return impl_->write_mutexes[std::hash<std::string_view>{}(name) % kWriteStripes];
}

std::timed_mutex& Environment::wrapping_key_mutex() { return impl_->wrapping_key_mutex; }

KeyHandle Environment::Share(Key key) {
  const KeyPolicy& policy = key.policy();
  if (TraitsOf(policy.type).supports_encryption) {
    const std::shared_ptr<KeyUsage> usage = UsageOf(policy);
    std::vector<std::shared_ptr<UsageCounter>> counters;
    counters.reserve(key.versions().size());
    for (const KeyVersion& version : key.versions()) {
      counters.push_back(usage->CounterOf(version.number));
    }
    key.AttachUsage(std::move(counters));
  }
  if (policy.is_resident()) {
    key.AttachResidence(impl_->resident_keys);
  }
  return std::make_shared<const Key>(std::move(key));
}

std::shared_ptr<KeyUsage> Environment::UsageOf(const KeyPolicy& policy) {
  const ScopedLock lock(impl_->usage_mutex);
  std::shared_ptr<KeyUsage>& usage = impl_->usages[policy.incarnation];
  if (usage != nullptr) {
    return usage;
  }
  usage = std::make_shared<KeyUsage>(policy.incarnation, policy.name);
  std::shared_ptr<KeyUsage> made = usage;
  if (impl_->usages.size() > impl_->max_counted_keys) {
    impl_->DropIdleUsages();
  }
  return made;
}

void Environment::ForgetUsage(const Uuid& incarnation) {
  const ScopedLock lock(impl_->usage_mutex);
  impl_->usages.erase(incarnation);
}

std::vector<std::shared_ptr<KeyUsage>> Environment::Usages() const {
  const ScopedLock lock(impl_->usage_mutex);
  std::vector<std::shared_ptr<KeyUsage>> usages;
  usages.reserve(impl_->usages.size());
  for (const auto& [incarnation, usage] : impl_->usages) {
    usages.push_back(usage);
  }
  return usages;
}

std::uint64_t Environment::max_encryptions_per_version() const {
  return impl_->encryption_limit.load(std::memory_order_relaxed);
}

void Environment::set_audit(AuditLog& audit) { impl_->audit = &audit; }

AuditLog* Environment::audit() const { return impl_->audit; }

void Environment::set_hsms(HsmRegistry& hsms) {
  impl_->hsms = &hsms;
  impl_->resident_keys = std::make_shared<ResidentKeys>(hsms, clock_);
}

HsmRegistry* Environment::hsms() const { return impl_->hsms; }

const std::shared_ptr<ResidentKeys>& Environment::resident_keys() const {
  return impl_->resident_keys;
}

Mutex& Environment::self_rotation_mutex() { return impl_->self_rotation_mutex; }

void Environment::Seal(std::string reason) {
  const ScopedLock lock(impl_->seal_mutex);
  impl_->seal_reason = std::move(reason);
  keyring_.Wipe();
  impl_->cache.Close();
}

void Environment::Unseal(EnvironmentKeyVersion version, SecretBytes key) {
  std::map<EnvironmentKeyVersion, SecretBytes> keys;
  keys.emplace(version, std::move(key));
  const Status unsealed = Unseal(std::move(keys));
  if (!unsealed.has_value()) {
    Seal(unsealed.error().public_message);
  }
}

Status Environment::Unseal(std::map<EnvironmentKeyVersion, SecretBytes> keys) {
  const ScopedLock lock(impl_->seal_mutex);
  KMS_TRY(keyring_.Replace(std::move(keys)));
  impl_->cache.Open();
  impl_->seal_reason.clear();
  return Ok();
}

Status Environment::AddKey(EnvironmentKeyVersion version, SecretBytes key) {
  const ScopedLock lock(impl_->seal_mutex);
  KMS_TRY(keyring_.Latest());
  return keyring_.Add(version, std::move(key));
}

void Environment::ForgetKeys(EnvironmentKeyVersion keep_from) {
  const ScopedLock lock(impl_->seal_mutex);
  keyring_.Forget(keep_from);
}

std::string Environment::seal_reason() const {
  const ScopedLock lock(impl_->seal_mutex);
  return impl_->seal_reason;
}

std::size_t Environment::warm_keys() const { return impl_->cache.size(); }

}  // namespace kms
