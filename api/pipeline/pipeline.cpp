// SPDX-License-Identifier: Apache-2.0
// The order of transit-api 2.9, for requests that may block.
#include "api/pipeline/pipeline.h"

#include <openssl/crypto.h>

#include <array>
#include <string>

#include "api/pipeline/call.h"
#include "api/pipeline/crypto_items.h"
#include "api/pipeline/envelope.h"
#include "api/pipeline/error_response.h"
#include "api/pipeline/presented_token.h"
#include "kms/audit/record.h"

namespace kms::api {
namespace {

constexpr std::size_t kMaxEchoedPath = 256;
constexpr std::string_view kStatusPrefix = "/v1/sys/";
constexpr std::string_view kRobotsPath = "/robots.txt";
constexpr std::string_view kRobotsBody = "User-agent: *\nDisallow: /\n";

struct MatchRefusal {
  MatchOutcome outcome;
  int status;
  std::string_view text;
  bool wrapped;
};

constexpr std::array kRefusals = {
    MatchRefusal{MatchOutcome::kOutsideApi, 404, {}, false},
    MatchRefusal{MatchOutcome::kUnknownVerb, 405, {}, false},
    MatchRefusal{MatchOutcome::kBadListParameter, 400, {}, false},
    MatchRefusal{MatchOutcome::kWriteToSlash, 400, "cannot write to a path ending in '/'", false},
    MatchRefusal{MatchOutcome::kUnknownNamespace, 404, "namespace not found", false},
    MatchRefusal{MatchOutcome::kUnsupportedPath, 404, "unsupported path", true},
    MatchRefusal{MatchOutcome::kUnsupportedOperation, 405, "unsupported operation", true},
};

std::string_view MountTypeOf(const Route& route) {
  if (!route.absolute) {
    return "transit";
  }
  return route.pattern.starts_with("auth/") ? "token" : "system";
}

bool IsForm(const HttpRequest& request) {
  constexpr std::string_view kForm = "application/x-www-form-urlencoded";
  const std::string_view type = request.Header("Content-Type").value_or(std::string_view());
  const std::size_t first = request.body.find_first_not_of(" \t\r\n");
  const bool json = first == std::string_view::npos || request.body[first] == '{' ||
                    request.body[first] == '[';
  return type.starts_with(kForm) && !json;
}

Result<JsonBody> ParametersOf(const HttpRequest& request, Operation operation,
                              const JsonLimits& limits) {
  if (operation != Operation::kUpdate) {
    return JsonBody::ParseForm(request.query, limits);
  }
  return IsForm(request) ? JsonBody::ParseForm(request.body, limits)
                         : JsonBody::Parse(request.body, limits);
}

// Response wrapping is not offered: asking for it must not silently hand out the bare answer.
Status CheckWrapHeader(const HttpRequest& request) {
  const auto value = request.Header("X-Vault-Wrap-TTL");
  if (!value || value->empty()) {
    return Ok();
  }
  const Result<std::int64_t> seconds = ParseDurationSeconds(*value);
  if (!seconds) {
    return InvalidArgument("error parsing X-Vault-Wrap-TTL header: " +
                           seconds.error().public_message);
  }
  return *seconds == 0 ? Ok() : InvalidArgument("response wrapping is not offered by this server");
}

void Discard(HttpResponse& response) {
  if (response.holds_secret) {
    OPENSSL_cleanse(response.body.data(), response.body.size());
  }
  response.Clear();
}

}  // namespace

// One request on its way through the pipeline.
struct Pipeline::Exchange {
  Exchange(const HttpRequest& the_request, HttpResponse& the_response,
           const PipelineOptions& the_options)
      : request(the_request), response(the_response), options(the_options) {}

  const HttpRequest& request;
  HttpResponse& response;
  const PipelineOptions& options;
  RequestId id;
  RouteMatch match;
  PrincipalHandle principal;
  std::string error;  // public text of a failure; empty after a success
  bool acted = false;  // a handler ran that may have changed state
  std::int64_t key_version = 0;
  std::int64_t items = 0;
  std::int64_t failed_items = 0;

  void Fail(const Error& cause) {
    error = PublicText(cause);
    WriteError(cause, response);
    if (options.report && !IsUserError(cause.code)) {
      options.report(cause, match.path);
    }
  }
  void Fail(int status, std::string text) {
    error = std::move(text);
    WriteErrorBody(status, error, response);
  }
};

Pipeline::Pipeline(std::span<const Route> routes, Services services)
    : services_(std::move(services)),
      router_(routes, services_.environments),
      metrics_(routes),
      hot_path_(routes, services_, metrics_) {}

Lane Pipeline::HandleOnLoop(const HttpRequest& request, HttpResponse& response) {
  if (hot_path_.Answer(request, response) == Lane::kAnswered ||
      AnswerRobots(request, response)) {
    return Lane::kAnswered;
  }
  return AnswerStatus(request, response) ? Lane::kAnswered : Lane::kDefer;
}

// The one answer that costs nothing but the front: crawlers ask for it, kms-bench measures with it.
bool Pipeline::AnswerRobots(const HttpRequest& request, HttpResponse& response) {
  if (request.method != HttpMethod::kGet || request.path != kRobotsPath) {
    return false;
  }
  response.Clear();
  response.content_type = "text/plain";
  response.body = kRobotsBody;
  return true;
}

// Whoever watches the service must be answered although every thread of the pool is waiting.
bool Pipeline::AnswerStatus(const HttpRequest& request, HttpResponse& response) {
  const bool reads = request.method == HttpMethod::kGet || request.method == HttpMethod::kHead;
  if (!reads || !request.path.starts_with(kStatusPrefix) || !request.body.empty()) {
    return false;
  }
  RouteMatch match;
  router_.Match(request, match);
  if (match.route == nullptr || !match.route->on_loop) {
    return false;
  }
  Handle(request, response);
  return true;
}

void Pipeline::OnLoopTick() { hot_path_.ForgetThreadSecrets(); }

void Pipeline::Refuse(int status, std::string_view reason, HttpResponse& response) {
  Discard(response);
  WriteErrorBody(status, reason, response);
  metrics_.Count(nullptr, status, std::chrono::nanoseconds(0));
}

void Pipeline::Handle(const HttpRequest& request, HttpResponse& response) {
  const SteadyTime start = services_.clock.SteadyNow();
  response.Clear();
  Exchange exchange(request, response, services_.options);
  try {
    Process(exchange);
  } catch (...) {  // a foreign library threw past every guard: answer, record, go on (P12)
    Discard(response);
    exchange.Fail(Internal("an exception reached the pipeline"));
  }
  const Route* route = exchange.match.route;
  if (route == nullptr || !route->unauthenticated) {
    RecordOutcome(exchange);
  }
  if (const auto name_space = request.Header("X-Vault-Namespace");
      name_space && !name_space->empty()) {
    response.headers.emplace_back("X-Vault-Namespace", *name_space);
  }
  if (request.method == HttpMethod::kHead) {
    response.body.clear();
  }
  metrics_.Count(route, response.status, services_.clock.SteadyNow() - start);
}

void Pipeline::Process(Exchange& exchange) {
  router_.Match(exchange.request, exchange.match);
  const Route* route = exchange.match.route;
  if (route != nullptr && route->unauthenticated) {
    CallHandler(exchange);
    return;
  }
  // Whoever presents no good token learns nothing about what exists.
  if (const Status authenticated = Authenticate(exchange); !authenticated) {
    exchange.Fail(authenticated.error());
    return;
  }
  if (RefuseUnmatched(exchange) || RefuseUnready(exchange)) {
    return;
  }
  CallHandler(exchange);
}

Status Pipeline::Authenticate(Exchange& exchange) {
  const std::string_view token = PresentedToken(exchange.request);
  if (token.size() > services_.options.max_token_bytes) {
    return MakeError(ErrorCode::kPermissionDenied, "permission denied");
  }
  exchange.principal = KMS_TRY(services_.tokens.Authenticate(token));
  return Ok();
}

bool Pipeline::RefuseUnmatched(Exchange& exchange) {
  const MatchOutcome outcome = exchange.match.outcome;
  if (outcome == MatchOutcome::kNoMount) {
    const std::string path = exchange.match.path.substr(0, kMaxEchoedPath);
    exchange.Fail(404, "no handler for route \"" + path + "\". route entry not found.");
    return true;
  }
  for (const MatchRefusal& refusal : kRefusals) {
    if (refusal.outcome == outcome) {
      exchange.Fail(refusal.status, refusal.wrapped ? Wrapped(refusal.text)
                                                    : std::string(refusal.text));
      return true;
    }
  }
  return false;
}

bool Pipeline::RefuseUnready(Exchange& exchange) {
  const PipelineOptions& options = services_.options;
  if (exchange.request.body.size() > options.max_body_bytes) {
    exchange.Fail(413, "http: request body too large");
    return true;
  }
  if (options.admit && !options.admit(*exchange.principal, exchange.match.path)) {
    const std::string path = exchange.match.path.substr(0, kMaxEchoedPath);
    exchange.Fail(429, "request path \"" + path + "\": rate limit quota exceeded");
    return true;
  }
  if (const Status wrap = CheckWrapHeader(exchange.request); !wrap) {
    exchange.Fail(wrap.error());
    return true;
  }
  if (exchange.match.environment != nullptr && exchange.match.environment->sealed()) {
    exchange.Fail(503, "Vault is sealed");
    return true;
  }
  return false;
}

void Pipeline::CallHandler(Exchange& exchange) {
  const Route& route = *exchange.match.route;
  Result<JsonBody> parameters =
      ParametersOf(exchange.request, exchange.match.operation, services_.options.json);
  if (!parameters) {
    exchange.Fail(parameters.error());
    return;
  }
  Result<Fields> fields =
      Fields::Decode(route.fields, exchange.match.Captures(), std::move(*parameters));
  if (!fields) {
    exchange.Fail(fields.error());
    return;
  }
  Call call{.services = services_,
            .metrics = metrics_,
            .request = exchange.request,
            .route = route,
            .environment = exchange.match.environment,
            .name_space = exchange.match.name_space,
            .principal = exchange.principal,
            .fields = std::move(*fields),
            .record_attempt = [this, &exchange] { return RecordAttempt(exchange); }};
  if (!route.unauthenticated && !call.May(route.capability)) {
    exchange.Fail(403, Wrapped("permission denied"));
    return;
  }
  if (route.changes_state) {
    if (const Status recorded = RecordAttempt(exchange); !recorded) {
      exchange.Fail(recorded.error());
      return;
    }
  }
  Result<Reply> reply = route.handle(call);
  exchange.key_version = call.key_version;
  exchange.items = call.items;
  exchange.failed_items = call.failed_items;
  if (!reply) {
    exchange.Fail(reply.error());
    return;
  }
  if (reply->kind == Reply::Kind::kData) {
    for (std::string& warning : call.fields.Warnings()) {
      reply->warnings.push_back(std::move(warning));
    }
  }
  WriteReply(*reply,
             {.request_id = exchange.id.text(),
              .mount_type = MountTypeOf(route),
              .hoisted = route.hoisted},
             exchange.response);
}

Status Pipeline::RecordAttempt(Exchange& exchange) {
  const AuditTicket ticket = KMS_TRY(Record(exchange, /*attempt=*/true));
  const Deadline deadline = services_.clock.SteadyNow() + services_.options.audit_timeout;
  KMS_TRY(services_.audit.Await(ticket, deadline));
  exchange.acted = true;  // not before: what could not be recorded is not done, and may be repeated
  return Ok();
}

void Pipeline::RecordOutcome(Exchange& exchange) {
  const Result<AuditTicket> ticket = Record(exchange, /*attempt=*/false);
  Status written = ticket ? Ok() : Status(ticket.error());
  if (ticket) {
    const Deadline deadline = services_.clock.SteadyNow() + services_.options.audit_timeout;
    written = services_.audit.Await(*ticket, deadline);
  }
  if (written) {
    exchange.response.gate_ticket = *ticket;
    return;
  }
  Discard(exchange.response);
  if (exchange.acted) {  // what happened is recorded as attempted, but its outcome is not
    exchange.Fail(Internal("the outcome could not be recorded"));
  } else {
    exchange.Fail(written.error());
  }
}

Result<AuditTicket> Pipeline::Record(const Exchange& exchange, bool attempt) {
  const RouteMatch& match = exchange.match;
  std::string_view key;
  for (const Capture& capture : match.Captures()) {
    key = capture.name == "name" ? capture.value : key;
  }
  AuditRecord record{
      .type = attempt ? AuditRecordType::kRequest : AuditRecordType::kResponse,
      .time = services_.clock.Now(),
      .request_id = exchange.id.text(),
      .operation = OperationName(match.operation),
      .path = match.path,
      .name_space = match.name_space,
      .key = key,
      .key_version = exchange.key_version,
      .remote_address = exchange.request.remote_address,
      .remote_port = exchange.request.remote_port,
      .items = exchange.items,
      .failed_items = exchange.failed_items,
      .status = attempt ? 0 : exchange.response.status,
      .error = exchange.error,
  };
  if (exchange.principal != nullptr) {
    record.accessor = exchange.principal->accessor;
    record.display_name = exchange.principal->display_name;
    record.policies = exchange.principal->policies;
  }
  if (match.environment != nullptr) {
    record.environment = match.environment->identity().name;
  }
  std::string members;
  AppendAuditMembers(record, members);
  return services_.audit.Append(members);
}

}  // namespace kms::api
