// SPDX-License-Identifier: Apache-2.0
#include "kms/master/call_gate.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kms/base/random.h"

namespace kms {

namespace {

// Waiters look at the clock this often: it may be another one than the operating system's.
constexpr std::chrono::milliseconds kLongestNap{50};

// `pause` less up to a quarter, so that the nodes of a service do not probe in step.
std::chrono::milliseconds Jittered(std::chrono::milliseconds pause) {
  std::array<std::uint8_t, 1> random{};
  FillRandom(random);
  return pause - pause * random[0] / 1024;
}

}  // namespace

CallGate::CallGate(std::string name, const BreakerOptions& options, const Clock& clock)
    : name_(std::move(name)), options_(options), clock_(clock) {}

bool CallGate::Refuses() const {
  switch (state_) {
    case BreakerState::kClosed: return false;
    case BreakerState::kOpen: return clock_.SteadyNow() < retry_at_;
    case BreakerState::kHalfOpen: return probing_;
  }
  return false;
}

Error CallGate::Refuse(const char* why) {
  ++refused_;
  return Unavailable("HSM " + name_ + " " + why);
}

// A probe does not wait for calls that hang: they may hang for long.
CallGate::Pass CallGate::LetIn() {
  ++in_flight_;
  const bool probes = state_ != BreakerState::kClosed;
  if (probes) {
    state_ = BreakerState::kHalfOpen;
    probing_ = true;
  }
  return {.entered = clock_.SteadyNow(), .probes = probes};
}

Result<CallGate::Pass> CallGate::Enter(Deadline deadline) {
  const ScopedLock lock(mutex_);
  if (Refuses()) {
    return Refuse("does not answer");
  }
  if (state_ == BreakerState::kClosed && in_flight_ >= options_.max_calls) {
    if (waiting_ >= options_.max_waiting) {
      return Refuse("is busy");
    }
    ++waiting_;
    const Status turn = AwaitTurn(deadline);
    --waiting_;
    if (!turn.has_value()) {
      return Refuse("is busy");
    }
    if (Refuses()) {
      return Refuse("does not answer");
    }
  }
  if (clock_.SteadyNow() >= deadline) {
    return Unavailable("HSM " + name_ + " was not asked: the deadline has passed");
  }
  return LetIn();
}

// A place becomes free in a moment where calls are fast; where they are not, nobody waits for one.
Result<SteadyTime> CallGate::BeginRequest() {
  const ScopedLock lock(mutex_);
  const SteadyTime begun = clock_.SteadyNow();
  while (!requests_.empty() && requests_.size() >= options_.max_slow_requests) {
    const SteadyTime now = clock_.SteadyNow();
    if (slow_ || now - std::min(begun, *requests_.begin()) >= options_.slow_after) {
      return Refuse("is slow, and as many requests wait for it as may");
    }
    changed_.wait_for(mutex_, kLongestNap);
  }
  const SteadyTime entered = clock_.SteadyNow();
  requests_.insert(entered);
  return entered;
}

void CallGate::EndRequest(SteadyTime begun) {
  const ScopedLock lock(mutex_);
  requests_.erase(requests_.find(begun));
  slow_ = clock_.SteadyNow() - begun >= options_.slow_after;
  changed_.notify_all();
}

Status CallGate::AwaitTurn(Deadline deadline) {
  while (state_ == BreakerState::kClosed && in_flight_ >= options_.max_calls) {
    const auto left = deadline - clock_.SteadyNow();
    if (left <= SteadyTime::duration::zero()) {
      return Unavailable("busy");
    }
    changed_.wait_for(mutex_, std::min<SteadyTime::duration>(left, kLongestNap));
  }
  return Ok();
}

void CallGate::Leave(const Pass& pass, bool answered) {
  const ScopedLock lock(mutex_);
  --in_flight_;
  const SteadyTime now = clock_.SteadyNow();
  const auto took = now - pass.entered;
  if (pass.probes) {
    probing_ = false;
  }
  if (answered) {
    latency_.Add(now, static_cast<std::uint64_t>(
                          std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
    failures_ = 0;
    pause_ = std::chrono::milliseconds{0};
    state_ = BreakerState::kClosed;
  } else {
    ++failures_;
    const bool opens = failures_ >= options_.failures_to_open || took >= options_.hung_after;
    if (pass.probes || (state_ == BreakerState::kClosed && opens)) {
      Open();
    }
  }
  changed_.notify_all();
}

void CallGate::Open() {
  ++opened_;
  state_ = BreakerState::kOpen;
  pause_ = std::clamp(2 * pause_, options_.first_pause, options_.longest_pause);
  retry_at_ = clock_.SteadyNow() + Jittered(pause_);
}

bool CallGate::WouldTry() const {
  const ScopedLock lock(mutex_);
  return !Refuses() && (state_ != BreakerState::kClosed || in_flight_ < options_.max_calls ||
                        waiting_ < options_.max_waiting);
}

void CallGate::Describe(HsmStatus& status) const {
  const ScopedLock lock(mutex_);
  const SteadyTime now = clock_.SteadyNow();
  status.breaker = state_;
  if (state_ == BreakerState::kOpen) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(retry_at_ - now);
    status.retry_in_ms = std::max<std::int64_t>(0, left.count());
  }
  status.breaker_opened = opened_;
  status.calls_in_flight = in_flight_;
  status.calls_waiting = waiting_;
  status.refused_calls = refused_;
  status.latency = latency_.Summary(now);
}

}  // namespace kms
