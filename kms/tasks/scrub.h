// SPDX-License-Identifier: Apache-2.0
// Scrub: looks at everything that is stored before it is needed: has each token open every
// environment key, opens every entry, compares the store with the sums its commits keep.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/audit/audit_log.h"
#include "kms/base/clock.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/operations/environments.h"
#include "kms/tasks/scrub_state.h"

namespace kms {

struct ScrubOptions {
  std::chrono::seconds interval{86'400};  // from the begin of one pass to that of the next
  std::uint32_t entries_per_second = 200;
  std::uint32_t wraps_per_second = 5;
  std::chrono::milliseconds hsm_timeout{5000};  // per HSM call
  AuditLog* audit = nullptr;                    // findings are recorded here
  // Told of each finding once; may be empty.
  std::function<void(std::string_view what)> alarm;
  // Compares the whole store with its sums; one line per difference. Empty: not offered.
  std::function<Result<std::vector<std::string>>()> check_store;
};

// Never changes anything but its own record, and never stops the service: whatever it cannot look
// at now is skipped and counted.
// Thread rule: Step by one thread; the others by any.
class Scrub {
 public:
  // Goes on where the record in `sys` says. `environments` and `clock` must outlive it. A record
  // that cannot be read is begun anew.
  Scrub(Environments& environments, const Clock& clock, ScrubOptions options);

  // Does one small piece of work; returns how long to wait before the next.
  std::chrono::milliseconds Step();

  // A pass begins with the next step, unless one is under way.
  void RequestPass();

  [[nodiscard]] ScrubState State() const;
  [[nodiscard]] const ScrubOptions& options() const { return options_; }

  // How many findings are remembered with their text.
  static constexpr std::size_t kMaxFindings = 100;

 private:
  // What one step did.
  struct Work {
    std::uint64_t wraps = 0;
    std::uint64_t entries = 0;
  };

  [[nodiscard]] bool IsDue(std::int64_t now) const;
  void BeginPass(std::int64_t now);
  void FinishPass(std::int64_t now);
  // The environment after the one that was looked at; empty: there is none.
  [[nodiscard]] std::string NextEnvironment() const;
  void EnterNextEnvironment();
  Work CheckWraps(Environment& environment);
  void CheckWrap(Environment& environment, const std::string& hsm, const MasterKeyRecord& master,
                 EnvironmentKeyVersion version, const WrappedKey& wrapped);
  Work CheckEntries(Environment& environment);
  void CheckEntry(Environment& environment, const std::string& path);
  void CheckStore();
  void Skip();
  void Report(ScrubFinding finding);
  void Tell(const ScrubFinding& finding) const;
  void Save();

  Environments& environments_;
  const Clock& clock_;
  const ScrubOptions options_;
  SteadyTime saved_{};

  mutable Mutex mutex_;
  bool requested_ KMS_GUARDED_BY(mutex_) = false;
  ScrubState state_ KMS_GUARDED_BY(mutex_);
};

}  // namespace kms
