// SPDX-License-Identifier: Apache-2.0
// Connection: one client's socket; cuts requests out of its bytes and keeps their answers in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "api/front/buffer.h"
#include "api/front/channel.h"
#include "api/front/chunked_decoder.h"
#include "api/front/head_parser.h"
#include "api/front/loop_context.h"

namespace kms::api {

struct PeerAddress {
  std::string host;  // "127.0.0.1", "::1"
  std::uint16_t port = 0;
};

// One request is worked on at a time: while it is deferred or gated, later ones wait unread.
// Thread rule: one loop thread.
class Connection {
 public:
  Connection(ConnectionId id, Channel channel, PeerAddress peer, LoopContext& context);

  // The socket has news.
  void OnEvents(std::uint32_t epoll_events);
  // Goes as far as it can without waiting: one read, the requests it completed, one write.
  void Run(LoopContext& context);
  // The pool has answered.
  void Complete(LoopContext& context, DeferredRequest& request);
  // Looks whether the gated answer may leave; false while it has to wait.
  bool PassGate(LoopContext& context);
  // deadline() has passed.
  void Expire(LoopContext& context);
  // Ends the connection at once, whatever it was doing.
  void Abandon() { Close(); }
  // Ends the connection unless a request is under way.
  void Drain(LoopContext& context);

  [[nodiscard]] ConnectionId id() const { return id_; }
  [[nodiscard]] int fd() const { return channel_.fd(); }
  [[nodiscard]] const PeerAddress& peer() const { return peer_; }
  [[nodiscard]] Deadline deadline() const { return deadline_; }
  [[nodiscard]] bool closed() const { return state_ == State::kClosed; }
  // There is more to do although the socket will not say so again.
  [[nodiscard]] bool wants_turn() const { return wants_turn_; }

 private:
  enum class State : std::uint8_t {
    kHandshake,
    kIdle,      // no byte of a next request
    kHead,      // in a head
    kBody,      // in a body
    kDeferred,  // the pool works on the request
    kGated,     // the answer is in out_ and waits
    kLinger,    // output ended; reads until the client has ended too
    kClosed,
  };

  [[nodiscard]] bool MayServe() const;
  bool Handshake(LoopContext& context);
  void Receive(LoopContext& context);
  [[nodiscard]] std::size_t WantedRoom() const;
  void Serve(LoopContext& context);
  bool CollectHead(LoopContext& context);
  void BeginBody(LoopContext& context);
  bool CollectBody(LoopContext& context);
  bool CollectChunks(LoopContext& context);
  [[nodiscard]] std::size_t RequestBytes() const;
  void Dispatch(LoopContext& context);
  void FillRequest(HttpRequest& request);
  void Defer(LoopContext& context);
  void EndRequest();
  void Answer(LoopContext& context, HttpResponse& response);
  void Refuse(LoopContext& context, int status, std::string_view reason);
  void RefuseAndClose(LoopContext& context, Refusal refusal);
  void Flush(LoopContext& context);
  void Settle(LoopContext& context);
  void EndOutput(LoopContext& context);
  void Discard();
  void Close();

  const ConnectionId id_;
  Channel channel_;
  const PeerAddress peer_;
  PeerCertificatesHandle certificates_;
  State state_;
  bool readable_ = true;
  bool writable_ = true;
  bool half_closed_ = false;  // the kernel knows the client's end of output
  bool ended_ = false;        // the client has ended its output
  bool close_after_ = false;  // no request after the answers in out_
  bool refused_ = false;      // the client may still be sending what was refused
  bool wants_turn_ = false;
  bool head_only_ = false;  // of the request being answered
  bool http_1_0_ = false;

  Buffer in_;
  Buffer out_;
  std::size_t sendable_bytes_ = 0;  // of out_; the rest is gated
  HeadParser parser_;
  ChunkedDecoder chunks_;
  std::size_t body_end_ = 0;   // in in_, behind the decoded body
  std::size_t raw_begin_ = 0;  // in in_, first byte not decoded yet

  std::uint64_t ticket_ = 0;
  std::optional<Deadline> paused_until_;  // nothing is read before
  Deadline request_deadline_;  // head, body, handler, handshake or linger: whatever runs
  SteadyTime write_progress_;
  Deadline deadline_;
  std::size_t discarded_bytes_ = 0;
  std::uint64_t linger_limit_bytes_;
};

}  // namespace kms::api
