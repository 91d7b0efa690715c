// SPDX-License-Identifier: Apache-2.0
// Key: an immutable snapshot of a named key: its policy and the versions of its working set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/aead.h"
#include "kms/keys/key_type.h"
#include "kms/keys/names.h"

namespace kms {

using KeyVersionNumber = std::uint32_t;  // 1, 2, 3, …

inline constexpr std::size_t kHmacKeyBytes = 32;

// One generation of material. `material` encrypts; `hmac_key` (32 bytes) is separate.
struct KeyVersion {
  KeyVersionNumber number = 0;
  WallTime created;
  SecretBytes material;
  SecretBytes hmac_key;

  // Fresh random material from the kernel's generator for `type`.
  static Result<KeyVersion> Generate(KeyType type, KeyVersionNumber number, WallTime created);
  [[nodiscard]] Result<KeyVersion> Clone() const;
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
  // The prepared cipher of a version in the working set; nullptr as above, and for a derived key,
  // whose material never encrypts directly.
  [[nodiscard]] const Aead* FindAead(KeyVersionNumber number) const;

  // The sealed entry's plaintext: format byte, policy, working set. Secret.
  [[nodiscard]] Result<SecretBytes> Encode() const;
  // Errors: kCorrupted; an unknown format byte or key type is named (C17, D24).
  static Result<Key> Decode(ByteView encoded);

 private:
  Key(KeyPolicy policy, std::vector<KeyVersion> versions, std::vector<Aead> ciphers);
  KeyPolicy policy_;
  std::vector<KeyVersion> versions_;
  std::vector<Aead> ciphers_;  // parallel to versions_; none for a derived key
};

using KeyHandle = std::shared_ptr<const Key>;

// One archived version's sealed plaintext (transit-api 4.3). Secret. Errors: as Key.
Result<SecretBytes> EncodeArchivedVersion(const KeyVersion& version);
Result<KeyVersion> DecodeArchivedVersion(ByteView encoded);

}  // namespace kms
