// SPDX-License-Identifier: Apache-2.0
#include "kms/tasks/scrub.h"

#include <algorithm>
#include <utility>

#include "kms/audit/record.h"
#include "kms/base/ids.h"
#include "kms/master/guarded_device.h"
#include "kms/tasks/task_entries.h"
#include "kms/tasks/task_work.h"

namespace kms {

namespace {

using std::chrono::milliseconds;

constexpr std::string_view kPath = "scrub";
constexpr std::size_t kPage = 50;
// How long a step waits that has nothing to do: a pass that is asked for begins soon.
constexpr milliseconds kIdle{500};
constexpr milliseconds kSaveInterval{30'000};

ScrubState ReadState(SealedStore& sys) {
  const Result<std::optional<OpenedEntry>> entry = sys.Get(kPath);
  if (!entry.has_value() || !entry->has_value()) {
    return {};
  }
  Result<ScrubState> state = ScrubState::Decode((*entry)->value.View());
  return state.has_value() ? *std::move(state) : ScrubState{};
}

milliseconds PauseAfter(std::uint64_t done, std::uint32_t per_second) {
  return milliseconds(per_second == 0 ? 0 : static_cast<std::int64_t>(done * 1000 / per_second));
}

bool IsSame(const ScrubFinding& a, const ScrubFinding& b) {
  return a.target == b.target && a.environment == b.environment && a.hsm == b.hsm &&
         a.what == b.what;
}

}  // namespace

Scrub::Scrub(Environments& environments, const Clock& clock, ScrubOptions options)
    : environments_(environments),
      clock_(clock),
      options_(std::move(options)),
      saved_(clock.SteadyNow()),
      state_(ReadState(environments.sys()->store())) {}

ScrubState Scrub::State() const {
  const ScopedLock lock(mutex_);
  return state_;
}

void Scrub::RequestPass() {
  const ScopedLock lock(mutex_);
  requested_ = true;
}

milliseconds Scrub::Step() {
  const std::int64_t now = ToUnixSeconds(clock_.Now());
  ScrubState state = State();
  if (!state.under_way) {
    if (!IsDue(now)) {
      return kIdle;
    }
    BeginPass(now);
    state = State();
  }
  if (state.environment.empty()) {
    FinishPass(now);
    return kIdle;
  }
  const std::shared_ptr<Environment> environment =
      FindEnvironment(environments_, state.environment);
  if (environment == nullptr || environment->sealed()) {
    Skip();
    EnterNextEnvironment();
    return milliseconds{0};
  }
  const Work work = state.wraps_done ? CheckEntries(*environment) : CheckWraps(*environment);
  if (clock_.SteadyNow() - saved_ >= kSaveInterval) {
    Save();
  }
  return PauseAfter(work.wraps, options_.wraps_per_second) +
         PauseAfter(work.entries, options_.entries_per_second);
}

// ---- the pass -----------------------------------------------------------------------------------

bool Scrub::IsDue(std::int64_t now) const {
  const ScopedLock lock(mutex_);
  // A clock that was set back does not put the next pass off.
  const std::int64_t age = now - state_.started_unix_seconds;
  return requested_ || state_.started_unix_seconds == 0 || age < 0 ||
         age >= options_.interval.count();
}

void Scrub::BeginPass(std::int64_t now) {
  {
    const ScopedLock lock(mutex_);
    requested_ = false;
    state_.under_way = true;
    state_.started_unix_seconds = now;
    state_.environment.clear();
    state_.counts = {};
    state_.more_findings = 0;
  }
  EnterNextEnvironment();
}

void Scrub::FinishPass(std::int64_t now) {
  CheckStore();
  {
    const ScopedLock lock(mutex_);
    state_.under_way = false;
    state_.finished_unix_seconds = now;
    ++state_.passes;
    state_.previous = state_.counts;
    // What was not found again was put right; what could not be looked at may be there still.
    if (state_.counts.skipped == 0) {
      std::erase_if(state_.findings, [begin = state_.started_unix_seconds](const auto& finding) {
        return finding.last_seen_unix_seconds < begin;
      });
    }
  }
  Save();
}

std::string Scrub::NextEnvironment() const {
  const std::string sys = environments_.sys()->identity().name;
  const std::string current = State().environment;
  if (current.empty()) {
    return sys;
  }
  std::string next;
  for (const std::shared_ptr<Environment>& environment : environments_.List()) {
    const std::string& name = environment->identity().name;
    if ((current == sys || name > current) && (next.empty() || name < next)) {
      next = name;
    }
  }
  return next;
}

void Scrub::EnterNextEnvironment() {
  std::string next = NextEnvironment();
  {
    const ScopedLock lock(mutex_);
    state_.environment = std::move(next);
    state_.cursor.clear();
    state_.wraps_done = false;
  }
  Save();
}

// ---- what is looked at --------------------------------------------------------------------------

Scrub::Work Scrub::CheckWraps(Environment& environment) {
  const std::string& name = environment.identity().name;
  Work work;
  const Result<GroupMaterial> keys = environments_.ReadKeys(name);
  if (!keys.has_value()) {
    if (keys.error().code == ErrorCode::kCorrupted) {
      Report({.target = ScrubTarget::kRecord,
              .environment = name,
              .hsm = {},
              .what = "keys of the environment",
              .problem = keys.error().public_message});
    } else {
      Skip();
    }
  } else {
    for (const std::string& path : keys->damaged) {
      Report({.target = ScrubTarget::kRecord,
              .environment = name,
              .hsm = {},
              .what = path,
              .problem = "the record cannot be read: let the HSM leave the environment and join it "
                         "again, or restore a backup"});
    }
    for (const auto& [hsm, member] : keys->members) {
      for (const auto& [version, wraps] : member.wraps) {
        for (const auto& [master, wrapped] : wraps) {
          const auto record = member.masters.find(master);
          if (record != member.masters.end()) {
            CheckWrap(environment, hsm, record->second, version, wrapped);
            ++work.wraps;
          }
        }
      }
    }
  }
  const ScopedLock lock(mutex_);
  state_.wraps_done = true;
  state_.counts.wraps += work.wraps;
  return work;
}

void Scrub::CheckWrap(Environment& environment, const std::string& hsm,
                      const MasterKeyRecord& master, EnvironmentKeyVersion version,
                      const WrappedKey& wrapped) {
  const std::string what = "environment key " + std::to_string(version) + " under master key " +
                           std::to_string(master.version);
  const auto report = [&](std::string problem) {
    Report({.target = ScrubTarget::kWrap,
            .environment = environment.identity().name,
            .hsm = hsm,
            .what = what,
            .problem = std::move(problem)});
  };
  const std::shared_ptr<GuardedDevice> device = environments_.hsms().Find(hsm);
  if (device == nullptr) {
    Skip();
    return;
  }
  const Result<SecretBytes> key =
      device->Unwrap(master, wrapped, EnvironmentKeyContext(environment.identity().id, version),
                     device->DeadlineFrom(clock_.SteadyNow(), options_.hsm_timeout));
  if (!key.has_value()) {
    const ErrorCode code = key.error().code;
    if (code == ErrorCode::kCorrupted || code == ErrorCode::kFailedPrecondition) {
      report(key.error().public_message +
             ": restore the token, or let it leave the environment "
             "while another one opens it");
    } else {
      Skip();
    }
    return;
  }
  // Keys that were forgotten or sealed away meanwhile cannot be compared.
  if (!environment.keyring().Holds(version, *key) &&
      environment.keyring().Find(version).has_value()) {
    report("the HSM opens it to another value: restore the token from its backup");
  }
}

Scrub::Work Scrub::CheckEntries(Environment& environment) {
  Work work;
  const std::string cursor = State().cursor;
  const Result<std::vector<ListedEntry>> page = environment.store().List({}, cursor, kPage);
  if (!page.has_value()) {
    Skip();
    EnterNextEnvironment();
    return work;
  }
  for (const ListedEntry& entry : *page) {
    CheckEntry(environment, entry.path);
    ++work.entries;
  }
  {
    const ScopedLock lock(mutex_);
    state_.counts.entries += work.entries;
    state_.cursor = page->empty() ? cursor : page->back().path;
  }
  if (page->size() < kPage) {
    EnterNextEnvironment();
  }
  return work;
}

void Scrub::CheckEntry(Environment& environment, const std::string& path) {
  const Result<std::optional<OpenedEntry>> entry = environment.store().Get(path);
  if (!entry.has_value() && entry.error().code == ErrorCode::kCorrupted) {
    Report({.target = ScrubTarget::kEntry,
            .environment = environment.identity().name,
            .hsm = {},
            .what = path,
            .problem = entry.error().public_message + ": restore it from a backup, or delete it"});
  }
}

void Scrub::CheckStore() {
  if (!options_.check_store) {
    return;
  }
  const Result<std::vector<std::string>> differences = options_.check_store();
  if (!differences.has_value()) {
    Skip();
    return;
  }
  for (const std::string& difference : *differences) {
    Report({.target = ScrubTarget::kStore,
            .environment = {},
            .hsm = {},
            .what = difference,
            .problem = "entries were changed behind the service: restore a backup, or start with "
                       "--accept-rollback to go on with what is there"});
  }
}

// ---- what is told -------------------------------------------------------------------------------

void Scrub::Skip() {
  const ScopedLock lock(mutex_);
  ++state_.counts.skipped;
}

void Scrub::Report(ScrubFinding finding) {
  finding.last_seen_unix_seconds = ToUnixSeconds(clock_.Now());
  finding.first_seen_unix_seconds = finding.last_seen_unix_seconds;
  {
    const ScopedLock lock(mutex_);
    const auto known = std::ranges::find_if(state_.findings,
                                            [&](const auto& one) { return IsSame(one, finding); });
    if (known != state_.findings.end()) {
      known->last_seen_unix_seconds = finding.last_seen_unix_seconds;
      known->problem = finding.problem;
      return;
    }
    if (state_.findings.size() >= kMaxFindings) {
      ++state_.more_findings;
    } else {
      state_.findings.push_back(finding);
    }
  }
  Tell(finding);
  Save();
}

void Scrub::Tell(const ScrubFinding& finding) const {
  std::string text = "scrub: " + finding.what;
  if (!finding.environment.empty()) {
    text += " of environment " + finding.environment;
  }
  if (!finding.hsm.empty()) {
    text += ", HSM " + finding.hsm;
  }
  text += ": " + finding.problem;
  if (options_.alarm) {
    options_.alarm(text);
  }
  if (options_.audit == nullptr) {
    return;
  }
  const std::string id = Uuid::Random().ToString();
  AuditRecord record;
  record.time = clock_.Now();
  record.request_id = id;
  record.operation = "scrub-finding";
  record.path = "sys/scrub";
  record.environment = finding.environment;
  record.display_name = "scrub";
  record.error = text;
  std::string members;
  AppendAuditMembers(record, members);
  if (options_.audit->Append(members).has_value()) {
    options_.audit->Wake();
  }
}

// A save that fails costs no more than a pass that begins a little earlier after a restart.
void Scrub::Save() {
  saved_ = clock_.SteadyNow();
  const Bytes encoded = State().Encode();
  IgnoreError(StoreEntry(environments_.sys()->store(), std::string(kPath), encoded),
              "it is saved again soon");
}

}  // namespace kms
