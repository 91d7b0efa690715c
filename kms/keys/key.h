// SPDX-License-Identifier: Apache-2.0
// Key: an immutable snapshot of a named key: its policy and the versions of its working set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/aead.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/keys/key_type.h"
#include "kms/keys/names.h"
#include "kms/keys/resident_key.h"
#include "kms/keys/usage_counter.h"

namespace kms {

class ResidentKeys;

using KeyVersionNumber = std::uint32_t;  // 1, 2, 3, …

inline constexpr std::size_t kHmacKeyBytes = 32;

// One generation of material.
struct KeyVersion {
  KeyVersionNumber number = 0;
  WallTime created;
  // AEAD and hmac: the raw key. EC, Ed25519 and RSA: PrivateKeyInfo DER (RFC 5958), or nothing when
  // only the public half is known.
  SecretBytes material;
  // kHmacKeyBytes of its own; for the type hmac the material once more.
  SecretBytes hmac_key;
  Bytes public_key;                      // SubjectPublicKeyInfo DER; empty where there is none
  std::vector<Bytes> certificate_chain;  // DER, leaf first; empty unless one was set
  // The version lives in an HSM token: it has neither material nor an HMAC key.
  std::optional<ResidentVersion> resident;

  // Fresh random material for `type`; `key_size` is the bytes of an hmac key, 0 for other types.
  // Errors: kUnavailable, kInternal. RSA takes up to seconds.
  static Result<KeyVersion> Generate(KeyType type, KeyVersionNumber number, WallTime created,
                                     std::size_t key_size = 0);
  // Material that came from elsewhere and was judged to be sound, with a fresh HMAC key: a raw key
  // of `type`, AEAD or hmac; or a key pair or the public half of one.
  static Result<KeyVersion> FromRawKey(KeyType type, KeyVersionNumber number, WallTime created,
                                       SecretBytes key);
  static Result<KeyVersion> FromAsymmetricKey(KeyVersionNumber number, WallTime created,
                                              const AsymmetricKey& key);
  static KeyVersion FromResident(KeyVersionNumber number, WallTime created, ResidentVersion where);
  // Whether it can sign and decrypt: here or in its token.
  [[nodiscard]] bool has_private() const { return !material.empty() || resident.has_value(); }
  [[nodiscard]] Result<KeyVersion> Clone() const;
};

// Where the secret half of a key is. Stored: do not change or reuse.
enum class KeyProtection : std::uint8_t {
  kSoftware = 0,  // in the sealed store and in memory
  kHsm = 1,       // made in an HSM token, which it cannot leave
  kExternal = 2,  // as kHsm, but it existed before: it is referred to and never destroyed
};

// That a key was backed up or restored.
struct TransferStamp {
  WallTime time;
  KeyVersionNumber version = 0;  // the latest at that time
  friend bool operator==(const TransferStamp&, const TransferStamp&) = default;
};

// The attributes of transit-api 4.2; invariants of 4.3 are checked by Key::Create.
struct KeyPolicy {
  std::string name;
  Uuid incarnation;  // fresh at each creation: a re-created name never opens old ciphertext (D30)
  KeyType type = KeyType::kAes256Gcm96;
  bool derived = false;
  bool convergent_encryption = false;
  bool exportable = false;
  bool allow_plaintext_backup = false;
  bool deletion_allowed = false;
  std::int64_t auto_rotate_period_seconds = 0;  // 0, or >= 3600
  KeyVersionNumber min_available_version = 0;   // 0 until the first trim
  KeyVersionNumber min_decryption_version = 1;
  KeyVersionNumber min_encryption_version = 0;  // 0: any version of the working set
  KeyVersionNumber latest_version = 1;
  std::uint32_t key_size = 0;            // bytes of an hmac key; 0 for other types
  bool imported = false;                 // the material came from a caller; rotation ends it
  bool imported_allow_rotation = false;  // an imported key may get versions that are made here
  bool soft_deleted = false;             // blocks use, not administration
  std::optional<TransferStamp> backup_info;
  std::optional<TransferStamp> restore_info;
  KeyProtection protection = KeyProtection::kSoftware;

  [[nodiscard]] bool is_resident() const { return protection != KeyProtection::kSoftware; }
};

// Immutable; any number of threads may share one by KeyHandle. Prepared ciphers are made by Create.
class Key {
 public:
  // `versions` are exactly policy.min_decryption_version..policy.latest_version in order.
  // Errors: kCorrupted when they are not or the policy's invariants do not hold.
  static Result<Key> Create(KeyPolicy policy, std::vector<KeyVersion> versions);

  Key(Key&&) noexcept = default;
  Key& operator=(Key&&) noexcept = default;

  [[nodiscard]] const KeyPolicy& policy() const { return policy_; }
  [[nodiscard]] const std::vector<KeyVersion>& versions() const { return versions_; }
  // nullptr when the version is not in the working set.
  [[nodiscard]] const KeyVersion* FindVersion(KeyVersionNumber number) const;
  // The prepared cipher of a version in the working set; nullptr as above, for a derived key, whose
  // material never encrypts directly, and for types without one.
  [[nodiscard]] const Aead* FindAead(KeyVersionNumber number) const;
  // The prepared key pair or public key of a version; nullptr as above, and for types without one.
  [[nodiscard]] const AsymmetricKey* FindAsymmetric(KeyVersionNumber number) const;

  // The counter of a version's encryptions; nullptr when there is no such version or none was
  // attached. The key does not change by counting.
  [[nodiscard]] UsageCounter* FindUsage(KeyVersionNumber number) const;
  // `counters` are those of versions(), in their order. Before the key is shared.
  void AttachUsage(std::vector<std::shared_ptr<UsageCounter>> counters);

  // What works with versions that live in HSM tokens; nullptr for other keys, or when none was
  // attached. Attached before the key is shared.
  [[nodiscard]] const std::shared_ptr<ResidentKeys>& residence() const { return residence_; }
  void AttachResidence(std::shared_ptr<ResidentKeys> residence) {
    residence_ = std::move(residence);
  }

  // The sealed entry's plaintext: format byte, policy, working set; no counters. Secret.
  [[nodiscard]] Result<SecretBytes> Encode() const;
  // Errors: kCorrupted; an unknown format byte or key type is named (C17, D24).
  static Result<Key> Decode(ByteView encoded);

 private:
  Key(KeyPolicy policy, std::vector<KeyVersion> versions)
      : policy_(std::move(policy)), versions_(std::move(versions)) {}
  Status Prepare();
  [[nodiscard]] std::size_t PlaceOf(KeyVersionNumber number) const {
    return std::size_t{number} - policy_.min_decryption_version;
  }

  KeyPolicy policy_;
  std::vector<KeyVersion> versions_;
  // Parallel to versions_, or empty.
  std::vector<Aead> ciphers_;
  std::vector<AsymmetricKey> key_pairs_;
  std::vector<std::shared_ptr<UsageCounter>> usage_;
  std::shared_ptr<ResidentKeys> residence_;
};

using KeyHandle = std::shared_ptr<const Key>;

// One archived version's sealed plaintext (transit-api 4.3). Secret. Errors: as Key.
Result<SecretBytes> EncodeArchivedVersion(const KeyVersion& version);
Result<KeyVersion> DecodeArchivedVersion(ByteView encoded);

}  // namespace kms
