// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/key.h"

#include <utility>

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
      {!policy.convergent_encryption || policy.derived, "convergent keys are derived"},
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
  };
  for (const auto& [holds, rule] : rules) {
    if (!holds) {
      return Corrupted("invalid key", std::string("broken rule: ") + rule);
    }
  }
  return Ok();
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
    if (version.material.size() != TraitsOf(policy.type).key_bytes ||
        version.hmac_key.size() != kHmacKeyBytes) {
      return Corrupted("invalid key", "a version's material has the wrong size");
    }
  }
  return Ok();
}

}  // namespace

Result<KeyVersion> KeyVersion::Generate(KeyType type, KeyVersionNumber number, WallTime created) {
  KeyVersion version{.number = number, .created = created, .material = {}, .hmac_key = {}};
  version.material = KMS_TRY(RandomSecret(TraitsOf(type).key_bytes));
  version.hmac_key = KMS_TRY(RandomSecret(kHmacKeyBytes));
  return version;
}

Result<KeyVersion> KeyVersion::Clone() const {
  KeyVersion clone{.number = number, .created = created, .material = {}, .hmac_key = {}};
  clone.material = KMS_TRY(material.Clone());
  clone.hmac_key = KMS_TRY(hmac_key.Clone());
  return clone;
}

Result<Key> Key::Create(KeyPolicy policy, std::vector<KeyVersion> versions) {
  KMS_TRY(CheckPolicy(policy));
  KMS_TRY(CheckWorkingSet(policy, versions));
  std::vector<Aead> ciphers;
  if (policy.derived) {
    return Key(std::move(policy), std::move(versions), std::move(ciphers));
  }
  ciphers.reserve(versions.size());
  const AeadAlgorithm algorithm = TraitsOf(policy.type).aead;
  for (const KeyVersion& version : versions) {
    ciphers.push_back(KMS_TRY(Aead::Create(algorithm, version.material.View())));
  }
  return Key(std::move(policy), std::move(versions), std::move(ciphers));
}

Key::Key(KeyPolicy policy, std::vector<KeyVersion> versions, std::vector<Aead> ciphers)
    : policy_(std::move(policy)), versions_(std::move(versions)), ciphers_(std::move(ciphers)) {}

const KeyVersion* Key::FindVersion(KeyVersionNumber number) const {
  const std::size_t index = std::size_t{number} - policy_.min_decryption_version;
  return index < versions_.size() ? &versions_[index] : nullptr;
}

const Aead* Key::FindAead(KeyVersionNumber number) const {
  const std::size_t index = std::size_t{number} - policy_.min_decryption_version;
  return index < ciphers_.size() ? &ciphers_[index] : nullptr;
}

}  // namespace kms
