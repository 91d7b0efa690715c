// SPDX-License-Identifier: Apache-2.0
// The one error type: a code that callers act on, a text for clients, a detail for operators.
#pragma once

#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

namespace kms {

// A code exists only where a caller acts differently.
enum class ErrorCode : std::uint8_t {
  kInvalidArgument,     // the caller must change the request
  kUnauthenticated,     // the caller must present (other) credentials
  kPermissionDenied,    // the caller may not do this, whoever it asks
  kNotFound,            // the named thing does not exist
  kAlreadyExists,       // the named thing exists and the request demanded that it does not
  kFailedPrecondition,  // an operator must change some state first; do not retry
  kConflict,            // reread and retry the whole read-modify-write
  kResourceExhausted,   // a limit was reached; retry later or ask for less
  kDecryptionFailed,    // authenticated decryption refused; never says why
  kCorrupted,           // stored data does not authenticate or parse; an operator must look
  kUnavailable,         // a dependency is away; retry with backoff
  kOutcomeUnknown,      // the write may or may not have happened: reread before answering
  kInternal,            // a defect of this program
};

// Returns the name of `code` as used in logs, for example "not_found".
std::string_view ErrorCodeName(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string public_message;  // may reach a client; never holds payload, key material or paths
  std::string detail;          // may reach the log only: CKR name, file, SQL text
  std::source_location where;
};

// Makers. `detail` stays inside; `public_message` may be sent to whoever asked.
Error MakeError(ErrorCode code, std::string public_message, std::string detail = {},
                std::source_location where = std::source_location::current());
Error InvalidArgument(std::string public_message, std::string detail = {},
                      std::source_location where = std::source_location::current());
Error NotFound(std::string public_message, std::string detail = {},
               std::source_location where = std::source_location::current());
Error FailedPrecondition(std::string public_message, std::string detail = {},
                         std::source_location where = std::source_location::current());
Error Conflict(std::string public_message, std::string detail = {},
               std::source_location where = std::source_location::current());
Error Corrupted(std::string public_message, std::string detail = {},
                std::source_location where = std::source_location::current());
Error Unavailable(std::string public_message, std::string detail = {},
                  std::source_location where = std::source_location::current());
// Internal errors tell the client nothing but "internal error".
Error Internal(std::string detail, std::source_location where = std::source_location::current());

// Returns "code: public message (detail) at file:line" for logs.
std::string Describe(const Error& error);

}  // namespace kms
