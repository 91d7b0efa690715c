// SPDX-License-Identifier: Apache-2.0
// sys/hsm, sys/hsm/status and sys/environments/status: what an operator wants to see of HSM tokens,
// groups and leases. sys/hsm/reload: tokens as the configuration names them now.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "api/handlers/handlers.h"
#include "api/handlers/hsm_view.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"

namespace kms::api {
namespace {

// Of all tokens together: one that hangs must not make the page useless.
constexpr std::chrono::milliseconds kDescribeTimeout{1000};

// The token whose state stands for the service: the first that opens `sys`.
const HsmStatus* FirstOf(const Environments& environments, const std::vector<HsmStatus>& hsms) {
  for (const std::string& name : environments.MembersOf("sys")) {
    const auto found = std::ranges::find(hsms, name, &HsmStatus::name);
    if (found != hsms.end()) {
      return &*found;
    }
  }
  return hsms.empty() ? nullptr : &hsms.front();
}

void AppendHsms(const Environments& environments, const std::vector<HsmStatus>& hsms,
                const std::vector<EnvironmentStatus>& users, Deadline deadline, std::string& out) {
  JsonArray array(out);
  for (const HsmStatus& status : hsms) {
    AppendHsm(environments, status, users, deadline, array.Next());
  }
  for (const std::string& name : AbsentHsms(hsms, users)) {
    AppendAbsentHsm(environments.hsms(), name, users, array.Next());
  }
  array.Close();
}

void AppendNames(std::string_view key, const std::vector<std::string>& names, JsonObject& object,
                 std::string& out) {
  object.Key(key);
  JsonArray array(out);
  for (const std::string& name : names) {
    AppendJsonString(name, array.Next());
  }
  array.Close();
}

}  // namespace

Result<Reply> HandleHsmStatus(Call& call) {
  const Environments& environments = call.services.environments;
  const std::vector<HsmStatus> hsms = environments.hsms().Statuses();
  const std::vector<EnvironmentStatus> users = environments.Statuses();
  const Deadline deadline = call.services.clock.SteadyNow() + kDescribeTimeout;
  std::string out = R"({"device":)";
  if (const HsmStatus* first = FirstOf(environments, hsms)) {
    AppendDevice(environments, *first, deadline, out);
  } else {
    out += "null";
  }
  out += R"(,"environments":)";
  AppendEnvironments(environments, users, out);
  out += R"(,"hsms":)";
  AppendHsms(environments, hsms, users, deadline, out);
  out += '}';
  return Reply::Data(std::move(out));
}

Result<Reply> HandleListHsms(Call& call) {
  const Environments& environments = call.services.environments;
  std::string out = R"({"hsms":)";
  AppendHsms(environments, environments.hsms().Statuses(), environments.Statuses(),
             call.services.clock.SteadyNow() + kDescribeTimeout, out);
  out += '}';
  return Reply::Data(std::move(out));
}

Result<Reply> HandleReadHsm(Call& call) {
  const Environments& environments = call.services.environments;
  const std::string name(call.fields.Text("hsm"));
  const std::vector<HsmStatus> hsms = environments.hsms().Statuses();
  const std::vector<EnvironmentStatus> users = environments.Statuses();
  std::string out;
  const auto found = std::ranges::find(hsms, name, &HsmStatus::name);
  if (found != hsms.end()) {
    AppendHsm(environments, *found, users, call.services.clock.SteadyNow() + kDescribeTimeout, out);
    return Reply::Data(std::move(out));
  }
  const std::vector<std::string> absent = AbsentHsms(hsms, users);
  if (std::ranges::find(absent, name) == absent.end()) {
    return NotFound("no such HSM: the configuration names the tokens, see sys/hsm");
  }
  AppendAbsentHsm(environments.hsms(), name, users, out);
  return Reply::Data(std::move(out));
}

Result<Reply> HandleReloadHsms(Call& call) {
  const auto& reload = call.services.options.reload_hsms;
  if (!reload) {
    return InvalidArgument("this server does not read its configuration again");
  }
  const bool dry_run = call.fields.Boolean("dry_run");
  const Result<HsmChanges> changes = reload(dry_run);
  if (!changes.has_value()) {  // the caller's to mend, whatever it is
    return InvalidArgument(changes.error().public_message, changes.error().detail);
  }
  std::string out;
  JsonObject object(out);
  AppendNames("added", changes->added, object, out);
  AppendNames("removed", changes->removed, object, out);
  AppendNames("changed", changes->changed, object, out);
  AppendNames("restarted", changes->restarted, object, out);
  object.Boolean("dry_run", dry_run);
  object.Close();
  return Reply::Data(std::move(out));
}

Result<Reply> HandleEnvironmentsStatus(Call& call) {
  const Environments& environments = call.services.environments;
  std::string out = R"({"environments":)";
  AppendEnvironments(environments, environments.Statuses(), out);
  out += '}';
  return Reply::Data(std::move(out));
}

}  // namespace kms::api
