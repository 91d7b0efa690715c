// SPDX-License-Identifier: Apache-2.0
// Configuration and roles.
#include "kms/identity/jwt_auth.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kms/auth/outbound_url.h"
#include "kms/identity/entry_commit.h"
#include "kms/identity/jwt_paths.h"

namespace kms {
namespace {

// Each round that fails is one in which somebody else changed the role.
constexpr int kRounds = 100;
constexpr std::size_t kMaxIssuerBytes = 2048;

Status CheckSources(const JwtConfig& config) {
  const std::array<bool, 4> given = {!config.oidc_discovery_url.empty(), !config.jwks_url.empty(),
                                     !config.jwks.empty(), !config.jwt_validation_pubkeys.empty()};
  if (std::ranges::count(given, true) != 1) {
    return InvalidArgument(
        "exactly one of 'jwks', 'jwt_validation_pubkeys', 'jwks_url' or 'oidc_discovery_url' must "
        "be set");
  }
  if (!config.oidc_discovery_ca_pem.empty() && config.oidc_discovery_url.empty()) {
    return InvalidArgument("'oidc_discovery_ca_pem' is for 'oidc_discovery_url'");
  }
  if (!config.jwks_ca_pem.empty() && config.jwks_url.empty()) {
    return InvalidArgument("'jwks_ca_pem' is for 'jwks_url'");
  }
  return Ok();
}

Status CheckSettings(const JwtConfig& config) {
  KMS_TRY(CheckSources(config));
  if (std::max(config.oidc_discovery_ca_pem.size(), config.jwks_ca_pem.size()) > kMaxCaPemBytes) {
    return InvalidArgument("the certificates of the authorities are too large");
  }
  if (config.bound_issuer.size() > kMaxIssuerBytes) {
    return InvalidArgument("'bound_issuer' is too long");
  }
  for (const std::string& name : config.jwt_supported_algs) {
    if (!FindJwsAlgorithm(name)) {
      return InvalidArgument("unsupported algorithm in 'jwt_supported_algs'");
    }
  }
  return Ok();
}

JwtKeyLocation LocationOf(const JwtConfig& config) {
  if (!config.oidc_discovery_url.empty()) {
    return {.url = config.oidc_discovery_url,
            .ca_pem = config.oidc_discovery_ca_pem,
            .is_discovery = true,
            .issuer = config.bound_issuer};
  }
  return {.url = config.jwks_url, .ca_pem = config.jwks_ca_pem};
}

// Null when the keys are at a URL. Errors: kInvalidArgument.
Result<JwtKeySetHandle> FixedKeys(const JwtConfig& config) {
  if (!config.jwt_validation_pubkeys.empty()) {
    return JwtKeySet::FromPem(config.jwt_validation_pubkeys);
  }
  return config.jwks.empty() ? Result<JwtKeySetHandle>(nullptr) : JwtKeySet::ParseJwks(config.jwks);
}

Status CheckKeys(const JwtConfig& config, DocumentFetcher& fetcher, Deadline deadline) {
  const Result<JwtKeySetHandle> fixed = FixedKeys(config);
  if (!fixed.has_value() && fixed.error().code == ErrorCode::kInvalidArgument) {
    return InvalidArgument("error parsing public keys: " + fixed.error().public_message);
  }
  const JwtKeySetHandle keys = KMS_TRY(fixed);
  if (keys != nullptr) {
    return Ok();
  }
  const JwtKeyLocation location = LocationOf(config);
  KMS_TRY(ParseOutboundUrl(location.url));
  const Result<JwtKeySetHandle> fetched = FetchJwtKeys(fetcher, location, deadline);
  if (!fetched.has_value()) {
    return InvalidArgument(std::string(location.is_discovery ? "error checking oidc discovery URL: "
                                                             : "error checking jwks URL: ") +
                               fetched.error().public_message,
                           fetched.error().detail);
  }
  return Ok();
}

Status CheckRole(const JwtRole& role) {
  const JwtConditions& conditions = role.conditions;
  if (conditions.bound_audiences.empty() && conditions.bound_subject.empty() &&
      conditions.bound_claims.empty() && role.parameters.bound_cidrs.empty()) {
    return InvalidArgument("must have at least one bound constraint when creating/updating a role");
  }
  return ValidateConditions(conditions);
}

}  // namespace

// ---- configuration -----------------------------------------------------------------------------

Status JwtAuth::WriteConfig(const AuthMount& mount, const JwtConfig& config) {
  KMS_TRY(CheckSettings(config));
  KMS_TRY(CheckKeys(config, fetcher_, clock_.SteadyNow() + kJwksFetchTimeout));
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = JwtConfigPath(mount),
                       .value = KMS_TRY(EncodeJwtConfig(config)),
                       .expected_revision = std::nullopt});
  return CommitEntries(sys_, std::move(mutations));
}

Result<std::optional<JwtAuth::LoadedConfig>> JwtAuth::LoadConfig(const AuthMount& mount) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(JwtConfigPath(mount)));
  if (!entry) {
    return std::optional<LoadedConfig>{};
  }
  return std::optional(LoadedConfig{.config = KMS_TRY(DecodeJwtConfig(entry->value.View())),
                                    .revision = entry->revision});
}

Result<std::optional<JwtConfig>> JwtAuth::ReadConfig(const AuthMount& mount) {
  std::optional<LoadedConfig> loaded = KMS_TRY(LoadConfig(mount));
  return loaded ? std::optional(std::move(loaded->config)) : std::nullopt;
}

Result<std::string> JwtAuth::DefaultRole(const AuthMount& mount) {
  const std::optional<LoadedConfig> loaded = KMS_TRY(LoadConfig(mount));
  return loaded ? loaded->config.default_role : std::string();
}

Result<JwtAuth::VerifierHandle> JwtAuth::MakeVerifier(const LoadedConfig& loaded) {
  const JwtConfig& config = loaded.config;
  auto made = std::make_shared<Verifier>();
  made->revision = loaded.revision;
  made->issuer = config.bound_issuer.empty() ? config.oidc_discovery_url : config.bound_issuer;
  for (const std::string& name : config.jwt_supported_algs) {
    const std::optional<JwsAlgorithm> algorithm = FindJwsAlgorithm(name);
    if (!algorithm) {  // dropping it could leave an empty list, which allows all
      return Corrupted("damaged entry", "jwt_supported_algs");
    }
    made->algorithms.push_back(*algorithm);
  }
  made->fixed_keys = KMS_TRY(FixedKeys(config));
  if (made->fixed_keys == nullptr) {
    made->source = std::make_unique<JwtKeySource>(fetcher_, clock_, LocationOf(config));
  }
  return made;
}

// Two threads may make one at a time: the second one's stays, and both serve.
Result<JwtAuth::VerifierHandle> JwtAuth::VerifierOf(const AuthMount& mount) {
  const std::optional<LoadedConfig> loaded = KMS_TRY(LoadConfig(mount));
  if (!loaded) {
    return InvalidArgument("could not load configuration");
  }
  {
    const ScopedLock lock(mutex_);
    const auto found = verifiers_.find(mount.accessor);
    if (found != verifiers_.end() && found->second->revision == loaded->revision) {
      return found->second;
    }
  }
  VerifierHandle made = KMS_TRY(MakeVerifier(*loaded));
  const ScopedLock lock(mutex_);
  VerifierHandle& kept = verifiers_[mount.accessor];
  if (kept == nullptr || kept->revision < made->revision) {
    kept = made;
  }
  return kept->revision == made->revision ? kept : made;
}

// ---- roles -------------------------------------------------------------------------------------

Result<std::optional<JwtRole>> JwtAuth::ReadRole(const AuthMount& mount, const IdentityName& name) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(JwtRolePath(mount, name.text())));
  if (!entry) {
    return std::optional<JwtRole>{};
  }
  return std::optional(KMS_TRY(DecodeJwtRole(entry->value.View())));
}

Status JwtAuth::WriteRole(const AuthMount& mount, const IdentityName& name, const Change& change) {
  const std::string path = JwtRolePath(mount, name.text());
  for (int round = 0; round < kRounds; ++round) {
    const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(path));
    JwtRole role;
    if (entry) {
      role = KMS_TRY(DecodeJwtRole(entry->value.View()));
    }
    KMS_TRY(change(role, !entry.has_value()));
    KMS_TRY(CheckRole(role));
    std::vector<SealedMutation> mutations;
    mutations.push_back({.path = path,
                         .value = KMS_TRY(EncodeJwtRole(role)),
                         .expected_revision = entry ? entry->revision : 0});
    const Status stored = CommitEntries(sys_, std::move(mutations));
    if (stored.has_value() || stored.error().code != ErrorCode::kConflict) {
      return stored;
    }
  }
  return Conflict("the role is being changed by others");
}

Result<std::vector<std::string>> JwtAuth::ListRoles(const AuthMount& mount, std::string_view after,
                                                    std::size_t limit) {
  return ListNamesBelow(sys_, JwtRolePath(mount, ""), after, limit);
}

Status JwtAuth::DeleteRole(const AuthMount& mount, const IdentityName& name) {
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = JwtRolePath(mount, name.text()),
                       .value = std::nullopt,
                       .expected_revision = std::nullopt});
  return CommitEntries(sys_, std::move(mutations));
}

}  // namespace kms
