// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/key.h"

#include <utility>

#include "kms/base/bytes.h"
#include "kms/base/random.h"

namespace kms {

namespace {

constexpr std::int64_t kMinAutoRotateSeconds = 3600;

Result<SecretBytes> RandomSecret(std::size_t size) {
  SecretBytes secret = KMS_TRY(SecretBytes::OfSize(size));
  FillRandom(secret.MutableView());
  return secret;
}

// Each rule of transit-api 4.2 and 4.3 with what an operator reads when it does not hold.
Status CheckPolicy(const KeyPolicy& policy) {
  const struct {
    bool holds;
    const char* rule;
  } rules[] = {
      {KeyName::Parse(policy.name).has_value(), "the name is valid"},
      {policy.incarnation != Uuid{}, "the incarnation is set"},
      {!policy.convergent_encryption ||
           (policy.derived && TraitsOf(policy.type).supports_convergent),
       "convergent keys are derived and of a type that can be"},
      {!policy.derived || TraitsOf(policy.type).supports_derivation, "the type derives"},
      {policy.auto_rotate_period_seconds == 0 ||
           policy.auto_rotate_period_seconds >= kMinAutoRotateSeconds,
       "the rotation period is 0 or an hour at least"},
      {policy.min_decryption_version >= 1, "the minimum decryption version is positive"},
      {policy.min_available_version <= policy.min_decryption_version,
       "available versions reach the minimum decryption version"},
      {policy.min_decryption_version <= policy.latest_version,
       "the minimum decryption version exists"},
      {policy.min_encryption_version == 0 ||
           (policy.min_decryption_version <= policy.min_encryption_version &&
            policy.min_encryption_version <= policy.latest_version),
       "the minimum encryption version is in the working set"},
      {policy.min_available_version <= policy.min_encryption_version ||
           policy.min_available_version == 0,
       "a trimmed key has a minimum encryption version"},
      {policy.type == KeyType::kHmac
           ? policy.key_size >= kMinHmacKeySize && policy.key_size <= kMaxHmacKeySize
           : policy.key_size == 0,
       "hmac keys and no others have a size"},
      {policy.imported || !policy.imported_allow_rotation,
       "only an imported key is said to allow rotation"},
      {!policy.is_resident() || ResidentTypeOf(policy.type).has_value(),
       "the type can live in an HSM"},
      {!policy.is_resident() || (!policy.derived && !policy.imported && !policy.exportable &&
                                 !policy.allow_plaintext_backup),
       "a key in an HSM is not derived, imported or allowed out"},
      {policy.protection != KeyProtection::kExternal || policy.auto_rotate_period_seconds == 0,
       "an external key does not rotate by itself"},
  };
  for (const auto& [holds, rule] : rules) {
    if (!holds) {
      return Corrupted("invalid key", std::string("broken rule: ") + rule);
    }
  }
  return Ok();
}

bool LivesAsItShould(const KeyPolicy& policy, const KeyVersion& version) {
  const ResidentKeyRecord& record = version.resident->record;
  const bool external = policy.protection == KeyProtection::kExternal;
  return version.material.empty() && version.hmac_key.empty() && !version.resident->hsm.empty() &&
         version.resident->reference.empty() != external && !record.id.empty() &&
         KeyTypeOf(record.type) == policy.type && record.public_key == version.public_key &&
         version.public_key.empty() != TraitsOf(policy.type).is_asymmetric();
}

bool HasRightMaterial(const KeyPolicy& policy, const KeyVersion& version) {
  if (policy.is_resident() != version.resident.has_value()) {
    return false;
  }
  if (policy.is_resident()) {
    return LivesAsItShould(policy, version);
  }
  const KeyTypeTraits& traits = TraitsOf(policy.type);
  if (traits.is_asymmetric()) {
    return !version.public_key.empty() && version.hmac_key.size() == kHmacKeyBytes;
  }
  if (!version.public_key.empty() || !version.certificate_chain.empty()) {
    return false;
  }
  return traits.family == KeyFamily::kHmac
             ? version.material.size() == policy.key_size && version.hmac_key == version.material
             : version.material.size() == traits.key_bytes &&
                   version.hmac_key.size() == kHmacKeyBytes;
}

Status CheckWorkingSet(const KeyPolicy& policy, const std::vector<KeyVersion>& versions) {
  KeyVersionNumber expected = policy.min_decryption_version;
  if (versions.size() != std::size_t{policy.latest_version} - expected + 1) {
    return Corrupted("invalid key", "the working set is incomplete");
  }
  for (const KeyVersion& version : versions) {
    if (version.number != expected++) {
      return Corrupted("invalid key", "the working set is out of order");
    }
    if (!HasRightMaterial(policy, version)) {
      return Corrupted("invalid key", "a version's material has the wrong size");
    }
  }
  return Ok();
}

Result<AsymmetricKey> LoadKeyPair(AsymmetricAlgorithm algorithm, const KeyVersion& version) {
  auto loaded = version.material.empty()
                    ? AsymmetricKey::FromPublicKey(algorithm, version.public_key)
                    : AsymmetricKey::FromPkcs8(algorithm, version.material.View());
  if (!loaded.has_value()) {
    return Corrupted("invalid key", "a version's material: " + loaded.error().public_message);
  }
  return loaded;
}

}  // namespace

Result<KeyVersion> KeyVersion::Generate(KeyType type, KeyVersionNumber number, WallTime created,
                                        std::size_t key_size) {
  const KeyTypeTraits& traits = TraitsOf(type);
  if (traits.is_asymmetric()) {
    const AsymmetricKey pair = KMS_TRY(AsymmetricKey::Generate(traits.asymmetric));
    return FromAsymmetricKey(number, created, pair);
  }
  const bool hmac = traits.family == KeyFamily::kHmac;
  SecretBytes key = KMS_TRY(RandomSecret(hmac ? key_size : traits.key_bytes));
  return FromRawKey(type, number, created, std::move(key));
}

Result<KeyVersion> KeyVersion::FromRawKey(KeyType type, KeyVersionNumber number, WallTime created,
                                          SecretBytes key) {
  KeyVersion version{.number = number, .created = created};
  version.hmac_key =
      KMS_TRY(type == KeyType::kHmac ? key.Clone() : RandomSecret(kHmacKeyBytes));
  version.material = std::move(key);
  return version;
}

Result<KeyVersion> KeyVersion::FromAsymmetricKey(KeyVersionNumber number, WallTime created,
                                                 const AsymmetricKey& key) {
  KeyVersion version{.number = number, .created = created};
  if (key.has_private()) {
    version.material = KMS_TRY(key.ToPkcs8());
  }
  version.public_key = KMS_TRY(key.PublicKey());
  version.hmac_key = KMS_TRY(RandomSecret(kHmacKeyBytes));
  return version;
}

KeyVersion KeyVersion::FromResident(KeyVersionNumber number, WallTime created,
                                    ResidentVersion where) {
  KeyVersion version{.number = number, .created = created};
  version.public_key = where.record.public_key;
  version.resident = std::move(where);
  return version;
}

Result<KeyVersion> KeyVersion::Clone() const {
  KeyVersion clone{.number = number, .created = created};
  clone.material = KMS_TRY(material.Clone());
  clone.hmac_key = KMS_TRY(hmac_key.Clone());
  clone.public_key = public_key;
  clone.certificate_chain = certificate_chain;
  clone.resident = resident;
  return clone;
}

Result<Key> Key::Create(KeyPolicy policy, std::vector<KeyVersion> versions) {
  KMS_TRY(CheckPolicy(policy));
  KMS_TRY(CheckWorkingSet(policy, versions));
  Key key(std::move(policy), std::move(versions));
  KMS_TRY(key.Prepare());
  return key;
}

Status Key::Prepare() {
  const KeyTypeTraits& traits = TraitsOf(policy_.type);
  if (traits.is_asymmetric()) {
    key_pairs_.reserve(versions_.size());
    for (const KeyVersion& version : versions_) {
      key_pairs_.push_back(KMS_TRY(LoadKeyPair(traits.asymmetric, version)));
    }
  } else if (traits.family == KeyFamily::kAead && !policy_.derived && !policy_.is_resident()) {
    ciphers_.reserve(versions_.size());
    for (const KeyVersion& version : versions_) {
      ciphers_.push_back(KMS_TRY(Aead::Create(traits.aead, version.material.View())));
    }
  }
  return Ok();
}

const KeyVersion* Key::FindVersion(KeyVersionNumber number) const {
  const std::size_t place = PlaceOf(number);
  return place < versions_.size() ? &versions_[place] : nullptr;
}

const Aead* Key::FindAead(KeyVersionNumber number) const {
  const std::size_t place = PlaceOf(number);
  return place < ciphers_.size() ? &ciphers_[place] : nullptr;
}

const AsymmetricKey* Key::FindAsymmetric(KeyVersionNumber number) const {
  const std::size_t place = PlaceOf(number);
  return place < key_pairs_.size() ? &key_pairs_[place] : nullptr;
}

UsageCounter* Key::FindUsage(KeyVersionNumber number) const {
  const std::size_t place = PlaceOf(number);
  return place < usage_.size() ? usage_[place].get() : nullptr;
}

void Key::AttachUsage(std::vector<std::shared_ptr<UsageCounter>> counters) {
  usage_ = std::move(counters);
}

}  // namespace kms
