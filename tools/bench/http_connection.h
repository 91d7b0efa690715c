// SPDX-License-Identifier: Apache-2.0
// HttpConnection: one keep-alive connection that never blocks; plain or TLS.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "kms/base/result.h"
#include "tools/common/server_address.h"

namespace kms::tools {

struct SslContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using SslContext = std::unique_ptr<SSL_CTX, SslContextDeleter>;

// Verifies certificates against `ca_file`, or the system's when it is empty.
Result<SslContext> MakeSslContext(const std::string& ca_file);

// Thread rule: one thread at a time.
class HttpConnection {
 public:
  enum class Progress { kWaiting, kAnswered, kBroken };

  // Connects (and shakes hands) before it returns. `context` is null for plain HTTP and must
  // outlive the result. Errors: kUnavailable.
  static Result<HttpConnection> Connect(const ServerAddress& address, SSL_CTX* context);
  HttpConnection(HttpConnection&& other) noexcept;
  HttpConnection& operator=(HttpConnection&& other) noexcept;
  ~HttpConnection();

  // Begins an exchange; `request` must outlive it. One exchange at a time.
  Progress Start(std::string_view request);
  // Call when the descriptor is ready.
  Progress Continue();
  // Sends `request` and waits for its answer. Errors: kUnavailable.
  Status Exchange(std::string_view request);

  [[nodiscard]] int descriptor() const { return descriptor_; }
  // True while the request is not sent completely: wait for writability too.
  [[nodiscard]] bool wants_write() const { return !unsent_.empty(); }
  // Of the last answer, until the next Start.
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] std::string_view body() const;

 private:
  HttpConnection() = default;
  Progress SendRest();
  Progress ReceiveSome();
  Progress ParseHead();
  Progress CheckComplete();
  Progress CheckChunks();

  int descriptor_ = -1;
  std::unique_ptr<SSL, SslDeleter> ssl_;
  std::string_view unsent_;
  std::string received_;
  std::size_t head_bytes_ = 0;  // 0: the head is not complete
  std::size_t body_bytes_ = 0;
  bool chunked_ = false;
  int status_ = 0;
};

}  // namespace kms::tools
