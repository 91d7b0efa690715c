// SPDX-License-Identifier: Apache-2.0
#include "kms/tasks/task_work.h"

#include <array>

namespace kms {

namespace {

constexpr std::array kWorks = {
    TaskWork{TaskKind::kRotateEnvironmentKey, PlanEnvironmentKeyRotation, RotateEnvironmentKey},
    TaskWork{TaskKind::kRotateMasterKey, PlanMasterKeyRotation, RotateMasterKey},
    TaskWork{TaskKind::kRetireMasterKey, PlanMasterKeyRetirement, RetireMasterKey},
    TaskWork{TaskKind::kRotateEverything, PlanRotationOfEverything, RotateEverything},
};

}  // namespace

const TaskWork &WorkOf(TaskKind kind) {
  for (const TaskWork &work : kWorks) {
    if (work.kind == kind) {
      return work;
    }
  }
  return kWorks.front();
}

bool MayPass(ErrorCode code) {
  return code == ErrorCode::kUnavailable || code == ErrorCode::kConflict ||
         code == ErrorCode::kOutcomeUnknown;
}

std::shared_ptr<Environment> FindEnvironment(const Environments &environments,
                                             std::string_view name) {
  return name == environments.sys()->identity().name ? environments.sys() : environments.Find(name);
}

std::vector<std::string> PendingMembers(const Environments &environments, std::string_view name) {
  std::vector<std::string> pending;
  for (const EnvironmentStatus &status : environments.Statuses()) {
    if (status.name != name) {
      continue;
    }
    for (const MemberStatus &member : status.members) {
      const bool lacks_version = member.master_versions.empty() ||
                                 member.master_versions.back() < status.master_key_version;
      if (member.missing_wraps == 0 && !lacks_version) {
        continue;
      }
      std::string line = "HSM " + member.hsm;
      line += lacks_version
                  ? " gets master key version " + std::to_string(status.master_key_version)
                  : " gets " + std::to_string(member.missing_wraps) + " missing wraps";
      line += " when it returns";
      if (!member.reason.empty()) {
        line += " (" + member.reason + ")";
      }
      pending.push_back(std::move(line));
    }
  }
  return pending;
}

}  // namespace kms
