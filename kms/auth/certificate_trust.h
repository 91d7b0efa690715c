// SPDX-License-Identifier: Apache-2.0
// CertificateTrust: what one entry of a cert mount trusts, and whether a presented chain is of it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/client_certificate.h"
#include "kms/auth/revocation_list.h"
#include "kms/base/result.h"
#include "kms/crypto/x509_handles.h"

namespace kms {

inline constexpr std::size_t kMaxTrustedCertificates = 10;

enum class TrustVerdict : std::uint8_t {
  kTrusted,
  kUntrusted,  // not of this entry, expired, or of the wrong kind
  kRevoked,    // by a list, or a list that covers it is not current
};

// Either authorities (basicConstraints CA:TRUE), each of which is trusted by itself, a root or not;
// or one pinned certificate, which must be presented as it is (CVE-2025-6037).
// Immutable. Thread rule: any thread.
class CertificateTrust {
 public:
  // Errors: kInvalidArgument "failed to parse certificate", with a reason for more certificates
  // than can be meant; "non-CA certificates should have TLS client authentication set as an
  // extended key usage" for a pinned one that no client may have.
  static Result<std::shared_ptr<const CertificateTrust>> Parse(std::string_view pem);

  // RFC 5280, 6: signatures, times, basic constraints, path length, key usage, client
  // authentication among the extended usages of everything below the authority, name constraints;
  // no SHA-1 and no keys below 112 bits of strength. The leaf is no authority itself. Every
  // certificate of the chain is held against every list.
  [[nodiscard]] TrustVerdict Judge(const ClientCertificate& client,
                                   std::span<const RevocationListHandle> lists,
                                   std::int64_t unix_seconds) const;

  [[nodiscard]] bool is_authority() const { return store_ != nullptr; }
  // As it is shown: PEM, one block after the other.
  [[nodiscard]] std::string Pem() const;

 private:
  CertificateTrust() = default;
  [[nodiscard]] TrustVerdict JudgeByAuthorities(const ClientCertificate& client,
                                                std::span<const RevocationListHandle> lists,
                                                std::int64_t unix_seconds) const;
  [[nodiscard]] TrustVerdict JudgePinned(const ClientCertificate& client,
                                         std::span<const RevocationListHandle> lists,
                                         std::int64_t unix_seconds) const;

  std::vector<internal::Certificate> certificates_;
  internal::CertificateStore store_;  // of authorities; null for a pinned certificate
};

using CertificateTrustHandle = std::shared_ptr<const CertificateTrust>;

}  // namespace kms
