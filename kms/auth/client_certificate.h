// SPDX-License-Identifier: Apache-2.0
// ClientCertificate: the chain that a client presented in TLS, read once. Says nothing about trust.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/digest.h"
#include "kms/base/result.h"
#include "kms/crypto/x509_handles.h"

namespace kms {

inline constexpr std::size_t kMaxPresentedCertificates = 10;

// In UTF-8. A value with control characters, or that is no text, is as if it were not there.
struct CertificateNames {
  std::string common_name;  // the last one, which is the most specific; empty: none
  std::vector<std::string> organizational_units;
  std::vector<std::string> dns_names;  // subject alternative names
  std::vector<std::string> email_addresses;
  std::vector<std::string> uris;
  std::string serial_decimal;
  std::string serial_hex;        // "0a:1b"
  std::string subject_key_id;    // "0a:1b"; empty: none
  std::string authority_key_id;  // likewise
};

// Immutable. Thread rule: any thread.
class ClientCertificate {
 public:
  // `chain` in DER, the leaf first. Errors: kInvalidArgument "malformed client certificate".
  static Result<ClientCertificate> Parse(std::span<const Bytes> chain);

  [[nodiscard]] const CertificateNames& names() const { return names_; }
  // SHA-256 of the leaf's DER: names this very certificate.
  [[nodiscard]] const Sha256Digest& digest() const { return digest_; }
  [[nodiscard]] const Bytes& der() const { return der_; }
  // SHA-256 of the leaf's SubjectPublicKeyInfo, in hexadecimal: the same for renewed certificates
  // of one key.
  [[nodiscard]] std::string KeyDigestHex() const;

  // The leaf's extension with this dotted OID: as text when it is one ASN.1 string, and its content
  // in hexadecimal. nullopt when it is absent.
  [[nodiscard]] std::optional<std::string> ExtensionText(std::string_view oid) const;
  [[nodiscard]] std::optional<std::string> ExtensionHex(std::string_view oid) const;

  [[nodiscard]] X509* leaf() const { return leaf_.get(); }
  // What came with the leaf: untrusted.
  [[nodiscard]] const std::vector<internal::Certificate>& others() const { return others_; }

 private:
  ClientCertificate(internal::Certificate leaf, Bytes der);

  internal::Certificate leaf_;
  std::vector<internal::Certificate> others_;
  Bytes der_;
  Sha256Digest digest_;
  CertificateNames names_;
};

}  // namespace kms
