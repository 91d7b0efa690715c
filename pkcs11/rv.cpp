// SPDX-License-Identifier: Apache-2.0
// The table of return values. Whatever is not in it (vendor codes) is ambiguous.
#include "pkcs11/rv.h"

#include <algorithm>
#include <cstdio>

namespace kms::pkcs11 {
namespace {

struct Row {
  CK_RV value;
  std::string_view name;
  RvKind kind;
};

#define KMS_RV_ROW(name, kind) {name, #name, RvKind::kind}
constexpr Row kRows[] = {
    KMS_RV_ROW(CKR_OK, kOk),

    KMS_RV_ROW(CKR_ENCRYPTED_DATA_INVALID, kIntegrity),
    KMS_RV_ROW(CKR_ENCRYPTED_DATA_LEN_RANGE, kIntegrity),
    KMS_RV_ROW(CKR_WRAPPED_KEY_INVALID, kIntegrity),
    KMS_RV_ROW(CKR_WRAPPED_KEY_LEN_RANGE, kIntegrity),
    KMS_RV_ROW(CKR_DATA_LEN_RANGE, kIntegrity),
    {kRvAeadDecryptFailed, "CKR_AEAD_DECRYPT_FAILED", RvKind::kIntegrity},

    KMS_RV_ROW(CKR_GENERAL_ERROR, kAmbiguous),
    KMS_RV_ROW(CKR_FUNCTION_FAILED, kAmbiguous),

    KMS_RV_ROW(CKR_SESSION_HANDLE_INVALID, kSession),
    KMS_RV_ROW(CKR_SESSION_CLOSED, kSession),
    KMS_RV_ROW(CKR_OPERATION_ACTIVE, kSession),
    KMS_RV_ROW(CKR_OPERATION_NOT_INITIALIZED, kSession),
    KMS_RV_ROW(CKR_FUNCTION_CANCELED, kSession),

    KMS_RV_ROW(CKR_KEY_HANDLE_INVALID, kKeyHandle),
    KMS_RV_ROW(CKR_OBJECT_HANDLE_INVALID, kKeyHandle),
    KMS_RV_ROW(CKR_WRAPPING_KEY_HANDLE_INVALID, kKeyHandle),
    KMS_RV_ROW(CKR_UNWRAPPING_KEY_HANDLE_INVALID, kKeyHandle),

    KMS_RV_ROW(CKR_USER_NOT_LOGGED_IN, kLogin),

    KMS_RV_ROW(CKR_DEVICE_ERROR, kDevice),
    KMS_RV_ROW(CKR_DEVICE_REMOVED, kDevice),
    KMS_RV_ROW(CKR_TOKEN_NOT_PRESENT, kDevice),
    KMS_RV_ROW(CKR_TOKEN_NOT_RECOGNIZED, kDevice),
    KMS_RV_ROW(CKR_CRYPTOKI_NOT_INITIALIZED, kDevice),
    KMS_RV_ROW(CKR_SLOT_ID_INVALID, kDevice),
    KMS_RV_ROW(CKR_BUFFER_TOO_SMALL, kDevice),
    KMS_RV_ROW(CKR_RANDOM_NO_RNG, kDevice),

    KMS_RV_ROW(CKR_SESSION_COUNT, kBusy),
    KMS_RV_ROW(CKR_DEVICE_MEMORY, kBusy),
    KMS_RV_ROW(CKR_HOST_MEMORY, kBusy),

    KMS_RV_ROW(CKR_PIN_INCORRECT, kAuth),
    KMS_RV_ROW(CKR_PIN_INVALID, kAuth),
    KMS_RV_ROW(CKR_PIN_LOCKED, kAuth),
    KMS_RV_ROW(CKR_PIN_EXPIRED, kAuth),
    KMS_RV_ROW(CKR_PIN_LEN_RANGE, kAuth),
    KMS_RV_ROW(CKR_USER_PIN_NOT_INITIALIZED, kAuth),
    KMS_RV_ROW(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, kAuth),

    KMS_RV_ROW(CKR_MECHANISM_INVALID, kPolicy),
    KMS_RV_ROW(CKR_MECHANISM_PARAM_INVALID, kPolicy),
    KMS_RV_ROW(CKR_ARGUMENTS_BAD, kPolicy),
    KMS_RV_ROW(CKR_FUNCTION_NOT_SUPPORTED, kPolicy),
    KMS_RV_ROW(CKR_FUNCTION_REJECTED, kPolicy),
    KMS_RV_ROW(CKR_KEY_FUNCTION_NOT_PERMITTED, kPolicy),
    KMS_RV_ROW(CKR_KEY_TYPE_INCONSISTENT, kPolicy),
    KMS_RV_ROW(CKR_KEY_SIZE_RANGE, kPolicy),
    KMS_RV_ROW(CKR_KEY_UNEXTRACTABLE, kPolicy),
    KMS_RV_ROW(CKR_KEY_NOT_WRAPPABLE, kPolicy),
    KMS_RV_ROW(CKR_WRAPPING_KEY_SIZE_RANGE, kPolicy),
    KMS_RV_ROW(CKR_WRAPPING_KEY_TYPE_INCONSISTENT, kPolicy),
    KMS_RV_ROW(CKR_UNWRAPPING_KEY_SIZE_RANGE, kPolicy),
    KMS_RV_ROW(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, kPolicy),
    KMS_RV_ROW(CKR_TEMPLATE_INCOMPLETE, kPolicy),
    KMS_RV_ROW(CKR_TEMPLATE_INCONSISTENT, kPolicy),
    KMS_RV_ROW(CKR_ATTRIBUTE_READ_ONLY, kPolicy),
    KMS_RV_ROW(CKR_ATTRIBUTE_SENSITIVE, kPolicy),
    KMS_RV_ROW(CKR_ATTRIBUTE_TYPE_INVALID, kPolicy),
    KMS_RV_ROW(CKR_ATTRIBUTE_VALUE_INVALID, kPolicy),
    KMS_RV_ROW(CKR_ACTION_PROHIBITED, kPolicy),
    KMS_RV_ROW(CKR_CURVE_NOT_SUPPORTED, kPolicy),
    KMS_RV_ROW(CKR_DATA_INVALID, kPolicy),
    KMS_RV_ROW(CKR_SESSION_READ_ONLY, kPolicy),
    KMS_RV_ROW(CKR_SESSION_EXISTS, kPolicy),
    KMS_RV_ROW(CKR_TOKEN_WRITE_PROTECTED, kPolicy),
    KMS_RV_ROW(CKR_CANT_LOCK, kPolicy),
    KMS_RV_ROW(CKR_NEED_TO_CREATE_THREADS, kPolicy),
};
#undef KMS_RV_ROW

// Waiting makes room for a call, but hardly ever for an object.
constexpr std::string_view kCreatingFunctions[] = {"C_GenerateKey", "C_GenerateKeyPair",
                                                   "C_CreateObject", "C_CopyObject", "C_UnwrapKey"};

struct Meaning {
  RvKind kind;
  ErrorCode code;
  std::string_view public_message;
};
constexpr Meaning kMeanings[] = {
    {RvKind::kOk, ErrorCode::kInternal, "internal error"},
    {RvKind::kIntegrity, ErrorCode::kCorrupted,
     "the HSM refuses the wrapped key: it is damaged or of another master key; restore it from a "
     "backup"},
    {RvKind::kAmbiguous, ErrorCode::kUnavailable, "the HSM failed; retry later"},
    {RvKind::kSession, ErrorCode::kUnavailable, "the HSM dropped the session; retry"},
    {RvKind::kKeyHandle, ErrorCode::kUnavailable, "the HSM lost the key's handle; retry"},
    {RvKind::kLogin, ErrorCode::kUnavailable, "the HSM lost the login; retry"},
    {RvKind::kDevice, ErrorCode::kUnavailable,
     "the HSM is away; it is being reconnected, retry later"},
    {RvKind::kBusy, ErrorCode::kUnavailable, "the HSM is busy; retry later"},
    {RvKind::kAuth, ErrorCode::kFailedPrecondition,
     "the HSM refuses the PIN and will not be asked again; put the right PIN into its source, and "
     "unlock the token if it is locked"},
    {RvKind::kPolicy, ErrorCode::kFailedPrecondition,
     "the HSM does not allow this operation; compare its policy and mechanisms with what the "
     "service needs"},
};

// Whether a function puts an object into the token or the session.
bool Creates(std::string_view function) {
  return std::ranges::find(kCreatingFunctions, function) != std::end(kCreatingFunctions);
}

}  // namespace

RvKind Classify(CK_RV rv) {
  const auto* const row = std::ranges::find(kRows, rv, &Row::value);
  return row == std::end(kRows) ? RvKind::kAmbiguous : row->kind;
}

std::string RvName(CK_RV rv) {
  char number[2 + 16 + 1];
  std::snprintf(number, sizeof(number), "0x%lx", rv);
  const auto* const row = std::ranges::find(kRows, rv, &Row::value);
  if (row == std::end(kRows)) return number;
  return std::string(row->name) + " (" + number + ")";
}

Error Rv::ToError() const {
  if (value == CKR_DEVICE_MEMORY && Creates(function)) {
    return MakeError(ErrorCode::kResourceExhausted,
                     "the HSM token is out of memory or storage and takes no further object; "
                     "destroy what nothing needs any more (retired master keys, deleted keys) or "
                     "let a larger token join, then retry",
                     std::string(function) + ": " + RvName(value));
  }
  const auto* const meaning = std::ranges::find(kMeanings, kind(), &Meaning::kind);
  return MakeError(meaning->code, std::string(meaning->public_message),
                   std::string(function) + ": " + RvName(value));
}

}  // namespace kms::pkcs11
