// SPDX-License-Identifier: Apache-2.0
// Connection: reading and cutting requests. Answering and closing: connection_output.cpp.
#include "api/front/connection.h"

#include <sys/epoll.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace kms::api {
namespace {

constexpr std::size_t kMinRoom = 4U << 10U;
constexpr std::size_t kUsualRoom = 16U << 10U;
constexpr std::size_t kMaxRoom = 1U << 20U;
// A client that does not read its answers gets no further requests served beyond this.
constexpr std::size_t kMaxQueuedOutput = 256U << 10U;
// One connection's turn; then its neighbours come first.
constexpr int kMaxRequestsPerTurn = 64;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

bool LooksLikeJson(std::string_view body) {
  const std::size_t at = body.find_first_not_of(" \t\r\n");
  return at != std::string_view::npos && (body[at] == '{' || body[at] == '[');
}

// The last resort against an exception of a library below the handler.
Lane CallHandler(LoopContext& context) {
  try {
    return context.handler.HandleOnLoop(context.request, context.response);
  } catch (const std::exception&) {
    context.response.Clear();
    context.handler.Refuse(500, "internal error", context.response);
    return Lane::kAnswered;
  }
}

}  // namespace

Connection::Connection(ConnectionId id, Channel channel, PeerAddress peer, LoopContext& context)
    : id_(id),
      channel_(std::move(channel)),
      peer_(std::move(peer)),
      state_(channel_.tls() ? State::kHandshake : State::kIdle),
      in_(context.buffers.budget()),
      out_(context.buffers.budget()),
      parser_(context.options.limits),
      request_deadline_(context.now + context.options.timeouts.head),
      write_progress_(context.now),
      linger_limit_bytes_(context.options.limits.max_body_bytes) {
  Settle(context);
}

void Connection::OnEvents(std::uint32_t epoll_events) {
  readable_ |= (epoll_events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  half_closed_ |= (epoll_events & (EPOLLRDHUP | EPOLLHUP)) != 0;
  writable_ |= (epoll_events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
}

void Connection::Run(LoopContext& context) {
  wants_turn_ = false;
  if (state_ == State::kHandshake && !Handshake(context)) {
    return;
  }
  if (state_ == State::kLinger) {
    Discard();
    return;
  }
  Flush(context);
  Serve(context);
  if (MayServe() && readable_ && !wants_turn_) {
    Receive(context);
    Serve(context);
  }
  const bool was_full = out_.size() >= kMaxQueuedOutput;
  Flush(context);
  wants_turn_ |= MayServe() && (readable_ || was_full);
  Settle(context);
}

bool Connection::Handshake(LoopContext& context) {
  const IoResult result = channel_.Handshake();
  switch (result.kind) {
    case IoResult::Kind::kBytes:
      state_ = State::kIdle;
      certificates_ = channel_.Certificates();
      return true;
    case IoResult::Kind::kWait: Settle(context); return false;
    case IoResult::Kind::kEnd:
    case IoResult::Kind::kError: Close(); return false;
  }
  return false;
}

bool Connection::MayServe() const {
  const bool between = state_ == State::kIdle || state_ == State::kHead || state_ == State::kBody;
  return between && !close_after_ && !paused_until_ && out_.size() < kMaxQueuedOutput;
}

void Connection::Receive(LoopContext& context) {
  if (in_.capacity() == 0) {
    in_ = context.buffers.Take();
  }
  if (in_.room() < kMinRoom && !in_.Reserve(WantedRoom())) {
    RefuseAndClose(context, {503, "the server is out of memory for requests"});
    return;
  }
  const IoResult result = channel_.Read(in_.tail(), in_.room());
  // The end of input was announced already, perhaps together with these bytes: read up to it.
  readable_ = !result.drained || (half_closed_ && result.kind == IoResult::Kind::kBytes);
  switch (result.kind) {
    case IoResult::Kind::kBytes: in_.Extend(result.bytes); return;
    case IoResult::Kind::kWait: return;
    case IoResult::Kind::kEnd: ended_ = true; return;
    case IoResult::Kind::kError: Close(); return;
  }
}

std::size_t Connection::WantedRoom() const {
  if (state_ != State::kBody || parser_.facts().framing != BodyFraming::kLength) {
    return std::max(kUsualRoom, std::min(in_.size(), kMaxRoom));
  }
  // Not all at once: a client must send bytes to make us hold bytes.
  const std::size_t missing = RequestBytes() - in_.size();
  return std::clamp(std::min(missing, in_.size()), kUsualRoom, kMaxRoom);
}

void Connection::Serve(LoopContext& context) {
  for (int served = 0; MayServe() && !in_.empty(); ++served) {
    if (served == kMaxRequestsPerTurn) {
      wants_turn_ = true;
      return;
    }
    if (state_ != State::kBody && !CollectHead(context)) {
      return;
    }
    if (!CollectBody(context)) {
      return;
    }
    Dispatch(context);
  }
}

bool Connection::CollectHead(LoopContext& context) {
  switch (parser_.Advance(in_.View())) {
    case HeadParser::Progress::kNeedMore:
      if (state_ == State::kIdle) {
        state_ = State::kHead;
        request_deadline_ = context.now + context.options.timeouts.head;
      }
      return false;
    case HeadParser::Progress::kRefused:
      head_only_ = parser_.facts().method == HttpMethod::kHead;
      RefuseAndClose(context, parser_.refusal());
      return false;
    case HeadParser::Progress::kComplete: BeginBody(context); return true;
  }
  return false;
}

void Connection::BeginBody(LoopContext& context) {
  state_ = State::kBody;
  const HeadFacts& facts = parser_.facts();
  head_only_ = facts.method == HttpMethod::kHead;
  http_1_0_ = facts.http_1_0;
  if (facts.framing == BodyFraming::kNone) {
    return;
  }
  request_deadline_ = context.now + context.options.timeouts.body;
  chunks_ = ChunkedDecoder{context.options.limits.max_body_bytes};
  body_end_ = parser_.head_bytes();
  raw_begin_ = body_end_;
  if (facts.expects_continue && in_.size() == parser_.head_bytes()) {
    write_progress_ = out_.empty() ? context.now : write_progress_;
    out_.Append(kContinue);
    sendable_bytes_ = out_.size();
  }
}

std::size_t Connection::RequestBytes() const {
  const HeadFacts& facts = parser_.facts();
  return facts.framing == BodyFraming::kChunked ? raw_begin_
                                                : parser_.head_bytes() + facts.content_length;
}

bool Connection::CollectBody(LoopContext& context) {
  if (parser_.facts().framing == BodyFraming::kChunked) {
    return CollectChunks(context);
  }
  return in_.size() >= RequestBytes();
}

bool Connection::CollectChunks(LoopContext& context) {
  const ChunkedDecoder::Step step =
      chunks_.Decode(in_.data() + raw_begin_, in_.size() - raw_begin_, in_.data() + body_end_);
  raw_begin_ += step.consumed;
  body_end_ += step.produced;
  switch (chunks_.progress()) {
    case ChunkedDecoder::Progress::kComplete: return true;
    case ChunkedDecoder::Progress::kRefused:
      RefuseAndClose(context, chunks_.refusal());
      return false;
    case ChunkedDecoder::Progress::kNeedMore:
      in_.Truncate(body_end_);
      raw_begin_ = body_end_;
      return false;
  }
  return false;
}

void Connection::FillRequest(HttpRequest& request) {
  const std::string_view bytes = in_.View();
  parser_.FillRequest(bytes, request);
  const std::size_t head = parser_.head_bytes();
  const bool chunked = parser_.facts().framing == BodyFraming::kChunked;
  request.body = bytes.substr(head, (chunked ? body_end_ : RequestBytes()) - head);
  request.remote_address = peer_.host;
  request.remote_port = peer_.port;
  request.tls = channel_.tls();
  request.certificates = certificates_;  // also when null: the request is reused
  request.expects_json = !parser_.facts().form || LooksLikeJson(request.body);
}

void Connection::Dispatch(LoopContext& context) {
  close_after_ |= !parser_.facts().keep_alive || context.draining;
  FillRequest(context.request);
  context.response.Clear();
  context.handled = true;
  if (CallHandler(context) == Lane::kDefer) {
    Defer(context);
    return;
  }
  EndRequest();
  Answer(context, context.response);
}

void Connection::Defer(LoopContext& context) {
  Buffer rest = context.buffers.Take();
  rest.Append(in_.View().substr(RequestBytes()));
  in_.Truncate(RequestBytes());
  auto deferred = std::make_unique<DeferredRequest>(std::exchange(in_, std::move(rest)));
  deferred->request = context.request;
  deferred->path = context.request.path;
  deferred->request.path = deferred->path;
  deferred->remote_address = peer_.host;
  deferred->request.remote_address = deferred->remote_address;
  deferred->connection = id_;
  deferred->deadline = context.now + context.options.timeouts.handler;
  deferred->sink = &context.sink;
  parser_.Reset();
  state_ = State::kDeferred;
  request_deadline_ = deferred->deadline;
  if (!context.pool.Submit(deferred)) {
    Refuse(context, 503, "the server is overloaded");
  }
}

void Connection::EndRequest() {
  in_.Consume(RequestBytes());
  parser_.Reset();
}

}  // namespace kms::api
