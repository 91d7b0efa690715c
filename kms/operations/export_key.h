// SPDX-License-Identifier: Apache-2.0
// Export a key's versions in the clear (transit-api 5.9, 6.18).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "kms/base/result.h"
#include "kms/crypto/key_export.h"
#include "kms/keys/key.h"
#include "kms/operations/exported_versions.h"

namespace kms {

enum class ExportType : std::uint8_t {
  kEncryptionKey,
  kSigningKey,
  kHmacKey,
  kPublicKey,
  kCertificateChain,
};

// "encryption-key", "signing-key", "hmac-key", "public-key", "certificate-chain"; nullopt for
// others ("invalid export type: X" is the caller's to say).
std::optional<ExportType> FindExportType(std::string_view name);

struct ExportRequest {
  ExportType type = ExportType::kPublicKey;
  std::string_view version;  // as ChooseExportedVersions
  KeyFormat format = KeyFormat::kDefault;
};

// Calls `visit` for each version in order, with the text that an answer carries; "" for a private
// key of which only the public half is known. Nothing leaves a key that is not exportable but its
// public keys and certificates. Any thread.
// Errors, kInvalidArgument: "private key material is not exportable", "encryption not supported for
// the key", "signing not supported for the key", "certificate chain not supported for keys that do
// not support signing", "unknown key type T for export type public-key", "selected key version does
// not have a certificate chain imported", those of ChooseExportedVersions, CheckUsable and
// kms/crypto/key_export.h; those of `visit`; kUnavailable, kInternal.
Status ExportKey(const Key& key, const ExportRequest& request, const ExportVisitor& visit);

}  // namespace kms
