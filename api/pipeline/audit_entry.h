// SPDX-License-Identifier: Apache-2.0
// Audit entry: what the audit log is told of an exchange.
#pragma once

#include <string>

#include "api/pipeline/exchange.h"
#include "kms/base/clock.h"

namespace kms::api {

// The members of the record, as AuditLog::Append takes them: of the attempt, or of the outcome that
// `exchange.response` holds.
std::string AuditMembersOf(const Exchange& exchange, bool attempt, WallTime now);

}  // namespace kms::api
