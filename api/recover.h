// SPDX-License-Identifier: Apache-2.0
// kmsd recover begin|finish: opening environments by their recovery holders when no HSM does, and
// putting them under the tokens of the configuration. The service must not run; deploy/recovery.md
// is the ceremony.
#pragma once

#include <string>
#include <vector>

#include "api/config/config.h"
#include "kms/base/result.h"

namespace kms::api {

struct RecoverBeginOptions {
  std::string package;  // file to write; "<package>.key" gets the private half of a one-time key
};

// Asks no HSM and changes nothing stored. Errors: kFailedPrecondition (the service runs, nothing
// can be recovered), kInvalidArgument (a file exists), store errors.
Status RecoverBegin(const Config& config, const RecoverBeginOptions& options);

struct RecoverFinishOptions {
  std::string package;
  std::vector<std::string> answers;       // the holders' files
  std::vector<std::string> environments;  // only these; empty: all of the package
  std::vector<std::string> hsms;          // tokens of the configuration; empty: all
  bool dry_run = false;                   // combine and prove the keys, but ask no HSM
};

// Every chosen environment is opened and proven before the first token is asked; each is then put
// under the tokens by one commit of its own, so that it can be repeated. Audited.
// Errors: kFailedPrecondition with the counts when too few holders answered or a token is not
// ready; kInvalidArgument (files, names), kCorrupted, those of devices and store.
Status RecoverFinish(const Config& config, const RecoverFinishOptions& options);

}  // namespace kms::api
