// SPDX-License-Identifier: Apache-2.0
// Usage counters after a rollback: what commits that are gone may have counted counts as used, so
// that no version of a key can pass its limit by being set back.
#pragma once

#include <cstdint>

#include "kms/base/result.h"
#include "kms/operations/environment.h"

namespace kms {

// Adds to the recorded encryptions of every version of every key what `lost_commits` may have
// leased, at most up to the limit: the latest version of a key that reaches it is rotated by its
// next encryption. Keys may be in use. May be repeated; each time adds. Errors: store errors; some
// keys are raised then.
Status RaiseUsage(Environment& environment, std::uint64_t lost_commits);

}  // namespace kms
