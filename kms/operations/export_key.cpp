// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/export_key.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kms/crypto/certificate_chain.h"
#include "kms/operations/usable_key.h"

namespace kms {

namespace {

constexpr std::pair<std::string_view, ExportType> kExportTypes[] = {
    {"encryption-key", ExportType::kEncryptionKey},
    {"signing-key", ExportType::kSigningKey},
    {"hmac-key", ExportType::kHmacKey},
    {"public-key", ExportType::kPublicKey},
    {"certificate-chain", ExportType::kCertificateChain},
};

Status CheckExportable(const KeyPolicy& policy, ExportType type) {
  const KeyTypeTraits& traits = TraitsOf(policy.type);
  const bool is_public = type == ExportType::kPublicKey || type == ExportType::kCertificateChain;
  if (policy.is_resident() && !is_public) {
    return InvalidArgument("private key material is not exportable: the key lives in an HSM and "
                           "cannot leave it");
  }
  if (!policy.exportable && !is_public) {
    return InvalidArgument("private key material is not exportable");
  }
  if (type == ExportType::kEncryptionKey && !traits.supports_encryption) {
    return InvalidArgument("encryption not supported for the key");
  }
  if (type == ExportType::kSigningKey && !traits.supports_signing) {
    return InvalidArgument("signing not supported for the key");
  }
  if (type == ExportType::kCertificateChain && !traits.supports_signing) {
    return InvalidArgument("certificate chain not supported for keys that do not support signing");
  }
  if (type == ExportType::kPublicKey && !traits.is_asymmetric()) {
    return InvalidArgument("unknown key type " + std::string(traits.name) +
                           " for export type public-key");
  }
  return Ok();
}

Result<SecretBytes> PrivateText(const Key& key, const KeyVersion& version, KeyFormat format) {
  const AsymmetricKey* pair = key.FindAsymmetric(version.number);
  if (pair == nullptr) {
    return ExportSymmetricKey(version.material.View(), format);
  }
  return ExportPrivateKey(*pair, format);
}

Result<std::string> PublicText(const Key& key, const KeyVersion& version, ExportType type,
                               KeyFormat format) {
  if (type == ExportType::kPublicKey) {
    return ExportPublicKey(*key.FindAsymmetric(version.number), format);
  }
  if (version.certificate_chain.empty()) {
    return InvalidArgument("selected key version does not have a certificate chain imported");
  }
  return RenderCertificateChain(version.certificate_chain);
}

Status ExportVersion(const Key& key, const KeyVersion& version, const ExportRequest& request,
                     const ExportVisitor& visit) {
  switch (request.type) {
    case ExportType::kEncryptionKey:
    case ExportType::kSigningKey: {
      const SecretBytes text = KMS_TRY(PrivateText(key, version, request.format));
      return visit(version.number, text.View());
    }
    case ExportType::kHmacKey: {
      const SecretBytes text = KMS_TRY(ExportSymmetricKey(version.hmac_key.View(), request.format));
      return visit(version.number, text.View());
    }
    case ExportType::kPublicKey:
    case ExportType::kCertificateChain: {
      const std::string text = KMS_TRY(PublicText(key, version, request.type, request.format));
      return visit(version.number, AsBytes(text));
    }
  }
  std::unreachable();
}

}  // namespace

std::optional<ExportType> FindExportType(std::string_view name) {
  const auto* row =
      std::ranges::find(kExportTypes, name, &std::pair<std::string_view, ExportType>::first);
  return row == std::end(kExportTypes) ? std::nullopt : std::optional(row->second);
}

Status ExportKey(const Key& key, const ExportRequest& request, const ExportVisitor& visit) {
  KMS_TRY(CheckUsable(key));
  KMS_TRY(CheckExportable(key.policy(), request.type));
  const std::vector<const KeyVersion*> versions =
      KMS_TRY(ChooseExportedVersions(key, request.version));
  for (const KeyVersion* version : versions) {
    KMS_TRY(ExportVersion(key, *version, request, visit));
  }
  return Ok();
}

}  // namespace kms
