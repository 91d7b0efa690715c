// SPDX-License-Identifier: Apache-2.0
// EventLoop: one thread, one epoll, many connections. Never blocks but in epoll_wait.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "api/front/admission.h"
#include "api/front/connection.h"
#include "api/front/deadline_queue.h"
#include "api/front/loop_context.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"

namespace kms::api {

// What all loops of a server share; must outlive them.
struct LoopServices {
  const FrontOptions& options;
  RequestHandler& handler;
  ResponseGate& gate;
  WorkerPool& pool;
  Admission& admission;
  BufferBudget& budget;
};

// Thread rule: public members may be called from any thread.
class EventLoop final : public CompletionSink {
 public:
  // Errors: kUnavailable when the kernel refuses descriptors.
  static Result<std::unique_ptr<EventLoop>> Start(const LoopServices& services);
  // Stops the thread and closes what is still open.
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Takes over a connection that was admitted.
  void Adopt(Channel channel, PeerAddress peer);
  void Complete(std::unique_ptr<DeferredRequest> request) override;
  // Tickets of the gate changed state.
  void GateMoved();
  // Idle connections end now, the others with their next answer.
  void Drain();
  // Makes the handler's OnLoopTick run on this loop soon.
  void RequestTick();
  void Stop();

 private:
  struct Slot {
    std::unique_ptr<Connection> connection;
    std::uint32_t generation = 0;
    Deadline scheduled;
  };
  struct Newcomer {
    Channel channel;
    PeerAddress peer;
  };
  struct Inbox {
    std::vector<Newcomer> newcomers;
    std::vector<std::unique_ptr<DeferredRequest>> completions;
    bool drain = false;
    bool tick = false;
  };

  EventLoop(const LoopServices& services, UniqueFd epoll, UniqueFd wake_fd);

  void Wake();
  void Run();
  [[nodiscard]] int TimeoutMilliseconds() const;
  void Turn(Connection& connection);
  void HandleEvent(const epoll_event& event);
  void TakeInbox();
  void Welcome(Newcomer newcomer);
  void BeginDrain();
  void RunTurns();
  void EndBatch();
  void ReleaseGated();
  void ExpireDeadlines();
  void Tick();

  Connection* Find(ConnectionId id);
  void AfterTurn(Connection& connection);
  void Remove(const Connection& connection);

  Admission& admission_;
  const UniqueFd epoll_;
  const UniqueFd wake_fd_;
  std::atomic<bool> woken_{false};
  std::atomic<bool> stopping_{false};
  // Set while an answer waits for the gate, so that others' tickets do not wake this loop.
  std::atomic<bool> gate_matters_{false};

  Mutex mutex_;
  Inbox inbox_ KMS_GUARDED_BY(mutex_);

  // Of the loop's thread alone.
  LoopContext context_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<ConnectionId> turns_;
  DeadlineQueue deadlines_;
  bool active_ = false;  // the handler ran since its last tick
  SteadyTime tick_due_;

  std::thread thread_;
};

}  // namespace kms::api
