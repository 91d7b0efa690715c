// SPDX-License-Identifier: Apache-2.0
// RateLimits: how many requests a principal, an address and everybody together may make, for each
// class of routes.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/bounded_table.h"
#include "kms/auth/cidr.h"
#include "kms/auth/principal.h"
#include "kms/auth/token_bucket.h"
#include "kms/base/clock.h"
#include "kms/base/result.h"

namespace kms {

enum class RouteClass : std::uint8_t {
  kData,      // encrypt, decrypt, sign, …: what applications do all day
  kKeys,      // creating, configuring, reading, moving keys
  kIdentity,  // tokens, roles, users, policies
  kLogin,     // no token yet
  kSystem,    // sys/…
};
inline constexpr std::size_t kRouteClasses = 5;
std::string_view RouteClassName(RouteClass route_class);  // "data", "keys", …
std::optional<RouteClass> ParseRouteClass(std::string_view name);

enum class LimitScope : std::uint8_t {
  kPrincipal,  // for each actor: a token and its children share one bucket
  kAddress,    // for each client address; an IPv6 network of 64 bits is one
  kTotal,      // for everybody together
};
inline constexpr std::size_t kLimitScopes = 3;
std::string_view LimitScopeName(LimitScope scope);  // "principal", "address", "total"
std::optional<LimitScope> ParseLimitScope(std::string_view name);

// Plain value. Nothing is limited until it is said, but logins per address: they cost us most.
struct RateLimitSettings {
  std::array<std::array<RateLimit, kLimitScopes>, kRouteClasses> limits{};

  static RateLimitSettings Default();
  [[nodiscard]] const RateLimit& Of(RouteClass route_class, LimitScope scope) const {
    return limits[static_cast<std::size_t>(route_class)][static_cast<std::size_t>(scope)];
  }
  RateLimit& Of(RouteClass route_class, LimitScope scope) {
    return limits[static_cast<std::size_t>(route_class)][static_cast<std::size_t>(scope)];
  }
  friend bool operator==(const RateLimitSettings&, const RateLimitSettings&) = default;
};

// Whether this may be a limit there. Errors: kInvalidArgument: out of range; a burst that takes
// more than a day to come back; logins by principal (there is none yet) or in total (one stranger
// could use it up for all).
Status CheckRateLimit(RouteClass route_class, LimitScope scope, const RateLimit& limit);

struct RateRefusal {
  LimitScope scope = LimitScope::kPrincipal;
  std::chrono::nanoseconds retry_after{0};
};

// Who used how much of a limit since it was first met.
struct LimitConsumer {
  RouteClass route_class = RouteClass::kData;
  LimitScope scope = LimitScope::kPrincipal;
  std::string who;  // actor or network; empty for kTotal
  std::uint64_t admitted = 0;
  std::uint64_t refused = 0;
};

// Thread rule: any thread, loops included. Where nothing is limited a call costs one relaxed load,
// else one look-up; memory is fixed and whoever used least makes room (kms/auth/bounded_table.h).
class RateLimits {
 public:
  static constexpr std::size_t kCapacity = 16'384;  // principals and addresses in mind

  // Loopback addresses and those of `exempt`, which must outlive it, have no limit by address:
  // behind a proxy there are many.
  explicit RateLimits(std::span<const CidrBlock> exempt = {},
                      const RateLimitSettings& settings = RateLimitSettings::Default(),
                      std::size_t capacity = kCapacity);

  // Holds at once; what was used stays used. Every limit passed CheckRateLimit.
  void Configure(const RateLimitSettings& settings);
  [[nodiscard]] RateLimitSettings settings() const;

  // To be asked before anything is spent on a request, the look at its token included.
  std::optional<RateRefusal> RefusalByAddress(std::string_view address, RouteClass route_class,
                                              SteadyTime now);
  // To be asked once it is known who it is; judges the limits of everybody together too. Root is
  // never refused on kSystem: whoever set a limit can lift it.
  std::optional<RateRefusal> RefusalByPrincipal(const Principal& principal, RouteClass route_class,
                                                SteadyTime now);

  // Those refused most, then those admitted most.
  [[nodiscard]] std::vector<LimitConsumer> TopConsumers(std::size_t count);
  [[nodiscard]] std::uint64_t refused(LimitScope scope) const;

 private:
  struct Consumption {
    TokenBucket bucket;
    std::string who;
    RouteClass route_class = RouteClass::kData;
    LimitScope scope = LimitScope::kPrincipal;
    std::uint64_t admitted = 0;
    std::uint64_t refused = 0;
    [[nodiscard]] std::int64_t Weight(SteadyTime now) const { return bucket.Debt(now); }
  };
  struct Shape {  // of a bucket; 0: not limited
    std::atomic<std::int64_t> spacing{0};
    std::atomic<std::int64_t> burst{0};
  };
  struct Total {
    TokenBucket bucket;
    std::atomic<std::uint64_t> admitted{0};
    std::atomic<std::uint64_t> refused{0};
  };

  static std::uint32_t Bit(RouteClass route_class, LimitScope scope);
  Shape& ShapeOf(RouteClass route_class, LimitScope scope);
  std::optional<RateRefusal> TakeOf(RouteClass route_class, LimitScope scope, ByteView key,
                                    std::string_view who, SteadyTime now);
  std::optional<RateRefusal> TakeOfTotal(RouteClass route_class, SteadyTime now);
  std::optional<RateRefusal> Refused(LimitScope scope, std::chrono::nanoseconds wait);

  const std::span<const CidrBlock> exempt_;
  const TableKeys keys_;
  std::atomic<std::uint32_t> configured_{0};  // one bit per class and scope that is limited
  std::array<std::array<Shape, kLimitScopes>, kRouteClasses> shapes_;
  std::array<Total, kRouteClasses> totals_;
  std::array<std::atomic<std::uint64_t>, kLimitScopes> refused_{};
  BoundedTable<Consumption> table_;
  mutable Mutex settings_mutex_;
  RateLimitSettings settings_ KMS_GUARDED_BY(settings_mutex_);
};

}  // namespace kms
