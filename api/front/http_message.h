// SPDX-License-Identifier: Apache-2.0
// HttpRequest and HttpResponse: the one parsed form of a request that both lanes work on.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/front/peer_certificates.h"

namespace kms::api {

enum class HttpMethod : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kList, kScan, kOptions };

struct HeaderField {
  std::string_view name;   // as sent; compare without case
  std::string_view value;  // raw bytes, outer blanks removed, never percent-decoded
};

// Views point into the connection's buffer (or the pool's copy) and live until the answer is made.
struct HttpRequest {
  HttpMethod method = HttpMethod::kGet;
  std::string_view target;  // as sent
  // Decoded once and checked: starts with '/', printable, no empty, "." or ".." segment, no NUL,
  // no encoded '/' or '\'. A trailing '/' is kept.
  std::string_view path;
  std::string_view query;  // after '?', still encoded; empty when absent
  std::vector<HeaderField> headers;
  std::string_view body;
  std::string_view remote_address;  // of the socket; "127.0.0.1", "::1"
  std::uint16_t remote_port = 0;
  bool tls = false;
  // The only source of who the client is in TLS: header fields never say it (U20). The handshake has
  // proved that the client holds the key; whether the chain is trusted is for whoever reads it.
  PeerCertificatesHandle certificates;
  bool expects_json = true;

  // The value of the only field with this name (case-insensitive); nullopt when absent. The front
  // refuses duplicates of the fields that matter (Host, Content-Length, X-Vault-Token,
  // Authorization, X-Vault-Namespace, Content-Type).
  [[nodiscard]] std::optional<std::string_view> Header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string_view content_type = "application/json";  // empty: none is sent (204)
  std::vector<std::pair<std::string, std::string>> headers;  // beyond the front's standard ones
  bool close = false;  // close the connection after this answer
  // How long nothing more is read from the connection: whoever asks too much must not fill the loop
  // with refusals.
  std::chrono::milliseconds pause{0};
  bool holds_secret = false;  // wipe `body` and the output buffer once it was sent
  // When not 0 the answer may leave only once ResponseGate says so.
  std::uint64_t gate_ticket = 0;

  void Clear();
};

}  // namespace kms::api
