// SPDX-License-Identifier: Apache-2.0
// HttpServer: the order in which the parts start and end.
#include "api/front/server.h"

#include <algorithm>
#include <csignal>
#include <string>
#include <thread>
#include <utility>

#include "api/front/response_writer.h"

namespace kms::api {

// Carries the gate's news to the loops, and to nobody once they are gone: the gate keeps its
// listener for ever. Thread rule: any thread.
class HttpServer::GateRelay {
 public:
  void Connect(EventLoop& loop) {
    const ScopedLock lock{mutex_};
    loops_.push_back(&loop);
  }
  void Disconnect() {
    const ScopedLock lock{mutex_};
    loops_.clear();
  }
  void Tell() {
    const ScopedLock lock{mutex_};
    for (EventLoop* loop : loops_) {
      loop->GateMoved();
    }
  }

 private:
  Mutex mutex_;
  std::vector<EventLoop*> loops_ KMS_GUARDED_BY(mutex_);
};

namespace {

std::size_t CountOrCores(std::size_t asked) {
  return asked != 0 ? asked : std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

std::string MakeOverloadAnswer(RequestHandler& handler, BufferBudget& budget) {
  HttpResponse response;
  handler.Refuse(503, "too many connections", response);
  response.status = 503;
  response.headers.emplace_back("Retry-After", "1");
  Buffer out{budget};
  AppendResponse(response, {.close = true}, out);
  return std::string{out.View()};
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Start(FrontOptions options, RequestHandler& handler,
                                                      ResponseGate& gate) {
  std::signal(SIGPIPE, SIG_IGN);
  std::unique_ptr<HttpServer> server{new HttpServer{std::move(options), handler, gate}};
  KMS_TRY(server->StartParts());
  return server;
}

HttpServer::HttpServer(FrontOptions options, RequestHandler& handler, ResponseGate& gate)
    : options_(std::move(options)),
      handler_(handler),
      gate_(gate),
      admission_(options_.max_connections, options_.max_connections_per_address),
      budget_(options_.max_buffered_bytes),
      relay_(std::make_shared<GateRelay>()) {}

Status HttpServer::StartParts() {
  Listener listener = KMS_TRY(Listen(options_));
  port_ = listener.port;
  if (options_.tls.has_value()) {
    tls_ = KMS_TRY(TlsContext::Load(*options_.tls));
  }
  pool_ = std::make_unique<WorkerPool>(handler_, std::max<std::size_t>(1, options_.pool_threads),
                                       options_.pool_queue_limit);
  const LoopServices services{.options = options_,
                              .handler = handler_,
                              .gate = gate_,
                              .pool = *pool_,
                              .admission = admission_,
                              .budget = budget_};
  for (std::size_t i = 0; i < CountOrCores(options_.loops); ++i) {
    loops_.push_back(KMS_TRY(EventLoop::Start(services)));
    relay_->Connect(*loops_.back());
  }
  gate_.Subscribe([relay = relay_] { relay->Tell(); });
  const auto deal = [this, next = std::size_t{0}](Channel channel, PeerAddress peer) mutable {
    loops_[next++ % loops_.size()]->Adopt(std::move(channel), std::move(peer));
  };
  acceptor_ = KMS_TRY(Acceptor::Start(std::move(listener), admission_, tls_.get(),
                                      MakeOverloadAnswer(handler_, budget_), deal));
  return Ok();
}

HttpServer::~HttpServer() {
  acceptor_.reset();
  relay_->Disconnect();
  for (const std::unique_ptr<EventLoop>& loop : loops_) {
    loop->Stop();
  }
  // Workers hand their last answers to loops that no longer run, but still exist.
  pool_.reset();
  loops_.clear();
}

DrainReport HttpServer::Drain(Deadline deadline) {
  acceptor_->Stop();
  for (const std::unique_ptr<EventLoop>& loop : loops_) {
    loop->Drain();
  }
  DrainReport report;
  if (!admission_.AwaitNone(deadline)) {
    report.cut_connections = admission_.connections();
  }
  for (const std::unique_ptr<EventLoop>& loop : loops_) {
    loop->Stop();
  }
  report.busy_workers = pool_->busy();
  return report;
}

Status HttpServer::ReloadTls() {
  if (tls_ == nullptr) {
    return FailedPrecondition("this listener has no certificate to reload");
  }
  return tls_->Reload();
}

void HttpServer::TickLoops() {
  for (const std::unique_ptr<EventLoop>& loop : loops_) {
    loop->RequestTick();
  }
}

}  // namespace kms::api
