// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/byok_export.h"

#include <string>

#include "kms/base/base64.h"
#include "kms/crypto/import_blob.h"
#include "kms/operations/usable_key.h"

namespace kms {

namespace {

Status CheckPair(const Key* destination, const Key* source) {
  if (destination == nullptr) {
    return InvalidArgument("no such destination key to export to");
  }
  if (source == nullptr) {
    return InvalidArgument("no such source key for export");
  }
  KMS_TRY(CheckUsable(*destination));
  KMS_TRY(CheckUsable(*source));
  if (source->policy().is_resident()) {
    return InvalidArgument("key is not exportable: it lives in an HSM and cannot leave it");
  }
  if (!source->policy().exportable) {
    return InvalidArgument("key is not exportable");
  }
  if (TraitsOf(destination->policy().type).family != KeyFamily::kRsa) {
    return InvalidArgument("unsupported key type in use; must be a rsa key");
  }
  return Ok();
}

Result<std::string> WrapVersion(const AsymmetricKey& wrapping_key, HashAlgorithm hash,
                                const KeyVersion& version) {
  if (version.material.empty()) {
    return InvalidArgument("cannot export version " + std::to_string(version.number) +
                           ": it does not have a private counterpart");
  }
  const Bytes blob = KMS_TRY(SealImportBlob(wrapping_key, hash, version.material.View()));
  return Base64Encode(blob);
}

}  // namespace

Result<KeyHandle> ByokExport(Environment& environment, const KeyName& destination,
                             const KeyName& source, const ByokExportRequest& request,
                             const ExportVisitor& visit) {
  const KeyHandle to = KMS_TRY(environment.FindKey(destination));
  KeyHandle from = KMS_TRY(environment.FindKey(source));
  KMS_TRY(CheckPair(to.get(), from.get()));
  const AsymmetricKey& wrapping_key = *to->FindAsymmetric(to->policy().latest_version);
  const std::vector<const KeyVersion*> versions =
      KMS_TRY(ChooseExportedVersions(*from, request.version));
  for (const KeyVersion* version : versions) {
    const std::string blob = KMS_TRY(WrapVersion(wrapping_key, request.hash, *version));
    KMS_TRY(visit(version->number, AsBytes(blob)));
  }
  return from;
}

}  // namespace kms
