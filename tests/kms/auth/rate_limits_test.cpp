// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/rate_limits.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasError;

const SteadyTime kStart{seconds(1000)};

Principal Actor(std::string name) {
  Principal principal;
  principal.actor = std::move(name);
  principal.accessor = "accessor";
  return principal;
}

RateLimitSettings Only(RouteClass route_class, LimitScope scope, const RateLimit& limit) {
  RateLimitSettings settings;
  settings.Of(route_class, scope) = limit;
  return settings;
}

constexpr RateLimit kTenPerSecond{.requests = 10, .interval_seconds = 1, .burst = 3};

// ---- token bucket
// --------------------------------------------------------------------------------

TEST(TokenBucket, GivesItsBurstAndThenOnePerSpacing) {
  TokenBucket bucket;
  constexpr std::int64_t kSpacing = 100'000'000;

  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(bucket.Take(kSpacing, 3, kStart), std::nullopt) << i;
  }
  EXPECT_EQ(bucket.Take(kSpacing, 3, kStart), milliseconds(100));
  EXPECT_EQ(bucket.Take(kSpacing, 3, kStart + milliseconds(99)), milliseconds(1));
  EXPECT_EQ(bucket.Take(kSpacing, 3, kStart + milliseconds(100)), std::nullopt);
  EXPECT_EQ(bucket.Take(kSpacing, 3, kStart + milliseconds(100)), milliseconds(100));
}

TEST(TokenBucket, RefusalsCostNothing) {
  TokenBucket bucket;
  constexpr std::int64_t kSpacing = 1'000'000'000;

  EXPECT_EQ(bucket.Take(kSpacing, 1, kStart), std::nullopt);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(bucket.Take(kSpacing, 1, kStart), seconds(1));
  }
  EXPECT_EQ(bucket.Take(kSpacing, 1, kStart + seconds(1)), std::nullopt);
}

TEST(TokenBucket, HoldsNoMoreThanItsBurstHoweverLongItRests) {
  TokenBucket bucket;
  constexpr std::int64_t kSpacing = 1'000'000;

  const SteadyTime much_later = kStart + std::chrono::hours(24 * 365);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(bucket.Take(kSpacing, 5, much_later), std::nullopt);
  }
  EXPECT_NE(bucket.Take(kSpacing, 5, much_later), std::nullopt);
}

TEST(TokenBucket, NeverGivesMoreThanTheRateOverAnyTime) {
  // 3 per second does not divide: the spacing is rounded up.
  constexpr RateLimit kThree{.requests = 3, .interval_seconds = 1, .burst = 1};
  TokenBucket bucket;
  int taken = 0;
  for (int i = 0; i < 100'000; ++i) {
    const SteadyTime now = kStart + std::chrono::microseconds(i * 100);
    taken += bucket.Take(kThree.SpacingNanoseconds(), kThree.burst, now) ? 0 : 1;
  }
  EXPECT_EQ(taken, 30);  // within ten seconds
}

TEST(TokenBucket, ATighterLimitHoldsAtOnceAndDoesNotPunishThePast) {
  TokenBucket bucket;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(bucket.Take(1'000'000'000, 100, kStart), std::nullopt);
  }
  EXPECT_EQ(bucket.Take(1'000'000, 1, kStart), milliseconds(1));
}

TEST(TokenBucket, GivesExactlyItsBurstToManyThreads) {
  TokenBucket bucket;
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5'000; ++i) {
        taken += bucket.Take(1'000'000'000, 1'000, kStart) ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(taken, 1'000);
}

// ---- settings
// ------------------------------------------------------------------------------------

TEST(RateLimitSettings, LimitNothingButLoginsByAddress) {
  const RateLimitSettings settings = RateLimitSettings::Default();
  for (std::size_t c = 0; c < kRouteClasses; ++c) {
    for (std::size_t s = 0; s < kLimitScopes; ++s) {
      const bool logins = static_cast<RouteClass>(c) == RouteClass::kLogin &&
                          static_cast<LimitScope>(s) == LimitScope::kAddress;
      EXPECT_EQ(settings.limits[c][s].limited(), logins) << c << " " << s;
    }
  }
}

TEST(RateLimitSettings, RefuseWhatCannotBe) {
  const auto check = [](std::int64_t requests, std::int64_t interval, std::int64_t burst) {
    return CheckRateLimit(RouteClass::kData, LimitScope::kPrincipal,
                          {.requests = requests, .interval_seconds = interval, .burst = burst});
  };
  EXPECT_TRUE(check(1, 1, 1).has_value());
  EXPECT_TRUE(check(1'000'000, 1, 1'000'000).has_value());
  EXPECT_TRUE(check(1, 3600, 24).has_value());
  EXPECT_THAT(check(-1, 1, 1), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(check(1'000'001, 1, 1), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(check(1, 0, 1), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(check(1, 3601, 1), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(check(1, 1, 0), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(check(1, 1, 1'000'001), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(check(1, 3600, 25), HasError(ErrorCode::kInvalidArgument,
                                           "burst is more than the rate allows within a day"));
  EXPECT_THAT(CheckRateLimit(RouteClass::kLogin, LimitScope::kTotal, kTenPerSecond),
              HasError(ErrorCode::kInvalidArgument, "logins are limited by address only"));
  EXPECT_THAT(CheckRateLimit(RouteClass::kLogin, LimitScope::kPrincipal, kTenPerSecond),
              HasError(ErrorCode::kInvalidArgument, "logins are limited by address only"));
}

TEST(RateLimitSettings, NamesReadBack) {
  for (std::size_t c = 0; c < kRouteClasses; ++c) {
    const auto route_class = static_cast<RouteClass>(c);
    EXPECT_EQ(ParseRouteClass(RouteClassName(route_class)), route_class);
  }
  for (std::size_t s = 0; s < kLimitScopes; ++s) {
    const auto scope = static_cast<LimitScope>(s);
    EXPECT_EQ(ParseLimitScope(LimitScopeName(scope)), scope);
  }
  EXPECT_EQ(ParseRouteClass("Data"), std::nullopt);
  EXPECT_EQ(ParseLimitScope(""), std::nullopt);
}

// ---- limits
// --------------------------------------------------------------------------------------

TEST(RateLimits, LimitNobodyWhereNothingIsConfigured) {
  RateLimits limits({}, RateLimitSettings{});
  const Principal principal = Actor("app");
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_EQ(limits.RefusalByAddress("192.0.2.1", RouteClass::kLogin, kStart).has_value(), false);
    EXPECT_EQ(limits.RefusalByPrincipal(principal, RouteClass::kData, kStart).has_value(), false);
  }
  EXPECT_TRUE(limits.TopConsumers(10).empty());
}

TEST(RateLimits, ANoisyPrincipalIsRefusedAndAQuietOneNever) {
  RateLimits limits({}, Only(RouteClass::kData, LimitScope::kPrincipal, kTenPerSecond));
  const Principal noisy = Actor("noisy");
  const Principal quiet = Actor("quiet");
  int refused = 0;
  for (int i = 0; i < 1'000; ++i) {
    const SteadyTime now = kStart + milliseconds(i);
    refused += limits.RefusalByPrincipal(noisy, RouteClass::kData, now) ? 1 : 0;
    if (i % 100 == 0) {
      EXPECT_FALSE(limits.RefusalByPrincipal(quiet, RouteClass::kData, now)) << i;
    }
  }
  EXPECT_EQ(refused, 1'000 - 3 - 9);
  EXPECT_EQ(limits.refused(LimitScope::kPrincipal), static_cast<std::uint64_t>(refused));
  const std::vector<LimitConsumer> top = limits.TopConsumers(1);
  ASSERT_EQ(top.size(), 1U);
  EXPECT_EQ(top[0].who, "noisy");
  EXPECT_EQ(top[0].admitted, 12U);
  EXPECT_EQ(top[0].refused, 988U);
}

TEST(RateLimits, SayHowLongToWait) {
  RateLimits limits({}, Only(RouteClass::kKeys, LimitScope::kPrincipal, kTenPerSecond));
  const Principal principal = Actor("app");
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(limits.RefusalByPrincipal(principal, RouteClass::kKeys, kStart));
  }
  const auto refusal = limits.RefusalByPrincipal(principal, RouteClass::kKeys, kStart);
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->scope, LimitScope::kPrincipal);
  EXPECT_EQ(refusal->retry_after, milliseconds(100));
}

TEST(RateLimits, ChildrenShareTheBucketOfTheirActor) {
  RateLimits limits({}, Only(RouteClass::kData, LimitScope::kPrincipal, kTenPerSecond));
  Principal parent = Actor("entity");
  Principal child = Actor("entity");
  child.accessor = "another";
  EXPECT_FALSE(limits.RefusalByPrincipal(parent, RouteClass::kData, kStart));
  EXPECT_FALSE(limits.RefusalByPrincipal(child, RouteClass::kData, kStart));
  EXPECT_FALSE(limits.RefusalByPrincipal(parent, RouteClass::kData, kStart));
  EXPECT_TRUE(limits.RefusalByPrincipal(child, RouteClass::kData, kStart));
}

TEST(RateLimits, ClassesDoNotShareBuckets) {
  RateLimitSettings settings = Only(RouteClass::kData, LimitScope::kPrincipal, kTenPerSecond);
  settings.Of(RouteClass::kKeys, LimitScope::kPrincipal) = kTenPerSecond;
  RateLimits limits({}, settings);
  const Principal principal = Actor("app");
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(limits.RefusalByPrincipal(principal, RouteClass::kData, kStart).has_value(), i >= 3);
  }
  EXPECT_FALSE(limits.RefusalByPrincipal(principal, RouteClass::kKeys, kStart));
  EXPECT_FALSE(limits.RefusalByPrincipal(principal, RouteClass::kIdentity, kStart));
}

TEST(RateLimits, AnIpv6NetworkIsOneAddress) {
  RateLimits limits({}, Only(RouteClass::kData, LimitScope::kAddress, kTenPerSecond));
  for (const char* address : {"2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:ffff::"}) {
    EXPECT_FALSE(limits.RefusalByAddress(address, RouteClass::kData, kStart)) << address;
  }
  EXPECT_TRUE(limits.RefusalByAddress("2001:db8:0:1:1:2:3:4", RouteClass::kData, kStart));
  EXPECT_FALSE(limits.RefusalByAddress("2001:db8:0:2::1", RouteClass::kData, kStart));
}

TEST(RateLimits, BothSpellingsOfAnIpv4AddressAreOne) {
  RateLimits limits({}, Only(RouteClass::kData, LimitScope::kAddress, kTenPerSecond));
  for (const char* address : {"192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201"}) {
    EXPECT_FALSE(limits.RefusalByAddress(address, RouteClass::kData, kStart)) << address;
  }
  EXPECT_TRUE(limits.RefusalByAddress("192.0.2.1", RouteClass::kData, kStart));
  EXPECT_FALSE(limits.RefusalByAddress("192.0.2.2", RouteClass::kData, kStart));
}

TEST(RateLimits, LoopbackAndProxiesHaveNoLimitByAddress) {
  const std::vector<CidrBlock> proxies = {*CidrBlock::Parse("10.0.0.0/8")};
  RateLimits limits(proxies, Only(RouteClass::kLogin, LimitScope::kAddress, kTenPerSecond));
  for (int i = 0; i < 100; ++i) {
    for (const char* address : {"127.0.0.1", "127.1.2.3", "::1", "10.1.2.3", "no address", ""}) {
      EXPECT_FALSE(limits.RefusalByAddress(address, RouteClass::kLogin, kStart)) << address;
    }
  }
  EXPECT_TRUE(limits.TopConsumers(1).empty());
}

TEST(RateLimits, WhatAPrincipalIsRefusedTakesNothingFromTheOthers) {
  RateLimitSettings settings = Only(RouteClass::kData, LimitScope::kPrincipal, kTenPerSecond);
  settings.Of(RouteClass::kData, LimitScope::kTotal) = {.requests = 5, .burst = 5};
  RateLimits limits({}, settings);
  const Principal noisy = Actor("noisy");
  for (int i = 0; i < 100; ++i) {
    const bool refused = limits.RefusalByPrincipal(noisy, RouteClass::kData, kStart).has_value();
    EXPECT_EQ(refused, i >= 3);
  }
  const Principal quiet = Actor("quiet");
  EXPECT_FALSE(limits.RefusalByPrincipal(quiet, RouteClass::kData, kStart));
  EXPECT_FALSE(limits.RefusalByPrincipal(quiet, RouteClass::kData, kStart));
  const auto refusal = limits.RefusalByPrincipal(quiet, RouteClass::kData, kStart);
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->scope, LimitScope::kTotal);
}

TEST(RateLimits, RootCanAlwaysReachTheSystem) {
  RateLimitSettings settings = Only(RouteClass::kSystem, LimitScope::kTotal, kTenPerSecond);
  settings.Of(RouteClass::kSystem, LimitScope::kPrincipal) = kTenPerSecond;
  settings.Of(RouteClass::kData, LimitScope::kPrincipal) = kTenPerSecond;
  RateLimits limits({}, settings);
  Principal root = Actor("root");
  root.is_root = true;
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(limits.RefusalByPrincipal(root, RouteClass::kSystem, kStart));
    EXPECT_EQ(limits.RefusalByPrincipal(root, RouteClass::kData, kStart).has_value(), i >= 3);
  }
}

TEST(RateLimits, AChangeHoldsAtOnce) {
  RateLimits limits({}, RateLimitSettings{});
  const Principal principal = Actor("app");
  EXPECT_FALSE(limits.RefusalByPrincipal(principal, RouteClass::kData, kStart));
  const RateLimitSettings one =
      Only(RouteClass::kData, LimitScope::kPrincipal, {.requests = 1, .burst = 1});
  limits.Configure(one);
  EXPECT_EQ(limits.settings(), one);
  EXPECT_FALSE(limits.RefusalByPrincipal(principal, RouteClass::kData, kStart));
  EXPECT_TRUE(limits.RefusalByPrincipal(principal, RouteClass::kData, kStart));
  limits.Configure(RateLimitSettings{});
  EXPECT_FALSE(limits.RefusalByPrincipal(principal, RouteClass::kData, kStart));
}

TEST(RateLimits, A19_AMillionAddressesTakeNoMemoryAndDoNotFreeWhoWasLimited) {
  constexpr std::size_t kSlots = 1024;
  RateLimits limits({}, Only(RouteClass::kLogin, LimitScope::kAddress, kTenPerSecond), kSlots);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(limits.RefusalByAddress("198.51.100.7", RouteClass::kLogin, kStart));
  }
  int freed = 0;
  for (std::uint32_t i = 0; i < 1'000'000; ++i) {
    const std::string address = "10." + std::to_string(i >> 16U & 255U) + "." +
                                std::to_string(i >> 8U & 255U) + "." + std::to_string(i & 255U);
    EXPECT_FALSE(limits.RefusalByAddress(address, RouteClass::kLogin, kStart));
    if (i % 100'000 == 0) {
      freed += limits.RefusalByAddress("198.51.100.7", RouteClass::kLogin, kStart) ? 0 : 1;
    }
  }
  EXPECT_EQ(freed, 0);  // who used most is the last to make room
  EXPECT_EQ(limits.TopConsumers(2'000'000).size(), kSlots);
}

TEST(RateLimits, CountExactlyUnderConcurrency) {
  RateLimits limits({},
                    Only(RouteClass::kData, LimitScope::kPrincipal, {.requests = 1, .burst = 500}));
  std::atomic<int> admitted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const Principal shared = Actor("shared");
      const Principal own = Actor("own-" + std::to_string(t));
      for (int i = 0; i < 1'000; ++i) {
        admitted += limits.RefusalByPrincipal(shared, RouteClass::kData, kStart) ? 0 : 1;
        EXPECT_EQ(limits.RefusalByPrincipal(own, RouteClass::kData, kStart).has_value(), i >= 500);
        if (i % 100 == 0) {
          limits.Configure(limits.settings());
          EXPECT_LE(limits.TopConsumers(3).size(), 3U);
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(admitted, 500);
}

}  // namespace
}  // namespace kms
