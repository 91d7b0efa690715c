// SPDX-License-Identifier: Apache-2.0
// HttpServer: listener, loops and pool, started and ended as one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "api/front/acceptor.h"
#include "api/front/event_loop.h"
#include "api/front/front_options.h"
#include "api/front/request_handler.h"
#include "api/front/worker_pool.h"
#include "kms/base/result.h"

namespace kms::api {

// What a drain had to cut short; all zero after a clean one.
struct DrainReport {
  std::size_t cut_connections = 0;
  std::size_t busy_workers = 0;  // requests in the pool that still run
};

// Ignores SIGPIPE for the whole process. Thread rule: any thread; destroy once.
class HttpServer {
 public:
  // Serves as soon as it returns. `handler` and `gate` must outlive the server. Errors: those of
  // Listen and TlsContext::Load; kUnavailable when descriptors are short.
  static Result<std::unique_ptr<HttpServer>> Start(FrontOptions options, RequestHandler& handler,
                                                   ResponseGate& gate);
  // Cuts what is open. Waits for requests that still run in the pool: a process that must end
  // although DrainReport::busy_workers is not 0 has to exit without destroying the server.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] bool tls() const { return tls_ != nullptr; }
  [[nodiscard]] std::size_t connections() const { return admission_.connections(); }
  [[nodiscard]] std::size_t buffered_bytes() const { return budget_.used_bytes(); }

  // Accepts nobody new, closes idle connections, lets requests under way finish until `deadline`,
  // then cuts the rest. Returns when no loop runs any more.
  DrainReport Drain(Deadline deadline);

  // Reads certificate and key again. Errors: as TlsContext::Reload; kFailedPrecondition without
  // TLS.
  Status ReloadTls();

  // Makes RequestHandler::OnLoopTick run on every loop soon, idle or not.
  void TickLoops();

 private:
  class GateRelay;

  HttpServer(FrontOptions options, RequestHandler& handler, ResponseGate& gate);
  Status StartParts();

  const FrontOptions options_;
  RequestHandler& handler_;
  ResponseGate& gate_;
  Admission admission_;
  BufferBudget budget_;
  std::uint16_t port_ = 0;
  std::shared_ptr<GateRelay> relay_;
  std::unique_ptr<TlsContext> tls_;
  std::unique_ptr<WorkerPool> pool_;
  std::vector<std::unique_ptr<EventLoop>> loops_;
  std::unique_ptr<Acceptor> acceptor_;
};

}  // namespace kms::api
