// SPDX-License-Identifier: Apache-2.0
// Small secrets encrypted to a person's public key: shares on their way to recovery holders and
// back to a ceremony.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/asymmetric_key.h"

namespace kms {

// The SubjectPublicKeyInfo DER of a PEM "PUBLIC KEY" that may be encrypted to.
// Errors: kInvalidArgument when it is no public key in PEM form, neither RSA of 3072 or 4096 bits
// nor X25519, or unsound (see kms/crypto/key_import.h; X25519: a point of small order).
Result<Bytes> ReadHolderPublicKey(std::string_view pem);
// The same checks of the DER itself.
Status CheckHolderPublicKey(ByteView spki);
// "RSA-3072", "RSA-4096", "X25519"; "unknown" for what does not pass CheckHolderPublicKey's look at
// type and size.
std::string_view HolderKeyKind(ByteView spki);
// SHA-256 of the SubjectPublicKeyInfo in eight groups of eight hexadecimal digits, to be read
// aloud.
std::string HolderKeyFingerprint(ByteView spki);
// The PEM "PUBLIC KEY" of an encoded one.
std::string HolderPublicKeyPem(ByteView spki);

// Encrypts `secret` (1..4096 bytes) to the holder of `spki`, bound to `context`: it opens with the
// same context only. Layout: share_encryption.cpp. Any thread.
// Errors: kInvalidArgument as CheckHolderPublicKey, and for sizes; kUnavailable, kInternal.
Result<Bytes> EncryptToHolder(ByteView spki, const SecretBytes& secret, ByteView context);

// Whether `encrypted` says that it is for the holder of `spki`; a hint, Open decides.
bool IsEncryptedTo(ByteView encrypted, ByteView spki);

// A holder's key pair. Immutable; any thread.
class HolderPrivateKey {
 public:
  // Asked only when the key is encrypted.
  using AskPassphrase = std::function<Result<SecretBytes>()>;

  // A fresh X25519 pair. Errors: kUnavailable, kInternal.
  static Result<HolderPrivateKey> Generate();
  // From the first private key of a PEM text, encrypted or not. Errors: kInvalidArgument (none, of
  // another kind, a wrong passphrase), those of `ask`, kUnavailable.
  static Result<HolderPrivateKey> FromPem(std::string_view pem, const AskPassphrase& ask);

  // PEM "PRIVATE KEY", or "ENCRYPTED PRIVATE KEY" (AES-256-CBC under scrypt, RFC 7914; openssl
  // reads it) with a passphrase. Errors: kFailedPrecondition for RSA, kUnavailable, kInternal.
  [[nodiscard]] Result<SecretBytes> ToPem() const;
  [[nodiscard]] Result<SecretBytes> ToEncryptedPem(const SecretBytes& passphrase) const;

  [[nodiscard]] const Bytes& public_key() const { return public_key_; }  // SPKI DER

  // Opens what EncryptToHolder made. Errors: kDecryptionFailed, one text for every cause.
  [[nodiscard]] Result<SecretBytes> Open(ByteView encrypted, ByteView context) const;

 private:
  HolderPrivateKey(Bytes public_key, std::optional<AsymmetricKey> rsa, SecretBytes x25519)
      : public_key_(std::move(public_key)), rsa_(std::move(rsa)), x25519_(std::move(x25519)) {}
  static Result<HolderPrivateKey> FromX25519(SecretBytes scalar);

  Bytes public_key_;
  std::optional<AsymmetricKey> rsa_;
  SecretBytes x25519_;  // RFC 7748; empty for RSA
};

}  // namespace kms
