// SPDX-License-Identifier: Apache-2.0
// sys/hsm/status and sys/environments/status: what an operator wants to see of HSM and leases.
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "kms/master/guarded_device.h"
#include "kms/operations/wrapping_key.h"

namespace kms::api {
namespace {

constexpr std::chrono::milliseconds kDescribeTimeout{2000};

// Where the private half of an environment's wrapping key is: "hsm" or "store"; null while there is
// none, or nobody can tell.
void AppendWrappingKey(const Environments& environments, const std::string& name,
                       JsonObject& object) {
  std::optional<WrappingKeyPlace> place;
  if (const std::shared_ptr<Environment> environment = environments.Find(name)) {
    place = FindWrappingKeyPlace(*environment).value_or(std::nullopt);
  }
  if (!place) {
    object.Null("wrapping_key");
    return;
  }
  object.String("wrapping_key", *place == WrappingKeyPlace::kHsm ? "hsm" : "store");
}

void AppendEnvironment(const Environments& environments, const EnvironmentStatus& status,
                       std::string& out) {
  JsonObject object(out);
  object.String("name", status.name);
  object.Boolean("sealed", status.sealed);
  object.String("reason", status.reason);
  object.String("master_key_label", status.master_key_label);
  object.Integer("master_key_version", status.master_key_version);
  object.Integer("environment_key_version", status.environment_key_version);
  object.String("wrap_mechanism", status.wrap_mechanism);
  if (status.lease_age_ms) {
    object.Integer("lease_age_ms", *status.lease_age_ms);
  } else {
    object.Null("lease_age_ms");
  }
  AppendWrappingKey(environments, status.name, object);
  object.Close();
}

void AppendEnvironments(const Environments& environments, std::string& out) {
  JsonArray array(out);
  for (const EnvironmentStatus& status : environments.Statuses()) {
    AppendEnvironment(environments, status, array.Next());
  }
  array.Close();
}

void AppendStatistics(const DeviceStatistics& statistics, JsonObject& object) {
  object.String("state", DeviceStateName(statistics.state));
  object.String("reason", statistics.state_reason);
  object.Integer("calls", static_cast<std::int64_t>(statistics.calls));
  object.Integer("failed_calls", static_cast<std::int64_t>(statistics.failed_calls));
  object.Integer("abandoned_calls", static_cast<std::int64_t>(statistics.abandoned_calls));
  object.Integer("reconnects", static_cast<std::int64_t>(statistics.reconnects));
  object.Integer("worker_restarts", static_cast<std::int64_t>(statistics.worker_restarts));
  object.Integer("sessions_open", statistics.sessions_open);
  object.Integer("sessions_in_use", statistics.sessions_in_use);
  object.Integer("requests_waiting", statistics.requests_waiting);
}

void AppendDescription(const DeviceDescription& description, JsonObject& object,
                       std::string& out) {
  object.String("token_label", description.token_label);
  object.String("token_serial", description.token_serial);
  object.String("module_path", description.module_path);
  object.String("module_description", description.module_description);
  object.Key("usable_mechanisms");
  JsonArray array(out);
  for (const WrapMechanism mechanism : description.usable_mechanisms) {
    AppendJsonString(WrapMechanismName(mechanism), array.Next());
  }
  array.Close();
}

}  // namespace

Result<Reply> HandleHsmStatus(Call& call) {
  const Services& services = call.services;
  const std::shared_ptr<GuardedDevice> found = services.environments.hsms().Find(kDefaultHsm);
  if (found == nullptr) {
    return NotFound("there is no HSM \"" + std::string(kDefaultHsm) + "\"");
  }
  MasterKeyDevice& device = *found;
  std::string out = R"({"device":)";
  JsonObject object(out);
  AppendStatistics(device.Statistics(), object);
  // A device that is away is described by its statistics alone.
  const Deadline deadline = services.clock.SteadyNow() + kDescribeTimeout;
  if (const Result<DeviceDescription> description = device.Describe(deadline)) {
    AppendDescription(*description, object, out);
  }
  object.Close();
  out += R"(,"environments":)";
  AppendEnvironments(services.environments, out);
  out += '}';
  return Reply::Data(std::move(out));
}

Result<Reply> HandleEnvironmentsStatus(Call& call) {
  std::string out = R"({"environments":)";
  AppendEnvironments(call.services.environments, out);
  out += '}';
  return Reply::Data(std::move(out));
}

}  // namespace kms::api
