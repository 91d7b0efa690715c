// SPDX-License-Identifier: Apache-2.0
// ImportKeyRecord: what is stored of the RSA key in an HSM to which callers encrypt key material
// that they import. Encodes to a versioned binary form; a frozen sample lives in tests/vectors.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/crypto/hash.h"

namespace kms {

inline constexpr std::size_t kImportKeyBits = 4096;
inline constexpr std::size_t kImportCiphertextBytes = kImportKeyBits / 8;

// The hash functions that OAEP is used with (transit-api 5.8), in the order of the record.
inline constexpr std::array kImportHashes = {HashAlgorithm::kSha1, HashAlgorithm::kSha2_224,
                                             HashAlgorithm::kSha2_256, HashAlgorithm::kSha2_384,
                                             HashAlgorithm::kSha2_512};

// Where the padding of a ciphertext is taken off. Stored numbers: do not change or reuse.
enum class OaepPlace : std::uint8_t {
  kNowhere = 0,  // the token does not open ciphertexts of this hash function at all
  kToken = 1,    // by the token: CKM_RSA_PKCS_OAEP
  kWorker = 2,   // the token does the RSA operation alone (CKM_RSA_X_509)
};

struct ImportKeyRecord {
  Uuid id;            // CKA_ID
  std::string label;  // CKA_LABEL
  std::string token_label;
  std::string token_serial;
  std::string module_description;
  Bytes public_key;                                       // SubjectPublicKeyInfo, DER
  std::array<OaepPlace, kImportHashes.size()> places{};  // by known-answer test, as kImportHashes
  std::int64_t created_unix_seconds = 0;

  // kNowhere for a hash function that is not in kImportHashes.
  [[nodiscard]] OaepPlace PlaceOf(HashAlgorithm hash) const;

  [[nodiscard]] Bytes Encode() const;
  // Errors: kCorrupted for anything Encode did not make; an unknown format names itself.
  static Result<ImportKeyRecord> Decode(ByteView encoded);
  friend bool operator==(const ImportKeyRecord&, const ImportKeyRecord&) = default;
};

}  // namespace kms
