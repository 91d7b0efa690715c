// SPDX-License-Identifier: Apache-2.0
// The order of transit-api 2.9, for requests that may block.
#include "api/pipeline/pipeline.h"

#include <openssl/crypto.h>

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "api/pipeline/approval_gate.h"
#include "api/pipeline/audit_entry.h"
#include "api/pipeline/authorization.h"
#include "api/pipeline/client_address.h"
#include "api/pipeline/exchange.h"
#include "api/pipeline/limit_gate.h"
#include "api/pipeline/presented_token.h"
#include "api/pipeline/response_wrapping.h"

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
  if (!route.auth_type.empty()) {
    return route.auth_type;
  }
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

// The seconds that the answer is to be wrapped for; nullopt: not at all (transit-api 2.2).
Result<std::optional<std::int64_t>> WrapSeconds(const HttpRequest& request) {
  const auto value = request.Header("X-Vault-Wrap-TTL");
  if (!value || value->empty()) {
    return std::optional<std::int64_t>{};
  }
  const Result<std::int64_t> seconds = ParseDurationSeconds(*value);
  if (!seconds) {
    return InvalidArgument("error parsing X-Vault-Wrap-TTL header: " +
                           seconds.error().public_message);
  }
  return *seconds == 0 ? std::optional<std::int64_t>{} : std::optional(*seconds);
}

TokenContext TokenContextOf(const HttpRequest& request, std::string_view client_address) {
  return {.address = client_address,
          .certificate = request.certificates != nullptr ? &request.certificates->leaf_digest
                                                         : nullptr};
}

void Discard(HttpResponse& response) {
  if (response.holds_secret) {
    OPENSSL_cleanse(response.body.data(), response.body.size());
  }
  response.Clear();
}

}  // namespace

Pipeline::Pipeline(std::span<const Route> routes, Services services)
    : services_(std::move(services)),
      router_(routes, services_.environments, services_.identity.mounts()),
      metrics_(routes),
      hot_path_(routes, services_, metrics_) {
  services_.identity.limit_settings().Attach(services_.limits);
}

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
  if (Admit(exchange) && !RefuseUnmatched(exchange) && !RefuseUnready(exchange)) {
    CallHandler(exchange);
  }
  if (exchange.login()) {
    CountLogin(services_, exchange);
  }
}

// Everything that is asked before it matters what a request names. Whoever presents no good token,
// or may do nothing there, learns nothing about what exists.
bool Pipeline::Admit(Exchange& exchange) {
  const Result<std::string_view> address =
      ClientAddress(exchange.request, services_.limits.trusted_proxies);
  if (!address) {
    exchange.Fail(address.error());
    return false;
  }
  exchange.client_address = *address;
  if (!PassesAddressLimits(services_, exchange)) {
    return false;
  }
  if (exchange.login()) {
    return true;
  }
  if (const Status authenticated = Authenticate(exchange); !authenticated) {
    exchange.Fail(authenticated.error());
    return false;
  }
  if (!PassesPrincipalLimits(services_, exchange)) {
    return false;
  }
  const Status authorized = AuthorizePath(services_, exchange);
  if (!authorized) {
    exchange.Fail(authorized.error());
  }
  return authorized.has_value();
}

Status Pipeline::Authenticate(Exchange& exchange) {
  const std::string_view token = PresentedToken(exchange.request);
  if (token.size() > services_.options.max_token_bytes) {
    return MakeError(ErrorCode::kPermissionDenied, "permission denied");
  }
  const TokenContext context = TokenContextOf(exchange.request, exchange.client_address);
  exchange.principal = KMS_TRY(services_.identity.tokens().Authenticate(token, context));
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
  const Result<std::optional<std::int64_t>> wrap = WrapSeconds(exchange.request);
  if (!wrap) {
    exchange.Fail(wrap.error());
    return true;
  }
  exchange.wrap_seconds = *wrap;
  if (const Status allowed = AuthorizeWrapping(exchange); !allowed) {
    exchange.Fail(allowed.error());
    return true;
  }
  if (exchange.match.environment != nullptr && exchange.match.environment->sealed()) {
    exchange.Fail(503, "Vault is sealed");
    return true;
  }
  return false;
}

// The steps between a request that may be made and its handler.
Status Pipeline::Prepare(Exchange& exchange) {
  if (exchange.match.route->changes_state) {
    KMS_TRY(RecordAttempt(exchange));
  }
  if (exchange.principal != nullptr && exchange.approved == nullptr) {
    KMS_TRY(services_.identity.tokens().SpendUse(*exchange.principal));
  }
  return Ok();
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
  if (const Status allowed = AuthorizeFields(exchange, *fields); !allowed) {
    exchange.Fail(allowed.error());
    return;
  }
  Call call{.services = services_,
            .metrics = metrics_,
            .request = exchange.request,
            .route = route,
            .environment = exchange.match.environment,
            .auth_mount = exchange.match.auth_mount,
            .name_space = exchange.match.name_space,
            .policy_path = exchange.match.policy_path,
            .client_address = exchange.client_address,
            .principal = exchange.principal,
            .fields = std::move(*fields),
            .record_attempt = [this, &exchange] { return RecordAttempt(exchange); },
            .execute = [this](const ApprovedRequest& approved) { return Execute(approved); },
            .audit = exchange.audit};
  Result<Reply> reply = Answer(exchange, call);
  exchange.login_name = call.login_name;
  exchange.audit = std::move(call.audit);
  exchange.key_version = call.key_version;
  exchange.items = call.items;
  exchange.failed_items = call.failed_items;
  if (!reply) {
    exchange.Fail(reply.error());
    if (call.retry_after.count() != 0) {
      AddRetryAfter(call.retry_after, exchange.response);
    } else if (reply.error().code == ErrorCode::kUnavailable) {
      AddRetryAfter(std::chrono::seconds(1), exchange.response);  // sealed, or an HSM away or busy
    }
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

// Runs the handler, or puts the request before a second person; wraps what it answers.
Result<Reply> Pipeline::Answer(Exchange& exchange, Call& call) {
  const Route& route = *exchange.match.route;
  if (route.approval != ApprovalAction::kNone && exchange.approved == nullptr) {
    std::optional<Reply> waiting = KMS_TRY(DemandApproval(call));
    if (waiting) {
      return std::move(*waiting);
    }
  }
  KMS_TRY(Prepare(exchange));
  Reply reply = KMS_TRY(route.handle(call));
  if (exchange.wrap_seconds) {
    KMS_TRY(WrapReply(call, *exchange.wrap_seconds, reply));
  }
  return reply;
}

// An approved request goes the way of every other, with the rights that its requester has now.
ExecutedRequest Pipeline::Execute(const ApprovedRequest& approved) {
  HttpRequest request;
  request.method = approved.method;
  request.path = approved.path;
  request.query = approved.query;
  request.body = approved.body;
  if (!approved.wrap_ttl.empty()) {
    request.headers.push_back({.name = "X-Vault-Wrap-TTL", .value = approved.wrap_ttl});
  }
  HttpResponse response;
  Exchange exchange(request, response, services_.options);
  exchange.approved = &approved;
  exchange.principal = approved.requester;
  exchange.audit.approval_id = approved.approval_id;
  exchange.audit.approved_by = approved.approved_by;
  router_.Match(request, exchange.match);
  const Status allowed = AuthorizePath(services_, exchange);
  if (!allowed) {
    exchange.Fail(allowed.error());
  } else if (!RefuseUnmatched(exchange) && !RefuseUnready(exchange)) {
    CallHandler(exchange);
  }
  RecordOutcome(exchange);
  return {.status = response.status,
          .body = std::move(response.body),
          .holds_secret = response.holds_secret};
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
  return services_.audit.Append(AuditMembersOf(exchange, attempt, services_.clock.Now()));
}

}  // namespace kms::api
