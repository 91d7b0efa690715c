// SPDX-License-Identifier: Apache-2.0
// Exchange: one request on its way through the pipeline, and what has become known of it so far.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/front/http_message.h"
#include "api/pipeline/call.h"
#include "api/pipeline/envelope.h"
#include "api/pipeline/error_response.h"
#include "api/pipeline/options.h"
#include "api/pipeline/router.h"
#include "kms/auth/acl.h"

namespace kms::api {

struct Exchange {
  Exchange(const HttpRequest& the_request, HttpResponse& the_response,
           const PipelineOptions& the_options)
      : request(the_request), response(the_response), options(the_options) {}

  const HttpRequest& request;
  HttpResponse& response;
  const PipelineOptions& options;
  RequestId id;
  RouteMatch match;
  std::string_view client_address;
  PrincipalHandle principal;
  const AclRule* rule = nullptr;  // that allowed it; null for root and logins. Lives with principal
  std::optional<std::int64_t> wrap_seconds;
  const ApprovedRequest* approved = nullptr;  // set while an approved request is run
  std::string error;                          // public text of a failure; empty after a success
  std::optional<ErrorCode> failure;           // its code, where it has one
  bool acted = false;                         // a handler ran that may have changed state
  std::string login_name;
  CallAudit audit;
  std::int64_t key_version = 0;
  std::int64_t items = 0;
  std::int64_t failed_items = 0;

  [[nodiscard]] bool login() const { return match.route != nullptr && match.route->login; }

  void Fail(const Error& cause) {
    failure = cause.code;
    if (login() && cause.code == ErrorCode::kUnauthenticated) {
      Fail(400, cause.public_message);  // how clients of this protocol know a failed login
      return;
    }
    error = PublicText(cause);
    WriteError(cause, response);
    if (options.report && !IsUserError(cause.code)) {
      options.report(cause, match.path);
    }
  }
  void Fail(int status, std::string text) {
    error = std::move(text);
    WriteErrorBody(status, error, response);
  }
  void FailLimited(std::string text, std::chrono::nanoseconds wait) {
    Fail(429, std::move(text));
    SlowDown(wait, response);
  }
};

}  // namespace kms::api
