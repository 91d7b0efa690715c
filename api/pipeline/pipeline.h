// SPDX-License-Identifier: Apache-2.0
// Pipeline: what every request goes through, written once: match, authenticate, limit, decode,
// authorize, record the attempt, handle, record the outcome.
#pragma once

#include <span>
#include <string_view>

#include "api/front/request_handler.h"
#include "api/pipeline/hot_path.h"
#include "api/pipeline/metrics.h"
#include "api/pipeline/options.h"
#include "api/pipeline/route.h"
#include "api/pipeline/router.h"

namespace kms::api {

struct ApprovedRequest;
struct Exchange;
struct ExecutedRequest;

// Thread rule: any thread.
class Pipeline final : public RequestHandler {
 public:
  // `routes` (api/handlers/route_table.h has the service's) must outlive it.
  Pipeline(std::span<const Route> routes, Services services);

  Lane HandleOnLoop(const HttpRequest& request, HttpResponse& response) override;
  void Handle(const HttpRequest& request, HttpResponse& response) override;
  void Refuse(int status, std::string_view reason, HttpResponse& response) override;
  void OnLoopTick() override;

  [[nodiscard]] const Services& services() const { return services_; }

 private:
  static bool AnswerRobots(const HttpRequest& request, HttpResponse& response);
  bool AnswerStatus(const HttpRequest& request, HttpResponse& response);
  void Process(Exchange& exchange);
  bool Admit(Exchange& exchange);
  Status Authenticate(Exchange& exchange);
  static bool RefuseUnmatched(Exchange& exchange);
  bool RefuseUnready(Exchange& exchange);
  void CallHandler(Exchange& exchange);
  Result<Reply> Answer(Exchange& exchange, Call& call);
  Status Prepare(Exchange& exchange);
  ExecutedRequest Execute(const ApprovedRequest& approved);
  Status RecordAttempt(Exchange& exchange);
  void RecordOutcome(Exchange& exchange);
  Result<AuditTicket> Record(const Exchange& exchange, bool attempt);

  Services services_;
  Router router_;
  Metrics metrics_;
  HotPath hot_path_;
};

}  // namespace kms::api
