// SPDX-License-Identifier: Apache-2.0
// Entries, revocation lists and settings. Login: cert_login.cpp.
#include "kms/identity/cert_auth.h"

#include <utility>

#include "kms/identity/cert_paths.h"
#include "kms/identity/entry_commit.h"

namespace kms {

namespace {

// Each round that fails is one in which somebody else changed the entry.
constexpr int kRounds = 100;
constexpr std::size_t kWarmCandidates = 10'000;
constexpr std::size_t kWarmLists = 256;

std::vector<SealedMutation> Put(std::string path, SecretBytes value,
                                std::optional<Revision> expected) {
  std::vector<SealedMutation> mutations;
  mutations.push_back(
      {.path = std::move(path), .value = std::move(value), .expected_revision = expected});
  return mutations;
}

Status Delete(SealedStore& sys, std::string path) {
  std::vector<SealedMutation> mutations;
  mutations.push_back(
      {.path = std::move(path), .value = std::nullopt, .expected_revision = std::nullopt});
  return CommitEntries(sys, std::move(mutations));
}

// What may be stored, with the certificate in its one spelling.
Status Complete(CertificateEntry& entry) {
  const CertificateTrustHandle trust = KMS_TRY(CertificateTrust::Parse(entry.certificate));
  KMS_TRY(CheckConstraints(entry.constraints));
  for (const std::string& oid : entry.metadata_extensions) {
    KMS_TRY(CheckOid(oid));
  }
  entry.certificate = trust->Pem();
  return Ok();
}

}  // namespace

CertAuth::CertAuth(SealedStore& sys, const Clock& clock)
    : sys_(sys), clock_(clock), candidates_(kWarmCandidates), lists_(kWarmLists) {}

Status CertAuth::CheckRoom(const std::string& prefix, std::size_t limit, const char* what) {
  const std::vector<std::string> names = KMS_TRY(ListNamesBelow(sys_, prefix, {}, limit));
  return names.size() < limit
             ? Ok()
             : InvalidArgument("a mount holds at most " + std::to_string(limit) + " " + what);
}

Status CertAuth::WriteEntry(const AuthMount& mount, const IdentityName& name,
                            const EntryChange& change) {
  const std::string path = CertEntryPath(mount, name.text());
  for (int round = 0; round < kRounds; ++round) {
    const std::optional<OpenedEntry> opened = KMS_TRY(sys_.Get(path));
    CertificateEntry entry;
    if (opened) {
      entry = KMS_TRY(DecodeCertificateEntry(opened->value.View()));
    } else {
      KMS_TRY(CheckRoom(CertEntryPath(mount, ""), kMaxCertificateEntries, "certificates"));
    }
    KMS_TRY(change(entry));
    KMS_TRY(Complete(entry));
    SecretBytes value = KMS_TRY(EncodeCertificateEntry(entry));
    const Status stored =
        CommitEntries(sys_, Put(path, std::move(value), opened ? opened->revision : 0));
    if (stored.has_value() || stored.error().code != ErrorCode::kConflict) {
      return stored;
    }
  }
  return Conflict("the certificate is being changed by others");
}

Result<std::optional<CertificateEntry>> CertAuth::ReadEntry(const AuthMount& mount,
                                                            const IdentityName& name) {
  const std::optional<OpenedEntry> opened = KMS_TRY(sys_.Get(CertEntryPath(mount, name.text())));
  if (!opened) {
    return std::optional<CertificateEntry>{};
  }
  return std::optional<CertificateEntry>(KMS_TRY(DecodeCertificateEntry(opened->value.View())));
}

Result<std::vector<std::string>> CertAuth::ListEntries(const AuthMount& mount,
                                                       std::string_view after, std::size_t limit) {
  return ListNamesBelow(sys_, CertEntryPath(mount, ""), after, limit);
}

Status CertAuth::DeleteEntry(const AuthMount& mount, const IdentityName& name) {
  return Delete(sys_, CertEntryPath(mount, name.text()));
}

Status CertAuth::WriteRevocationList(const AuthMount& mount, const IdentityName& name,
                                     const RevocationList& list) {
  const std::string path = RevocationListPath(mount, name.text());
  const std::optional<OpenedEntry> opened = KMS_TRY(sys_.Get(path));
  if (!opened) {
    KMS_TRY(CheckRoom(RevocationListPath(mount, ""), kMaxRevocationLists, "revocation lists"));
  }
  SecretBytes value = KMS_TRY(EncodeRevocationListEntry(list.der()));
  return CommitEntries(sys_, Put(path, std::move(value), std::nullopt));
}

Result<RevocationListHandle> CertAuth::ReadRevocationList(const AuthMount& mount,
                                                          const IdentityName& name) {
  const std::optional<OpenedEntry> opened =
      KMS_TRY(sys_.Get(RevocationListPath(mount, name.text())));
  if (!opened) {
    return RevocationListHandle{};
  }
  const Bytes der = KMS_TRY(DecodeRevocationListEntry(opened->value.View()));
  return RevocationList::Parse(ByteView(der));
}

Result<std::vector<std::string>> CertAuth::ListRevocationLists(const AuthMount& mount,
                                                               std::string_view after,
                                                               std::size_t limit) {
  return ListNamesBelow(sys_, RevocationListPath(mount, ""), after, limit);
}

Status CertAuth::DeleteRevocationList(const AuthMount& mount, const IdentityName& name) {
  return Delete(sys_, RevocationListPath(mount, name.text()));
}

Result<CertSettings> CertAuth::ReadSettings(const AuthMount& mount) {
  const std::optional<OpenedEntry> opened = KMS_TRY(sys_.Get(CertSettingsPath(mount)));
  return opened ? DecodeCertSettings(opened->value.View()) : CertSettings{};
}

Status CertAuth::WriteSettings(const AuthMount& mount, const CertSettings& settings) {
  SecretBytes value = KMS_TRY(EncodeCertSettings(settings));
  return CommitEntries(sys_, Put(CertSettingsPath(mount), std::move(value), std::nullopt));
}

}  // namespace kms
