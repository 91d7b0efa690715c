// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/rate_limits.h"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

namespace kms {
namespace {

constexpr std::array<std::string_view, kRouteClasses> kClassNames = {"data", "keys", "identity",
                                                                     "login", "system"};
constexpr std::array<std::string_view, kLimitScopes> kScopeNames = {"principal", "address",
                                                                    "total"};

// What a client address is counted as: a customer of an IPv6 provider has a whole network.
constexpr unsigned kIpv4Bits = 32;
constexpr unsigned kIpv6Bits = 64;

constexpr RateLimit kDefaultLoginsPerAddress{.requests = 5, .interval_seconds = 1, .burst = 50};

template <std::size_t kCount>
std::optional<std::size_t> IndexOf(const std::array<std::string_view, kCount>& names,
                                   std::string_view name) {
  const auto found = std::ranges::find(names, name);
  return found == names.end() ? std::nullopt
                              : std::optional(static_cast<std::size_t>(found - names.begin()));
}

const std::string& WhoIs(const Principal& principal) {
  if (!principal.actor.empty()) {
    return principal.actor;
  }
  return principal.accessor.empty() ? principal.display_name : principal.accessor;
}

}  // namespace

std::string_view RouteClassName(RouteClass route_class) {
  return kClassNames[static_cast<std::size_t>(route_class)];
}

std::optional<RouteClass> ParseRouteClass(std::string_view name) {
  const std::optional<std::size_t> index = IndexOf(kClassNames, name);
  return index ? std::optional(static_cast<RouteClass>(*index)) : std::nullopt;
}

std::string_view LimitScopeName(LimitScope scope) {
  return kScopeNames[static_cast<std::size_t>(scope)];
}

std::optional<LimitScope> ParseLimitScope(std::string_view name) {
  const std::optional<std::size_t> index = IndexOf(kScopeNames, name);
  return index ? std::optional(static_cast<LimitScope>(*index)) : std::nullopt;
}

RateLimitSettings RateLimitSettings::Default() {
  RateLimitSettings settings;
  settings.Of(RouteClass::kLogin, LimitScope::kAddress) = kDefaultLoginsPerAddress;
  return settings;
}

Status CheckRateLimit(RouteClass route_class, LimitScope scope, const RateLimit& limit) {
  constexpr std::int64_t kDayNanoseconds = 86'400'000'000'000;
  if (limit == RateLimit{}) {
    return Ok();
  }
  if (route_class == RouteClass::kLogin && scope != LimitScope::kAddress) {
    return InvalidArgument("logins are limited by address only");
  }
  if (limit.requests < 1 || limit.requests > RateLimit::kMaxRequests) {
    return InvalidArgument("rate must be between 1 and 1000000 requests");
  }
  if (limit.interval_seconds < 1 || limit.interval_seconds > RateLimit::kMaxIntervalSeconds) {
    return InvalidArgument("interval must be between 1 second and 1 hour");
  }
  if (limit.burst < 1 || limit.burst > RateLimit::kMaxRequests) {
    return InvalidArgument("burst must be between 1 and 1000000 requests");
  }
  if (limit.burst > kDayNanoseconds / limit.SpacingNanoseconds()) {
    return InvalidArgument("burst is more than the rate allows within a day");
  }
  return Ok();
}

RateLimits::RateLimits(std::span<const CidrBlock> exempt, const RateLimitSettings& settings,
                       std::size_t capacity)
    : exempt_(exempt), table_(capacity) {
  Configure(settings);
}

std::uint32_t RateLimits::Bit(RouteClass route_class, LimitScope scope) {
  return 1U << (static_cast<unsigned>(route_class) * kLimitScopes + static_cast<unsigned>(scope));
}

RateLimits::Shape& RateLimits::ShapeOf(RouteClass route_class, LimitScope scope) {
  return shapes_[static_cast<std::size_t>(route_class)][static_cast<std::size_t>(scope)];
}

void RateLimits::Configure(const RateLimitSettings& settings) {
  const ScopedLock lock(settings_mutex_);
  std::uint32_t configured = 0;
  for (std::size_t c = 0; c < kRouteClasses; ++c) {
    for (std::size_t s = 0; s < kLimitScopes; ++s) {
      const RateLimit& limit = settings.limits[c][s];
      shapes_[c][s].spacing.store(limit.SpacingNanoseconds(), std::memory_order_relaxed);
      shapes_[c][s].burst.store(limit.burst, std::memory_order_relaxed);
      if (limit.limited()) {
        configured |= Bit(static_cast<RouteClass>(c), static_cast<LimitScope>(s));
      }
    }
  }
  settings_ = settings;
  configured_.store(configured, std::memory_order_relaxed);
}

RateLimitSettings RateLimits::settings() const {
  const ScopedLock lock(settings_mutex_);
  return settings_;
}

std::optional<RateRefusal> RateLimits::RefusalByAddress(std::string_view address,
                                                        RouteClass route_class, SteadyTime now) {
  if ((configured_.load(std::memory_order_relaxed) & Bit(route_class, LimitScope::kAddress)) == 0) {
    return std::nullopt;
  }
  const std::optional<IpAddress> parsed = IpAddress::Parse(address);
  if (!parsed || parsed->is_loopback() || std::ranges::any_of(exempt_, [&](const CidrBlock& block) {
        return block.Contains(*parsed);
      })) {
    return std::nullopt;
  }
  const IpAddress network = parsed->Network(kIpv4Bits, kIpv6Bits);
  return TakeOf(route_class, LimitScope::kAddress, network.bytes(), address, now);
}

std::optional<RateRefusal> RateLimits::RefusalByPrincipal(const Principal& principal,
                                                          RouteClass route_class, SteadyTime now) {
  const std::uint32_t configured = configured_.load(std::memory_order_relaxed);
  const std::uint32_t principal_bit = Bit(route_class, LimitScope::kPrincipal);
  const std::uint32_t total_bit = Bit(route_class, LimitScope::kTotal);
  if ((configured & (principal_bit | total_bit)) == 0 ||
      (principal.is_root && route_class == RouteClass::kSystem)) {
    return std::nullopt;
  }
  if ((configured & principal_bit) != 0) {
    const std::string& who = WhoIs(principal);
    // Before the total: what a principal is refused takes nothing from the others.
    if (const auto refusal = TakeOf(route_class, LimitScope::kPrincipal, AsBytes(who), who, now)) {
      return refusal;
    }
  }
  return (configured & total_bit) != 0 ? TakeOfTotal(route_class, now) : std::nullopt;
}

std::optional<RateRefusal> RateLimits::TakeOf(RouteClass route_class, LimitScope scope,
                                              ByteView key, std::string_view who, SteadyTime now) {
  const Shape& shape = ShapeOf(route_class, scope);
  const std::int64_t spacing = shape.spacing.load(std::memory_order_relaxed);
  const std::int64_t burst = shape.burst.load(std::memory_order_relaxed);
  if (spacing == 0) {  // switched off a moment ago
    return std::nullopt;
  }
  const auto kind = static_cast<std::uint8_t>(std::countr_zero(Bit(route_class, scope)));
  const auto wait = table_.With(keys_.Of(kind, key), now, [&](Consumption& consumption) {
    if (consumption.who.empty()) {
      consumption.who = who;
      consumption.route_class = route_class;
      consumption.scope = scope;
    }
    const auto refused_for = consumption.bucket.Take(spacing, burst, now);
    ++(refused_for ? consumption.refused : consumption.admitted);
    return refused_for;
  });
  return wait ? Refused(scope, *wait) : std::nullopt;
}

std::optional<RateRefusal> RateLimits::TakeOfTotal(RouteClass route_class, SteadyTime now) {
  const Shape& shape = ShapeOf(route_class, LimitScope::kTotal);
  const std::int64_t spacing = shape.spacing.load(std::memory_order_relaxed);
  const std::int64_t burst = shape.burst.load(std::memory_order_relaxed);
  if (spacing == 0) {
    return std::nullopt;
  }
  Total& total = totals_[static_cast<std::size_t>(route_class)];
  const auto wait = total.bucket.Take(spacing, burst, now);
  (wait ? total.refused : total.admitted).fetch_add(1, std::memory_order_relaxed);
  return wait ? Refused(LimitScope::kTotal, *wait) : std::nullopt;
}

std::optional<RateRefusal> RateLimits::Refused(LimitScope scope, std::chrono::nanoseconds wait) {
  refused_[static_cast<std::size_t>(scope)].fetch_add(1, std::memory_order_relaxed);
  return RateRefusal{.scope = scope, .retry_after = wait};
}

std::vector<LimitConsumer> RateLimits::TopConsumers(std::size_t count) {
  std::vector<LimitConsumer> consumers;
  table_.ForEach([&](const Consumption& one) {
    consumers.push_back({.route_class = one.route_class,
                         .scope = one.scope,
                         .who = one.who,
                         .admitted = one.admitted,
                         .refused = one.refused});
    return true;
  });
  for (std::size_t c = 0; c < kRouteClasses; ++c) {
    const std::uint64_t admitted = totals_[c].admitted.load(std::memory_order_relaxed);
    const std::uint64_t refused = totals_[c].refused.load(std::memory_order_relaxed);
    if (admitted + refused != 0) {
      consumers.push_back({.route_class = static_cast<RouteClass>(c),
                           .scope = LimitScope::kTotal,
                           .who = {},
                           .admitted = admitted,
                           .refused = refused});
    }
  }
  const auto more = [](const LimitConsumer& a, const LimitConsumer& b) {
    return std::tie(a.refused, a.admitted) > std::tie(b.refused, b.admitted);
  };
  const std::size_t kept = std::min(count, consumers.size());
  std::ranges::partial_sort(consumers, consumers.begin() + static_cast<std::ptrdiff_t>(kept), more);
  consumers.resize(kept);
  return consumers;
}

std::uint64_t RateLimits::refused(LimitScope scope) const {
  return refused_[static_cast<std::size_t>(scope)].load(std::memory_order_relaxed);
}

}  // namespace kms
