// SPDX-License-Identifier: Apache-2.0
// GET sys/metrics?format=prometheus (transit-api 9.8).
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"

namespace kms::api {

Result<Reply> HandleMetrics(Call& call) {
  if (call.fields.Text("format") != "prometheus") {
    return InvalidArgument("only format=prometheus is offered");
  }
  Reply reply = Reply::Bare(call.metrics.Render(call.services.environments, call.services.audit,
                                                call.services.limits));
  reply.content_type = "text/plain; version=0.0.4";
  return reply;
}

}  // namespace kms::api
