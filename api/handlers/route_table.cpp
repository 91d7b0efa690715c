// SPDX-License-Identifier: Apache-2.0
// One row per operation; tests/api/handlers/routes_snapshot_test.cpp holds the golden copy.
#include "api/handlers/route_table.h"

#include <algorithm>
#include <array>

#include "api/handlers/cert_routes.h"
#include "api/handlers/handlers.h"
#include "api/handlers/hsm_routes.h"
#include "api/handlers/jwt_routes.h"
#include "api/handlers/login_routes.h"
#include "api/handlers/token_routes.h"
#include "api/pipeline/metrics.h"

namespace kms::api {
namespace {

using enum FieldKind;

constexpr std::array kCreateKeyFields = {
    FieldSpec{.name = "type", .kind = kString, .fallback = "aes256-gcm96"},
    FieldSpec{.name = "derived", .kind = kBoolean},
    FieldSpec{.name = "convergent_encryption", .kind = kBoolean},
    FieldSpec{.name = "exportable", .kind = kBoolean},
    FieldSpec{.name = "allow_plaintext_backup", .kind = kBoolean},
    FieldSpec{.name = "auto_rotate_period", .kind = kDuration},
    FieldSpec{.name = "key_size", .kind = kInteger},
    FieldSpec{.name = "context", .kind = kBase64},
    FieldSpec{.name = "protection", .kind = kString},
    FieldSpec{.name = "hsm", .kind = kString},
    FieldSpec{.name = "external_key_ref", .kind = kString},
};
constexpr std::array kRotateKeyFields = {
    FieldSpec{.name = "external_key_ref", .kind = kString},
};
constexpr std::array kRateLimitFields = {
    FieldSpec{.name = "class", .kind = kString, .missing_text = "missing class"},
    FieldSpec{.name = "scope", .kind = kString, .fallback = "principal"},
    FieldSpec{.name = "rate", .kind = kInteger, .missing_text = "missing rate"},
    FieldSpec{.name = "interval", .kind = kDuration, .fallback = "1"},
    FieldSpec{.name = "burst", .kind = kInteger},
};
constexpr std::array kBudgetFields = {
    FieldSpec{.name = "environment", .kind = kString, .fallback = "*"},
    FieldSpec{.name = "key", .kind = kString, .fallback = "*"},
    FieldSpec{.name = "policy", .kind = kString, .fallback = "*"},
    FieldSpec{.name = "actor", .kind = kString, .fallback = "*"},
    FieldSpec{.name = "rows_per_hour", .kind = kInteger, .missing_text = "missing rows_per_hour"},
    FieldSpec{.name = "action", .kind = kString, .fallback = "alarm"},
};
constexpr std::array kLoginBlockFields = {
    FieldSpec{.name = "address", .kind = kString},
    FieldSpec{.name = "login", .kind = kString},
    FieldSpec{.name = "all", .kind = kBoolean},
};
constexpr std::array kReadKeyFields = {
    FieldSpec{.name = "context", .kind = kBase64},
};
constexpr std::array kListKeysFields = {
    FieldSpec{.name = "after", .kind = kString},
    FieldSpec{.name = "limit", .kind = kInteger},
    FieldSpec{.name = "list", .kind = kString},
};
constexpr std::array kConfigureKeyFields = {
    FieldSpec{.name = "min_decryption_version", .kind = kInteger},
    FieldSpec{.name = "min_encryption_version", .kind = kInteger},
    FieldSpec{.name = "deletion_allowed", .kind = kBoolean},
    FieldSpec{.name = "exportable", .kind = kBoolean},
    FieldSpec{.name = "allow_plaintext_backup", .kind = kBoolean},
    FieldSpec{.name = "auto_rotate_period", .kind = kDuration},
};
constexpr std::array kTrimKeyFields = {
    FieldSpec{.name = "min_available_version", .kind = kInteger},
};
constexpr std::array kImportKeyFields = {
    FieldSpec{.name = "type", .kind = kString, .fallback = "aes256-gcm96"},
    FieldSpec{.name = "ciphertext", .kind = kString},
    FieldSpec{.name = "public_key", .kind = kString},
    FieldSpec{.name = "hash_function", .kind = kString, .fallback = "SHA256"},
    FieldSpec{.name = "allow_rotation", .kind = kBoolean},
    FieldSpec{.name = "derived", .kind = kBoolean},
    FieldSpec{.name = "convergent_encryption", .kind = kBoolean},
    FieldSpec{.name = "exportable", .kind = kBoolean},
    FieldSpec{.name = "allow_plaintext_backup", .kind = kBoolean},
    FieldSpec{.name = "auto_rotate_period", .kind = kDuration},
    FieldSpec{.name = "context", .kind = kBase64},
};
constexpr std::array kImportVersionFields = {
    FieldSpec{.name = "ciphertext", .kind = kString},
    FieldSpec{.name = "public_key", .kind = kString},
    FieldSpec{.name = "hash_function", .kind = kString, .fallback = "SHA256"},
    FieldSpec{.name = "version", .kind = kInteger},
};
constexpr std::array kExportFields = {
    FieldSpec{.name = "format", .kind = kString},
};
constexpr std::array kByokExportFields = {
    FieldSpec{.name = "hash", .kind = kString, .fallback = "SHA256"},
};
constexpr std::array kDeriveKeyFields = {
    FieldSpec{.name = "key_derivation_algorithm", .kind = kString, .fallback = "ecdh"},
    FieldSpec{.name = "peer_public_key", .kind = kString},
    FieldSpec{.name = "base_key_name", .kind = kString},
    FieldSpec{.name = "base_key_version", .kind = kInteger},
    FieldSpec{.name = "derived_key_type", .kind = kString, .fallback = "aes256-gcm96"},
};
constexpr std::array kCreateCsrFields = {
    FieldSpec{.name = "version", .kind = kInteger},
    FieldSpec{.name = "csr", .kind = kString},
};
constexpr std::array kSetCertificateFields = {
    FieldSpec{.name = "version", .kind = kInteger},
    FieldSpec{.name = "certificate_chain", .kind = kString},
};
constexpr std::array kEncryptFields = {
    FieldSpec{.name = "plaintext", .kind = kBase64},
    FieldSpec{.name = "plaintext_crc32c", .kind = kInteger},
    FieldSpec{.name = "context", .kind = kBase64},
    FieldSpec{.name = "key_version", .kind = kInteger},
    FieldSpec{.name = "associated_data", .kind = kBase64},
    FieldSpec{.name = "associated_data_crc32c", .kind = kInteger},
    FieldSpec{.name = "checksum", .kind = kBoolean},
    FieldSpec{.name = "padding_scheme", .kind = kString},
    FieldSpec{.name = "nonce", .kind = kBase64},
    FieldSpec{.name = "type", .kind = kString, .fallback = "aes256-gcm96"},
    FieldSpec{.name = "convergent_encryption", .kind = kBoolean},
    FieldSpec{.name = "partial_failure_response_code", .kind = kInteger},
    FieldSpec{.name = "batch_input", .kind = kSlice},
};
constexpr std::array kDecryptFields = {
    FieldSpec{.name = "ciphertext", .kind = kString},
    FieldSpec{.name = "ciphertext_crc32c", .kind = kInteger},
    FieldSpec{.name = "context", .kind = kBase64},
    FieldSpec{.name = "associated_data", .kind = kBase64},
    FieldSpec{.name = "associated_data_crc32c", .kind = kInteger},
    FieldSpec{.name = "checksum", .kind = kBoolean},
    FieldSpec{.name = "padding_scheme", .kind = kString},
    FieldSpec{.name = "nonce", .kind = kBase64},
    FieldSpec{.name = "partial_failure_response_code", .kind = kInteger},
    FieldSpec{.name = "batch_input", .kind = kSlice},
};
constexpr std::array kRewrapFields = {
    FieldSpec{.name = "ciphertext", .kind = kString},
    FieldSpec{.name = "ciphertext_crc32c", .kind = kInteger},
    FieldSpec{.name = "context", .kind = kBase64},
    FieldSpec{.name = "key_version", .kind = kInteger},
    FieldSpec{.name = "associated_data", .kind = kBase64},
    FieldSpec{.name = "associated_data_crc32c", .kind = kInteger},
    FieldSpec{.name = "checksum", .kind = kBoolean},
    FieldSpec{.name = "decrypt_padding_scheme", .kind = kString},
    FieldSpec{.name = "encrypt_padding_scheme", .kind = kString},
    FieldSpec{.name = "nonce", .kind = kBase64},
    FieldSpec{.name = "batch_input", .kind = kSlice},
};
constexpr std::array kDataKeyFields = {
    FieldSpec{.name = "context", .kind = kBase64},
    FieldSpec{.name = "bits", .kind = kInteger, .fallback = "256"},
    FieldSpec{.name = "key_version", .kind = kInteger},
    FieldSpec{.name = "associated_data", .kind = kBase64},
    FieldSpec{.name = "associated_data_crc32c", .kind = kInteger},
    FieldSpec{.name = "checksum", .kind = kBoolean},
    FieldSpec{.name = "padding_scheme", .kind = kString},
    FieldSpec{.name = "nonce", .kind = kBase64},
};
constexpr std::array kDataKeysFields = {
    FieldSpec{.name = "count", .kind = kInteger, .missing_text = "missing count of data keys"},
    FieldSpec{.name = "context", .kind = kBase64},
    FieldSpec{.name = "bits", .kind = kInteger, .fallback = "256"},
    FieldSpec{.name = "key_version", .kind = kInteger},
    FieldSpec{.name = "associated_data", .kind = kBase64},
    FieldSpec{.name = "associated_data_crc32c", .kind = kInteger},
    FieldSpec{.name = "checksum", .kind = kBoolean},
    FieldSpec{.name = "padding_scheme", .kind = kString},
    FieldSpec{.name = "nonce", .kind = kBase64},
};
constexpr std::array kRestoreFields = {
    FieldSpec{.name = "backup", .kind = kString},
    FieldSpec{.name = "force", .kind = kBoolean},
};
constexpr std::array kRandomFields = {
    FieldSpec{.name = "bytes", .kind = kInteger, .fallback = "32"},
    FieldSpec{.name = "format", .kind = kString, .fallback = "base64"},
    FieldSpec{.name = "source", .kind = kString},
};
constexpr std::array kHashFields = {
    FieldSpec{.name = "input", .kind = kBase64},
    FieldSpec{.name = "algorithm", .kind = kString, .fallback = "sha2-256"},
    FieldSpec{.name = "format", .kind = kString, .fallback = "hex"},
};
constexpr std::array kHmacFields = {
    FieldSpec{.name = "input", .kind = kBase64},
    FieldSpec{.name = "algorithm", .kind = kString, .fallback = "sha2-256"},
    FieldSpec{.name = "key_version", .kind = kInteger},
    FieldSpec{.name = "batch_input", .kind = kSlice},
};
constexpr std::array kSignFields = {
    FieldSpec{.name = "input", .kind = kBase64},
    FieldSpec{.name = "hash_algorithm", .kind = kString, .fallback = "sha2-256"},
    FieldSpec{.name = "algorithm", .kind = kString},
    FieldSpec{.name = "key_version", .kind = kInteger},
    FieldSpec{.name = "context", .kind = kBase64},
    FieldSpec{.name = "prehashed", .kind = kBoolean},
    FieldSpec{.name = "signature_algorithm", .kind = kString},
    FieldSpec{.name = "marshaling_algorithm", .kind = kString, .fallback = "asn1"},
    FieldSpec{.name = "salt_length", .kind = kString, .fallback = "auto"},
    FieldSpec{.name = "batch_input", .kind = kSlice},
};
constexpr std::array kVerifyFields = {
    FieldSpec{.name = "input", .kind = kBase64},
    FieldSpec{.name = "signature", .kind = kString},
    FieldSpec{.name = "hmac", .kind = kString},
    FieldSpec{.name = "hash_algorithm", .kind = kString, .fallback = "sha2-256"},
    FieldSpec{.name = "algorithm", .kind = kString},
    FieldSpec{.name = "context", .kind = kBase64},
    FieldSpec{.name = "prehashed", .kind = kBoolean},
    FieldSpec{.name = "signature_algorithm", .kind = kString},
    FieldSpec{.name = "marshaling_algorithm", .kind = kString, .fallback = "asn1"},
    FieldSpec{.name = "salt_length", .kind = kString, .fallback = "auto"},
    FieldSpec{.name = "batch_input", .kind = kSlice},
};
constexpr std::array kKeysConfigFields = {
    FieldSpec{.name = "disable_upsert", .kind = kBoolean},
};
constexpr std::array kCacheConfigFields = {
    FieldSpec{.name = "size", .kind = kInteger},
};
constexpr std::array kHealthFields = {
    FieldSpec{.name = "activecode", .kind = kInteger, .fallback = "200"},
    FieldSpec{.name = "sealedcode", .kind = kInteger, .fallback = "503"},
    FieldSpec{.name = "standbycode", .kind = kInteger},
    FieldSpec{.name = "performancestandbycode", .kind = kInteger},
    FieldSpec{.name = "drsecondarycode", .kind = kInteger},
    FieldSpec{.name = "uninitcode", .kind = kInteger},
};
constexpr std::array kCreateMountFields = {
    FieldSpec{.name = "type",
              .kind = kString,
              .missing_text = "backend type must be specified as a string"},
    FieldSpec{.name = "description", .kind = kString},
    FieldSpec{.name = "config", .kind = kMap},
    FieldSpec{.name = "options", .kind = kMap},
    FieldSpec{.name = "recovery", .kind = kMap},
    FieldSpec{.name = "local", .kind = kBoolean},
    FieldSpec{.name = "seal_wrap", .kind = kBoolean},
    FieldSpec{.name = "external_entropy_access", .kind = kBoolean},
    FieldSpec{.name = "plugin_name", .kind = kString},
    FieldSpec{.name = "plugin_version", .kind = kString},
};
constexpr std::array kEnableAuthFields = {
    FieldSpec{.name = "type", .kind = kString},
    FieldSpec{.name = "description", .kind = kString},
    FieldSpec{.name = "config", .kind = kMap},
    FieldSpec{.name = "options", .kind = kMap},
    FieldSpec{.name = "local", .kind = kBoolean},
    FieldSpec{.name = "seal_wrap", .kind = kBoolean},
    FieldSpec{.name = "external_entropy_access", .kind = kBoolean},
    FieldSpec{.name = "plugin_name", .kind = kString},
};
constexpr std::array kAuthTuneFields = {
    FieldSpec{.name = "description", .kind = kString},
    FieldSpec{.name = "default_lease_ttl", .kind = kString},
    FieldSpec{.name = "max_lease_ttl", .kind = kString},
    FieldSpec{.name = "token_type", .kind = kString},
    FieldSpec{.name = "listing_visibility", .kind = kString},
    FieldSpec{.name = "options", .kind = kMap},
};
constexpr std::array kTuneFields = {
    FieldSpec{.name = "description", .kind = kString},
    FieldSpec{.name = "default_lease_ttl", .kind = kString},
    FieldSpec{.name = "max_lease_ttl", .kind = kString},
    FieldSpec{.name = "options", .kind = kMap},
};
constexpr std::array kMetricsFields = {
    FieldSpec{.name = "format", .kind = kString},
};
constexpr std::array kListPoliciesFields = {
    FieldSpec{.name = "list", .kind = kString},
};
constexpr std::array kWritePolicyFields = {
    FieldSpec{.name = "policy", .kind = kString},
};
constexpr std::array kWriteOldPolicyFields = {
    FieldSpec{.name = "policy", .kind = kString},
    FieldSpec{.name = "rules", .kind = kString},
};
constexpr std::array kExplainPolicyFields = {
    FieldSpec{.name = "token", .kind = kString},
    FieldSpec{.name = "accessor", .kind = kString},
    FieldSpec{.name = "method", .kind = kString, .missing_text = "missing method"},
    FieldSpec{.name = "path", .kind = kString, .missing_text = "missing path"},
};
constexpr std::array kCapabilitiesFields = {
    FieldSpec{.name = "token", .kind = kString},
    FieldSpec{.name = "accessor", .kind = kString},
    FieldSpec{.name = "paths", .kind = kSlice},
    FieldSpec{.name = "path", .kind = kSlice},
};
constexpr std::array kWrappingTokenFields = {
    FieldSpec{.name = "token", .kind = kString},
};
// Entries per second, so that rotations stay in the background; 0: as fast as it goes.
constexpr std::string_view kTaskRate = "3000";

constexpr std::array kStartTaskFields = {
    FieldSpec{.name = "dry_run", .kind = kBoolean},
    FieldSpec{.name = "rate", .kind = kInteger, .fallback = kTaskRate},
};
constexpr std::array kRotateMasterFields = {
    FieldSpec{.name = "to_hsm", .kind = kString},
    FieldSpec{.name = "dry_run", .kind = kBoolean},
    FieldSpec{.name = "rate", .kind = kInteger},
};
constexpr std::array kRecoveryFields = {
    FieldSpec{.name = "threshold", .kind = FieldKind::kInteger, .missing_text = "missing threshold"},
    FieldSpec{.name = "recipients", .kind = FieldKind::kMap, .missing_text = "missing recipients"},
};

constexpr std::array kRetireMasterFields = {
    FieldSpec{.name = "version", .kind = kInteger, .missing_text = "missing version"},
    FieldSpec{.name = "dry_run", .kind = kBoolean},
    FieldSpec{.name = "rate", .kind = kInteger},
};
constexpr std::array kStoreBackupFields = {
    FieldSpec{.name = "keep", .kind = kDuration, .fallback = "7776000"},  // 90 days
};
constexpr std::array kCheckStoreBackupFields = {
    FieldSpec{.name = "head", .kind = kString, .missing_text = "missing head"},
};
constexpr std::array kThrottleFields = {
    FieldSpec{.name = "rate", .kind = kInteger, .missing_text = "missing rate"},
};

constexpr std::array kRoutes = {
    // Below an environment.
    Route{.operation = Operation::kUpdate, .pattern = "encrypt/{name}", .capability = Capability::kUpdate,
          .fields = kEncryptFields, .handle = HandleEncrypt, .exists = KeyExists, .hot = HotVerb::kEncrypt},
    Route{.operation = Operation::kUpdate, .pattern = "decrypt/{name}", .capability = Capability::kUpdate,
          .fields = kDecryptFields, .handle = HandleCrypto, .hot = HotVerb::kDecrypt},
    Route{.operation = Operation::kUpdate, .pattern = "rewrap/{name}", .capability = Capability::kUpdate,
          .fields = kRewrapFields, .handle = HandleCrypto, .hot = HotVerb::kRewrap},
    Route{.operation = Operation::kUpdate, .pattern = "datakey/{plaintext}/{name}",
          .capability = Capability::kUpdate, .fields = kDataKeyFields, .handle = HandleDataKey,
          .hot = HotVerb::kDataKey},
    Route{.operation = Operation::kUpdate, .pattern = "datakeys/{plaintext}/{name}",
          .capability = Capability::kUpdate, .fields = kDataKeysFields, .handle = HandleDataKeys},
    Route{.operation = Operation::kUpdate, .pattern = "keys/{name}", .capability = Capability::kUpdate,
          .fields = kCreateKeyFields, .handle = HandleCreateKey, .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "keys/{name}", .capability = Capability::kRead,
          .fields = kReadKeyFields, .handle = HandleReadKey},
    Route{.operation = Operation::kDelete, .pattern = "keys/{name}", .capability = Capability::kDelete,
          .handle = HandleDeleteKey, .approval = ApprovalAction::kDelete, .changes_state = true},
    Route{.operation = Operation::kList, .pattern = "keys", .capability = Capability::kList,
          .fields = kListKeysFields, .handle = HandleListKeys},
    Route{.operation = Operation::kUpdate, .pattern = "keys/{name}/config",
          .capability = Capability::kUpdate, .fields = kConfigureKeyFields,
          .handle = HandleConfigureKey, .approval = ApprovalAction::kConfigure, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "keys/{name}/rotate",
          .capability = Capability::kUpdate, .fields = kRotateKeyFields, .handle = HandleRotateKey,
          .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "keys/{name}/trim", .capability = Capability::kUpdate,
          .fields = kTrimKeyFields, .handle = HandleTrimKey, .approval = ApprovalAction::kTrim, .changes_state = true},
    Route{.operation = Operation::kDelete, .pattern = "keys/{name}/soft-delete",
          .capability = Capability::kDelete, .handle = HandleSoftDeleteKey, .approval = ApprovalAction::kDelete, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "keys/{name}/soft-delete-restore",
          .capability = Capability::kUpdate, .handle = HandleRestoreSoftDeletedKey,
          .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "wrapping_key", .capability = Capability::kRead,
          .handle = HandleWrappingKey},
    Route{.operation = Operation::kUpdate, .pattern = "keys/{name}/import",
          .capability = Capability::kUpdate, .fields = kImportKeyFields, .handle = HandleImportKey,
          .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "keys/{name}/import_version",
          .capability = Capability::kUpdate, .fields = kImportVersionFields,
          .handle = HandleImportVersion, .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "export/{type}/{name}",
          .capability = Capability::kRead, .fields = kExportFields, .handle = HandleExport, .approval = ApprovalAction::kExport},
    Route{.operation = Operation::kRead, .pattern = "export/{type}/{name}/{version}",
          .capability = Capability::kRead, .fields = kExportFields, .handle = HandleExport, .approval = ApprovalAction::kExport},
    Route{.operation = Operation::kRead, .pattern = "byok-export/{destination}/{source}",
          .capability = Capability::kRead, .fields = kByokExportFields,
          .handle = HandleByokExport, .approval = ApprovalAction::kExport},
    Route{.operation = Operation::kRead, .pattern = "byok-export/{destination}/{source}/{version}",
          .capability = Capability::kRead, .fields = kByokExportFields,
          .handle = HandleByokExport, .approval = ApprovalAction::kExport},
    Route{.operation = Operation::kUpdate, .pattern = "derive-key/{name}",
          .capability = Capability::kUpdate, .fields = kDeriveKeyFields, .handle = HandleDeriveKey,
          .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "keys/{name}/csr",
          .capability = Capability::kUpdate, .fields = kCreateCsrFields,
          .handle = HandleCreateCsr},
    Route{.operation = Operation::kUpdate, .pattern = "keys/{name}/set-certificate",
          .capability = Capability::kUpdate, .fields = kSetCertificateFields,
          .handle = HandleSetCertificate, .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "backup/{name}", .capability = Capability::kRead,
          .handle = HandleBackup, .approval = ApprovalAction::kBackup, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "restore", .capability = Capability::kUpdate,
          .fields = kRestoreFields, .handle = HandleRestore, .approval = ApprovalAction::kRestore,
          .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "restore/{name}",
          .capability = Capability::kUpdate, .fields = kRestoreFields, .handle = HandleRestore,
          .approval = ApprovalAction::kRestore, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "random",
          .capability = Capability::kUpdate, .fields = kRandomFields, .handle = HandleRandom},
    Route{.operation = Operation::kUpdate, .pattern = "random/{source}",
          .capability = Capability::kUpdate, .fields = kRandomFields, .handle = HandleRandom},
    Route{.operation = Operation::kUpdate, .pattern = "random/{source}/{bytes}",
          .capability = Capability::kUpdate, .fields = kRandomFields, .handle = HandleRandom},
    Route{.operation = Operation::kUpdate, .pattern = "hash",
          .capability = Capability::kUpdate, .fields = kHashFields, .handle = HandleHash},
    Route{.operation = Operation::kUpdate, .pattern = "hash/{algorithm}",
          .capability = Capability::kUpdate, .fields = kHashFields, .handle = HandleHash},
    Route{.operation = Operation::kUpdate, .pattern = "hmac/{name}",
          .capability = Capability::kUpdate, .fields = kHmacFields, .handle = HandleHmac},
    Route{.operation = Operation::kUpdate, .pattern = "hmac/{name}/{algorithm}",
          .capability = Capability::kUpdate, .fields = kHmacFields, .handle = HandleHmac},
    Route{.operation = Operation::kUpdate, .pattern = "sign/{name}",
          .capability = Capability::kUpdate, .fields = kSignFields, .handle = HandleSign},
    Route{.operation = Operation::kUpdate, .pattern = "sign/{name}/{hash_algorithm}",
          .capability = Capability::kUpdate, .fields = kSignFields, .handle = HandleSign},
    Route{.operation = Operation::kUpdate, .pattern = "verify/{name}",
          .capability = Capability::kUpdate, .fields = kVerifyFields, .handle = HandleVerify},
    Route{.operation = Operation::kUpdate, .pattern = "verify/{name}/{hash_algorithm}",
          .capability = Capability::kUpdate, .fields = kVerifyFields, .handle = HandleVerify},
    Route{.operation = Operation::kRead, .pattern = "config/keys", .capability = Capability::kRead,
          .handle = HandleReadKeysConfig},
    Route{.operation = Operation::kUpdate, .pattern = "config/keys", .capability = Capability::kUpdate,
          .fields = kKeysConfigFields, .handle = HandleWriteKeysConfig, .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "cache-config", .capability = Capability::kRead,
          .handle = HandleReadCacheConfig},
    Route{.operation = Operation::kUpdate, .pattern = "cache-config", .capability = Capability::kUpdate,
          .fields = kCacheConfigFields, .handle = HandleWriteCacheConfig, .changes_state = true},

    // The service itself.
    Route{.operation = Operation::kRead, .pattern = "sys/health", .capability = Capability::kNone,
          .fields = kHealthFields, .handle = HandleHealth, .absolute = true,
          .unauthenticated = true, .head = true, .on_loop = true},
    Route{.operation = Operation::kRead, .pattern = "sys/seal-status", .capability = Capability::kNone,
          .handle = HandleSealStatus, .absolute = true, .unauthenticated = true,
          .on_loop = true},
    Route{.operation = Operation::kRead, .pattern = "sys/leader", .capability = Capability::kNone,
          .handle = HandleLeader, .absolute = true, .unauthenticated = true,
          .on_loop = true},
    Route{.operation = Operation::kRead, .pattern = "sys/init", .capability = Capability::kNone,
          .handle = HandleInitStatus, .absolute = true, .unauthenticated = true,
          .on_loop = true},
    Route{.operation = Operation::kRead, .pattern = "sys/mounts", .capability = Capability::kRead,
          .handle = HandleListMounts, .absolute = true, .hoisted = true},
    Route{.operation = Operation::kRead, .pattern = "sys/mounts/{path*}/tune",
          .capability = Capability::kRead, .handle = HandleReadTune, .absolute = true,
          .hoisted = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/mounts/{path*}/tune",
          .capability = Capability::kUpdate, .fields = kTuneFields, .handle = HandleWriteTune,
          .absolute = true, .approval = ApprovalAction::kTune, .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "sys/mounts/{path*}", .capability = Capability::kRead,
          .handle = HandleReadMount, .absolute = true, .hoisted = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/mounts/{path*}",
          .capability = Capability::kUpdate, .fields = kCreateMountFields,
          .handle = HandleCreateMount, .absolute = true, .changes_state = true},
    Route{.operation = Operation::kDelete, .pattern = "sys/mounts/{path*}",
          .capability = Capability::kDelete, .handle = HandleDeleteMount, .absolute = true,
          .approval = ApprovalAction::kTune, .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "sys/internal/ui/mounts", .capability = Capability::kNone,
          .handle = HandleVisibleMounts, .absolute = true, .unauthenticated = true},
    Route{.operation = Operation::kRead, .pattern = "sys/internal/ui/mounts/{path*}",
          .capability = Capability::kRead, .handle = HandleMountOfPath, .absolute = true},
    Route{.operation = Operation::kRead, .pattern = "sys/auth", .capability = Capability::kRead,
          .handle = HandleListAuthMounts, .absolute = true, .hoisted = true},
    Route{.operation = Operation::kRead, .pattern = "sys/auth/{path*}/tune",
          .capability = Capability::kRead, .handle = HandleReadAuthTune, .absolute = true,
          .sudo = true, .hoisted = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/auth/{path*}/tune",
          .capability = Capability::kUpdate, .fields = kAuthTuneFields,
          .handle = HandleWriteAuthTune, .absolute = true, .sudo = true, .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "sys/auth/{path*}",
          .capability = Capability::kRead, .handle = HandleReadAuthMount, .absolute = true,
          .sudo = true, .hoisted = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/auth/{path*}",
          .capability = Capability::kUpdate, .fields = kEnableAuthFields,
          .handle = HandleEnableAuth, .absolute = true, .sudo = true, .changes_state = true},
    Route{.operation = Operation::kDelete, .pattern = "sys/auth/{path*}",
          .capability = Capability::kDelete, .handle = HandleDisableAuth, .absolute = true,
          .sudo = true, .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "sys/hsm/status", .capability = Capability::kRead,
          .handle = HandleHsmStatus, .absolute = true},
    Route{.operation = Operation::kRead, .pattern = "sys/environments/status",
          .capability = Capability::kRead, .handle = HandleEnvironmentsStatus, .absolute = true},
    Route{.operation = Operation::kRead, .pattern = "sys/metrics", .capability = Capability::kRead,
          .fields = kMetricsFields, .handle = HandleMetrics, .absolute = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/tools/random",
          .capability = Capability::kUpdate, .fields = kRandomFields, .handle = HandleRandom,
          .absolute = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/tools/random/{source}",
          .capability = Capability::kUpdate, .fields = kRandomFields, .handle = HandleRandom,
          .absolute = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/tools/random/{source}/{bytes}",
          .capability = Capability::kUpdate, .fields = kRandomFields, .handle = HandleRandom,
          .absolute = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/tools/hash",
          .capability = Capability::kUpdate, .fields = kHashFields, .handle = HandleHash,
          .absolute = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/tools/hash/{algorithm}",
          .capability = Capability::kUpdate, .fields = kHashFields, .handle = HandleHash,
          .absolute = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/environments/{path*}/seal",
          .capability = Capability::kUpdate, .handle = HandleSealEnvironment, .absolute = true,
          .sudo = true, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/environments/{path*}/unseal",
          .capability = Capability::kUpdate, .handle = HandleUnsealEnvironment, .absolute = true,
          .sudo = true, .approval = ApprovalAction::kUnseal, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/environments/{path*}/rotate-master",
          .capability = Capability::kUpdate, .fields = kRotateMasterFields,
          .handle = HandleRotateMaster, .absolute = true, .sudo = true, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/environments/{path*}/rotate-key",
          .capability = Capability::kUpdate, .fields = kStartTaskFields,
          .handle = HandleRotateEnvironmentKey, .absolute = true, .sudo = true,
          .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/environments/{path*}/retire-master",
          .capability = Capability::kUpdate, .fields = kRetireMasterFields,
          .handle = HandleRetireMaster, .absolute = true, .sudo = true,
          .approval = ApprovalAction::kRetireMaster, .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "sys/environments/{path*}/recovery",
          .capability = Capability::kRead, .handle = HandleReadRecovery, .absolute = true,
          .sudo = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/environments/{path*}/recovery",
          .capability = Capability::kUpdate, .fields = kRecoveryFields,
          .handle = HandleWriteRecovery, .absolute = true, .sudo = true,
          .approval = ApprovalAction::kRecovery, .changes_state = true},
    Route{.operation = Operation::kDelete, .pattern = "sys/environments/{path*}/recovery",
          .capability = Capability::kDelete, .handle = HandleDeleteRecovery, .absolute = true,
          .sudo = true, .approval = ApprovalAction::kRecovery, .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "sys/backup",
          .capability = Capability::kRead, .fields = kStoreBackupFields,
          .handle = HandleBackUpStore, .absolute = true, .sudo = true, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/backup/check",
          .capability = Capability::kUpdate, .fields = kCheckStoreBackupFields,
          .handle = HandleCheckStoreBackup, .absolute = true},
    Route{.operation = Operation::kList, .pattern = "sys/backups", .capability = Capability::kList,
          .handle = HandleListStoreBackups, .absolute = true},
    Route{.operation = Operation::kDelete, .pattern = "sys/backups/{id}",
          .capability = Capability::kDelete, .handle = HandleForgetStoreBackup, .absolute = true,
          .sudo = true, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/environments/{path*}/rotate-everything",
          .capability = Capability::kUpdate, .fields = kStartTaskFields,
          .handle = HandleRotateEverything, .absolute = true, .sudo = true, .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "sys/scrub", .capability = Capability::kRead,
          .handle = HandleReadScrub, .absolute = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/scrub",
          .capability = Capability::kUpdate, .handle = HandleStartScrub, .absolute = true,
          .sudo = true, .changes_state = true},
    Route{.operation = Operation::kList, .pattern = "sys/tasks", .capability = Capability::kList,
          .handle = HandleListTasks, .absolute = true},
    Route{.operation = Operation::kRead, .pattern = "sys/tasks/{id}",
          .capability = Capability::kRead, .handle = HandleReadTask, .absolute = true},
    Route{.operation = Operation::kDelete, .pattern = "sys/tasks/{id}",
          .capability = Capability::kDelete, .handle = HandleDeleteTask, .absolute = true,
          .sudo = true, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/tasks/{id}/cancel",
          .capability = Capability::kUpdate, .handle = HandleCancelTask, .absolute = true,
          .sudo = true, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/tasks/{id}/resume",
          .capability = Capability::kUpdate, .handle = HandleResumeTask, .absolute = true,
          .sudo = true, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/tasks/{id}/throttle",
          .capability = Capability::kUpdate, .fields = kThrottleFields,
          .handle = HandleThrottleTask, .absolute = true, .sudo = true, .changes_state = true},
    Route{.operation = Operation::kList, .pattern = "sys/statements",
          .capability = Capability::kList, .handle = HandleListStatements, .absolute = true},
    Route{.operation = Operation::kRead, .pattern = "sys/statements/{id}",
          .capability = Capability::kRead, .handle = HandleReadStatement, .absolute = true},

    // Policies, what they allow, and why. The older paths are still what most clients use.
    Route{.operation = Operation::kList, .pattern = "sys/policies/acl",
          .capability = Capability::kList, .fields = kListPoliciesFields, .handle = HandleListPolicies,
          .absolute = true},
    Route{.operation = Operation::kRead, .pattern = "sys/policies/acl/{name}",
          .capability = Capability::kRead, .handle = HandleReadPolicy,
          .absolute = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/policies/acl/{name}",
          .capability = Capability::kUpdate, .fields = kWritePolicyFields, .handle = HandleWritePolicy,
          .absolute = true, .changes_state = true},
    Route{.operation = Operation::kDelete, .pattern = "sys/policies/acl/{name}",
          .capability = Capability::kDelete, .handle = HandleDeletePolicy,
          .absolute = true, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/policies/explain",
          .capability = Capability::kUpdate, .fields = kExplainPolicyFields, .handle = HandleExplainPolicy,
          .absolute = true},
    Route{.operation = Operation::kRead, .pattern = "sys/policy",
          .capability = Capability::kRead, .handle = HandleListOldPolicies,
          .absolute = true, .hoisted = true},
    Route{.operation = Operation::kList, .pattern = "sys/policy",
          .capability = Capability::kList, .fields = kListPoliciesFields, .handle = HandleListOldPolicies,
          .absolute = true, .hoisted = true},
    Route{.operation = Operation::kRead, .pattern = "sys/policy/{name}",
          .capability = Capability::kRead, .handle = HandleReadOldPolicy,
          .absolute = true, .hoisted = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/policy/{name}",
          .capability = Capability::kUpdate, .fields = kWriteOldPolicyFields, .handle = HandleWritePolicy,
          .absolute = true, .changes_state = true},
    Route{.operation = Operation::kDelete, .pattern = "sys/policy/{name}",
          .capability = Capability::kDelete, .handle = HandleDeletePolicy,
          .absolute = true, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/capabilities",
          .capability = Capability::kUpdate, .fields = kCapabilitiesFields, .handle = HandleCapabilities,
          .absolute = true, .hoisted = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/capabilities-self",
          .capability = Capability::kUpdate, .fields = kCapabilitiesFields, .handle = HandleCapabilitiesSelf,
          .absolute = true, .hoisted = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/capabilities-accessor",
          .capability = Capability::kUpdate, .fields = kCapabilitiesFields, .handle = HandleCapabilitiesOfAccessor,
          .absolute = true, .hoisted = true},

    // Answers that wait for whoever holds their token. Only making one takes another token.
    Route{.operation = Operation::kUpdate, .pattern = "sys/wrapping/wrap",
          .capability = Capability::kUpdate, .handle = HandleWrap, .absolute = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/wrapping/unwrap",
          .capability = Capability::kNone, .fields = kWrappingTokenFields, .handle = HandleUnwrap,
          .absolute = true, .login = true, .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/wrapping/lookup",
          .capability = Capability::kNone, .fields = kWrappingTokenFields,
          .handle = HandleLookupWrapping, .absolute = true, .login = true},
    Route{.operation = Operation::kRead, .pattern = "sys/wrapping/lookup",
          .capability = Capability::kNone, .handle = HandleLookupWrapping, .absolute = true,
          .login = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/wrapping/rewrap",
          .capability = Capability::kNone, .fields = kWrappingTokenFields,
          .handle = HandleRewrapResponse, .absolute = true, .login = true, .changes_state = true},

    // Requests that wait for a second person.
    Route{.operation = Operation::kList, .pattern = "sys/approvals", .capability = Capability::kList,
          .handle = HandleListApprovals, .absolute = true},
    Route{.operation = Operation::kRead, .pattern = "sys/approvals/{id}",
          .capability = Capability::kRead, .handle = HandleReadApproval, .absolute = true},
    Route{.operation = Operation::kDelete, .pattern = "sys/approvals/{id}",
          .capability = Capability::kDelete, .handle = HandleCancelApproval, .absolute = true,
          .changes_state = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/approvals/{id}/approve",
          .capability = Capability::kUpdate, .handle = HandleApprove, .absolute = true,
          .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "sys/approvals/{id}/result",
          .capability = Capability::kRead, .handle = HandleApprovalResult, .absolute = true,
          .changes_state = true},

    // Limits on what callers may do, and what they have used up.
    Route{.operation = Operation::kRead, .pattern = "sys/limits/rate",
          .capability = Capability::kRead, .handle = HandleReadRateLimits, .absolute = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/limits/rate",
          .capability = Capability::kUpdate, .fields = kRateLimitFields,
          .handle = HandleWriteRateLimit, .absolute = true, .sudo = true, .changes_state = true},
    Route{.operation = Operation::kList, .pattern = "sys/limits/budgets",
          .capability = Capability::kList, .handle = HandleListBudgets, .absolute = true},
    Route{.operation = Operation::kRead, .pattern = "sys/limits/budgets/{budget}",
          .capability = Capability::kRead, .handle = HandleReadBudget, .absolute = true},
    Route{.operation = Operation::kUpdate, .pattern = "sys/limits/budgets/{budget}",
          .capability = Capability::kUpdate, .fields = kBudgetFields, .handle = HandleWriteBudget,
          .absolute = true, .sudo = true, .changes_state = true},
    Route{.operation = Operation::kDelete, .pattern = "sys/limits/budgets/{budget}",
          .capability = Capability::kDelete, .handle = HandleDeleteBudget, .absolute = true,
          .sudo = true, .changes_state = true},
    Route{.operation = Operation::kList, .pattern = "sys/limits/blocks",
          .capability = Capability::kList, .handle = HandleListLoginBlocks, .absolute = true},
    Route{.operation = Operation::kDelete, .pattern = "sys/limits/blocks",
          .capability = Capability::kDelete, .fields = kLoginBlockFields,
          .handle = HandleClearLoginBlocks, .absolute = true, .sudo = true,
          .changes_state = true},
    Route{.operation = Operation::kRead, .pattern = "sys/limits/status",
          .capability = Capability::kRead, .handle = HandleLimitsStatus, .absolute = true},
};

// One array of all of them, in the order of the arguments.
template <std::size_t... Sizes>
constexpr auto Joined(const std::array<Route, Sizes>&... tables) {
  std::array<Route, (Sizes + ...)> all{};
  auto* out = all.begin();
  ((out = std::copy(tables.begin(), tables.end(), out)), ...);
  return all;
}

constexpr auto kAllRoutes = Joined(kRoutes, kTokenRoutes, kAppRoleRoutes, kUserpassRoutes, kCertRoutes, kJwtRoutes,
                                   kHsmRoutes);

static_assert(IsSound(kAllRoutes));
static_assert(kAllRoutes.size() <= Metrics::kMaxRoutes);

}  // namespace

std::span<const Route> RouteTable() { return kAllRoutes; }

}  // namespace kms::api
