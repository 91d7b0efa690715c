// SPDX-License-Identifier: Apache-2.0
// `kmsd dev`: a token, a store, four environments and three lines to paste.
#pragma once

#include "api/state_directory.h"
#include "kms/base/result.h"

namespace kms::api {

// Prepares the state directory, makes the SoftHSM token if there is none, serves until stopped.
// Errors: as PrepareStateDirectory and Serve.
Status RunDev(const DevOptions& options);

}  // namespace kms::api
