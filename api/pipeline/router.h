// SPDX-License-Identifier: Apache-2.0
// Router: finds environment, row and captured values for a request's decoded path. Its own matcher,
// over the one canonical path that policy and audit see too.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "api/front/http_message.h"
#include "api/pipeline/fields.h"
#include "api/pipeline/route.h"
#include "kms/identity/auth_mounts.h"
#include "kms/operations/environments.h"

namespace kms::api {

enum class MatchOutcome : std::uint8_t {
  kMatched,
  kOutsideApi,            // 404 without text
  kUnknownVerb,           // 405 without text
  kBadListParameter,      // 400 without text
  kWriteToSlash,          // 400
  kUnknownNamespace,      // 404
  kNoMount,               // 404
  kUnsupportedPath,       // 404, wrapped
  kUnsupportedOperation,  // 405, wrapped
};

// Views point into `path`, so a match stays where it was made.
struct RouteMatch {
  RouteMatch() = default;
  RouteMatch(const RouteMatch&) = delete;
  RouteMatch& operator=(const RouteMatch&) = delete;

  static constexpr std::size_t kMaxCaptures = 3;

  MatchOutcome outcome = MatchOutcome::kOutsideApi;
  Operation operation = Operation::kRead;
  std::string path;  // without "/v1/"; with the namespace in front, as "prod/transit/encrypt/app"
  const Route* route = nullptr;
  std::shared_ptr<Environment> environment;
  AuthMountHandle auth_mount;   // of routes below one
  std::string_view name_space;  // the environment that the namespace names; empty: root
  // What policies judge: `path` in its one canonical form, whichever way it was addressed:
  // "prod/encrypt/app" for an environment, "sys/…" and "auth/…" without a namespace.
  std::string policy_path;
  std::array<Capture, kMaxCaptures> captures{};
  std::size_t capture_count = 0;

  [[nodiscard]] std::span<const Capture> Captures() const {
    return std::span(captures).first(capture_count);
  }
};

// Thread rule: any thread; the table is constant.
class Router {
 public:
  // All must outlive it.
  Router(std::span<const Route> routes, const Environments& environments,
         const AuthMounts& auth_mounts)
      : routes_(routes), environments_(environments), auth_mounts_(auth_mounts) {}

  void Match(const HttpRequest& request, RouteMatch& match) const;

  [[nodiscard]] std::span<const Route> routes() const { return routes_; }

 private:
  bool ResolveNamespace(const HttpRequest& request, RouteMatch& match) const;
  [[nodiscard]] bool NamespaceExists(std::string_view name) const;
  void MatchBelow(std::string_view rest, std::string_view room, bool head, RouteMatch& match) const;
  void MatchAuth(std::string_view path, bool head, RouteMatch& match) const;

  std::span<const Route> routes_;
  const Environments& environments_;
  const AuthMounts& auth_mounts_;
};

// Matches one pattern ("keys/{name}/rotate", "sys/mounts/{path*}/tune") against a path without
// leading or trailing '/'; fills the captures of `match` on success.
bool MatchPattern(std::string_view pattern, std::string_view path, RouteMatch& match);

}  // namespace kms::api
