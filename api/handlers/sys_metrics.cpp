// SPDX-License-Identifier: Apache-2.0
// GET sys/metrics?format=prometheus (transit-api 9.8).
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/work_metrics.h"

namespace kms::api {

Result<Reply> HandleMetrics(Call& call) {
  if (call.fields.Text("format") != "prometheus") {
    return InvalidArgument("only format=prometheus is offered");
  }
  const Services& services = call.services;
  const std::uint64_t alarms = services.options.hsm_alarms ? services.options.hsm_alarms() : 0;
  Reply reply = Reply::Bare(
      call.metrics.Render(services.environments, services.audit, services.limits, alarms) +
      RenderWork(services.tasks, services.scrub));
  reply.content_type = "text/plain; version=0.0.4";
  return reply;
}

}  // namespace kms::api
