// SPDX-License-Identifier: Apache-2.0
// The seam between front and pipeline: the front frames, the handler answers, the gate says when an
// answer may leave.
#pragma once

#include <cstdint>
#include <functional>

#include "api/front/http_message.h"

namespace kms::api {

enum class Lane : std::uint8_t {
  kAnswered,  // `response` is complete
  kDefer,     // may block: run Handle in the pool
};

// Thread rule: called from all loops and pool threads at once.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;

  // On a loop thread; must not block. kDefer leaves `response` untouched.
  virtual Lane HandleOnLoop(const HttpRequest& request, HttpResponse& response) = 0;
  // On a pool thread; may block.
  virtual void Handle(const HttpRequest& request, HttpResponse& response) = 0;
  // Answers made by the front itself (malformed, too large, too slow, overloaded): fills the
  // standard error body for `status`.
  virtual void Refuse(int status, std::string_view reason, HttpResponse& response) = 0;
  // A loop has been idle, or a second has passed: drop per-thread caches of secrets.
  virtual void OnLoopTick() = 0;
};

enum class GateState : std::uint8_t { kPending, kOpen, kFailed };

// Holds answers back until their audit record is committed. A failed gate turns the answer into
// 500 `internal error` by Refuse.
class ResponseGate {
 public:
  virtual ~ResponseGate() = default;
  [[nodiscard]] virtual GateState State(std::uint64_t ticket) const = 0;
  // A loop has finished a batch of requests: hand what they queued to the writer.
  virtual void EndOfBatch() = 0;
  // `listener` is called from another thread when tickets changed state; must not block.
  virtual void Subscribe(std::function<void()> listener) = 0;
};

}  // namespace kms::api
