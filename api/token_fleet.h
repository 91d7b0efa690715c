// SPDX-License-Identifier: Apache-2.0
// TokenFleet: the HSM tokens of the configuration. Each has a worker process and stands in the
// registry under its name.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/config/config.h"
#include "api/pipeline/options.h"
#include "kms/base/clock.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/master/hsm_registry.h"

namespace kms::pkcs11 {
class WorkerDevice;
}

namespace kms::api {

// Thread rule: any thread; changes wait for each other.
class TokenFleet {
 public:
  // `hsms` must outlive it. Of the `request_threads` that serve everybody, a slow token holds up no
  // more than half.
  explicit TokenFleet(HsmRegistry& hsms, std::uint64_t request_threads = 8)
      : hsms_(hsms),
        max_slow_requests_(static_cast<std::uint32_t>(request_threads < 4 ? 1 : request_threads / 2)) {}

  // The names of the environments that a token serves.
  using Users = std::function<std::vector<std::string>(std::string_view hsm)>;

  // Makes the registry hold exactly `tokens`: starts workers for those that are new or configured
  // otherwise than before or that wait for an operator, ends those of the others. Returns at once; workers start in the
  // background. `dry_run` only says what would change. Errors: kFailedPrecondition naming token and
  // reason, and nothing is changed: one that is left out still serves an environment, a PIN cannot
  // be read.
  Result<HsmChanges> Apply(const HsmConfigs& tokens, const Users& users, bool dry_run = false);

  // The process is about to stop: from now on a call to a token has `patience` at most, those under
  // way too. The worker of a token that takes longer is ended, so that nobody waits for it again.
  void LimitCalls(Milliseconds patience);

  // Waits until a token serves that is not among `tried`, and a moment longer for the others.
  // Returns all that serve. Errors: kFailedPrecondition with the state of each token, when
  // `deadline` passes, or at once when every other one needs an operator.
  [[nodiscard]] Result<std::vector<std::string>> AwaitServing(const std::vector<std::string>& tried,
                                                              Deadline deadline) const;

 private:
  // Those of `tokens` that do nothing until an operator acts, without the `changed` ones.
  [[nodiscard]] std::vector<std::string> WaitingForOperator(const std::vector<std::string>& changed,
                                                            const HsmConfigs& tokens) const;
  // What the log and errors call a token.
  [[nodiscard]] std::string TitleOf(const std::string& hsm) const;
  [[nodiscard]] Error NoneServes(const std::vector<HsmStatus>& statuses) const;

  HsmRegistry& hsms_;
  const std::uint32_t max_slow_requests_;
  // Held while workers are started, which waits for no token.
  mutable Mutex mutex_;
  HsmConfigs running_ KMS_GUARDED_BY(mutex_);
  // Of the same names; whoever still uses one that was removed keeps it alive.
  std::map<std::string, std::weak_ptr<pkcs11::WorkerDevice>> workers_ KMS_GUARDED_BY(mutex_);
};

}  // namespace kms::api
