// SPDX-License-Identifier: Apache-2.0
// The state directory of `kmsd dev`: its files, their names and how they come to be.
#pragma once

#include <string>

#include "api/config/config.h"
#include "kms/base/result.h"

namespace kms::api {

struct DevOptions {
  std::string listen = "127.0.0.1:8200";
  std::string state_directory = "./.kms";
  std::string root_token;  // empty: the one of the directory, or a fresh one
  // Another PKCS#11 module or token in place of the built-in SoftHSM one; all or none.
  std::string module;
  std::string token_label;
  std::string pin_file;
  // SoftHSM tokens, to try groups with; those of earlier runs stay.
  unsigned hsms = 1;
  bool accept_rollback = false;  // see ServeOptions
};
inline constexpr unsigned kMaxDevHsms = 9;

// Makes the directory (0700) and what is missing in it: `pin` and `root-token` (0600, random),
// `softhsm2.conf`, and `hsm-2/` with the same of each further token. Returns the configuration that `kmsd serve` would need for the same service.
// Existing secrets are kept; a root token given in the options replaces the file's.
// Errors: kFailedPrecondition naming file and remedy.
Result<Config> PrepareStateDirectory(const DevOptions& options);

// The same configuration without touching the disk, for --print-config.
Config DevConfig(const DevOptions& options);

// True when the built-in SoftHSM tokens are to be used.
bool UsesBuiltInToken(const DevOptions& options);

}  // namespace kms::api
