// SPDX-License-Identifier: Apache-2.0
// Wrap mechanisms: one table of what each is in Cryptoki, and the two verbs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/wrapped_key.h"
#include "pkcs11/cryptoki.h"
#include "pkcs11/session.h"

namespace kms::pkcs11 {

inline constexpr std::size_t kLargestWrappedKey = 64;

// What a master key may be used for; never both, or wrap-then-decrypt reads out any key.
enum class KeyUsage : std::uint8_t { kEncryptDecrypt, kWrapUnwrap };

struct MechanismRow {
  WrapMechanism mechanism;
  CK_MECHANISM_TYPE type;
  KeyUsage usage;
  bool deterministic;  // two wraps of one key in one context are equal
};
// Best first: the order of negotiation.
std::span<const MechanismRow> MechanismTable();
const MechanismRow& RowOf(WrapMechanism mechanism);
// The master key is an RSA key pair, not an AES key.
bool UsesRsa(WrapMechanism mechanism);

// A mechanism and the variations that modules insist on.
struct WrapProfile {
  WrapMechanism mechanism = WrapMechanism::kGcmEncrypt;
  GcmParameterLayout gcm_layout = GcmParameterLayout::kWithIvBits;
  bool unwrap_needs_value_length = false;
  friend bool operator==(const WrapProfile&, const WrapProfile&) = default;
};

struct WrappingKey {
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  WrapProfile profile;
  ByteView public_key;  // SubjectPublicKeyInfo of an RSA key
};

// The one error for whatever is wrong with a wrap.
Error WrapDoesNotOpen(std::string detail);

// Wraps `key` (1..64 bytes) bound to `context`; fills mechanism, nonce, tag, key_bytes and blob. An
// RSA wrap is to be signed besides, and its signature checked before it is opened: wrap_signature.h.
Result<WrappedKey> WrapUnder(Session& session, const WrappingKey& master, const SecretBytes& key,
                             ByteView context);

// Opens it with the recorded mechanism only. Errors: kCorrupted without asking the token when
// lengths are impossible or the digest of the context differs; what the session says.
Result<SecretBytes> UnwrapUnder(Session& session, const WrappingKey& master,
                                const WrappedKey& wrapped, ByteView context);

}  // namespace kms::pkcs11
