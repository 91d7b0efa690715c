// SPDX-License-Identifier: Apache-2.0
// The tables from HTTP statuses and well-known texts to error codes and advice.
#include "tools/kmsctl/api_error.h"

#include <array>
#include <string>

#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct KnownText {
  std::string_view part;
  ErrorCode code;
  std::string_view advice;
};

// The protocol answers 400 where a script wants to know "not found"; the first match counts.
constexpr std::array kKnownTexts = {
    KnownText{"encryption key not found", ErrorCode::kNotFound,
              "create it with `kmsctl key create`, or list keys with `kmsctl key list`"},
    KnownText{"signing key not found", ErrorCode::kNotFound, "list keys with `kmsctl key list`"},
    KnownText{"verification key not found", ErrorCode::kNotFound,
              "list keys with `kmsctl key list`"},
    KnownText{"does not support signing", ErrorCode::kFailedPrecondition,
              "`kmsctl key create KEY --type ed25519` makes a key that signs"},
    KnownText{"could not delete key; not found", ErrorCode::kNotFound,
              "list keys with `kmsctl key list`"},
    KnownText{"no existing key named", ErrorCode::kNotFound, "list keys with `kmsctl key list`"},
    KnownText{"deletion is not allowed", ErrorCode::kFailedPrecondition,
              "allow it first: `kmsctl key config KEY --deletion-allowed true`"},
    KnownText{"no such key version", ErrorCode::kFailedPrecondition,
              "`kmsctl key show` lists the versions that are in use; `kmsctl key config` can lower "
              "--min-decryption-version unless the version was trimmed"},
    KnownText{
        "disallowed by policy (too old)", ErrorCode::kFailedPrecondition,
        "`kmsctl key config KEY --min-decryption-version N` lets older versions decrypt again"},
    KnownText{"message authentication failed", ErrorCode::kDecryptionFailed,
              "was it encrypted with this key, in this environment, with the same --aad?"},
    KnownText{"No secret engine mount", ErrorCode::kNotFound,
              "list environments with `kmsctl env list`"},
    KnownText{"no handler for route", ErrorCode::kNotFound,
              "list environments with `kmsctl env list` and choose one with --env"},
    KnownText{"failed to parse policy", ErrorCode::kFailedPrecondition,
              "correct that line; `kmsctl policy fmt-check FILE` checks without a server"},
    KnownText{"path is already in use", ErrorCode::kAlreadyExists, "see it with `kmsctl env show`"},
    KnownText{"no such HSM", ErrorCode::kNotFound,
              "list them with `kmsctl hsm list`; they are named in the configuration that kmsd "
              "reads"},
    KnownText{"does not open environment", ErrorCode::kNotFound,
              "`kmsctl hsm list` shows what each HSM opens"},
    KnownText{"has no master key version", ErrorCode::kNotFound,
              "list them with `kmsctl master list`"},
    KnownText{"no such task", ErrorCode::kNotFound, "list them with `kmsctl task list`"},
    KnownText{"no such statement", ErrorCode::kNotFound,
              "list them with `kmsctl master statements`"},
    KnownText{"no backup of that id", ErrorCode::kNotFound,
              "list them with `kmsctl backup list`"},
    KnownText{"protected", ErrorCode::kFailedPrecondition,
              "`kmsctl env config NAME --protected false` lifts the protection"},
};

// "1 error occurred:\n\t* text\n\n" -> "text".
std::string_view Unwrap(std::string_view text) {
  constexpr std::string_view kHead = "1 error occurred:\n\t* ";
  if (text.starts_with(kHead)) {
    text.remove_prefix(kHead.size());
  }
  while (text.ends_with('\n')) {
    text.remove_suffix(1);
  }
  return text;
}

ErrorCode CodeOf(int status) {
  switch (status) {
    case 401: return ErrorCode::kUnauthenticated;
    case 403: return ErrorCode::kPermissionDenied;
    case 404: return ErrorCode::kNotFound;
    case 409: return ErrorCode::kConflict;
    case 429: return ErrorCode::kResourceExhausted;
    case 502:
    case 503:
    case 504: return ErrorCode::kUnavailable;
    default:
      return status >= 400 && status < 500 ? ErrorCode::kFailedPrecondition : ErrorCode::kInternal;
  }
}

std::string_view AdviceFor(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnauthenticated:
    case ErrorCode::kPermissionDenied:
      return "is the token right? set KMS_TOKEN or use --token-file (`kmsd dev` keeps its root "
             "token in .kms/root-token)";
    case ErrorCode::kNotFound: return "list with `kmsctl env list` and `kmsctl key list`";
    case ErrorCode::kResourceExhausted: return "a limit was reached: retry later";
    case ErrorCode::kUnavailable: return "`kmsctl hsm status` shows why; retry when it is back";
    case ErrorCode::kInternal: return "the server's log tells more";
    default: return "";
  }
}

std::string Compose(std::string_view text, int status, std::string_view advice) {
  std::string message =
      text.empty() ? "the server answered HTTP " + std::to_string(status) : Printable(text);
  if (!advice.empty()) {
    message += " (" + std::string(advice) + ")";
  }
  return message;
}

}  // namespace

Error ApiError(int status, std::string_view text) {
  const std::string_view inner = Unwrap(text);
  if (status != 401 && status != 403) {
    for (const KnownText& known : kKnownTexts) {
      if (inner.find(known.part) != std::string_view::npos) {
        return MakeError(known.code, Compose(inner, status, known.advice));
      }
    }
    // These two say everything in three words, so they are matched whole.
    if (inner == "key not found" || inner == "invalid key name") {
      return MakeError(ErrorCode::kNotFound,
                       Compose(inner, status, "list keys with `kmsctl key list`"));
    }
  }
  const ErrorCode code = CodeOf(status);
  return MakeError(code, Compose(inner, status, AdviceFor(code)));
}

bool IsEmptyAnswer(int status, std::string_view text) { return status == 404 && text.empty(); }

}  // namespace kms::tools
