// SPDX-License-Identifier: Apache-2.0
// Every table of rows in one. One row per operation; tests/api/handlers/routes_snapshot_test.cpp
// holds the golden copy.
#include "api/handlers/route_table.h"

#include <algorithm>
#include <array>

#include "api/handlers/cert_routes.h"
#include "api/handlers/hsm_routes.h"
#include "api/handlers/jwt_routes.h"
#include "api/handlers/limit_routes.h"
#include "api/handlers/policy_routes.h"
#include "api/handlers/service_routes.h"
#include "api/handlers/task_routes.h"
#include "api/handlers/token_routes.h"
#include "api/handlers/transit_routes.h"
#include "api/handlers/wrapping_routes.h"
#include "api/pipeline/metrics.h"

namespace kms::api {
namespace {

// One array of all of them, in the order of the arguments.
template <std::size_t... Sizes>
constexpr auto Joined(const std::array<Route, Sizes>&... tables) {
  std::array<Route, (Sizes + ...)> all{};
  auto* out = all.begin();
  ((out = std::copy(tables.begin(), tables.end(), out)), ...);
  return all;
}

constexpr auto kAllRoutes = Joined(kTransitRoutes, kServiceRoutes, kTaskRoutes, kPolicyRoutes,
                                   kWrappingRoutes, kLimitRoutes, kTokenRoutes, kAppRoleRoutes,
                                   kUserpassRoutes, kCertRoutes, kJwtRoutes, kHsmRoutes);

static_assert(IsSound(kAllRoutes));
static_assert(kAllRoutes.size() <= Metrics::kMaxRoutes);

}  // namespace

std::span<const Route> RouteTable() { return kAllRoutes; }

}  // namespace kms::api
