// SPDX-License-Identifier: Apache-2.0
// EventLoop: wait, serve what is ready, hand the batch to the gate, release what it let through.
#include "api/front/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <new>
#include <utility>

#include "kms/base/short_slices.h"

namespace kms::api {
namespace {

constexpr ConnectionId kWakeId = ~ConnectionId{0};
constexpr int kMaxEvents = 256;
constexpr std::chrono::seconds kTickInterval{1};

constexpr std::uint32_t IndexOf(ConnectionId id) { return static_cast<std::uint32_t>(id); }
constexpr std::uint32_t GenerationOf(ConnectionId id) {
  return static_cast<std::uint32_t>(id >> 32U);
}
constexpr ConnectionId MakeId(std::size_t index, std::uint32_t generation) {
  return (ConnectionId{generation} << 32U) | index;
}

// Memory that runs out costs the connection that asked for it, not the loop (P4).
template <typename Work>
void Guarded(Connection& connection, Work work) {
  try {
    work();
  } catch (const std::bad_alloc&) {
    connection.Abandon();
  }
}

bool Watch(int epoll, int fd, std::uint32_t events, ConnectionId id) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::Start(const LoopServices& services) {
  UniqueFd epoll{::epoll_create1(EPOLL_CLOEXEC)};
  UniqueFd wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!epoll.valid() || !wake.valid() || !Watch(epoll.get(), wake.get(), EPOLLIN, kWakeId)) {
    return Unavailable("cannot create an event loop", std::strerror(errno));
  }
  std::unique_ptr<EventLoop> loop{new EventLoop{services, std::move(epoll), std::move(wake)}};
  loop->thread_ = std::thread{[raw = loop.get()] { raw->Run(); }};
  return loop;
}

EventLoop::EventLoop(const LoopServices& services, UniqueFd epoll, UniqueFd wake_fd)
    : admission_(services.admission),
      epoll_(std::move(epoll)),
      wake_fd_(std::move(wake_fd)),
      context_{.options = services.options,
               .handler = services.handler,
               .gate = services.gate,
               .pool = services.pool,
               .sink = *this,
               .buffers = BufferPool{services.budget},
               .request = {},
               .response = {},
               .now = std::chrono::steady_clock::now(),
               .gated = {}} {}

EventLoop::~EventLoop() {
  Stop();
  for (const Slot& slot : slots_) {
    if (slot.connection != nullptr) {
      admission_.Leave(slot.connection->peer().host);
    }
  }
  for (const Newcomer& newcomer : inbox_.newcomers) {
    admission_.Leave(newcomer.peer.host);
  }
}

void EventLoop::Adopt(Channel channel, PeerAddress peer) {
  {
    const ScopedLock lock{mutex_};
    inbox_.newcomers.push_back({.channel = std::move(channel), .peer = std::move(peer)});
  }
  Wake();
}

void EventLoop::Complete(std::unique_ptr<DeferredRequest> request) {
  {
    const ScopedLock lock{mutex_};
    inbox_.completions.push_back(std::move(request));
  }
  Wake();
}

void EventLoop::GateMoved() {
  if (gate_matters_.exchange(false)) {
    Wake();
  }
}

void EventLoop::Drain() {
  {
    const ScopedLock lock{mutex_};
    inbox_.drain = true;
  }
  Wake();
}

void EventLoop::RequestTick() {
  {
    const ScopedLock lock{mutex_};
    inbox_.tick = true;
  }
  Wake();
}

void EventLoop::Stop() {
  stopping_ = true;
  Wake();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void EventLoop::Wake() {
  if (!woken_.exchange(true)) {
    ::eventfd_write(wake_fd_.get(), 1);
  }
}

void EventLoop::Run() {
  AskForShortSlices();
  std::array<epoll_event, kMaxEvents> events{};
  while (!stopping_) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), kMaxEvents, TimeoutMilliseconds());
    context_.now = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) {
      HandleEvent(events[static_cast<std::size_t>(i)]);
    }
    RunTurns();
    EndBatch();
    ExpireDeadlines();
    Tick();
  }
}

int EventLoop::TimeoutMilliseconds() const {
  if (!turns_.empty() || context_.handled) {
    return 0;
  }
  std::optional<Deadline> next = deadlines_.earliest();
  if (active_ && (!next.has_value() || tick_due_ < *next)) {
    next = tick_due_;
  }
  if (!next.has_value()) {
    return -1;
  }
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(*next - context_.now);
  return static_cast<int>(std::clamp<std::int64_t>(wait.count(), 0, 3'600'000));
}

void EventLoop::HandleEvent(const epoll_event& event) {
  if (event.data.u64 == kWakeId) {
    TakeInbox();
    return;
  }
  if (Connection* connection = Find(event.data.u64)) {
    connection->OnEvents(event.events);
    Turn(*connection);
  }
}

void EventLoop::Turn(Connection& connection) {
  Guarded(connection, [&] { connection.Run(context_); });
  AfterTurn(connection);
}

void EventLoop::TakeInbox() {
  eventfd_t ignored = 0;
  ::eventfd_read(wake_fd_.get(), &ignored);
  woken_.exchange(false);
  Inbox inbox;
  {
    const ScopedLock lock{mutex_};
    std::swap(inbox, inbox_);
  }
  for (Newcomer& newcomer : inbox.newcomers) {
    Welcome(std::move(newcomer));
  }
  for (const std::unique_ptr<DeferredRequest>& completion : inbox.completions) {
    if (Connection* connection = Find(completion->connection)) {
      Guarded(*connection, [&] { connection->Complete(context_, *completion); });
      Turn(*connection);
    }
  }
  if (inbox.tick) {
    context_.handler.OnLoopTick();
  }
  if (inbox.drain) {
    BeginDrain();
  }
}

void EventLoop::Welcome(Newcomer newcomer) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t index = free_slots_.back();
  Slot& slot = slots_[index];
  const ConnectionId id = MakeId(index, ++slot.generation);
  const int fd = newcomer.channel.fd();
  if (!Watch(epoll_.get(), fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, id)) {
    admission_.Leave(newcomer.peer.host);
    return;
  }
  free_slots_.pop_back();
  slot.connection = std::make_unique<Connection>(id, std::move(newcomer.channel),
                                                 std::move(newcomer.peer), context_);
  slot.scheduled = slot.connection->deadline();
  deadlines_.Add(id, slot.scheduled);
  if (context_.draining) {
    Guarded(*slot.connection, [&] { slot.connection->Drain(context_); });
  }
  AfterTurn(*slot.connection);
}

void EventLoop::BeginDrain() {
  context_.draining = true;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].connection != nullptr) {
      Guarded(*slots_[i].connection, [&] { slots_[i].connection->Drain(context_); });
      AfterTurn(*slots_[i].connection);
    }
  }
}

void EventLoop::RunTurns() {
  std::vector<ConnectionId> turns;
  std::swap(turns, turns_);
  for (const ConnectionId id : turns) {
    if (Connection* connection = Find(id)) {
      Turn(*connection);
    }
  }
}

void EventLoop::EndBatch() {
  if (std::exchange(context_.handled, false)) {
    if (!active_) {
      active_ = true;
      tick_due_ = context_.now + kTickInterval;
    }
    context_.gate.EndOfBatch();
  }
  if (!context_.gated.empty()) {
    ReleaseGated();
  }
}

void EventLoop::ReleaseGated() {
  // Before looking: whoever moves the gate afterwards sees the flag and wakes this loop.
  gate_matters_.exchange(true);
  std::vector<ConnectionId> gated;
  std::swap(gated, context_.gated);
  for (const ConnectionId id : gated) {
    Connection* connection = Find(id);
    if (connection == nullptr) {
      continue;
    }
    bool passed = true;
    Guarded(*connection, [&] { passed = connection->PassGate(context_); });
    if (!passed) {
      context_.gated.push_back(id);
      continue;
    }
    Turn(*connection);
  }
}

void EventLoop::ExpireDeadlines() {
  while (const std::optional<ConnectionId> id = deadlines_.TakeDue(context_.now)) {
    Connection* connection = Find(*id);
    if (connection == nullptr) {
      continue;
    }
    Slot& slot = slots_[IndexOf(*id)];
    if (connection->deadline() <= context_.now) {
      Guarded(*connection, [&] { connection->Expire(context_); });
    }
    // A deadline in the past would spin; the connection had its chance in this round.
    slot.scheduled = std::max(connection->deadline(), context_.now + std::chrono::milliseconds{1});
    deadlines_.Add(*id, slot.scheduled);
    AfterTurn(*connection);
  }
}

void EventLoop::Tick() {
  if (active_ && context_.now >= tick_due_) {
    active_ = false;
    context_.handler.OnLoopTick();
  }
}

Connection* EventLoop::Find(ConnectionId id) {
  const std::uint32_t index = IndexOf(id);
  if (index >= slots_.size() || slots_[index].generation != GenerationOf(id)) {
    return nullptr;
  }
  return slots_[index].connection.get();
}

void EventLoop::AfterTurn(Connection& connection) {
  if (connection.closed()) {
    Remove(connection);
    return;
  }
  Slot& slot = slots_[IndexOf(connection.id())];
  // A later deadline is found out when the earlier one comes up; most never do.
  if (connection.deadline() < slot.scheduled) {
    deadlines_.Remove(connection.id(), slot.scheduled);
    slot.scheduled = connection.deadline();
    deadlines_.Add(connection.id(), slot.scheduled);
  }
  if (connection.wants_turn()) {
    turns_.push_back(connection.id());
  }
}

void EventLoop::Remove(const Connection& connection) {
  const std::uint32_t index = IndexOf(connection.id());
  Slot& slot = slots_[index];
  deadlines_.Remove(connection.id(), slot.scheduled);
  const std::string host = connection.peer().host;
  slot.connection.reset();
  free_slots_.push_back(index);
  admission_.Leave(host);
}

}  // namespace kms::api
