// SPDX-License-Identifier: Apache-2.0
// MemoryStore: the fake of Store. Keeps entries in a map and fails on demand; passes the same
// contract suite as the real stores.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "kms/base/mutex.h"
#include "kms/store/store.h"

namespace kms::testing {

// Thread rule: every member may be called from any thread.
class MemoryStore final : public Store {
 public:
  // ---- faults ----------------------------------------------------------------------------------

  // The n-th store call from now (1: the next one) fails with `code` and changes nothing.
  void FailCall(int n, ErrorCode code = ErrorCode::kUnavailable) {
    const ScopedLock lock(mutex_);
    fail_calls_.emplace_back(calls_ + n, code);
  }
  // The n-th Commit from now (1: the next one) fails with `code` and changes nothing.
  void FailCommit(int n, ErrorCode code = ErrorCode::kUnavailable) {
    const ScopedLock lock(mutex_);
    fail_commits_.emplace_back(commits_ + n, code);
  }
  // Every call fails with `code` until Heal().
  void FailEverything(ErrorCode code = ErrorCode::kUnavailable) {
    const ScopedLock lock(mutex_);
    broken_ = code;
  }
  // The next Commit takes effect, but its caller learns only kOutcomeUnknown and no listener runs.
  void LoseNextCommitAnswer() {
    const ScopedLock lock(mutex_);
    lose_next_answer_ = true;
  }
  // The same for the n-th Commit from now (1: the next one).
  void LoseCommitAnswer(int n) {
    const ScopedLock lock(mutex_);
    lose_answers_.insert(commits_ + n);
  }
  // Forgets every planned fault.
  void Heal() {
    const ScopedLock lock(mutex_);
    fail_calls_.clear();
    fail_commits_.clear();
    broken_.reset();
    lose_next_answer_ = false;
    lose_answers_.clear();
  }

  // ---- observation -----------------------------------------------------------------------------

  [[nodiscard]] int calls() const {
    const ScopedLock lock(mutex_);
    return calls_;
  }
  [[nodiscard]] int gets() const {
    const ScopedLock lock(mutex_);
    return gets_;
  }
  [[nodiscard]] int lists() const {
    const ScopedLock lock(mutex_);
    return lists_;
  }
  [[nodiscard]] int commits() const {
    const ScopedLock lock(mutex_);
    return commits_;
  }

  // A copy of everything stored, past every fault.
  [[nodiscard]] std::map<std::string, StoredValue, std::less<>> Contents() const {
    const ScopedLock lock(mutex_);
    return entries_;
  }
  // Changes a value behind the store's back, as someone with access to the file could.
  void Tamper(const std::string& path, Bytes value) {
    const ScopedLock lock(mutex_);
    entries_[path].value = std::move(value);
  }
  void TamperDelete(const std::string& path) {
    const ScopedLock lock(mutex_);
    entries_.erase(path);
  }

  // ---- Store -----------------------------------------------------------------------------------

  Result<std::optional<StoredValue>> Get(std::string_view path) override {
    const ScopedLock lock(mutex_);
    ++gets_;
    KMS_TRY(CountCall());
    const auto found = entries_.find(path);
    if (found == entries_.end()) {
      return std::optional<StoredValue>{};
    }
    return std::optional<StoredValue>{found->second};
  }

  Result<std::vector<ListedEntry>> List(std::string_view prefix, std::string_view after,
                                        std::size_t limit) override {
    const ScopedLock lock(mutex_);
    ++lists_;
    KMS_TRY(CountCall());
    if (limit == 0) {
      return InvalidArgument("limit must be at least 1");
    }
    std::vector<ListedEntry> listed;
    auto entry = after < prefix ? entries_.lower_bound(prefix) : entries_.upper_bound(after);
    for (; entry != entries_.end() && entry->first.starts_with(prefix); ++entry) {
      if (listed.size() == limit) {
        break;
      }
      listed.push_back({.path = entry->first, .revision = entry->second.revision});
    }
    return listed;
  }

  Result<Revision> Commit(const std::vector<Mutation>& mutations) override {
    const ScopedLock lock(mutex_);
    ++commits_;
    KMS_TRY(CountCall());
    KMS_TRY(Planned(fail_commits_, commits_));
    KMS_TRY(CheckExpectations(mutations));
    ++revision_;
    for (const Mutation& mutation : mutations) {
      Apply(mutation);
    }
    if (std::exchange(lose_next_answer_, false) || lose_answers_.contains(commits_)) {
      return MakeError(ErrorCode::kOutcomeUnknown, "the outcome of a write is unknown",
                       "planned by the test");
    }
    Notify(mutations);
    return revision_;
  }

  Result<Revision> CurrentRevision() override {
    const ScopedLock lock(mutex_);
    KMS_TRY(CountCall());
    return revision_;
  }

  void Subscribe(ChangeListener listener) override {
    const ScopedLock lock(mutex_);
    listeners_.push_back(std::move(listener));
  }

 private:
  using Plan = std::vector<std::pair<int, ErrorCode>>;  // call number, what it answers

  Status CountCall() KMS_REQUIRES(mutex_) {
    ++calls_;
    if (broken_) {
      return MakeError(*broken_, "storage is unavailable", "planned by the test");
    }
    return Planned(fail_calls_, calls_);
  }

  static Status Planned(const Plan& plan, int call) {
    const auto hit = std::ranges::find(plan, call, &Plan::value_type::first);
    if (hit == plan.end()) {
      return Ok();
    }
    return MakeError(hit->second, "storage is unavailable", "planned by the test");
  }

  Status CheckExpectations(const std::vector<Mutation>& mutations) const KMS_REQUIRES(mutex_) {
    std::set<std::string_view> paths;
    for (const Mutation& mutation : mutations) {
      if (!paths.insert(mutation.path).second) {
        return InvalidArgument("a commit names one path twice", mutation.path);
      }
      const auto found = entries_.find(mutation.path);
      const Revision current = found == entries_.end() ? 0 : found->second.revision;
      if (mutation.keeps_revision &&
          (!mutation.value || mutation.expected_revision.value_or(0) == 0)) {
        return InvalidArgument("only an entry that is expected keeps its revision", mutation.path);
      }
      if (mutation.expected_revision.value_or(current) != current) {
        return Conflict("the entry was changed by someone else", mutation.path);
      }
    }
    return Ok();
  }

  void Apply(const Mutation& mutation) KMS_REQUIRES(mutex_) {
    if (mutation.value) {
      const Revision own = mutation.keeps_revision ? *mutation.expected_revision : revision_;
      entries_[mutation.path] = {.value = *mutation.value, .revision = own};
      return;
    }
    entries_.erase(mutation.path);
  }

  void Notify(const std::vector<Mutation>& mutations) const KMS_REQUIRES(mutex_) {
    std::vector<std::string> paths;
    for (const Mutation& mutation : mutations) {
      paths.push_back(mutation.path);
    }
    for (const ChangeListener& listener : listeners_) {
      listener(revision_, paths);
    }
  }

  mutable Mutex mutex_;
  std::map<std::string, StoredValue, std::less<>> entries_ KMS_GUARDED_BY(mutex_);
  std::vector<ChangeListener> listeners_ KMS_GUARDED_BY(mutex_);
  Revision revision_ KMS_GUARDED_BY(mutex_) = 0;
  Plan fail_calls_ KMS_GUARDED_BY(mutex_);
  Plan fail_commits_ KMS_GUARDED_BY(mutex_);
  std::optional<ErrorCode> broken_ KMS_GUARDED_BY(mutex_);
  bool lose_next_answer_ KMS_GUARDED_BY(mutex_) = false;
  std::set<int> lose_answers_ KMS_GUARDED_BY(mutex_);
  int calls_ KMS_GUARDED_BY(mutex_) = 0;
  int gets_ KMS_GUARDED_BY(mutex_) = 0;
  int lists_ KMS_GUARDED_BY(mutex_) = 0;
  int commits_ KMS_GUARDED_BY(mutex_) = 0;
};

}  // namespace kms::testing
