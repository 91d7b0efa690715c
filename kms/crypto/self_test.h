// SPDX-License-Identifier: Apache-2.0
// Known-answer tests of every algorithm, run before the service serves (failures C16).
#pragma once

#include <span>
#include <string_view>

#include "kms/base/result.h"
#include "kms/crypto/aead.h"

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

struct KnownAnswers {
  std::span<const AeadAnswer> aead;
  std::span<const HkdfAnswer> hkdf;
  std::span<const DigestAnswer> digest;
};

// The vectors built into the program: at least one per algorithm.
KnownAnswers PublishedAnswers();

// Computes each answer, and checks that no cipher opens a message with a damaged tag. Errors:
// kInternal with the vector's source as detail: the process must not serve.
Status RunCryptoSelfTest(const KnownAnswers& answers = PublishedAnswers());

}  // namespace kms
