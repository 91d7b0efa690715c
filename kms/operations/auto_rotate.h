// SPDX-License-Identifier: Apache-2.0
// Auto-rotation: keys whose newest version is older than their period, and keys that come near the
// limit of encryptions per version, get a new version (transit-api 4.5).
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/operations/environments.h"

namespace kms {

struct AutoRotateReport {
  std::size_t rotated = 0;
  std::size_t failed = 0;
};

// One round looks at every environment that is open. Between rounds it remembers when each key is
// due, so that it reads only keys that were changed since, a page of names at a time, and keeps
// none of them in memory. It may be cut short or killed anywhere: what is due stays due.
// Thread rule: one thread.
class AutoRotator {
 public:
  // Told of keys that could not be rotated; they are tried again in the next round.
  using OnFailure = std::function<void(std::string_view path, const Error& error)>;

  // `environments` must outlive it.
  AutoRotator(Environments& environments, OnFailure on_failure)
      : environments_(environments), on_failure_(std::move(on_failure)) {}

  // Rotates what is due. `stop` is asked between keys.
  AutoRotateReport Run(const std::function<bool()>& stop = [] { return false; });

 private:
  // What was seen of a key when its entry had `revision`.
  struct Plan {
    Revision revision = 0;
    KeyVersionNumber latest = 0;
    std::optional<WallTime> due;  // nullopt: never
  };
  using Plans = std::map<std::string, Plan, std::less<>>;  // by name

  Status RunPeriods(Environment& environment, Plans& plans, const std::function<bool()>& stop,
                    AutoRotateReport& report);
  Status Refresh(Environment& environment, const std::string& name, Revision revision,
                 Plan& plan) const;
  void RunLimits(Environment& environment, const std::function<bool()>& stop,
                 AutoRotateReport& report);
  // Destroys what deleted keys left in tokens that were away; once an hour.
  void SweepTokens(Environment& environment, AutoRotateReport& report);
  void Rotate(Environment& environment, const std::string& name, KeyVersionNumber latest,
              std::string_view who, AutoRotateReport& report);

  Environments& environments_;
  OnFailure on_failure_;
  std::map<Uuid, Plans> plans_;        // by environment
  std::map<Uuid, SteadyTime> swept_;   // likewise
};

}  // namespace kms
