// SPDX-License-Identifier: Apache-2.0
// DeferredRequest: a request that left its connection for the pool, with everything it points to.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "api/front/buffer.h"
#include "api/front/http_message.h"
#include "kms/base/clock.h"

namespace kms::api {

class CompletionSink;

struct DeferredRequest {
  explicit DeferredRequest(Buffer request_bytes) : bytes(std::move(request_bytes)) {}

  Buffer bytes;  // head and body; `request` points into it
  std::string path;
  std::string remote_address;
  HttpRequest request;
  HttpResponse response;
  std::uint64_t connection = 0;  // whom to answer, as known to `sink`
  Deadline deadline;             // when the client is told 503; not started after it
  bool skipped = false;          // the deadline passed in the queue
  CompletionSink* sink = nullptr;
};

// Where answered requests return to. Thread rule: any thread.
class CompletionSink {
 public:
  virtual ~CompletionSink() = default;
  virtual void Complete(std::unique_ptr<DeferredRequest> request) = 0;
};

}  // namespace kms::api
