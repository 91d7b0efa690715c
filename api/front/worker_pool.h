// SPDX-License-Identifier: Apache-2.0
// WorkerPool: a few threads for requests that may block, with a bounded queue before them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "api/front/deferred_request.h"
#include "api/front/request_handler.h"
#include "kms/base/mutex.h"

namespace kms::api {

// Thread rule: every member may be called from any thread. `handler` and every sink must outlive
// the pool.
class WorkerPool {
 public:
  WorkerPool(RequestHandler& handler, std::size_t threads, std::size_t queue_limit);
  // Drops what waits and joins the threads, as long as their requests take.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Takes the request, or returns false and leaves it when the queue is full.
  [[nodiscard]] bool Submit(std::unique_ptr<DeferredRequest>& request);

  // Requests that a thread is working on at this moment.
  [[nodiscard]] std::size_t busy() const;

 private:
  void Work();
  // Null when the pool stops. Lets the handler tidy up when the thread has been idle.
  std::unique_ptr<DeferredRequest> Next(bool& tidy);

  RequestHandler& handler_;
  const std::size_t queue_limit_;

  mutable Mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::unique_ptr<DeferredRequest>> queue_ KMS_GUARDED_BY(mutex_);
  bool stopping_ KMS_GUARDED_BY(mutex_) = false;
  std::size_t busy_ KMS_GUARDED_BY(mutex_) = 0;

  std::vector<std::thread> threads_;
};

}  // namespace kms::api
