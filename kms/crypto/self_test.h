// SPDX-License-Identifier: Apache-2.0
// Known-answer tests of every algorithm, run before the service serves (failures C16).
#pragma once

#include <span>
#include <string_view>

#include "kms/base/result.h"
#include "kms/crypto/aead.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/signature.h"

namespace kms {

// One published vector; values in hexadecimal.
struct AeadAnswer {
  std::string_view source;
  AeadAlgorithm algorithm;
  std::string_view key;
  std::string_view nonce;
  std::string_view associated_data;
  std::string_view plaintext;
  std::string_view sealed;  // ciphertext || tag
};

struct HkdfAnswer {
  std::string_view source;
  std::string_view input_key;
  std::string_view salt;
  std::string_view info;
  std::string_view output;
};

struct DigestAnswer {
  std::string_view source;
  std::string_view message;
  std::string_view sha256;
};

// With SHA-256; RSA by PSS with a salt of any length.
struct SignatureAnswer {
  std::string_view source;
  AsymmetricAlgorithm algorithm;
  SignatureMarshaling marshaling;
  std::string_view public_key;  // SubjectPublicKeyInfo
  std::string_view message;
  std::string_view signature;
};

// Deterministic, so it is signed as well.
struct Ed25519Answer {
  std::string_view source;
  std::string_view seed;
  std::string_view public_key;
  std::string_view message;
  std::string_view signature;
};

struct OaepAnswer {
  std::string_view source;
  AsymmetricAlgorithm algorithm;
  std::string_view private_key;  // PrivateKeyInfo
  std::string_view ciphertext;
  std::string_view plaintext;
};

struct KnownAnswers {
  std::span<const AeadAnswer> aead;
  std::span<const HkdfAnswer> hkdf;
  std::span<const DigestAnswer> digest;
  std::span<const SignatureAnswer> signature;
  std::span<const Ed25519Answer> ed25519;
  std::span<const OaepAnswer> oaep;
};

// The vectors built into the program: at least one per algorithm.
KnownAnswers PublishedAnswers();

// Computes each answer, and checks that no cipher opens a message with a damaged tag and no damaged
// signature verifies. Takes milliseconds; InitializeSecretMemory comes before it. Errors: kInternal
// with the vector's source as detail: the process must not serve.
Status RunCryptoSelfTest(const KnownAnswers& answers = PublishedAnswers());

}  // namespace kms
