// SPDX-License-Identifier: Apache-2.0
// Connection: answering, waiting for the gate, deadlines and the ways to end.
#include <openssl/crypto.h>

#include <algorithm>

#include "api/front/connection.h"
#include "api/front/response_writer.h"

namespace kms::api {
namespace {

// A response body larger than this is not kept for the next answer.
constexpr std::size_t kMaxKeptBody = 256U << 10U;

void WipeBody(HttpResponse& response) {
  if (response.holds_secret) {
    OPENSSL_cleanse(response.body.data(), response.body.size());
  }
  if (response.body.capacity() > kMaxKeptBody) {
    response.body = std::string{};
  }
}

}  // namespace

void Connection::Answer(LoopContext& context, HttpResponse& response) {
  if (out_.capacity() == 0) {
    out_ = context.buffers.Take();
  }
  if (out_.empty()) {
    write_progress_ = context.now;
  }
  close_after_ |= response.close || context.draining;
  if (response.pause.count() > 0) {
    paused_until_ = context.now + response.pause;
  }
  AppendResponse(response,
                 {.head_only = head_only_, .close = close_after_, .say_keep_alive = http_1_0_},
                 out_);
  WipeBody(response);
  ticket_ = response.gate_ticket;
  state_ = State::kIdle;
  if (ticket_ != 0 && context.gate.State(ticket_) != GateState::kOpen) {
    state_ = State::kGated;
    request_deadline_ = context.now + context.options.timeouts.handler;
    context.gated.push_back(id_);
    return;
  }
  sendable_bytes_ = out_.size();
}

bool Connection::PassGate(LoopContext& context) {
  if (state_ != State::kGated) {
    return true;
  }
  switch (context.gate.State(ticket_)) {
    case GateState::kPending: return false;
    case GateState::kOpen:
      state_ = State::kIdle;
      sendable_bytes_ = out_.size();
      close_after_ |= context.draining;  // it began while the answer waited
      return true;
    case GateState::kFailed:
      out_.Truncate(sendable_bytes_);
      Refuse(context, 500, "internal error");
      return true;
  }
  return true;
}

void Connection::Complete(LoopContext& context, DeferredRequest& request) {
  if (state_ != State::kDeferred) {
    return;
  }
  if (request.skipped) {
    Expire(context);
    return;
  }
  Answer(context, request.response);
}

void Connection::Refuse(LoopContext& context, int status, std::string_view reason) {
  context.response.Clear();
  context.handler.Refuse(status, reason, context.response);
  context.response.status = status;
  context.response.gate_ticket = 0;
  if (status == 503) {
    context.response.headers.emplace_back("Retry-After", "1");
  }
  Answer(context, context.response);
}

void Connection::RefuseAndClose(LoopContext& context, Refusal refusal) {
  close_after_ = true;
  refused_ = true;
  Refuse(context, refusal.status, refusal.reason);
}

void Connection::Flush(LoopContext& context) {
  // A plain socket takes all or is full; TLS writes one record at a time.
  while (state_ != State::kClosed && sendable_bytes_ > 0 && writable_) {
    const IoResult result = channel_.Write(out_.data(), sendable_bytes_);
    switch (result.kind) {
      case IoResult::Kind::kBytes:
        out_.Consume(result.bytes);
        sendable_bytes_ -= result.bytes;
        write_progress_ = context.now;
        break;
      case IoResult::Kind::kWait: writable_ = !result.drained; break;
      case IoResult::Kind::kEnd:
      case IoResult::Kind::kError: Close(); break;
    }
  }
}

// Decides what comes next once everything possible was done.
void Connection::Settle(LoopContext& context) {
  if (state_ == State::kClosed || state_ == State::kLinger) {
    return;
  }
  const bool under_way = state_ == State::kDeferred || state_ == State::kGated;
  if (out_.empty()) {
    context.buffers.GiveBack(out_);
    if (close_after_ && !under_way) {
      EndOutput(context);
      return;
    }
    // Half a request, or none, will never become one.
    if (ended_ && !under_way && !wants_turn_) {
      Close();
      return;
    }
  }
  if (in_.empty()) {
    context.buffers.GiveBack(in_);
  }
  deadline_ =
      state_ == State::kIdle ? context.now + context.options.timeouts.idle : request_deadline_;
  if (sendable_bytes_ > 0) {
    deadline_ = std::min(deadline_, write_progress_ + context.options.timeouts.write);
  }
  if (paused_until_) {
    deadline_ = std::min(deadline_, *paused_until_);
  }
}

void Connection::Expire(LoopContext& context) {
  const bool stalled =
      sendable_bytes_ > 0 && context.now >= write_progress_ + context.options.timeouts.write;
  if (stalled || state_ == State::kHandshake || state_ == State::kLinger) {
    Close();
    return;
  }
  if (paused_until_ && context.now >= *paused_until_) {
    paused_until_.reset();
    wants_turn_ = true;
    Settle(context);
    return;
  }
  switch (state_) {
    case State::kIdle: close_after_ = true; break;
    case State::kHead:
    case State::kBody: RefuseAndClose(context, {408, "the request did not arrive in time"}); break;
    case State::kGated: out_.Truncate(sendable_bytes_); [[fallthrough]];
    case State::kDeferred:
      RefuseAndClose(context, {503, "the request could not be answered in time"});
      break;
    case State::kHandshake:
    case State::kLinger:
    case State::kClosed: return;
  }
  Flush(context);
  Settle(context);
}

void Connection::Drain(LoopContext& context) {
  const bool busy = state_ == State::kHead || state_ == State::kBody ||
                    state_ == State::kDeferred || state_ == State::kGated;
  if (busy || state_ == State::kLinger || state_ == State::kClosed) {
    return;
  }
  if (state_ == State::kHandshake) {
    Close();
    return;
  }
  // A request that has arrived by now is answered, although nobody has read it yet.
  if (MayServe()) {
    Receive(context);
    Serve(context);
  }
  close_after_ |= state_ == State::kIdle;
  Flush(context);
  Settle(context);
}

void Connection::EndOutput(LoopContext& context) {
  const bool all_read = ended_ || (!refused_ && in_.empty());
  channel_.EndOutput();
  if (all_read) {
    Close();
    return;
  }
  // Closing now would reset the connection and could destroy the answer under way.
  in_.Free();
  state_ = State::kLinger;
  deadline_ = context.now + context.options.timeouts.linger;
  wants_turn_ = true;
}

void Connection::Discard() {
  const IoResult result = channel_.Discard(kMaxKeptBody);
  discarded_bytes_ += result.bytes;
  const bool over = result.kind == IoResult::Kind::kEnd || result.kind == IoResult::Kind::kError;
  if (over || discarded_bytes_ > linger_limit_bytes_) {
    Close();
    return;
  }
  wants_turn_ = !result.drained;
}

void Connection::Close() {
  state_ = State::kClosed;
  wants_turn_ = false;
  in_.Free();
  out_.Free();
  sendable_bytes_ = 0;
}

}  // namespace kms::api
