// SPDX-License-Identifier: Apache-2.0
// CertAuth: machines that log in with the certificate of their TLS connection (transit-api 10.5).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/certificate_trust.h"
#include "kms/auth/client_certificate.h"
#include "kms/auth/identity_name.h"
#include "kms/auth/revocation_list.h"
#include "kms/auth/token_parameters.h"
#include "kms/base/clock.h"
#include "kms/base/result.h"
#include "kms/identity/auth_mounts.h"
#include "kms/identity/cert_records.h"
#include "kms/identity/revision_cache.h"
#include "kms/master/sealed_store.h"

namespace kms {

inline constexpr std::size_t kMaxCertificateEntries = 1'000;  // of one mount
inline constexpr std::size_t kMaxRevocationLists = 32;        // of one mount

// Entries in `sys`, below auth/<mount accessor>/: certs/<name>, crls/<name>, config.
// Thread rule: any thread. No lock is held across store I/O.
class CertAuth {
 public:
  using EntryChange = std::function<Status(CertificateEntry&)>;

  // Both must outlive it.
  CertAuth(SealedStore& sys, const Clock& clock);

  // Makes the entry, or changes what is given of an existing one; `change` may run more than once.
  // The certificate is stored as CertificateTrust writes it. Errors: those of `change`,
  // CertificateTrust::Parse and CheckConstraints; kInvalidArgument for more than
  // kMaxCertificateEntries; store errors.
  Status WriteEntry(const AuthMount& mount, const IdentityName& name, const EntryChange& change);
  Result<std::optional<CertificateEntry>> ReadEntry(const AuthMount& mount,
                                                    const IdentityName& name);
  // In bytewise order, after `after`; `limit` 0: all.
  Result<std::vector<std::string>> ListEntries(const AuthMount& mount, std::string_view after,
                                               std::size_t limit);
  // Success when absent. The entry's tokens are the caller's to revoke.
  Status DeleteEntry(const AuthMount& mount, const IdentityName& name);

  // Counts from the next login on. Tokens that were issued before stay: they end with their TTL or
  // by revocation. Errors: kInvalidArgument for more than kMaxRevocationLists; store errors.
  Status WriteRevocationList(const AuthMount& mount, const IdentityName& name,
                             const RevocationList& list);
  // Null when there is none.
  Result<RevocationListHandle> ReadRevocationList(const AuthMount& mount, const IdentityName& name);
  Result<std::vector<std::string>> ListRevocationLists(const AuthMount& mount,
                                                       std::string_view after, std::size_t limit);
  Status DeleteRevocationList(const AuthMount& mount, const IdentityName& name);

  Result<CertSettings> ReadSettings(const AuthMount& mount);
  Status WriteSettings(const AuthMount& mount, const CertSettings& settings);

  // Looks at the entry `name`, or at all of them: pinned certificates first, then by name; the
  // first that trusts the certificate, and whose constraints and bound_cidrs hold, grants. The
  // alias is the common name, or "key-" and the key's digest when there is none. Errors:
  // kInvalidArgument "no client certificate found"; kUnauthenticated "invalid certificate or no
  // client certificate supplied" when no entry trusts it, "no chain matching all constraints could
  // be found for this login certificate" when one does but its constraints do not hold or it is
  // revoked; store errors.
  Result<LoginGrant> Login(const AuthMount& mount, const std::optional<IdentityName>& name,
                           const LoginOrigin& origin);

 private:
  struct Candidate {
    std::string name;
    CertificateEntry entry;
    CertificateTrustHandle trust;
  };
  using CandidateHandle = std::shared_ptr<const Candidate>;

  Result<CandidateHandle> LoadCandidate(const std::string& path, std::string_view name,
                                        std::optional<Revision> revision);
  Result<std::vector<CandidateHandle>> Candidates(const AuthMount& mount,
                                                  const std::optional<IdentityName>& name);
  Result<std::vector<RevocationListHandle>> Lists(const AuthMount& mount);
  Result<LoginGrant> GrantOf(const AuthMount& mount, const Candidate& candidate,
                             const ClientCertificate& client);
  [[nodiscard]] Status CheckRoom(const std::string& prefix, std::size_t limit, const char* what);

  SealedStore& sys_;
  const Clock& clock_;
  RevisionCache<Candidate> candidates_;
  RevisionCache<RevocationList> lists_;
};

}  // namespace kms
