// SPDX-License-Identifier: Apache-2.0
// RevocationList: one CRL (RFC 5280, 5) that an operator has uploaded.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/crypto/x509_handles.h"

namespace kms {

inline constexpr std::size_t kMaxRevocationListBytes = std::size_t{256} << 10U;

class RevocationList;
using RevocationListHandle = std::shared_ptr<const RevocationList>;

enum class RevocationVerdict : std::uint8_t {
  kNotCovered,  // the list is of another issuer
  kGood,
  kRevoked,
  kOutdated,  // covered, but the list is not current: nothing is known
};

// Immutable. Thread rule: any thread.
class RevocationList {
 public:
  // PEM ("X509 CRL") or DER, complete, at most kMaxRevocationListBytes of DER. Errors:
  // kInvalidArgument "failed to parse CRL: …" for what cannot be read, delta and indirect lists,
  // and critical extensions that are not understood.
  static Result<RevocationListHandle> Parse(std::string_view text);
  static Result<RevocationListHandle> Parse(ByteView der);

  // What it says of `certificate`. It covers what has its issuer's name and, where both say so, its
  // issuer's key identifier. `issuer` is the certificate that has signed `certificate`, and must
  // have signed the list as well; null where it is not at hand, as above a pinned certificate: then
  // the name is enough, since an operator has uploaded the list.
  [[nodiscard]] RevocationVerdict Judge(X509* certificate, X509* issuer,
                                        std::int64_t unix_seconds) const;

  [[nodiscard]] const Bytes& der() const { return der_; }
  [[nodiscard]] std::string Issuer() const;  // "CN=a,O=b"
  [[nodiscard]] std::optional<std::int64_t> this_update() const { return this_update_; }
  [[nodiscard]] std::optional<std::int64_t> next_update() const { return next_update_; }
  // In decimal, at most `limit`.
  [[nodiscard]] std::vector<std::string> RevokedSerials(std::size_t limit) const;
  [[nodiscard]] std::size_t revoked_count() const;

 private:
  RevocationList(internal::CertificateRevocationList list, ByteView der);
  [[nodiscard]] bool Covers(X509* certificate, X509* issuer) const;
  [[nodiscard]] bool IsCurrent(std::int64_t unix_seconds) const;

  internal::CertificateRevocationList list_;
  Bytes der_;
  Bytes authority_key_id_;  // empty: it does not say
  std::optional<std::int64_t> this_update_;
  std::optional<std::int64_t> next_update_;  // nullopt: it never ends
};

}  // namespace kms
