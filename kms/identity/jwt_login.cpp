// SPDX-License-Identifier: Apache-2.0
// Login with a token, and what is kept of tokens that may log in only once.
#include <algorithm>
#include <utility>

#include "kms/auth/jwt.h"
#include "kms/auth/jwt_claims.h"
#include "kms/base/record_codec.h"
#include "kms/identity/entry_commit.h"
#include "kms/identity/jwt_auth.h"
#include "kms/identity/jwt_paths.h"

namespace kms {
namespace {

constexpr std::size_t kPage = 256;
// A clock that was set forward and back again must not make a token fresh.
constexpr std::int64_t kSeenMarginSeconds = 86'400;

std::optional<Sha256Digest> LeafOf(const LoginOrigin& origin) {
  if (origin.certificates == nullptr || origin.certificates->empty()) {
    return std::nullopt;
  }
  return Sha256(origin.certificates->front());
}

std::string SeenName(const JwtSubject& subject) {
  RecordWriter writer;
  writer.PutText(subject.issuer);  // with its length, so that no two pairs are one text
  writer.PutRaw(AsBytes(*subject.token_id));
  return HexEncode(Sha256(writer.Take()));
}

std::string DisplayName(const AuthMount& mount, const std::string& user) {
  std::string name = mount.path;
  std::ranges::replace(name, '/', '-');
  return name + "-" + user;
}

}  // namespace

// A key the mount does not know is asked for once: issuers rotate. What is unknown then is wrong.
Result<JsonValue> JwtAuth::VerifiedClaims(const Verifier& verifier, std::string_view jwt) {
  const Jws jws = KMS_TRY(ParseJws(jwt));
  JwtKeySetHandle keys = verifier.fixed_keys;
  if (keys == nullptr) {
    keys = KMS_TRY(verifier.source->Current());
  }
  JwtSignature signature = KMS_TRY(keys->Verify(jws, verifier.algorithms));
  if (signature == JwtSignature::kUnknownKey && verifier.source != nullptr) {
    keys = verifier.source->NewerThan(keys);
    signature = KMS_TRY(keys->Verify(jws, verifier.algorithms));
  }
  if (signature != JwtSignature::kGood) {
    return InvalidJwt("no known key successfully validated the token signature");
  }
  return ReadJwtClaims(jws);
}

Status JwtAuth::RecordAsSeen(const AuthMount& mount, const JwtSubject& subject) {
  if (!subject.token_id) {
    return InvalidJwt("it has no jti claim, which the role demands");
  }
  std::vector<SealedMutation> mutations;
  mutations.push_back(
      {.path = SeenJwtPath(mount, SeenName(subject)),
       .value = KMS_TRY(EncodeSeenJwt(subject.unusable_from_unix_seconds + kSeenMarginSeconds)),
       .expected_revision = 0});
  const Status recorded = CommitOnce(sys_, std::move(mutations));
  if (!recorded.has_value() && recorded.error().code == ErrorCode::kConflict) {
    return InvalidJwt("it was used before");
  }
  return recorded;
}

Result<LoginGrant> JwtAuth::Login(const AuthMount& mount, const IdentityName& role_name,
                                  std::string_view jwt, const LoginOrigin& origin) {
  const VerifierHandle verifier = KMS_TRY(VerifierOf(mount));
  const std::optional<JwtRole> role = KMS_TRY(ReadRole(mount, role_name));
  if (!role) {
    return MakeError(ErrorCode::kUnauthenticated,
                     "role \"" + role_name.text() + "\" could not be found");
  }
  if (jwt.empty()) {
    return InvalidArgument("missing token");
  }
  if (!AllowedFrom(role->parameters.bound_cidrs, origin.address)) {
    return MakeError(ErrorCode::kUnauthenticated, "request originated from invalid CIDR");
  }
  const std::optional<Sha256Digest> certificate = LeafOf(origin);
  if (role->bind_client_certificate && !certificate) {
    return MakeError(ErrorCode::kUnauthenticated, "a client certificate is required by the role");
  }
  const JsonValue claims = KMS_TRY(VerifiedClaims(*verifier, jwt));
  const JwtSubject subject =
      KMS_TRY(CheckClaims(claims, role->conditions,
                          {.issuer = verifier->issuer,
                           .certificate = certificate ? &*certificate : nullptr,
                           .now_unix_seconds = ToUnixSeconds(clock_.Now())}));
  if (role->forbid_replay) {
    KMS_TRY(RecordAsSeen(mount, subject));
  }
  LoginGrant grant;
  grant.parameters = role->parameters;
  grant.alias = subject.user;
  grant.role = role_name.text();
  grant.display_name = DisplayName(mount, subject.user);
  grant.metadata = subject.metadata;
  grant.metadata.insert_or_assign("role", role_name.text());
  if (role->bind_client_certificate || subject.bound_to_certificate) {
    grant.bound_certificate = certificate;
  }
  return grant;
}

Result<std::size_t> JwtAuth::Tidy(const AuthMount& mount, const std::function<bool()>& stop) {
  const std::string prefix = SeenJwtPath(mount, "");
  const std::int64_t now = ToUnixSeconds(clock_.Now());
  std::size_t gone = 0;
  std::string last;
  while (true) {
    const std::vector<ListedEntry> page = KMS_TRY(sys_.List(prefix, last, kPage));
    for (const ListedEntry& listed : page) {
      last = listed.path;
      if (stop()) {
        return gone;
      }
      const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(listed.path));
      if (!entry) {
        continue;
      }
      const std::int64_t forget = KMS_TRY(DecodeSeenJwt(entry->value.View()));
      if (now < forget) {
        continue;
      }
      std::vector<SealedMutation> mutations;
      mutations.push_back(
          {.path = listed.path, .value = std::nullopt, .expected_revision = std::nullopt});
      KMS_TRY(CommitEntries(sys_, std::move(mutations)));
      ++gone;
    }
    if (page.size() < kPage) {
      return gone;
    }
  }
}

}  // namespace kms
