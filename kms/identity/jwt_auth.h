// SPDX-License-Identifier: Apache-2.0
// JwtAuth: workloads and people who log in with a token of their own identity provider
// (transit-api 10.4).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/document_fetcher.h"
#include "kms/auth/identity_name.h"
#include "kms/auth/json_value.h"
#include "kms/auth/jwt_keys.h"
#include "kms/auth/token_parameters.h"
#include "kms/base/clock.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/identity/auth_mounts.h"
#include "kms/identity/jwt_key_source.h"
#include "kms/identity/jwt_records.h"
#include "kms/master/sealed_store.h"

namespace kms {

inline constexpr std::size_t kMaxCaPemBytes = std::size_t{64} << 10U;

// Entries in `sys` below auth/<mount accessor>/ (formats in jwt_records.cpp). A mount trusts one
// issuer; several issuers are several mounts, and no token is tried with the keys of another one
// (U16). Names are judged by whoever made the IdentityName. Thread rule: any thread. No lock is
// held across store I/O or fetches.
class JwtAuth {
 public:
  // What a write sets; may run more than once. `is_new`: the role does not exist yet.
  using Change = std::function<Status(JwtRole& role, bool is_new)>;

  // All three must outlive it.
  JwtAuth(SealedStore& sys, const Clock& clock, DocumentFetcher& fetcher)
      : sys_(sys), clock_(clock), fetcher_(fetcher) {}

  // Replaces the whole configuration; keys at a URL are fetched once to see that they are there.
  // Errors: kInvalidArgument: not exactly one source of keys, keys or algorithms that cannot be
  // used, bad URLs, "error checking oidc discovery URL: …", "error checking jwks URL: …"; store
  // errors.
  Status WriteConfig(const AuthMount& mount, const JwtConfig& config);
  // nullopt: none was written.
  Result<std::optional<JwtConfig>> ReadConfig(const AuthMount& mount);

  // Makes the role, or changes it. Errors: kInvalidArgument "must have at least one bound
  // constraint when creating/updating a role" (audiences, subject, claims or token_bound_cidrs),
  // those of ValidateConditions and of `change`; store errors.
  Status WriteRole(const AuthMount& mount, const IdentityName& name, const Change& change);
  Result<std::optional<JwtRole>> ReadRole(const AuthMount& mount, const IdentityName& name);
  // In bytewise order, after `after`; `limit` 0: all.
  Result<std::vector<std::string>> ListRoles(const AuthMount& mount, std::string_view after,
                                             std::size_t limit);
  // Success when absent. From the return on nobody logs in by it.
  Status DeleteRole(const AuthMount& mount, const IdentityName& name);

  // The role a login without one is for, canonical; empty: there is none.
  Result<std::string> DefaultRole(const AuthMount& mount);

  // Checks the token in the order of kms/auth/jwt.h; with forbid_replay it is recorded durably as
  // seen before the answer, so that of any number of logins with it one succeeds, and none after an
  // unknown outcome. `role` canonical. Errors: kInvalidArgument "could not load configuration",
  // "missing token"; kUnauthenticated `role "x" could not be found`, "error validating token: …"
  // and the others of transit-api 10.4; kUnavailable when the issuer's keys cannot be had (never a
  // login without them); store errors.
  Result<LoginGrant> Login(const AuthMount& mount, const IdentityName& role, std::string_view jwt,
                           const LoginOrigin& origin);

  // Forgets seen tokens that nobody would take any more; `stop` is asked between entries. Returns
  // how many went.
  Result<std::size_t> Tidy(const AuthMount& mount, const std::function<bool()>& stop);

 private:
  struct LoadedConfig {
    JwtConfig config;
    Revision revision = 0;
  };
  // What a configuration becomes for logins. Immutable but for its source of keys.
  struct Verifier {
    Revision revision = 0;
    std::string issuer;  // empty: any
    std::vector<JwsAlgorithm> algorithms;
    JwtKeySetHandle fixed_keys;  // null: they are at `source`
    std::unique_ptr<JwtKeySource> source;
  };
  using VerifierHandle = std::shared_ptr<Verifier>;

  Result<std::optional<LoadedConfig>> LoadConfig(const AuthMount& mount);
  Result<VerifierHandle> VerifierOf(const AuthMount& mount);
  Result<VerifierHandle> MakeVerifier(const LoadedConfig& loaded);
  static Result<JsonValue> VerifiedClaims(const Verifier& verifier, std::string_view jwt);
  Status RecordAsSeen(const AuthMount& mount, const JwtSubject& subject);

  SealedStore& sys_;
  const Clock& clock_;
  DocumentFetcher& fetcher_;

  Mutex mutex_;
  std::map<std::string, VerifierHandle> verifiers_ KMS_GUARDED_BY(mutex_);  // by mount accessor
};

}  // namespace kms
