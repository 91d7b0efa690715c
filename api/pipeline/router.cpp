// SPDX-License-Identifier: Apache-2.0
// From a decoded path to a row of the table (transit-api 2.1, 13.1).
#include "api/pipeline/router.h"

#include <algorithm>
#include <array>
#include <optional>

namespace kms::api {
namespace {

constexpr std::string_view kApiPrefix = "/v1/";
constexpr std::string_view kFixedMount = "transit/";
constexpr std::string_view kAuthPrefix = "auth/";
constexpr std::string_view kTokenPrefix = "auth/token/";

// Where a row of the table belongs: an auth mount's type, or one of these.
constexpr std::string_view kAbsolute = "/";
constexpr std::string_view kEnvironment = "";

std::string_view RoomOf(const Route& route) {
  return route.absolute ? kAbsolute : route.auth_type;
}

std::string_view TakeSegment(std::string_view& path) {
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string_view segment = path.substr(0, end);
  path.remove_prefix(std::min(end + 1, path.size()));
  return segment;
}

std::size_t SegmentCount(std::string_view path) {
  return path.empty() ? 0 : 1 + static_cast<std::size_t>(std::ranges::count(path, '/'));
}

std::string_view TrimSlashes(std::string_view text) {
  while (text.starts_with('/')) {
    text.remove_prefix(1);
  }
  while (text.ends_with('/')) {
    text.remove_suffix(1);
  }
  return text;
}

// Reads `list` of the query: nullopt when it is not a boolean; false when absent.
std::optional<bool> WantsList(std::string_view query) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair == "list" || pair.starts_with("list=")) {
      return ParseGoBoolean(pair.substr(std::min<std::size_t>(5, pair.size())));
    }
  }
  return false;
}

// Sets the operation; an outcome other than kMatched ends the request.
MatchOutcome OperationOf(const HttpRequest& request, Operation& operation) {
  switch (request.method) {
    case HttpMethod::kGet: {
      const std::optional<bool> list = WantsList(request.query);
      if (!list) {
        return MatchOutcome::kBadListParameter;
      }
      operation = *list ? Operation::kList : Operation::kRead;
      return MatchOutcome::kMatched;
    }
    case HttpMethod::kHead: operation = Operation::kRead; return MatchOutcome::kMatched;
    case HttpMethod::kList: operation = Operation::kList; return MatchOutcome::kMatched;
    case HttpMethod::kPost:
    case HttpMethod::kPut: operation = Operation::kUpdate; return MatchOutcome::kMatched;
    case HttpMethod::kDelete: operation = Operation::kDelete; return MatchOutcome::kMatched;
    case HttpMethod::kPatch:
    case HttpMethod::kScan:
    case HttpMethod::kOptions: break;
  }
  return MatchOutcome::kUnknownVerb;
}

// Where names have one canonical form, in lower case: a rule about "root" is one about "Root".
constexpr std::array<std::string_view, 4> kLowered = {"auth/", "sys/auth/", "sys/policies/",
                                                      "sys/policy/"};

// One form for what is one thing: a list ends in '/', nothing else does.
void Canonicalise(Operation operation, std::string& path) {
  const bool slash = path.ends_with('/');
  if (operation == Operation::kList && !slash) {
    path += '/';
  } else if (operation != Operation::kList && slash) {
    path.pop_back();
  }
  for (const std::string_view prefix : kLowered) {
    if (path.starts_with(prefix)) {
      std::ranges::transform(path, path.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      });
    }
  }
}

// sys/mounts/PATH inside a namespace means an environment of another name: policies judge that one.
// The same of sys/environments/PATH/…; sys/environments/status alone names none.
std::string AbsolutePolicyPath(std::string_view path, std::string_view name_space) {
  constexpr std::string_view kEnvironments = "sys/environments/";
  for (const std::string_view prefix : {std::string_view("sys/mounts/"),
                                        std::string_view("sys/internal/ui/mounts/"),
                                        kEnvironments}) {
    const bool names_one = prefix != kEnvironments || path != "sys/environments/status";
    if (name_space.empty() || !path.starts_with(prefix) || !names_one) {
      continue;
    }
    std::string_view mount = path.substr(prefix.size());
    std::string out = std::string(prefix) + std::string(name_space);
    if (mount.starts_with("transit") && (mount.size() == 7 || mount[7] == '/')) {
      mount.remove_prefix(7);
      return out.append(mount);
    }
    return out.append("/").append(mount);
  }
  return std::string(path);
}

bool EndsWithName(std::string_view pattern) {
  return pattern.ends_with('}') && !pattern.ends_with("*}");
}

}  // namespace

std::string_view OperationName(Operation operation) {
  switch (operation) {
    case Operation::kRead: return "read";
    case Operation::kUpdate: return "update";
    case Operation::kDelete: return "delete";
    case Operation::kList: return "list";
  }
  return "read";
}

bool MatchPattern(std::string_view pattern, std::string_view path, RouteMatch& match) {
  match.capture_count = 0;
  while (!pattern.empty()) {
    if (path.empty()) {
      return false;
    }
    const std::string_view expected = TakeSegment(pattern);
    if (!expected.starts_with('{')) {
      if (TakeSegment(path) != expected) {
        return false;
      }
      continue;
    }
    std::string_view name = expected.substr(1, expected.size() - 2);
    std::string_view value;
    if (name.ends_with('*')) {
      name.remove_suffix(1);
      const std::size_t tail = SegmentCount(pattern);
      const std::size_t here = SegmentCount(path);
      if (here <= tail) {
        return false;
      }
      const char* begin = path.data();
      for (std::size_t i = 0; i < here - tail; ++i) {
        value = TakeSegment(path);
      }
      value = {begin, static_cast<std::size_t>(value.data() + value.size() - begin)};
    } else {
      value = TakeSegment(path);
    }
    match.captures[match.capture_count++] = {.name = name, .value = value};
  }
  return path.empty();
}

bool Router::NamespaceExists(std::string_view name) const {
  if (environments_.Find(name) != nullptr) {
    return true;
  }
  const std::string prefix = std::string(name) + "/";
  return std::ranges::any_of(environments_.List(), [&](const auto& environment) {
    return environment->identity().name.starts_with(prefix);
  });
}

bool Router::ResolveNamespace(const HttpRequest& request, RouteMatch& match) const {
  const std::string_view name =
      TrimSlashes(request.Header("X-Vault-Namespace").value_or(std::string_view()));
  if (name.empty() || name == "root") {
    return true;
  }
  if (!NamespaceExists(name)) {
    return false;
  }
  match.path = std::string(name) + "/" + match.path;
  match.name_space = std::string_view(match.path).substr(0, name.size());
  return true;
}

void Router::MatchAuth(std::string_view path, bool head, RouteMatch& match) const {
  std::string_view rest;
  match.auth_mount = auth_mounts_.FindByPath(path.substr(kAuthPrefix.size()), rest);
  if (match.auth_mount == nullptr) {
    match.outcome = MatchOutcome::kNoMount;
    return;
  }
  MatchBelow(rest, match.auth_mount->type, head, match);
}

void Router::Match(const HttpRequest& request, RouteMatch& match) const {
  if (!request.path.starts_with(kApiPrefix)) {
    match.outcome = MatchOutcome::kOutsideApi;
    return;
  }
  match.path = request.path.substr(kApiPrefix.size());
  match.outcome = OperationOf(request, match.operation);
  if (match.outcome != MatchOutcome::kMatched) {
    return;
  }
  if (match.operation == Operation::kUpdate && match.path.ends_with('/')) {
    match.outcome = MatchOutcome::kWriteToSlash;
    return;
  }
  if (!ResolveNamespace(request, match)) {
    match.outcome = MatchOutcome::kUnknownNamespace;
    return;
  }
  const bool head = request.method == HttpMethod::kHead;
  const std::string_view whole = match.path;
  const std::size_t skipped = match.name_space.empty() ? 0 : match.name_space.size() + 1;
  const std::string_view in_namespace = whole.substr(skipped);
  match.policy_path = AbsolutePolicyPath(in_namespace, match.name_space);
  Canonicalise(match.operation, match.policy_path);
  if (in_namespace.starts_with("sys/") || in_namespace.starts_with(kTokenPrefix)) {
    MatchBelow(in_namespace, kAbsolute, head, match);
    return;
  }
  if (in_namespace.starts_with(kAuthPrefix)) {
    MatchAuth(in_namespace, head, match);
    return;
  }
  std::string_view rest;
  match.environment = environments_.FindByPath(whole, rest);
  if (match.environment == nullptr) {
    match.outcome = MatchOutcome::kNoMount;
    return;
  }
  const bool fixed_mount = rest.starts_with(kFixedMount);
  const bool is_namespace = match.environment->identity().name == match.name_space;
  if (is_namespace && !fixed_mount) {  // a namespace holds the mount transit/ and nothing else
    match.environment = nullptr;
    match.outcome = MatchOutcome::kNoMount;
    return;
  }
  rest.remove_prefix(fixed_mount ? kFixedMount.size() : 0);
  match.policy_path = match.environment->identity().name + "/";
  match.policy_path += rest;
  Canonicalise(match.operation, match.policy_path);
  MatchBelow(rest, kEnvironment, head, match);
}

void Router::MatchBelow(std::string_view rest, std::string_view room, bool head,
                        RouteMatch& match) const {
  const bool slash = rest.ends_with('/');
  rest.remove_suffix(slash ? 1 : 0);
  match.outcome = MatchOutcome::kUnsupportedPath;
  for (const Route& route : routes_) {
    const bool closed = slash && match.operation != Operation::kList && EndsWithName(route.pattern);
    if (RoomOf(route) != room || closed || !MatchPattern(route.pattern, rest, match)) {
      continue;
    }
    if (route.operation == match.operation && (!head || route.head)) {
      match.route = &route;
      match.outcome = MatchOutcome::kMatched;
      return;
    }
    match.outcome = MatchOutcome::kUnsupportedOperation;
  }
  match.capture_count = 0;
}

}  // namespace kms::api
