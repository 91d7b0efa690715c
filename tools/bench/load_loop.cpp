// SPDX-License-Identifier: Apache-2.0
// The loop: closed (every connection always busy) or open (Poisson arrivals, scheduled times).
#include "tools/bench/load_loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <numeric>
#include <utility>

#include "kms/base/short_slices.h"

namespace kms::tools {

namespace {

constexpr std::chrono::seconds kDrainTime{10};
constexpr std::uint64_t kSampleEvery = 997;
constexpr std::size_t kMaxSamples = 50;
constexpr std::uint64_t kMaxBroken = 1000;

}  // namespace

void LoadResult::Add(const LoadResult& other) {
  latency.Add(other.latency);
  for (const auto& [status, count] : other.statuses) {
    statuses[status] += count;
  }
  for (std::size_t i = 0; i < by_verb.size(); ++i) {
    by_verb[i] += other.by_verb[i];
  }
  answers += other.answers;
  errors += other.errors;
  broken += other.broken;
  unanswered += other.unanswered;
  wrong_plaintexts += other.wrong_plaintexts;
  longest_queue = std::max(longest_queue, other.longest_queue);
  sampled_answers.insert(sampled_answers.end(), other.sampled_answers.begin(),
                         other.sampled_answers.end());
  elapsed = std::max(elapsed, other.elapsed);
}

LoadLoop::LoadLoop(const RequestSet& requests, ServerAddress address, SSL_CTX* ssl_context,
                   std::uint64_t seed)
    : requests_(requests),
      address_(std::move(address)),
      ssl_context_(ssl_context),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      random_(seed) {}

LoadLoop::LoadLoop(LoadLoop&& other) noexcept
    : requests_(other.requests_),
      address_(std::move(other.address_)),
      ssl_context_(other.ssl_context_),
      epoll_(std::exchange(other.epoll_, -1)),
      slots_(std::move(other.slots_)),
      random_(other.random_) {}

LoadLoop::~LoadLoop() {
  if (epoll_ >= 0) {
    ::close(epoll_);
  }
}

Result<LoadLoop> LoadLoop::Connect(const RequestSet& requests, const ServerAddress& address,
                                   SSL_CTX* ssl_context, std::size_t connections,
                                   std::uint64_t seed) {
  LoadLoop loop(requests, address, ssl_context, seed);
  if (loop.epoll_ < 0) {
    return Unavailable("no epoll descriptor is left");
  }
  for (std::size_t i = 0; i < connections; ++i) {
    loop.slots_.push_back({KMS_TRY(HttpConnection::Connect(address, ssl_context)), {}});
    KMS_TRY(loop.Watch(i, EPOLL_CTL_ADD));
  }
  return loop;
}

Result<LoadResult> LoadLoop::Run(const LoadPlan& plan) {
  AskForShortSlices();  // what is measured is the service, not this thread's way to a processor
  result_ = {};
  open_loop_ = plan.rate.has_value();
  const Time begin = std::chrono::steady_clock::now();
  end_ = begin + plan.duration;
  next_arrival_ = begin;
  due_.clear();
  idle_.resize(slots_.size());
  std::iota(idle_.begin(), idle_.end(), std::size_t{0});
  Time now = begin;
  std::array<epoll_event, 256> events{};
  KMS_TRY(StartDue(plan, now));
  while (in_flight_ > 0 || now < end_) {
    const std::chrono::nanoseconds patience = PatienceAt(now);
    const timespec timeout{patience.count() / 1000000000, patience.count() % 1000000000};
    const int ready =
        ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    if (ready < 0 && errno != EINTR) {
      return Unavailable("epoll_pwait2 failed");
    }
    for (int i = 0; i < ready; ++i) {
      KMS_TRY(HandleReady(events[static_cast<std::size_t>(i)].data.u64));
    }
    now = std::chrono::steady_clock::now();
    KMS_TRY(StartDue(plan, now));
    if (now > end_ + kDrainTime) {
      result_.unanswered = in_flight_;
      break;
    }
  }
  result_.elapsed = std::chrono::steady_clock::now() - begin;
  for (std::size_t i = 0; i < slots_.size() && in_flight_ > 0; ++i) {
    if (slots_[i].busy) {
      KMS_TRY(Reconnect(i));
    }
  }
  return std::move(result_);
}

// Closed loop: an idle connection is sent on at once. Open loop: arrivals fill a queue by the
// clock, whether or not a connection is free, so that a stall of the server is not hidden.
Status LoadLoop::StartDue(const LoadPlan& plan, Time now) {
  if (!open_loop_) {
    while (!idle_.empty() && now < end_) {
      const std::size_t index = idle_.back();
      idle_.pop_back();
      KMS_TRY(Start(index, std::chrono::steady_clock::now(), plan));
    }
    return Ok();
  }
  std::exponential_distribution<double> gap(*plan.rate);
  while (next_arrival_ <= now && next_arrival_ < end_) {
    due_.push_back(next_arrival_);
    next_arrival_ += std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(gap(random_)));
  }
  while (!due_.empty() && !idle_.empty()) {
    const std::size_t index = idle_.back();
    idle_.pop_back();
    const Time scheduled = due_.front();
    due_.pop_front();
    KMS_TRY(Start(index, scheduled, plan));
  }
  result_.longest_queue = std::max<std::uint64_t>(result_.longest_queue, due_.size());
  return Ok();
}

std::chrono::nanoseconds LoadLoop::PatienceAt(Time now) const {
  const Time until =
      now >= end_ ? end_ + kDrainTime : (open_loop_ ? std::min(next_arrival_, end_) : end_);
  return std::max(std::chrono::nanoseconds(0), std::chrono::nanoseconds(until - now));
}

BenchVerb LoadLoop::PickVerb(const LoadPlan& plan) {
  if (plan.ceiling) {
    return BenchVerb::kCeiling;
  }
  const std::uint64_t total = std::accumulate(plan.mix.begin(), plan.mix.end(), std::uint64_t{0});
  std::uint64_t at = random_() % total;
  for (std::size_t i = 0; i < plan.mix.size(); ++i) {
    if (at < plan.mix[i]) {
      return static_cast<BenchVerb>(i);
    }
    at -= plan.mix[i];
  }
  return BenchVerb::kEncrypt;
}

Status LoadLoop::Start(std::size_t index, Time started, const LoadPlan& plan) {
  Slot& slot = slots_[index];
  slot.verb = PickVerb(plan);
  slot.started = started;
  slot.busy = true;
  ++in_flight_;
  return Settle(index, slot.connection.Start(requests_.Request(slot.verb, ++sent_)));
}

Status LoadLoop::HandleReady(std::size_t index) {
  Slot& slot = slots_[index];
  if (!slot.busy) {
    // Nothing was asked, so the server is closing an idle connection.
    ++result_.broken;
    return Reconnect(index);
  }
  return Settle(index, slot.connection.Continue());
}

Status LoadLoop::Settle(std::size_t index, HttpConnection::Progress progress) {
  Slot& slot = slots_[index];
  switch (progress) {
    case HttpConnection::Progress::kWaiting:
      return slot.connection.wants_write() == slot.watches_write ? Ok()
                                                                 : Watch(index, EPOLL_CTL_MOD);
    case HttpConnection::Progress::kAnswered:
      RecordAnswer(slot, std::chrono::steady_clock::now());
      slot.busy = false;
      --in_flight_;
      idle_.push_back(index);
      return Ok();
    case HttpConnection::Progress::kBroken:
      ++result_.broken;
      KMS_TRY(Reconnect(index));
      idle_.push_back(index);
      return Ok();
  }
  return Ok();
}

void LoadLoop::RecordAnswer(const Slot& slot, Time now) {
  result_.latency.Record(now - slot.started);
  ++result_.answers;
  ++result_.by_verb[static_cast<std::size_t>(slot.verb)];
  const int status = slot.connection.status();
  ++result_.statuses[status];
  if (status != requests_.ExpectedStatus(slot.verb)) {
    ++result_.errors;
    return;
  }
  if (result_.answers % kSampleEvery != 1) {
    return;
  }
  if (slot.verb == BenchVerb::kDecrypt) {
    result_.wrong_plaintexts += requests_.HoldsPayload(slot.connection.body()) ? 0U : 1U;
  } else if ((slot.verb == BenchVerb::kEncrypt || slot.verb == BenchVerb::kRewrap) &&
             result_.sampled_answers.size() < kMaxSamples) {
    result_.sampled_answers.emplace_back(slot.connection.body());
  }
}

Status LoadLoop::Reconnect(std::size_t index) {
  Slot& slot = slots_[index];
  if (slot.busy) {
    slot.busy = false;
    --in_flight_;
  }
  if (result_.broken > kMaxBroken) {
    return Unavailable("the server keeps closing connections without an answer");
  }
  slot.connection = KMS_TRY(HttpConnection::Connect(address_, ssl_context_));
  return Watch(index, EPOLL_CTL_ADD);
}

Status LoadLoop::Watch(std::size_t index, int operation) {
  Slot& slot = slots_[index];
  slot.watches_write = slot.connection.wants_write();
  epoll_event event{};
  event.events = slot.watches_write ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u64 = index;
  if (::epoll_ctl(epoll_, operation, slot.connection.descriptor(), &event) != 0) {
    return Unavailable("epoll_ctl failed");
  }
  return Ok();
}

}  // namespace kms::tools
