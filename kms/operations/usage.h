// SPDX-License-Identifier: Apache-2.0
// How often each version of a key may encrypt, and what happens when it has: NIST SP 800-38D allows
// 2^32 messages under one AES-GCM key with random nonces. Decryption is never counted or refused.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/operations/environment.h"

namespace kms {

// What an encryption answers when the counter of its version has nothing leased. It took no use;
// whoever may block calls PrepareUsage and repeats the whole request.
inline Error UsageLeaseUsedUp() { return Conflict("the version's leased encryptions are used up"); }
inline bool IsUsageLeaseUsedUp(const Error& error) { return error.code == ErrorCode::kConflict; }

// Makes room for one encryption under each of `requested_versions` (0: the latest) and returns the
// key to encrypt with: `key`, or a newer one. A version that does not exist or may not encrypt is
// passed over: the encryption itself refuses it. Costs one commit when a lease must be extended,
// nothing when there is room; other threads may take the room first, so repeat a few times.
// When the latest version was asked for and has reached its limit, the key is rotated, which is
// recorded in the environment's audit log, unless it may not be (imported without permission).
// Errors: kInvalidArgument "encryption under version N has reached its limit of M uses; …";
// as CheckUsable; store and audit errors.
Result<KeyHandle> PrepareUsage(Environment& environment, const KeyName& name, KeyHandle key,
                               std::span<const std::int64_t> requested_versions);

// Gives back the leases of every key, so that an orderly stop wastes no counts; what does not fit
// the time is wasted. Keys may still be in use.
void ReturnLeases(Environment& environment, Deadline deadline);

// What is known about the encryptions under one version.
struct VersionUsage {
  KeyVersionNumber version = 0;
  std::uint64_t encryptions = 0;  // a crash may have added what was leased and not used
  std::uint64_t limit = 0;
  double per_day = 0;                    // since the version was made
  std::optional<std::int64_t> days_left;  // at that rate; nullopt while there is none
};

// One for each version of the working set; empty for a key that does not encrypt. Slow lane.
// Errors: store errors.
Result<std::vector<VersionUsage>> DescribeUsage(Environment& environment, const Key& key);

}  // namespace kms
