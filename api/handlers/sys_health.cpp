// SPDX-License-Identifier: Apache-2.0
// GET and HEAD sys/health (transit-api 9.1).
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"

namespace kms::api {
namespace {

constexpr int kUnhealthy = 503;

std::string Render(const Services& services, bool sealed) {
  std::string out;
  JsonObject object(out);
  object.Boolean("initialized", true);
  object.Boolean("sealed", sealed);
  object.Boolean("standby", false);
  object.Boolean("performance_standby", false);
  object.String("replication_performance_mode", "disabled");
  object.String("replication_dr_mode", "disabled");
  object.Integer("server_time_utc", ToUnixSeconds(services.clock.Now()));
  object.String("version", services.options.version);
  object.Boolean("enterprise", false);
  object.String("cluster_name", services.options.cluster_name);
  object.String("cluster_id", services.environments.sys()->identity().id.ToString());
  object.Integer("echo_duration_ms", 0);
  object.Integer("clock_skew_ms", 0);
  object.Integer("replication_primary_canary_age_ms", 0);
  object.Boolean("audit_healthy", services.audit.healthy());
  object.Close();
  return out;
}

}  // namespace

Result<Reply> HandleHealth(Call& call) {
  for (const FieldSpec& spec : call.route.fields) {
    const std::optional<std::int64_t> code = call.fields.OptionalInteger(spec.name);
    if (code && (*code < 200 || *code > 599)) {
      return InvalidArgument("invalid status code for \"" + std::string(spec.name) + "\"");
    }
  }
  const bool sealed = call.services.environments.sys()->sealed();
  const auto code = static_cast<int>(call.fields.Integer(sealed ? "sealedcode" : "activecode"));
  // A service that cannot record refuses every request; no override may call that healthy.
  const bool recording = call.services.audit.healthy();
  return Reply::Bare(Render(call.services, sealed), recording ? code : kUnhealthy);
}

}  // namespace kms::api
