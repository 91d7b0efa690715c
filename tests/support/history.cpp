// SPDX-License-Identifier: Apache-2.0
#include "tests/support/history.h"

#include <algorithm>

namespace kms::testing {

namespace {

using Violations = std::vector<std::string>;

// The highest version acknowledged before `moment`; 1 is there from the start.
std::uint32_t AcknowledgedBefore(const std::vector<RotateEvent>& rotations,
                                 std::chrono::steady_clock::time_point moment) {
  std::uint32_t version = 1;
  for (const RotateEvent& rotation : rotations) {
    if (rotation.outcome == Outcome::kOk && rotation.end < moment) {
      version = std::max(version, rotation.version);
    }
  }
  return version;
}

void CheckRotations(const std::string& key, const std::vector<RotateEvent>& rotations,
                    std::uint32_t final_latest, Violations& violations) {
  std::vector<std::uint32_t> versions;
  std::size_t possible = 1;
  std::uint32_t highest = 1;
  for (const RotateEvent& rotation : rotations) {
    possible += rotation.outcome == Outcome::kFailed ? 0 : 1;
    if (rotation.outcome != Outcome::kOk) {
      continue;
    }
    highest = std::max(highest, rotation.version);
    versions.push_back(rotation.version);
    if (rotation.version <= AcknowledgedBefore(rotations, rotation.start)) {
      violations.push_back(key + ": rotation returned " + std::to_string(rotation.version) +
                           " after a higher version was acknowledged");
    }
  }
  std::ranges::sort(versions);
  if (std::ranges::adjacent_find(versions) != versions.end()) {
    violations.push_back(key + ": two rotations returned one version");
  }
  if (final_latest < highest) {
    violations.push_back(key + ": latest went back to " + std::to_string(final_latest) +
                         " although " + std::to_string(highest) + " was acknowledged");
  }
  if (final_latest > possible) {
    violations.push_back(key + ": latest is " + std::to_string(final_latest) + " but only " +
                         std::to_string(possible) + " versions can exist");
  }
}

}  // namespace

void History::Add(const std::string& key, RotateEvent event) {
  const std::lock_guard lock(mutex_);
  rotations_[key].push_back(event);
}

void History::Add(const std::string& key, EncryptEvent event) {
  const std::lock_guard lock(mutex_);
  encryptions_[key].push_back(std::move(event));
}

std::map<std::string, std::vector<EncryptEvent>> History::Encryptions() const {
  const std::lock_guard lock(mutex_);
  return encryptions_;
}

std::vector<std::string> History::Check(
    const std::map<std::string, std::uint32_t>& final_latest) const {
  const std::lock_guard lock(mutex_);
  Violations violations;
  for (const auto& [key, latest] : final_latest) {
    const auto rotations = rotations_.find(key);
    static const std::vector<RotateEvent> kNone;
    const std::vector<RotateEvent>& events =
        rotations == rotations_.end() ? kNone : rotations->second;
    CheckRotations(key, events, latest, violations);
    const auto encryptions = encryptions_.find(key);
    if (encryptions == encryptions_.end()) {
      continue;
    }
    for (const EncryptEvent& event : encryptions->second) {
      if (event.version > latest || event.version < AcknowledgedBefore(events, event.start)) {
        violations.push_back(key + ": an encryption used version " +
                             std::to_string(event.version));
      }
    }
  }
  return violations;
}

}  // namespace kms::testing
