// SPDX-License-Identifier: Apache-2.0
// FrontOptions: where the front listens and what it grants a client.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "api/front/head_parser.h"

namespace kms::api {

enum class ClientCertificates : std::uint8_t {
  kNone,     // not asked for, unless client_ca_file says so
  kRequest,  // asked for; any certificate whose key the client holds is taken, and none as well
  kRequire,  // like kRequest, but without one there is no connection
};

struct TlsOptions {
  std::string certificate_file;  // PEM, leaf first, then its chain
  std::string key_file;          // PEM
  // PEM; when set, clients must present a certificate that one of these authorities signed.
  std::string client_ca_file;
  ClientCertificates client_certificates = ClientCertificates::kNone;
};

struct FrontTimeouts {
  std::chrono::milliseconds head{5'000};    // from the first byte to the end of the head; handshake
  std::chrono::milliseconds body{30'000};   // from the end of the head to the end of the body
  std::chrono::milliseconds idle{75'000};   // between requests
  std::chrono::milliseconds write{30'000};  // without any progress of the client's reading
  std::chrono::milliseconds handler{90'000};  // deferred or gated, until answered with 503
  std::chrono::milliseconds linger{2'000};    // reading what a refused client still sends
};

struct FrontOptions {
  std::string address = "127.0.0.1";  // numeric, or "localhost"; "[::1]" may have brackets
  std::uint16_t port = 8200;          // 0: the kernel picks one, see HttpServer::port
  std::size_t loops = 0;              // 0: one per core
  std::size_t pool_threads = 8;
  std::size_t pool_queue_limit = 1'024;  // deferred requests waiting; beyond: 503, Retry-After: 1
  HeadLimits limits;
  FrontTimeouts timeouts;
  std::size_t max_connections = 10'000;
  std::size_t max_connections_per_address = 0;             // 0: no share
  std::size_t max_buffered_bytes = std::size_t{1} << 30U;  // of all connections together
  bool allow_plain_http = false;  // demanded for a listener without TLS outside loopback
  std::optional<TlsOptions> tls;
};

}  // namespace kms::api
