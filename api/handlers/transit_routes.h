// SPDX-License-Identifier: Apache-2.0
// Rows of the route table about an environment: its keys and what is done with them (transit-api 2
// to 6).
#pragma once

#include <array>

#include "api/handlers/handlers.h"
#include "api/handlers/route_rows.h"
#include "api/pipeline/route.h"

namespace kms::api {

namespace transit_fields {

using enum FieldKind;

inline constexpr std::array kCreateKey = {
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
inline constexpr std::array kRotateKey = {
    FieldSpec{.name = "external_key_ref", .kind = kString},
};
inline constexpr std::array kReadKey = {
    FieldSpec{.name = "context", .kind = kBase64},
};
inline constexpr std::array kListKeys = {
    FieldSpec{.name = "after", .kind = kString},
    FieldSpec{.name = "limit", .kind = kInteger},
    FieldSpec{.name = "list", .kind = kString},
};
inline constexpr std::array kConfigureKey = {
    FieldSpec{.name = "min_decryption_version", .kind = kInteger},
    FieldSpec{.name = "min_encryption_version", .kind = kInteger},
    FieldSpec{.name = "deletion_allowed", .kind = kBoolean},
    FieldSpec{.name = "exportable", .kind = kBoolean},
    FieldSpec{.name = "allow_plaintext_backup", .kind = kBoolean},
    FieldSpec{.name = "auto_rotate_period", .kind = kDuration},
};
inline constexpr std::array kTrimKey = {
    FieldSpec{.name = "min_available_version", .kind = kInteger},
};
inline constexpr std::array kImportKey = {
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
inline constexpr std::array kImportVersion = {
    FieldSpec{.name = "ciphertext", .kind = kString},
    FieldSpec{.name = "public_key", .kind = kString},
    FieldSpec{.name = "hash_function", .kind = kString, .fallback = "SHA256"},
    FieldSpec{.name = "version", .kind = kInteger},
};
inline constexpr std::array kExport = {
    FieldSpec{.name = "format", .kind = kString},
};
inline constexpr std::array kByokExport = {
    FieldSpec{.name = "hash", .kind = kString, .fallback = "SHA256"},
};
inline constexpr std::array kDeriveKey = {
    FieldSpec{.name = "key_derivation_algorithm", .kind = kString, .fallback = "ecdh"},
    FieldSpec{.name = "peer_public_key", .kind = kString},
    FieldSpec{.name = "base_key_name", .kind = kString},
    FieldSpec{.name = "base_key_version", .kind = kInteger},
    FieldSpec{.name = "derived_key_type", .kind = kString, .fallback = "aes256-gcm96"},
};
inline constexpr std::array kCreateCsr = {
    FieldSpec{.name = "version", .kind = kInteger},
    FieldSpec{.name = "csr", .kind = kString},
};
inline constexpr std::array kSetCertificate = {
    FieldSpec{.name = "version", .kind = kInteger},
    FieldSpec{.name = "certificate_chain", .kind = kString},
};
inline constexpr std::array kEncrypt = {
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
inline constexpr std::array kDecrypt = {
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
inline constexpr std::array kRewrap = {
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
inline constexpr std::array kDataKey = {
    FieldSpec{.name = "context", .kind = kBase64},
    FieldSpec{.name = "bits", .kind = kInteger, .fallback = "256"},
    FieldSpec{.name = "key_version", .kind = kInteger},
    FieldSpec{.name = "associated_data", .kind = kBase64},
    FieldSpec{.name = "associated_data_crc32c", .kind = kInteger},
    FieldSpec{.name = "checksum", .kind = kBoolean},
    FieldSpec{.name = "padding_scheme", .kind = kString},
    FieldSpec{.name = "nonce", .kind = kBase64},
};
inline constexpr std::array kDataKeys = {
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
inline constexpr std::array kRestore = {
    FieldSpec{.name = "backup", .kind = kString},
    FieldSpec{.name = "force", .kind = kBoolean},
};
inline constexpr std::array kRandom = {
    FieldSpec{.name = "bytes", .kind = kInteger, .fallback = "32"},
    FieldSpec{.name = "format", .kind = kString, .fallback = "base64"},
    FieldSpec{.name = "source", .kind = kString},
};
inline constexpr std::array kHash = {
    FieldSpec{.name = "input", .kind = kBase64},
    FieldSpec{.name = "algorithm", .kind = kString, .fallback = "sha2-256"},
    FieldSpec{.name = "format", .kind = kString, .fallback = "hex"},
};
inline constexpr std::array kHmac = {
    FieldSpec{.name = "input", .kind = kBase64},
    FieldSpec{.name = "algorithm", .kind = kString, .fallback = "sha2-256"},
    FieldSpec{.name = "key_version", .kind = kInteger},
    FieldSpec{.name = "batch_input", .kind = kSlice},
};
inline constexpr std::array kSign = {
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
inline constexpr std::array kVerify = {
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
inline constexpr std::array kKeysConfig = {
    FieldSpec{.name = "disable_upsert", .kind = kBoolean},
};
inline constexpr std::array kCacheConfig = {
    FieldSpec{.name = "size", .kind = kInteger},
};

}  // namespace transit_fields

inline constexpr std::array kTransitRoutes = {
    WithExistence(KeyExists, Hot(HotVerb::kEncrypt,
                                 Posts("encrypt/{name}", HandleEncrypt, transit_fields::kEncrypt))),
    Hot(HotVerb::kDecrypt, Posts("decrypt/{name}", HandleCrypto, transit_fields::kDecrypt)),
    Hot(HotVerb::kRewrap, Posts("rewrap/{name}", HandleCrypto, transit_fields::kRewrap)),
    Hot(HotVerb::kDataKey,
        Posts("datakey/{plaintext}/{name}", HandleDataKey, transit_fields::kDataKey)),
    Posts("datakeys/{plaintext}/{name}", HandleDataKeys, transit_fields::kDataKeys),
    Changes("keys/{name}", HandleCreateKey, transit_fields::kCreateKey),
    Reads("keys/{name}", HandleReadKey, transit_fields::kReadKey),
    WithApproval(ApprovalAction::kDelete, Deletes("keys/{name}", HandleDeleteKey)),
    Lists("keys", HandleListKeys, transit_fields::kListKeys),
    WithApproval(ApprovalAction::kConfigure,
                 Changes("keys/{name}/config", HandleConfigureKey, transit_fields::kConfigureKey)),
    Changes("keys/{name}/rotate", HandleRotateKey, transit_fields::kRotateKey),
    WithApproval(ApprovalAction::kTrim,
                 Changes("keys/{name}/trim", HandleTrimKey, transit_fields::kTrimKey)),
    WithApproval(ApprovalAction::kDelete, Deletes("keys/{name}/soft-delete", HandleSoftDeleteKey)),
    Changes("keys/{name}/soft-delete-restore", HandleRestoreSoftDeletedKey),
    Reads("wrapping_key", HandleWrappingKey),
    Changes("keys/{name}/import", HandleImportKey, transit_fields::kImportKey),
    Changes("keys/{name}/import_version", HandleImportVersion, transit_fields::kImportVersion),
    WithApproval(ApprovalAction::kExport,
                 Reads("export/{type}/{name}", HandleExport, transit_fields::kExport)),
    WithApproval(ApprovalAction::kExport,
                 Reads("export/{type}/{name}/{version}", HandleExport, transit_fields::kExport)),
    WithApproval(ApprovalAction::kExport, Reads("byok-export/{destination}/{source}",
                                                HandleByokExport, transit_fields::kByokExport)),
    WithApproval(ApprovalAction::kExport, Reads("byok-export/{destination}/{source}/{version}",
                                                HandleByokExport, transit_fields::kByokExport)),
    Changes("derive-key/{name}", HandleDeriveKey, transit_fields::kDeriveKey),
    Posts("keys/{name}/csr", HandleCreateCsr, transit_fields::kCreateCsr),
    Changes("keys/{name}/set-certificate", HandleSetCertificate, transit_fields::kSetCertificate),
    WithApproval(ApprovalAction::kBackup, ChangingState(Reads("backup/{name}", HandleBackup))),
    WithApproval(ApprovalAction::kRestore,
                 Changes("restore", HandleRestore, transit_fields::kRestore)),
    WithApproval(ApprovalAction::kRestore,
                 Changes("restore/{name}", HandleRestore, transit_fields::kRestore)),
    Posts("random", HandleRandom, transit_fields::kRandom),
    Posts("random/{source}", HandleRandom, transit_fields::kRandom),
    Posts("random/{source}/{bytes}", HandleRandom, transit_fields::kRandom),
    Posts("hash", HandleHash, transit_fields::kHash),
    Posts("hash/{algorithm}", HandleHash, transit_fields::kHash),
    Posts("hmac/{name}", HandleHmac, transit_fields::kHmac),
    Posts("hmac/{name}/{algorithm}", HandleHmac, transit_fields::kHmac),
    Posts("sign/{name}", HandleSign, transit_fields::kSign),
    Posts("sign/{name}/{hash_algorithm}", HandleSign, transit_fields::kSign),
    Posts("verify/{name}", HandleVerify, transit_fields::kVerify),
    Posts("verify/{name}/{hash_algorithm}", HandleVerify, transit_fields::kVerify),
    Reads("config/keys", HandleReadKeysConfig),
    Changes("config/keys", HandleWriteKeysConfig, transit_fields::kKeysConfig),
    Reads("cache-config", HandleReadCacheConfig),
    Changes("cache-config", HandleWriteCacheConfig, transit_fields::kCacheConfig),
};

}  // namespace kms::api
