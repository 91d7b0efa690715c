// SPDX-License-Identifier: Apache-2.0
// How keys leave the service as text, byte for byte the table of transit-api 5.9.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/asymmetric_key.h"

namespace kms {

enum class KeyFormat : std::uint8_t { kDefault, kRaw, kDer, kPem };

// "", "raw", "der", "pem"; nullopt for others ("invalid format: X" is the caller's to say).
std::optional<KeyFormat> FindKeyFormat(std::string_view name);

// The text of a private key, as it stands in a response; empty without a private half.
//   RSA      default PEM PKCS #1 (RFC 8017, A.1.2)  der base64 of PKCS #8  pem PKCS #8
//   EC       default PEM SEC 1 (RFC 5915)           der base64 of PKCS #8  pem PKCS #8
//   Ed25519  default, raw: base64 of seed || public der base64 of PKCS #8  pem PKCS #8
// PEM has lines of 64 characters; that of RSA ends with a newline, the others do not.
// Errors: kInvalidArgument "unknown key format for rsa key; supported values are ``, `der`, or
// `pem`" ("ec" likewise) for raw; kUnavailable, kInternal.
Result<SecretBytes> ExportPrivateKey(const AsymmetricKey& key, KeyFormat format);

// The text of a public key: SubjectPublicKeyInfo as PEM (default, pem; newlines as above) or as
// base64 of its DER (der); Ed25519: base64 of the 32 bytes (default, raw). Errors: as above.
Result<std::string> ExportPublicKey(const AsymmetricKey& key, KeyFormat format);

// The `public_key` of a key object (transit-api 4.4): PEM with a final newline; Ed25519: base64.
Result<std::string> PublicKeyText(const AsymmetricKey& key);

// Base64 of an AEAD or HMAC key. Errors: kInvalidArgument "unknown format for HMAC key; supported
// values are `` or `raw`", which the reference says of AEAD keys too; kUnavailable.
Result<SecretBytes> ExportSymmetricKey(ByteView material, KeyFormat format);

// Base64 of `secret`, never outside of secret memory. Errors: kUnavailable.
Result<SecretBytes> Base64OfSecret(ByteView secret);

}  // namespace kms
