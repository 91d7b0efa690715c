// SPDX-License-Identifier: Apache-2.0
// The pipeline's order, step by step, without what a warm key does not need.
#include "api/pipeline/hot_path.h"

#include <openssl/crypto.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "api/pipeline/budget_gate.h"
#include "api/pipeline/client_address.h"
#include "api/pipeline/crypto_items.h"
#include "api/pipeline/envelope.h"
#include "api/pipeline/error_response.h"
#include "api/pipeline/hot_body.h"
#include "api/pipeline/json_writer.h"
#include "api/pipeline/limit_gate.h"
#include "api/pipeline/presented_token.h"
#include "kms/audit/record.h"
#include "kms/crypto/aead.h"
#include "kms/operations/environment.h"

namespace kms::api {
namespace {

constexpr std::string_view kApiPrefix = "/v1/";

struct ThreadState {
  HotBody body;
  CryptoRequest request;
  std::string audit_members;
};

std::unique_ptr<ThreadState>& ThreadStateSlot() {
  thread_local std::unique_ptr<ThreadState> state;
  return state;
}

ThreadState& ThisThread() {
  std::unique_ptr<ThreadState>& slot = ThreadStateSlot();
  if (slot == nullptr) {
    slot = std::make_unique<ThreadState>();
  }
  return *slot;
}

// Headers whose meaning the pool has to judge.
bool HasUnusualHeader(const HttpRequest& request) {
  constexpr std::string_view kForm = "application/x-www-form-urlencoded";
  for (const HeaderField& field : request.headers) {
    if (field.name.size() == 17 && request.Header("X-Vault-Namespace")) {
      return true;
    }
    if (field.name.size() == 16 && request.Header("X-Vault-Wrap-TTL")) {
      return true;
    }
    if (field.name.size() == 12 && field.value.starts_with(kForm)) {
      return true;
    }
  }
  return false;
}

bool TakePrefix(std::string_view prefix, std::string_view& text) {
  if (!text.starts_with(prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

std::span<const std::string> GrantingPolicies(const AclRule* rule) {
  return rule == nullptr ? std::span<const std::string>() : rule->policies;
}

std::optional<std::chrono::nanoseconds> RateRefusal(const Services& services,
                                                    const Principal& principal,
                                                    std::string_view address, SteadyTime now) {
  RateLimits& rate = services.limits.rate;
  auto refused = rate.RefusalByAddress(address, RouteClass::kData, now);
  if (!refused) {
    refused = rate.RefusalByPrincipal(principal, RouteClass::kData, now);
  }
  return refused ? std::optional(refused->retry_after) : std::nullopt;
}

void Abandon(HttpResponse& response) {
  OPENSSL_cleanse(response.body.data(), response.body.size());
  response.Clear();
}

}  // namespace

// What became of a request, for its record.
struct HotPath::Outcome {
  std::int64_t items = 0;  // of a batch
  std::int64_t failed_items = 0;
  std::int64_t key_version = 0;
  std::string_view error;
};

struct HotPath::Target {
  HotVerb verb = HotVerb::kNone;
  bool reveals_data_key = false;
  std::string_view path;  // without "/v1/"
  std::string_view key_name;
  std::shared_ptr<Environment> environment;
  KeyHandle key;
  std::string_view client_address;
  PrincipalHandle principal;
  const AclRule* rule = nullptr;  // lives with `principal`

  // Reads "encrypt/NAME" and its siblings; false for anything else.
  bool ReadVerb(std::string_view rest) {
    if (TakePrefix("encrypt/", rest)) {
      verb = HotVerb::kEncrypt;
    } else if (TakePrefix("decrypt/", rest)) {
      verb = HotVerb::kDecrypt;
    } else if (TakePrefix("rewrap/", rest)) {
      verb = HotVerb::kRewrap;
    } else if (TakePrefix("datakey/", rest)) {
      verb = HotVerb::kDataKey;
      reveals_data_key = TakePrefix("plaintext/", rest);
      if (!reveals_data_key && !TakePrefix("wrapped/", rest)) {
        return false;
      }
    }
    key_name = rest;
    return verb != HotVerb::kNone;
  }
};

HotPath::HotPath(std::span<const Route> routes, const Services& services, Metrics& metrics)
    : services_(services), metrics_(metrics) {
  for (const Route& route : routes) {
    routes_[static_cast<std::size_t>(route.hot)] = &route;
  }
  routes_[static_cast<std::size_t>(HotVerb::kNone)] = nullptr;
}

void HotPath::ForgetThreadSecrets() {
  ThreadStateSlot().reset();
  ForgetCryptoBuffers();
  Aead::ForgetThreadContexts();
}

bool HotPath::FindTarget(const HttpRequest& request, Target& target) const {
  const bool writes = request.method == HttpMethod::kPost || request.method == HttpMethod::kPut;
  if (!writes || !request.query.empty() || !request.path.starts_with(kApiPrefix) ||
      request.body.size() > services_.options.max_hot_body_bytes || HasUnusualHeader(request)) {
    return false;
  }
  target.path = request.path.substr(kApiPrefix.size());
  std::string_view rest;
  target.environment = services_.environments.FindByPath(target.path, rest);
  if (target.environment == nullptr || !target.ReadVerb(rest) ||
      routes_[static_cast<std::size_t>(target.verb)] == nullptr) {
    return false;
  }
  target.key = target.environment->WarmKey(target.key_name);
  // One RSA decryption takes as long as a thousand requests of the loop.
  return target.key != nullptr &&
         TraitsOf(target.key->policy().type).family == KeyFamily::kAead;
}

Lane HotPath::Answer(const HttpRequest& request, HttpResponse& response) {
  Target target;
  if (!FindTarget(request, target)) {
    return Lane::kDefer;
  }
  const std::string_view token = PresentedToken(request);
  if (token.size() > services_.options.max_token_bytes) {
    return Lane::kDefer;
  }
  if (!MayAnswer(request, token, target)) {
    return Lane::kDefer;  // the pool refuses and records it
  }
  const Lane lane = Run(request, target, response);
  ThisThread().body.Wipe();
  return lane;
}

// The pipeline's checks of who it is and what that may do.
bool HotPath::MayAnswer(const HttpRequest& request, std::string_view token, Target& target) const {
  const Result<std::string_view> address =
      ClientAddress(request, services_.limits.trusted_proxies);
  if (!address) {
    return false;
  }
  target.client_address = *address;
  const TokenContext context{
      .address = *address,
      .certificate = request.certificates != nullptr ? &request.certificates->leaf_digest
                                                     : nullptr};
  target.principal = services_.identity.tokens().FindWarm(token, context);
  return target.principal != nullptr && Allowed(target);
}

// Rules with conditions are left to the pool, which decodes what they look at.
bool HotPath::Allowed(Target& target) {
  if (target.principal->is_root) {
    return true;
  }
  const AclDecision decision = target.principal->acl->Decide(target.path, Capability::kUpdate);
  target.rule = decision.rule;
  return decision.allowed && decision.rule->unconditional();
}

// The pool repeats what failed here and may succeed: the log must still hear of it. Sealed or short
// of leased uses is nothing to report.
void HotPath::ReportFailure(const Result<CryptoResult>& result, const Target& target) const {
  if (!services_.options.report) {
    return;
  }
  if (!result && result.error().code == ErrorCode::kInternal) {
    services_.options.report(result.error(), target.path);
  } else if (result && result->internal_failure) {
    services_.options.report(*result->internal_failure, target.path);
  }
}

Lane HotPath::Run(const HttpRequest& request, const Target& target, HttpResponse& response) {
  const SteadyTime start = services_.clock.SteadyNow();
  ThreadState& mine = ThisThread();
  CryptoRequest& crypto = mine.request;
  crypto.Clear();
  crypto.verb = target.verb;
  crypto.reveals_data_key = target.reveals_data_key;
  if (!mine.body.Decode(request.body, services_.options.max_batch_items, crypto) ||
      !CheckCryptoRequest(crypto)) {
    return Lane::kDefer;
  }
  // Last of all: what is left to the pool is counted there.
  if (const auto wait =
          RateRefusal(services_, *target.principal, target.client_address, start)) {
    return AnswerLimited(request, target, *wait, response);
  }
  if (target.verb == HotVerb::kDecrypt &&
      ChargeDecryptions(services_, *target.principal, target.environment->identity().name,
                        target.key_name, static_cast<std::int64_t>(crypto.items.size()))) {
    return Lane::kDefer;
  }
  const RequestId id;
  response.Clear();
  AppendEnvelopeHead(id.text(), response.body);
  const CryptoRules rules = RulesOf(*target.environment, services_.options.max_body_bytes);
  const Result<CryptoResult> result = RunCrypto(*target.key, crypto, rules, response.body);
  if (!result || !result->warning.empty() || result->internal_failure ||
      target.environment->sealed()) {
    ReportFailure(result, target);
    Abandon(response);
    return Lane::kDefer;
  }
  AppendEnvelopeTail("transit", response.body);
  response.status = result->status;
  response.holds_secret = result->holds_secret;
  const Outcome outcome{
      .items = static_cast<std::int64_t>(crypto.is_batch ? crypto.items.size() : 0),
      .failed_items = result->failed_items,
      .key_version = result->key_version,
      .error = {}};
  return Finish(request, target, id, outcome, start, response);
}

// Here and not in the pool: whoever asks too much must not cost others a thread.
Lane HotPath::AnswerLimited(const HttpRequest& request, const Target& target,
                            std::chrono::nanoseconds wait, HttpResponse& response) {
  const std::string text = RateRefusalText(target.path);
  response.Clear();
  WriteErrorBody(429, text, response);
  SlowDown(wait, response);
  const Outcome outcome{.items = 0, .failed_items = 0, .key_version = 0, .error = text};
  return Finish(request, target, RequestId(), outcome, services_.clock.SteadyNow(), response);
}

// Records the answer; what cannot be recorded is left to the pool.
Lane HotPath::Finish(const HttpRequest& request, const Target& target, const RequestId& id,
                     const Outcome& outcome, SteadyTime start, HttpResponse& response) {
  std::string& members = ThisThread().audit_members;
  members.clear();
  const std::string certificate = request.certificates == nullptr
                                      ? std::string()
                                      : HexEncode(request.certificates->leaf_digest);
  AppendAuditMembers({.type = AuditRecordType::kResponse,
                      .time = services_.clock.Now(),
                      .request_id = id.text(),
                      .operation = OperationName(Operation::kUpdate),
                      .path = target.path,
                      .environment = target.environment->identity().name,
                      .key = target.key_name,
                      .key_version = outcome.key_version,
                      .accessor = target.principal->accessor,
                      .display_name = target.principal->display_name,
                      .policies = target.principal->policies,
                      .entity_id = target.principal->entity_id,
                      .token_type = TokenTypeName(target.principal->type),
                      .granting_policies = GrantingPolicies(target.rule),
                      .remote_address = request.remote_address,
                      .remote_port = request.remote_port,
                      .client_address = target.client_address == request.remote_address
                                            ? std::string_view()
                                            : target.client_address,
                      .certificate = certificate,
                      .items = outcome.items,
                      .failed_items = outcome.failed_items,
                      .status = response.status,
                      .error = outcome.error},
                     members);
  const Result<AuditTicket> ticket = services_.audit.Append(members);
  if (!ticket) {
    Abandon(response);
    return Lane::kDefer;
  }
  response.gate_ticket = *ticket;
  metrics_.Count(routes_[static_cast<std::size_t>(target.verb)], response.status,
                 services_.clock.SteadyNow() - start);
  return Lane::kAnswered;
}

}  // namespace kms::api
