// SPDX-License-Identifier: Apache-2.0
#include "api/handlers/hsm_view.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>

#include "api/pipeline/json_writer.h"
#include "kms/master/guarded_device.h"
#include "kms/operations/wrapping_key.h"

namespace kms::api {
namespace {

void OptionalInteger(JsonObject& object, std::string_view key, std::optional<std::int64_t> value) {
  if (value) {
    object.Integer(key, *value);
  } else {
    object.Null(key);
  }
}

void Count(JsonObject& object, std::string_view key, std::uint64_t value) {
  object.Integer(key, static_cast<std::int64_t>(value));
}

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

// Null when nobody can tell, as while `sys` is sealed.
void AppendRecoveryHolders(const Environments& environments, const std::string& name,
                           JsonObject& object) {
  const Result<std::size_t> holders = environments.CountRecoveryHolders(name);
  if (holders.has_value()) {
    Count(object, "recovery_holders", *holders);
  } else {
    object.Null("recovery_holders");
  }
}

template <typename Number>
void AppendNumbers(const std::vector<Number>& numbers, std::string& out) {
  JsonArray array(out);
  for (const Number number : numbers) {
    AppendInteger(number, array.Next());
  }
  array.Close();
}

// A member's part in its environment; the caller has written who or where that is.
void AppendPart(const MemberStatus& member, JsonObject& object, std::string& out) {
  object.Integer("order", member.order);
  object.Integer("weight", member.weight);
  object.String("state", MemberStateName(member.state));
  object.String("reason", member.reason);
  OptionalInteger(object, "proof_age_ms", member.proof_age_ms);
  object.Key("master_key_versions");
  AppendNumbers(member.master_versions, out);
  object.String("master_key_label", member.master_key_label);
  object.Integer("missing_wraps", member.missing_wraps);
}

void AppendMembers(const EnvironmentStatus& status, JsonObject& object, std::string& out) {
  object.Key("members");
  JsonArray array(out);
  for (const MemberStatus& member : status.members) {
    AppendMember(member, array.Next());
  }
  array.Close();
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
  OptionalInteger(object, "lease_age_ms", status.lease_age_ms);
  AppendWrappingKey(environments, status.name, object);
  AppendRecoveryHolders(environments, status.name, object);
  object.Key("environment_key_versions");
  AppendNumbers(status.environment_key_versions, out);
  object.Integer("lease_interval_ms", status.lease_interval_ms);
  OptionalInteger(object, "lease_grace_ms", status.lease_grace_ms);
  AppendMembers(status, object, out);
  object.Close();
}

void AppendStatistics(const HsmStatus& status, JsonObject& object) {
  const DeviceStatistics& statistics = status.device;
  object.String("state", DeviceStateName(statistics.state));
  object.String("reason", statistics.state_reason);
  Count(object, "calls", statistics.calls);
  Count(object, "failed_calls", statistics.failed_calls);
  Count(object, "abandoned_calls", statistics.abandoned_calls);
  Count(object, "reconnects", statistics.reconnects);
  Count(object, "worker_restarts", statistics.worker_restarts);
  Count(object, "worker_replacements", statistics.worker_replacements);
  Count(object, "worker_memory_bytes", statistics.worker_memory_bytes);
  object.Integer("sessions_open", statistics.sessions_open);
  object.Integer("sessions_in_use", statistics.sessions_in_use);
  object.Integer("requests_waiting", statistics.requests_waiting);
}

void AppendBreaker(const HsmStatus& status, JsonObject& object, std::string& out) {
  object.String("breaker", BreakerStateName(status.breaker));
  OptionalInteger(object, "retry_in_ms", status.retry_in_ms);
  Count(object, "breaker_opened", status.breaker_opened);
  object.Integer("calls_in_flight", status.calls_in_flight);
  object.Integer("calls_waiting", status.calls_waiting);
  Count(object, "refused_calls", status.refused_calls);
  const std::int64_t timeout = status.call_timeout_ms;
  OptionalInteger(object, "call_timeout_ms", timeout == 0 ? std::nullopt : std::optional(timeout));
  object.Key("latency");
  JsonObject latency(out);
  Count(latency, "calls", status.latency.calls);
  Count(latency, "p50_us", status.latency.p50_us);
  Count(latency, "p95_us", status.latency.p95_us);
  Count(latency, "p99_us", status.latency.p99_us);
  latency.Close();
}

// A token that does not serve is described by its statistics alone.
void AppendDescription(const Environments& environments, const HsmStatus& status, Deadline deadline,
                       JsonObject& object, std::string& out) {
  const std::shared_ptr<GuardedDevice> device = environments.hsms().Find(status.name);
  if (device == nullptr || status.device.state != DeviceState::kReady ||
      status.breaker != BreakerState::kClosed) {
    return;
  }
  const Result<DeviceDescription> description = device->Describe(deadline);
  if (!description.has_value()) {
    return;
  }
  object.String("token_label", description->token_label);
  object.String("token_serial", description->token_serial);
  object.String("module_path", description->module_path);
  object.String("module_description", description->module_description);
  object.Key("usable_mechanisms");
  JsonArray array(out);
  for (const WrapMechanism mechanism : description->usable_mechanisms) {
    AppendJsonString(WrapMechanismName(mechanism), array.Next());
  }
  array.Close();
}

void AppendUsers(std::string_view hsm, const std::vector<EnvironmentStatus>& users,
                 JsonObject& object, std::string& out) {
  object.Key("environments");
  JsonArray array(out);
  for (const EnvironmentStatus& user : users) {
    for (const MemberStatus& member : user.members) {
      if (member.hsm == hsm) {
        JsonObject part(array.Next());
        part.String("name", user.name);
        AppendPart(member, part, out);
        part.Close();
      }
    }
  }
  array.Close();
}

void AppendLastSeal(const EnvironmentStatus& status, JsonObject& object, std::string& out) {
  if (!status.last_seal) {
    object.Null("last_seal");
    return;
  }
  object.Key("last_seal");
  JsonObject seal(out);
  seal.Integer("time", status.last_seal->unix_seconds);
  seal.String("reason", status.last_seal->reason);
  OptionalInteger(seal, "unproven_ms", status.last_seal->unproven_ms);
  OptionalInteger(seal, "late_ms", status.last_seal->late_ms);
  seal.Close();
}

}  // namespace

void AppendMember(const MemberStatus& member, std::string& out) {
  JsonObject object(out);
  object.String("hsm", member.hsm);
  AppendPart(member, object, out);
  object.Close();
}

void AppendEnvironments(const Environments& environments,
                        const std::vector<EnvironmentStatus>& statuses, std::string& out) {
  JsonArray array(out);
  for (const EnvironmentStatus& status : statuses) {
    AppendEnvironment(environments, status, array.Next());
  }
  array.Close();
}

void AppendDevice(const Environments& environments, const HsmStatus& status, Deadline deadline,
                  std::string& out) {
  JsonObject object(out);
  AppendStatistics(status, object);
  AppendDescription(environments, status, deadline, object, out);
  object.Close();
}

void AppendHsm(const Environments& environments, const HsmStatus& status,
               const std::vector<EnvironmentStatus>& users, Deadline deadline, std::string& out) {
  JsonObject object(out);
  object.String("name", status.name);
  AppendStatistics(status, object);
  AppendBreaker(status, object, out);
  AppendDescription(environments, status, deadline, object, out);
  AppendUsers(status.name, users, object, out);
  object.Close();
}

void AppendAbsentHsm(const HsmRegistry& hsms, std::string_view name,
                     const std::vector<EnvironmentStatus>& users, std::string& out) {
  JsonObject object(out);
  object.String("name", name);
  object.String("state", kAbsentState);
  const std::string why = hsms.WhySetAside(name);
  object.String("reason", why.empty() ? "the configuration does not name it" : why);
  AppendUsers(name, users, object, out);
  object.Close();
}

std::vector<std::string> AbsentHsms(const std::vector<HsmStatus>& configured,
                                    const std::vector<EnvironmentStatus>& users) {
  std::set<std::string> names;
  for (const EnvironmentStatus& user : users) {
    for (const MemberStatus& member : user.members) {
      names.insert(member.hsm);
    }
  }
  for (const HsmStatus& status : configured) {
    names.erase(status.name);
  }
  return {names.begin(), names.end()};
}

void AppendLease(const EnvironmentStatus& status, std::string& out) {
  JsonObject object(out);
  object.String("name", status.name);
  object.Boolean("sealed", status.sealed);
  object.String("reason", status.reason);
  object.Integer("interval_ms", status.lease_interval_ms);
  OptionalInteger(object, "grace_ms", status.lease_grace_ms);
  object.Boolean("availability_mode", !status.lease_grace_ms);
  OptionalInteger(object, "age_ms", status.lease_age_ms);
  AppendLastSeal(status, object, out);
  AppendMembers(status, object, out);
  object.Close();
}

}  // namespace kms::api
