// SPDX-License-Identifier: Apache-2.0
// What is stored of a cert mount: its entries, its revocation lists, its settings.
#pragma once

#include <string>
#include <vector>

#include "kms/auth/certificate_constraints.h"
#include "kms/auth/token_parameters.h"
#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms {

// Who may log in, and as what (transit-api 10.5).
struct CertificateEntry {
  std::string certificate;  // PEM as CertificateTrust writes it
  CertificateConstraints constraints;
  std::vector<std::string> metadata_extensions;  // OIDs whose text goes into the token's metadata
  std::string display_name;                      // empty: the entry's name
  TokenParameters parameters;
};

struct CertSettings {
  // Tokens are good with any certificate, or none. Off: with that of their login only.
  bool disable_binding = false;
};

// Errors of Encode: kUnavailable (secret memory). Of Decode: kCorrupted for anything Encode did not
// make.
Result<SecretBytes> EncodeCertificateEntry(const CertificateEntry& entry);
Result<CertificateEntry> DecodeCertificateEntry(ByteView encoded);
Result<SecretBytes> EncodeRevocationListEntry(ByteView der);
Result<Bytes> DecodeRevocationListEntry(ByteView encoded);
Result<SecretBytes> EncodeCertSettings(const CertSettings& settings);
Result<CertSettings> DecodeCertSettings(ByteView encoded);

}  // namespace kms
