// SPDX-License-Identifier: Apache-2.0
// LoopContext: what a loop lends to the connection whose turn it is.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "api/front/buffer.h"
#include "api/front/deferred_request.h"
#include "api/front/front_options.h"
#include "api/front/request_handler.h"
#include "api/front/worker_pool.h"
#include "kms/base/clock.h"

namespace kms::api {

using ConnectionId = std::uint64_t;

// Thread rule: one loop thread.
struct LoopContext {
  const FrontOptions& options;
  RequestHandler& handler;
  ResponseGate& gate;
  WorkerPool& pool;
  CompletionSink& sink;
  BufferPool buffers;
  HttpRequest request;    // reused: one is worked on at a time
  HttpResponse response;  // likewise
  SteadyTime now;
  std::vector<ConnectionId> gated;  // connections whose answer waits for the gate
  bool handled = false;             // requests ran since the gate was told last
  bool draining = false;            // every answer is its connection's last
};

}  // namespace kms::api
