// SPDX-License-Identifier: Apache-2.0
#include "api/pipeline/limit_gate.h"

#include <string>

namespace kms::api {
namespace {

constexpr std::size_t kMaxEchoedPath = 256;

// A path that leads nowhere counts as one of the system: nobody looks for long without a limit.
RouteClass ClassOf(const Exchange& exchange) {
  return exchange.match.route == nullptr ? RouteClass::kSystem : ClassOf(*exchange.match.route);
}

}  // namespace

std::string RateRefusalText(std::string_view path) {
  return "request path \"" + std::string(path.substr(0, kMaxEchoedPath)) +
         "\": rate limit quota exceeded";
}

RouteClass ClassOf(const Route& route) {
  if (route.login) {
    return RouteClass::kLogin;
  }
  const std::string_view pattern = route.pattern;
  if (!route.auth_type.empty() || pattern.starts_with("auth/") ||
      pattern.starts_with("sys/polic") || pattern.starts_with("sys/auth") ||
      pattern.starts_with("sys/wrapping") || pattern.starts_with("sys/capabilities")) {
    return RouteClass::kIdentity;
  }
  if (route.absolute) {
    return pattern.starts_with("sys/tools/") ? RouteClass::kData : RouteClass::kSystem;
  }
  for (const std::string_view verb :
       {"encrypt/", "decrypt/", "rewrap/", "datakey", "sign/", "verify/", "hmac/", "hash", "random"}) {
    if (pattern.starts_with(verb)) {
      return RouteClass::kData;
    }
  }
  return RouteClass::kKeys;
}

bool PassesAddressLimits(const Services& services, Exchange& exchange) {
  const SteadyTime now = services.clock.SteadyNow();
  if (exchange.login()) {
    const auto wait = services.limits.logins.RefusalByAddress(exchange.client_address, now);
    if (wait) {
      exchange.FailLimited("too many failed logins from this address; wait and try again", *wait);
      return false;
    }
  }
  const auto refused =
      services.limits.rate.RefusalByAddress(exchange.client_address, ClassOf(exchange), now);
  if (refused) {
    exchange.FailLimited(RateRefusalText(exchange.match.path), refused->retry_after);
  }
  return !refused;
}

bool PassesPrincipalLimits(const Services& services, Exchange& exchange) {
  const auto refused = services.limits.rate.RefusalByPrincipal(
      *exchange.principal, ClassOf(exchange), services.clock.SteadyNow());
  if (refused) {
    exchange.FailLimited(RateRefusalText(exchange.match.path), refused->retry_after);
  }
  return !refused;
}

void CountLogin(const Services& services, const Exchange& exchange) {
  const SteadyTime now = services.clock.SteadyNow();
  LoginGuard& guard = services.limits.logins;
  if (exchange.response.status < 300) {
    guard.Succeeded(exchange.client_address, exchange.login_name, now);
  } else if (exchange.failure == ErrorCode::kUnauthenticated ||
             exchange.failure == ErrorCode::kPermissionDenied) {
    guard.Failed(exchange.client_address, exchange.login_name, now);
  }
}

}  // namespace kms::api
