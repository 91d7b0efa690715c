// SPDX-License-Identifier: Apache-2.0
// CertificateConstraints: which of the certificates that an entry trusts may log in by it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/client_certificate.h"
#include "kms/base/result.h"

namespace kms {

// Patterns in which '*' stands for any characters, also none (MatchesGlob); DNS names compare
// without case, everything else exactly. Within one list of names any pattern may match any of the
// certificate's names; every list that is not empty must match (transit-api 10.5).
struct CertificateConstraints {
  std::vector<std::string> names;  // the common name, a DNS name or an email address
  std::vector<std::string> common_names;
  std::vector<std::string> dns_names;
  std::vector<std::string> email_addresses;
  std::vector<std::string> uris;
  std::vector<std::string> organizational_units;
  // "OID:pattern" of an extension that is an ASN.1 string, "hex:OID:pattern" of the hexadecimal
  // content of any. All of them must match.
  std::vector<std::string> required_extensions;

  friend bool operator==(const CertificateConstraints&, const CertificateConstraints&) = default;
};

// Errors: kInvalidArgument for required extensions of another form.
Status CheckConstraints(const CertificateConstraints& constraints);
// Errors: kInvalidArgument unless `text` is a dotted OID.
Status CheckOid(std::string_view text);

// A name that the certificate does not have matches nothing, "*" included.
bool Satisfies(const ClientCertificate& certificate, const CertificateConstraints& constraints);

}  // namespace kms
