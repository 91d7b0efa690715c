// SPDX-License-Identifier: Apache-2.0
// Rows of the route table about the service itself: health, mounts, metrics, tools.
#pragma once

#include <array>

#include "api/handlers/handlers.h"
#include "api/handlers/route_rows.h"
#include "api/handlers/transit_routes.h"
#include "api/pipeline/route.h"

namespace kms::api {

namespace service_fields {

using enum FieldKind;

inline constexpr std::array kHealth = {
    FieldSpec{.name = "activecode", .kind = kInteger, .fallback = "200"},
    FieldSpec{.name = "sealedcode", .kind = kInteger, .fallback = "503"},
    FieldSpec{.name = "standbycode", .kind = kInteger},
    FieldSpec{.name = "performancestandbycode", .kind = kInteger},
    FieldSpec{.name = "drsecondarycode", .kind = kInteger},
    FieldSpec{.name = "uninitcode", .kind = kInteger},
};
inline constexpr std::array kCreateMount = {
    FieldSpec{.name = "type",
              .kind = kString,
              .missing_text = "backend type must be specified as a string"},
    FieldSpec{.name = "description", .kind = kString},
    FieldSpec{.name = "config", .kind = kMap},
    FieldSpec{.name = "options", .kind = kMap},
    FieldSpec{.name = "recovery", .kind = kMap},
    FieldSpec{.name = "local", .kind = kBoolean},
    FieldSpec{.name = "seal_wrap", .kind = kBoolean},
    FieldSpec{.name = "external_entropy_access", .kind = kBoolean},
    FieldSpec{.name = "plugin_name", .kind = kString},
    FieldSpec{.name = "plugin_version", .kind = kString},
};
inline constexpr std::array kEnableAuth = {
    FieldSpec{.name = "type", .kind = kString},
    FieldSpec{.name = "description", .kind = kString},
    FieldSpec{.name = "config", .kind = kMap},
    FieldSpec{.name = "options", .kind = kMap},
    FieldSpec{.name = "local", .kind = kBoolean},
    FieldSpec{.name = "seal_wrap", .kind = kBoolean},
    FieldSpec{.name = "external_entropy_access", .kind = kBoolean},
    FieldSpec{.name = "plugin_name", .kind = kString},
};
inline constexpr std::array kAuthTune = {
    FieldSpec{.name = "description", .kind = kString},
    FieldSpec{.name = "default_lease_ttl", .kind = kString},
    FieldSpec{.name = "max_lease_ttl", .kind = kString},
    FieldSpec{.name = "token_type", .kind = kString},
    FieldSpec{.name = "listing_visibility", .kind = kString},
    FieldSpec{.name = "options", .kind = kMap},
};
inline constexpr std::array kTune = {
    FieldSpec{.name = "description", .kind = kString},
    FieldSpec{.name = "default_lease_ttl", .kind = kString},
    FieldSpec{.name = "max_lease_ttl", .kind = kString},
    FieldSpec{.name = "options", .kind = kMap},
};
inline constexpr std::array kMetrics = {
    FieldSpec{.name = "format", .kind = kString},
};

}  // namespace service_fields

inline constexpr auto kServiceRoutes = Absolute(std::array{
    AlsoHead(OnLoop(Unauthenticated(Reads("sys/health", HandleHealth, service_fields::kHealth)))),
    OnLoop(Unauthenticated(Reads("sys/seal-status", HandleSealStatus))),
    OnLoop(Unauthenticated(Reads("sys/leader", HandleLeader))),
    OnLoop(Unauthenticated(Reads("sys/init", HandleInitStatus))),
    Hoisted(Reads("sys/mounts", HandleListMounts)),
    Hoisted(Reads("sys/mounts/{path*}/tune", HandleReadTune)),
    WithApproval(ApprovalAction::kTune,
                 Changes("sys/mounts/{path*}/tune", HandleWriteTune, service_fields::kTune)),
    Hoisted(Reads("sys/mounts/{path*}", HandleReadMount)),
    Changes("sys/mounts/{path*}", HandleCreateMount, service_fields::kCreateMount),
    WithApproval(ApprovalAction::kTune, Deletes("sys/mounts/{path*}", HandleDeleteMount)),
    Unauthenticated(Reads("sys/internal/ui/mounts", HandleVisibleMounts)),
    Reads("sys/internal/ui/mounts/{path*}", HandleMountOfPath),
    Hoisted(Reads("sys/auth", HandleListAuthMounts)),
    Hoisted(Sudo(Reads("sys/auth/{path*}/tune", HandleReadAuthTune))),
    Sudo(Changes("sys/auth/{path*}/tune", HandleWriteAuthTune, service_fields::kAuthTune)),
    Hoisted(Sudo(Reads("sys/auth/{path*}", HandleReadAuthMount))),
    Sudo(Changes("sys/auth/{path*}", HandleEnableAuth, service_fields::kEnableAuth)),
    Sudo(Deletes("sys/auth/{path*}", HandleDisableAuth)),
    Reads("sys/hsm/status", HandleHsmStatus),
    Reads("sys/environments/status", HandleEnvironmentsStatus),
    Reads("sys/metrics", HandleMetrics, service_fields::kMetrics),
    Posts("sys/tools/random", HandleRandom, transit_fields::kRandom),
    Posts("sys/tools/random/{source}", HandleRandom, transit_fields::kRandom),
    Posts("sys/tools/random/{source}/{bytes}", HandleRandom, transit_fields::kRandom),
    Posts("sys/tools/hash", HandleHash, transit_fields::kHash),
    Posts("sys/tools/hash/{algorithm}", HandleHash, transit_fields::kHash),
});

}  // namespace kms::api
