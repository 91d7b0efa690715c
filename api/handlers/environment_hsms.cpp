// SPDX-License-Identifier: Apache-2.0
// sys/environments/:name/hsms and lease: which tokens open one environment, and how long its keys
// stay without them.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/handlers/handlers.h"
#include "api/handlers/hsm_view.h"
#include "api/pipeline/addressed_environment.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "kms/operations/lost_hsm.h"

namespace kms::api {
namespace {

constexpr std::int64_t kMaxOrder = 1000;
constexpr std::int64_t kMaxWeight = 1000;
constexpr std::size_t kMaxReasonBytes = 512;

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

// What the declaration of a loss says; nullopt when none is made.
Result<std::optional<LossDeclaration>> LossOf(const Call& call) {
  const std::string_view reason = call.fields.Text("reason");
  if (!call.fields.Boolean("lost")) {
    return reason.empty() ? Result<std::optional<LossDeclaration>>(std::nullopt)
                          : InvalidArgument("reason goes with lost: why the HSM is lost");
  }
  if (call.fields.Boolean("destroy")) {
    return InvalidArgument("what is lost cannot be destroyed: give lost or destroy");
  }
  if (reason.size() > kMaxReasonBytes) {
    return InvalidArgument("reason must have at most " + std::to_string(kMaxReasonBytes) +
                           " bytes");
  }
  return std::optional(LossDeclaration{.declared_by = call.principal->display_name,
                                       .reason = std::string(reason)});
}

void AppendLostKey(const LostMasterKey& key, std::string& out) {
  JsonObject object(out);
  object.Integer("version", key.version);
  object.String("token_label", key.token_label);
  object.String("token_serial", key.token_serial);
  object.String("cka_id", key.id.ToString());
  object.String("cka_label", key.label);
  object.Close();
}

void AppendLost(const LostHsm& lost, std::string& out) {
  JsonObject object(out);
  object.String("hsm", lost.hsm);
  object.String("declared",
                ToRfc3339(WallTime(std::chrono::seconds(lost.declared_unix_seconds))));
  object.String("declared_by", lost.declaration.declared_by);
  object.String("reason", lost.declaration.reason);
  object.Integer("resident_keys", static_cast<std::int64_t>(lost.resident_keys));
  object.Key("master_keys");
  JsonArray keys(out);
  for (const LostMasterKey& key : lost.master_keys) {
    AppendLostKey(key, keys.Next());
  }
  keys.Close();
  object.Close();
}

}  // namespace

Result<Reply> HandleReadMembers(Call& call) {
  const EnvironmentStatus status = KMS_TRY(StatusOf(call));
  const std::vector<LostHsm> lost = KMS_TRY(call.services.environments.LostHsms(NameOf(call)));
  std::string out;
  JsonObject object(out);
  object.String("name", status.name);
  object.Key("members");
  JsonArray members(out);
  for (const MemberStatus& member : status.members) {
    AppendMember(member, members.Next());
  }
  members.Close();
  object.Key("lost");
  JsonArray records(out);
  for (const LostHsm& one : lost) {
    AppendLost(one, records.Next());
  }
  records.Close();
  object.Close();
  return Reply::Data(std::move(out));
}

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
  const std::optional<LossDeclaration> loss = KMS_TRY(LossOf(call));
  Environments& environments = call.services.environments;
  const std::string_view hsm = call.fields.Text("hsm");
  const Status left =
      loss ? environments.LoseHsm(NameOf(call), hsm, *loss)
           : environments.LeaveHsm(NameOf(call), hsm, call.fields.Boolean("destroy"));
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
