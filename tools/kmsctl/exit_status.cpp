// SPDX-License-Identifier: Apache-2.0
// The table of exit statuses, shown by --help and used by main.
#include "tools/kmsctl/exit_status.h"

#include <array>
#include <string_view>

namespace kms::tools {

namespace {

struct Row {
  ExitStatus status;
  std::string_view name;
  std::string_view meaning;
};

constexpr std::array kRows = {
    Row{ExitStatus::kOk, "ok", "done"},
    Row{ExitStatus::kOther, "other", "anything that no other status names"},
    Row{ExitStatus::kUsage, "usage", "the command line is wrong, or a confirmation is missing"},
    Row{ExitStatus::kNotFound, "not_found", "the environment, key or path does not exist"},
    Row{ExitStatus::kDenied, "denied", "no token, a wrong token, or no right to do this"},
    Row{ExitStatus::kRefused, "refused", "bad request, conflict or a precondition is not met"},
    Row{ExitStatus::kUnavailable, "unavailable", "sealed, overloaded or HSM away: retry later"},
    Row{ExitStatus::kNetwork, "network", "no answer from the server"},
    Row{ExitStatus::kWaiting, "waiting", "nothing was done yet: it waits for a second person's approval"},
};

}  // namespace

ExitStatus ExitStatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return ExitStatus::kUsage;
    case ErrorCode::kNotFound: return ExitStatus::kNotFound;
    case ErrorCode::kUnauthenticated:
    case ErrorCode::kPermissionDenied: return ExitStatus::kDenied;
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kFailedPrecondition:
    case ErrorCode::kConflict:
    case ErrorCode::kDecryptionFailed: return ExitStatus::kRefused;
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kUnavailable: return ExitStatus::kUnavailable;
    case ErrorCode::kOutcomeUnknown: return ExitStatus::kNetwork;
    case ErrorCode::kCorrupted:
    case ErrorCode::kInternal: return ExitStatus::kOther;
  }
  return ExitStatus::kOther;
}

std::string ExitStatusName(ExitStatus status) {
  for (const Row& row : kRows) {
    if (row.status == status) {
      return std::string(row.name);
    }
  }
  return "other";
}

std::string ExitStatusHelp() {
  std::string text = "Exit statuses:\n";
  for (const Row& row : kRows) {
    text += "  " + std::to_string(static_cast<int>(row.status)) + "  " + std::string(row.meaning) +
            "\n";
  }
  return text;
}

}  // namespace kms::tools
