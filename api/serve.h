// SPDX-License-Identifier: Apache-2.0
// Serving: puts the rooms together, runs until told to stop, takes them apart in order.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/config/config.h"
#include "kms/base/result.h"
#include "kms/operations/environment.h"

namespace kms::api {

// An environment that must exist when serving starts; one that exists is left as it is.
struct InitialEnvironment {
  std::string_view name;
  bool is_protected = false;
  bool disable_upsert = false;
};

struct ServeOptions {
  std::vector<InitialEnvironment> environments;
  // Goes on with a store that is older than the audit log; every token but the root token dies.
  bool accept_rollback = false;
  // Reads the configuration again, checked, for its HSM tokens; empty: they stay as they are.
  std::function<Result<Config>()> reload_config;
  // Called once the listener accepts, with its URL ("http://127.0.0.1:8200").
  std::function<void(const std::string& url)> on_listening;
};

// Serves until SIGTERM or SIGINT, then drains and returns. Call BlockStopSignals before.
// Errors: what kept it from starting, with a remedy in the public message.
Status Serve(const Config& config, const ServeOptions& options);

}  // namespace kms::api
