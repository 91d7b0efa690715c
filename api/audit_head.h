// SPDX-License-Identifier: Apache-2.0
// Signing the head of the audit log by an HSM's audit key.
#pragma once

#include <optional>

#include "kms/audit/chained_audit_log.h"
#include "kms/audit/checkpoint.h"
#include "kms/base/clock.h"
#include "kms/operations/environments.h"

namespace kms::api {

// By the first token of the `sys` group that signs; which one it was is in the checkpoint. When
// none does, that costs the signature and a line in the log, not the start or the stop: the chain
// goes on and the next checkpoint covers it. Takes two seconds at most.
// `store` is signed with it.
void SignAuditHead(ChainedAuditLog& audit, const Environments& environments, const Clock& clock,
                   const std::optional<StoreStatement>& store);

}  // namespace kms::api
