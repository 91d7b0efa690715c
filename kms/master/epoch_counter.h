// SPDX-License-Identifier: Apache-2.0
// EpochCounter: a number in an HSM token that only grows, so that an older store, backup or token
// is noticed (failures D12).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"

namespace kms {

// Sealed in `sys`: what was last written to a token (kms/backup/epochs.h).
inline std::string EpochPath(std::string_view hsm) { return "epochs/" + std::string(hsm); }

// Thread rule and errors: as MasterKeyDevice.
class EpochCounter {
 public:
  virtual ~EpochCounter() = default;

  // nullopt when the token holds none of that id.
  virtual Result<std::optional<std::uint64_t>> ReadEpoch(const Uuid& id, Deadline deadline) = 0;
  // Makes it at least `value`, and returns what it is then; never lowers it. A crash in the middle
  // leaves the old or the new one.
  virtual Result<std::uint64_t> RaiseEpoch(const Uuid& id, std::uint64_t value,
                                           Deadline deadline) = 0;
  // Success when it is already gone.
  virtual Status DestroyEpoch(const Uuid& id, Deadline deadline) = 0;
};

}  // namespace kms
