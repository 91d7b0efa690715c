// SPDX-License-Identifier: Apache-2.0
// Login with a certificate.
#include <algorithm>
#include <utility>

#include "kms/auth/certificate_constraints.h"
#include "kms/identity/cert_auth.h"
#include "kms/identity/cert_paths.h"
#include "kms/store/list_all.h"

namespace kms {

namespace {


Error NotTrusted() {
  return MakeError(ErrorCode::kUnauthenticated,
                   "invalid certificate or no client certificate supplied");
}

Error NotMatched() {
  return MakeError(ErrorCode::kUnauthenticated,
                   "no chain matching all constraints could be found for this login certificate");
}

std::string AliasOf(const ClientCertificate& client) {
  const std::string& common_name = client.names().common_name;
  return common_name.empty() ? "key-" + client.KeyDigestHex() : common_name;
}

std::map<std::string, std::string> MetadataOf(const std::string& entry_name,
                                              const CertificateEntry& entry,
                                              const ClientCertificate& client) {
  const CertificateNames& names = client.names();
  std::map<std::string, std::string> metadata;
  for (const std::string& oid : entry.metadata_extensions) {
    const std::optional<std::string> text = client.ExtensionText(oid);
    if (text) {
      std::string key = oid;
      std::ranges::replace(key, '.', '-');
      metadata[key] = *text;
    }
  }
  metadata["cert_name"] = entry_name;
  metadata["common_name"] = names.common_name;
  metadata["serial_number"] = names.serial_decimal;
  metadata["subject_key_id"] = names.subject_key_id;
  metadata["authority_key_id"] = names.authority_key_id;
  return metadata;
}

}  // namespace

// `revision` as the store listed it; nullopt: not known, the entry is read. Null when it is gone.
Result<CertAuth::CandidateHandle> CertAuth::LoadCandidate(const std::string& path,
                                                          std::string_view name,
                                                          std::optional<Revision> revision) {
  CandidateHandle known = revision ? candidates_.Find(path, *revision) : nullptr;
  if (known != nullptr) {
    return known;
  }
  const std::optional<OpenedEntry> opened = KMS_TRY(sys_.Get(path));
  if (!opened) {
    return CandidateHandle{};
  }
  auto candidate = std::make_shared<Candidate>();
  candidate->name = name;
  candidate->entry = KMS_TRY(DecodeCertificateEntry(opened->value.View()));
  candidate->trust = KMS_TRY(CertificateTrust::Parse(candidate->entry.certificate));
  candidates_.Put(path, opened->revision, candidate);
  return CandidateHandle(std::move(candidate));
}

Result<std::vector<CertAuth::CandidateHandle>> CertAuth::Candidates(
    const AuthMount& mount, const std::optional<IdentityName>& name) {
  std::vector<CandidateHandle> candidates;
  std::vector<CandidateHandle> authorities;
  const std::string prefix = CertEntryPath(mount, "");
  if (name) {
    CandidateHandle only = KMS_TRY(LoadCandidate(prefix + name->text(), name->text(), {}));
    if (only != nullptr) {
      candidates.push_back(std::move(only));
    }
    return candidates;
  }
  const std::vector<ListedEntry> listed = KMS_TRY(ListAll(sys_, prefix));
  for (const ListedEntry& entry : listed) {
    CandidateHandle candidate =
        KMS_TRY(LoadCandidate(entry.path, entry.path.substr(prefix.size()), entry.revision));
    if (candidate != nullptr) {
      (candidate->trust->is_authority() ? authorities : candidates).push_back(std::move(candidate));
    }
  }
  // What names one certificate says more than what names whoever signs certificates.
  candidates.insert(candidates.end(), authorities.begin(), authorities.end());
  return candidates;
}

Result<std::vector<RevocationListHandle>> CertAuth::Lists(const AuthMount& mount) {
  std::vector<RevocationListHandle> lists;
  const std::vector<ListedEntry> listed = KMS_TRY(ListAll(sys_, RevocationListPath(mount, "")));
  for (const ListedEntry& entry : listed) {
    RevocationListHandle list = lists_.Find(entry.path, entry.revision);
    if (list == nullptr) {
      const std::optional<OpenedEntry> opened = KMS_TRY(sys_.Get(entry.path));
      if (!opened) {
        continue;
      }
      const Bytes der = KMS_TRY(DecodeRevocationListEntry(opened->value.View()));
      list = KMS_TRY(RevocationList::Parse(ByteView(der)));
      lists_.Put(entry.path, opened->revision, list);
    }
    lists.push_back(std::move(list));
  }
  return lists;
}

Result<LoginGrant> CertAuth::GrantOf(const AuthMount& mount, const Candidate& candidate,
                                     const ClientCertificate& client) {
  const CertSettings settings = KMS_TRY(ReadSettings(mount));
  const std::string& shown = candidate.entry.display_name;
  LoginGrant grant;
  grant.parameters = candidate.entry.parameters;
  grant.alias = AliasOf(client);
  grant.role = candidate.name;
  grant.display_name = mount.path + "-" + (shown.empty() ? candidate.name : shown);
  std::ranges::replace(grant.display_name, '/', '-');
  grant.metadata = MetadataOf(candidate.name, candidate.entry, client);
  if (!settings.disable_binding) {
    grant.bound_certificate = client.digest();
  }
  return grant;
}

Result<LoginGrant> CertAuth::Login(const AuthMount& mount, const std::optional<IdentityName>& name,
                                   const LoginOrigin& origin) {
  if (origin.certificates == nullptr || origin.certificates->empty()) {
    return InvalidArgument("no client certificate found");
  }
  const Result<ClientCertificate> client = ClientCertificate::Parse(*origin.certificates);
  if (!client.has_value()) {
    return NotTrusted();
  }
  const std::vector<CandidateHandle> candidates = KMS_TRY(Candidates(mount, name));
  const std::vector<RevocationListHandle> lists = KMS_TRY(Lists(mount));
  const std::int64_t now = ToUnixSeconds(clock_.Now());
  bool verified = false;
  for (const CandidateHandle& candidate : candidates) {
    const TrustVerdict verdict = candidate->trust->Judge(*client, lists, now);
    verified = verified || verdict != TrustVerdict::kUntrusted;
    if (verdict == TrustVerdict::kTrusted && Satisfies(*client, candidate->entry.constraints) &&
        AllowedFrom(candidate->entry.parameters.bound_cidrs, origin.address)) {
      return GrantOf(mount, *candidate, *client);
    }
  }
  return verified ? NotMatched() : NotTrusted();
}

}  // namespace kms
