// SPDX-License-Identifier: Apache-2.0
// Opening the service by whichever of its HSM tokens is there.
#pragma once

#include <functional>
#include <memory>

#include "api/config/config.h"
#include "api/token_fleet.h"
#include "kms/operations/environments.h"
#include "kms/store/store.h"

namespace kms::api {

// Judges the store by whatever token serves, before it is opened: kms/backup/store_guard.h.
using StoreJudge = std::function<Status()>;

// Waits for a token that opens `sys`, for hsm.start_timeout at most; the others may come later. A
// new store begins on the token "default", without one on the first by name. All must outlive the
// result. Errors: as Environments::Open, and kFailedPrecondition with the state of each token.
Result<std::unique_ptr<Environments>> OpenEnvironments(const Config& config,
                                                       const TokenFleet& fleet, Store& store,
                                                       HsmRegistry& hsms, const Clock& clock,
                                                       const EnvironmentsOptions& options,
                                                       const StoreJudge& judge);

}  // namespace kms::api
