// SPDX-License-Identifier: Apache-2.0
#include "api/open_environments.h"

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "api/service_log.h"
#include "kms/master/key_group.h"

namespace kms::api {

namespace {

constexpr Milliseconds kRetryPause{200};

std::vector<std::string> FirstHsms(const Config& config) {
  const HsmConfigs tokens = AllHsms(config);
  const bool has_default = tokens.empty() || tokens.contains(std::string(kDefaultHsm));
  return {has_default ? std::string(kDefaultHsm) : tokens.begin()->first};
}

}  // namespace

Result<std::unique_ptr<Environments>> OpenEnvironments(const Config& config,
                                                       const TokenFleet& fleet, Store& store,
                                                       HsmRegistry& hsms, const Clock& clock,
                                                       const EnvironmentsOptions& options,
                                                       const StoreJudge& judge) {
  const Deadline deadline = std::chrono::steady_clock::now() + config.hsm.start_timeout;
  std::optional<Error> refusal;
  std::vector<std::string> tried;
  for (;;) {
    const Result<std::vector<std::string>> serving = fleet.AwaitServing(tried, deadline);
    if (!serving.has_value()) {
      return refusal ? *refusal : serving.error();
    }
    const Status judged = judge();
    Result<std::unique_ptr<Environments>> opened =
        judged.has_value()
            ? Environments::Open(store, hsms, clock, options, FirstHsms(config))
            : Result<std::unique_ptr<Environments>>(judged.error());
    if (opened.has_value()) {
      return opened;
    }
    const bool is_away = opened.error().code == ErrorCode::kUnavailable;
    const bool may_open_by_another = opened.error().code == ErrorCode::kFailedPrecondition;
    const bool is_over = std::chrono::steady_clock::now() >= deadline;
    if ((!is_away && !may_open_by_another) || is_over) {
      return opened;
    }
    if (!refusal || refusal->public_message != opened.error().public_message) {
      LogWarning("the service is not open yet: " + opened.error().public_message);
    }
    refusal = opened.error();
    // One that answered no is not asked again until another one serves.
    tried = may_open_by_another ? *serving : std::vector<std::string>{};
    std::this_thread::sleep_for(kRetryPause);
  }
}

}  // namespace kms::api
