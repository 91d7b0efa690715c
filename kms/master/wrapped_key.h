// SPDX-License-Identifier: Apache-2.0
// WrappedKey and MasterKeyRecord: what is stored of a key that an HSM wrapped, and of the HSM key.
// Both encode to a versioned binary form; frozen samples live in tests/vectors.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"

namespace kms {

// Our own numbers, never CKM values. Stored: do not change or reuse.
enum class WrapMechanism : std::uint8_t {
  kGcmEncrypt = 1,   // AES-256-GCM by C_Encrypt, context as AAD
  kKwpEncrypt = 2,   // RFC 5649 (0x210B) by C_Encrypt, key || SHA-256(context)
  kKwEncrypt = 3,    // RFC 3394 (0x2109) by C_Encrypt, key || SHA-256(context)
  kKwpWrap = 4,      // the same bytes by C_WrapKey
  kKwWrap = 5,       // the same bytes by C_WrapKey
  kOaepSha256 = 6,   // RSAES-OAEP SHA-256/MGF1-SHA-256, key || SHA-256(context)
  kOaepSha256Raw = 7,  // the same bytes; the token does raw RSA, its worker takes off the padding
};
std::string_view WrapMechanismName(WrapMechanism mechanism);

enum class NonceOrigin : std::uint8_t {
  kNone = 0,      // the mechanism has none
  kCaller = 1,    // ours was used
  kReplaced = 2,  // the HSM wrote its own into the parameter (AWS CloudHSM)
  kAppended = 3,  // the HSM appended its own to the output (Luna in FIPS mode)
};

struct WrappedKey {
  WrapMechanism mechanism = WrapMechanism::kGcmEncrypt;
  Uuid master_key_id;
  std::uint32_t master_key_version = 0;
  std::string token_label;   // a hint for people
  std::string token_serial;  // a hint for people
  NonceOrigin nonce_origin = NonceOrigin::kNone;
  Bytes nonce;
  std::uint8_t tag_bytes = 0;
  std::uint16_t key_bytes = 0;  // length of the key inside
  Bytes blob;
  std::int64_t created_unix_seconds = 0;
  // By the token, over WrapStatement: of RSA mechanisms, whose public key anybody can wrap by.
  // Empty for the others, which authenticate what they open.
  Bytes signature;

  [[nodiscard]] Bytes Encode() const;
  // Errors: kCorrupted for anything Encode did not make; unknown versions and mechanisms name
  // themselves in the message (C17).
  static Result<WrappedKey> Decode(ByteView encoded);
  friend bool operator==(const WrappedKey&, const WrappedKey&) = default;
};

// What a token signs of a wrap: the purpose "kms-wrap-v1", the mechanism, the master key, the size of
// the key inside, the context and the blob. Nothing else that a token signs begins so.
Bytes WrapStatement(const WrappedKey& wrapped, ByteView context);

// Layouts of CK_GCM_PARAMS met in the field.
enum class GcmParameterLayout : std::uint8_t { kWithIvBits = 48, kWithoutIvBits = 40 };

struct MasterKeyRecord {
  Uuid id;  // CKA_ID
  std::uint32_t version = 0;
  std::string label;  // CKA_LABEL
  WrapMechanism mechanism = WrapMechanism::kGcmEncrypt;
  GcmParameterLayout gcm_layout = GcmParameterLayout::kWithIvBits;
  bool unwrap_needs_value_length = false;
  std::string token_label;
  std::string token_serial;
  std::string module_description;
  Bytes public_key;     // SubjectPublicKeyInfo of an RSA master key, else empty
  WrappedKey sentinel;  // wraps SentinelValue(id) in context SentinelContext(id)
  std::int64_t created_unix_seconds = 0;

  [[nodiscard]] Bytes Encode() const;
  static Result<MasterKeyRecord> Decode(ByteView encoded);  // errors as WrappedKey::Decode
  friend bool operator==(const MasterKeyRecord&, const MasterKeyRecord&) = default;
};

// The known bytes (32) whose wrap proves that a master key is the recorded one. Not secret.
Bytes SentinelValue(const Uuid& master_key_id);
// The context the sentinel is wrapped in.
Bytes SentinelContext(const Uuid& master_key_id);

}  // namespace kms
