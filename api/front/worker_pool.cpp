// SPDX-License-Identifier: Apache-2.0
// WorkerPool: one queue, one mutex; the work behind it is milliseconds, so that is enough.
#include "api/front/worker_pool.h"

#include <chrono>
#include <utility>

#include "api/front/httplib_lane.h"
#include "kms/base/short_slices.h"

namespace kms::api {
namespace {

constexpr std::chrono::seconds kTidyAfter{1};

}  // namespace

WorkerPool::WorkerPool(RequestHandler& handler, std::size_t threads, std::size_t queue_limit)
    : handler_(handler), queue_limit_(queue_limit) {
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Work(); });
  }
}

WorkerPool::~WorkerPool() {
  {
    const ScopedLock lock{mutex_};
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

bool WorkerPool::Submit(std::unique_ptr<DeferredRequest>& request) {
  {
    const ScopedLock lock{mutex_};
    if (stopping_ || queue_.size() >= queue_limit_) {
      return false;
    }
    queue_.push_back(std::move(request));
  }
  wake_.notify_one();
  return true;
}

std::size_t WorkerPool::busy() const {
  const ScopedLock lock{mutex_};
  return busy_;
}

void WorkerPool::Work() {
  AskForShortSlices();
  HttplibLane lane{handler_};
  bool tidy = true;  // nothing was cached yet
  while (std::unique_ptr<DeferredRequest> request = Next(tidy)) {
    if (std::chrono::steady_clock::now() >= request->deadline) {
      request->skipped = true;
    } else {
      lane.Run(request->request, request->response);
    }
    CompletionSink& sink = *request->sink;
    {
      const ScopedLock lock{mutex_};
      --busy_;
    }
    sink.Complete(std::move(request));
    tidy = false;
  }
}

std::unique_ptr<DeferredRequest> WorkerPool::Next(bool& tidy) {
  std::unique_lock<Mutex> lock{mutex_};
  const auto ready = [this] { return stopping_ || !queue_.empty(); };
  while (!ready()) {
    if (tidy) {
      wake_.wait(lock);
    } else if (!wake_.wait_for(lock, kTidyAfter, ready)) {
      lock.unlock();
      handler_.OnLoopTick();
      tidy = true;
      lock.lock();
    }
  }
  if (stopping_) {
    return nullptr;
  }
  std::unique_ptr<DeferredRequest> request = std::move(queue_.front());
  queue_.pop_front();
  ++busy_;
  return request;
}

}  // namespace kms::api
