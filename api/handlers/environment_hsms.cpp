// SPDX-License-Identifier: Apache-2.0
// sys/environments/:name/hsms and lease: which tokens open one environment, and how long its keys
// stay without them.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "api/handlers/handlers.h"
#include "api/handlers/hsm_view.h"
#include "api/pipeline/addressed_environment.h"
#include "api/pipeline/call.h"

namespace kms::api {
namespace {

constexpr std::int64_t kMaxOrder = 1000;
constexpr std::int64_t kMaxWeight = 1000;

std::string NameOf(const Call& call) {
  return AddressedEnvironment(call.name_space, call.fields.Text("path"));
}

Result<EnvironmentStatus> StatusOf(const Call& call) {
  const std::string name = NameOf(call);
  for (EnvironmentStatus& status : call.services.environments.Statuses()) {
    if (status.name == name) {
      return std::move(status);
    }
  }
  return NotFound("no such environment");
}

Result<std::uint32_t> NumberOf(const Call& call, std::string_view field, std::int64_t least,
                               std::int64_t most) {
  const std::int64_t number = call.fields.Integer(field);
  if (number < least || number > most) {
    return InvalidArgument(std::string(field) + " must be a number from " + std::to_string(least) +
                           " to " + std::to_string(most));
  }
  return static_cast<std::uint32_t>(number);
}

}  // namespace

Result<Reply> HandleJoinHsm(Call& call) {
  GroupMember member{.hsm = std::string(call.fields.Text("hsm"))};
  member.order = KMS_TRY(NumberOf(call, "order", 0, kMaxOrder));
  member.weight = KMS_TRY(NumberOf(call, "weight", 1, kMaxWeight));
  KMS_TRY(call.services.environments.JoinHsm(NameOf(call), member));
  const EnvironmentStatus status = KMS_TRY(StatusOf(call));
  const auto joined = std::ranges::find(status.members, member.hsm, &MemberStatus::hsm);
  if (joined == status.members.end()) {
    return Conflict("HSM " + member.hsm + " was taken out of the group again meanwhile");
  }
  std::string out;
  AppendMember(*joined, out);
  return Reply::Data(std::move(out));
}

Result<Reply> HandleLeaveHsm(Call& call) {
  const Status left = call.services.environments.LeaveHsm(NameOf(call), call.fields.Text("hsm"),
                                                          call.fields.Boolean("destroy"));
  if (!left.has_value() && left.error().code == ErrorCode::kFailedPrecondition) {
    return InvalidArgument(left.error().public_message,
                           left.error().detail);  // the caller's to mend
  }
  KMS_TRY(left);
  return Reply::NoContent();
}

Result<Reply> HandleReadLease(Call& call) {
  const EnvironmentStatus status = KMS_TRY(StatusOf(call));
  std::string out;
  AppendLease(status, out);
  return Reply::Data(std::move(out));
}

}  // namespace kms::api
