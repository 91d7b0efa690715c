// SPDX-License-Identifier: Apache-2.0
// Exit statuses that scripts can rely on: the one table from errors to statuses.
#pragma once

#include <string>

#include "kms/base/error.h"

namespace kms::tools {

enum class ExitStatus : int {
  kOk = 0,
  kOther = 1,
  kUsage = 2,
  kNotFound = 3,
  kDenied = 4,
  kRefused = 5,
  kUnavailable = 6,
  kNetwork = 7,
  kWaiting = 8,  // of no error code: Session::waits_for_approval says it
};

// kInvalidArgument is a mistake on the command line; what the server calls a bad request arrives
// as kFailedPrecondition. kOutcomeUnknown means that no answer came from the server.
ExitStatus ExitStatusOf(ErrorCode code);

// "not_found" for kNotFound: the name used in JSON output.
std::string ExitStatusName(ExitStatus status);

// The table as --help shows it.
std::string ExitStatusHelp();

}  // namespace kms::tools
