// SPDX-License-Identifier: Apache-2.0
// Call: what a handler gets: the checked request, its environment and its typed fields.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/front/http_message.h"
#include "api/pipeline/fields.h"
#include "api/pipeline/metrics.h"
#include "api/pipeline/options.h"
#include "api/pipeline/route.h"
#include "kms/auth/principal.h"
#include "kms/auth/token_parameters.h"
#include "kms/identity/auth_mounts.h"
#include "kms/operations/environment.h"

namespace kms::api {

// What the audit record says of a call beyond the request itself; handlers fill in what they did.
struct CallAudit {
  std::string issued_accessor;   // of a token that was made
  std::string issued_name;       // its display name
  std::string wrapped_accessor;  // of a wrapping token
  std::string approval_id;
  std::string approved_by;  // accessor of the second person's token
};

// A request that was kept until a second person approved it, to be run for whoever made it.
struct ApprovedRequest {
  HttpMethod method = HttpMethod::kPost;
  std::string path;  // "/v1/…", in canonical form
  std::string query;
  std::string wrap_ttl;   // empty: the answer is not wrapped
  std::string_view body;  // the caller's, lives during the call
  PrincipalHandle requester;
  std::string approval_id;
  std::string approved_by;  // accessor
};

struct ExecutedRequest {
  int status = 0;
  std::string body;  // the whole answer; the caller's to wipe
  bool holds_secret = false;
};

struct Call {
  const Services& services;
  Metrics& metrics;
  const HttpRequest& request;
  const Route& route;
  std::shared_ptr<Environment> environment;  // null on absolute routes
  AuthMountHandle auth_mount;                // of routes below an auth mount
  std::string_view name_space;               // names an environment, or empty
  std::string_view policy_path;              // the path as policies judge it
  std::string_view client_address;           // after trusted proxies
  PrincipalHandle principal;                 // null on unauthenticated routes and logins
  Fields fields;
  // For handlers of routes that only sometimes change state: records the attempt, durably, or says
  // why not; call it before acting. Routes marked changes_state have done so already.
  std::function<Status()> record_attempt;
  // Runs an approved request through this same pipeline, past the approval gate, with the rights of
  // its requester, recorded with both names.
  std::function<ExecutedRequest(const ApprovedRequest&)> execute;

  // Who tries to log in, set by BeginLogin.
  std::string login_name;
  // How long a caller that was refused with 429 has to wait; 0: not said.
  std::chrono::nanoseconds retry_after{0};

  CallAudit audit;
  std::int64_t key_version = 0;
  std::int64_t items = 0;
  std::int64_t failed_items = 0;

  // Whether the caller may do this on the path of the request.
  [[nodiscard]] bool May(Capability capability) const;
  [[nodiscard]] LoginOrigin Origin() const;
  // A login's handler calls it with the canonical name of the user, role or subject before it
  // looks at any credentials: failures are counted against it from here on.
  // Errors: kResourceExhausted while it has to wait.
  Status BeginLogin(std::string_view name);
};

}  // namespace kms::api
