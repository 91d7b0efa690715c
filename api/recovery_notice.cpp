// SPDX-License-Identifier: Apache-2.0
#include "api/recovery_notice.h"

namespace kms::api {

namespace {

constexpr std::size_t kMostNamed = 5;

}  // namespace

std::string RecoveryNotice(const Environments& environments) {
  std::string names;
  std::size_t count = 0;
  for (const EnvironmentStatus& status : environments.Statuses()) {
    const Result<std::size_t> holders = environments.CountRecoveryHolders(status.name);
    if (holders.has_value() && *holders == 0 && ++count <= kMostNamed) {
      names += (names.empty() ? "" : ", ") + status.name;
    }
  }
  if (count == 0) {
    return {};
  }
  if (count > kMostNamed) {
    names += " and " + std::to_string(count - kMostNamed) + " more";
  }
  return "no recovery holders: " + names +
         "; whoever loses all of their HSMs loses what is stored in them (kmsctl env recovery; "
         "deploy/recovery.md)";
}

}  // namespace kms::api
