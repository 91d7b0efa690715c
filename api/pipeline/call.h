// SPDX-License-Identifier: Apache-2.0
// Call: what a handler gets: the checked request, its environment and its typed fields.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "api/front/http_message.h"
#include "api/pipeline/fields.h"
#include "api/pipeline/metrics.h"
#include "api/pipeline/options.h"
#include "api/pipeline/route.h"
#include "kms/auth/principal.h"
#include "kms/operations/environment.h"

namespace kms::api {

struct Call {
  const Services& services;
  Metrics& metrics;
  const HttpRequest& request;
  const Route& route;
  std::shared_ptr<Environment> environment;  // null on absolute routes
  std::string_view name_space;               // names an environment, or empty
  PrincipalHandle principal;                 // null on unauthenticated routes
  Fields fields;
  // For handlers of routes that only sometimes change state: records the attempt, durably, or says
  // why not; call it before acting. Routes marked changes_state have done so already.
  std::function<Status()> record_attempt;

  // What the audit record says beyond the request itself; handlers fill in what they did.
  std::int64_t key_version = 0;
  std::int64_t items = 0;
  std::int64_t failed_items = 0;

  [[nodiscard]] bool May(Capability /*capability*/) const {
    return principal != nullptr && principal->is_root;
  }
};

}  // namespace kms::api
