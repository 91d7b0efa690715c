// SPDX-License-Identifier: Apache-2.0
#include "kms/base/error.h"

namespace kms {

std::string_view ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "invalid_argument";
    case ErrorCode::kUnauthenticated: return "unauthenticated";
    case ErrorCode::kPermissionDenied: return "permission_denied";
    case ErrorCode::kNotFound: return "not_found";
    case ErrorCode::kAlreadyExists: return "already_exists";
    case ErrorCode::kFailedPrecondition: return "failed_precondition";
    case ErrorCode::kConflict: return "conflict";
    case ErrorCode::kResourceExhausted: return "resource_exhausted";
    case ErrorCode::kDecryptionFailed: return "decryption_failed";
    case ErrorCode::kCorrupted: return "corrupted";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kOutcomeUnknown: return "outcome_unknown";
    case ErrorCode::kInternal: return "internal";
  }
  return "internal";
}

Error MakeError(ErrorCode code, std::string public_message, std::string detail,
                std::source_location where) {
  return Error{code, std::move(public_message), std::move(detail), where};
}

Error InvalidArgument(std::string public_message, std::string detail, std::source_location where) {
  return MakeError(ErrorCode::kInvalidArgument, std::move(public_message), std::move(detail), where);
}

Error NotFound(std::string public_message, std::string detail, std::source_location where) {
  return MakeError(ErrorCode::kNotFound, std::move(public_message), std::move(detail), where);
}

Error FailedPrecondition(std::string public_message, std::string detail,
                         std::source_location where) {
  return MakeError(ErrorCode::kFailedPrecondition, std::move(public_message), std::move(detail),
                   where);
}

Error Conflict(std::string public_message, std::string detail, std::source_location where) {
  return MakeError(ErrorCode::kConflict, std::move(public_message), std::move(detail), where);
}

Error Corrupted(std::string public_message, std::string detail, std::source_location where) {
  return MakeError(ErrorCode::kCorrupted, std::move(public_message), std::move(detail), where);
}

Error Unavailable(std::string public_message, std::string detail, std::source_location where) {
  return MakeError(ErrorCode::kUnavailable, std::move(public_message), std::move(detail), where);
}

Error Internal(std::string detail, std::source_location where) {
  return MakeError(ErrorCode::kInternal, "internal error", std::move(detail), where);
}

std::string Describe(const Error& error) {
  std::string text{ErrorCodeName(error.code)};
  text += ": ";
  text += error.public_message;
  if (!error.detail.empty()) {
    text += " (";
    text += error.detail;
    text += ')';
  }
  text += " at ";
  text += error.where.file_name();
  text += ':';
  text += std::to_string(error.where.line());
  return text;
}

}  // namespace kms
