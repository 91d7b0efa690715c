// SPDX-License-Identifier: Apache-2.0
// HttpClient: one keep-alive connection to the server; the only user of the HTTP library here.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "tools/common/server_address.h"

namespace kms::tools {

struct HttpClientOptions {
  ServerAddress address;
  std::string ca_file;  // empty: the system's certificates
  // PEM, the certificate first, then its chain; presented when the server asks. Empty: none.
  std::string client_certificate_file;
  std::string client_key_file;  // PEM; empty: in client_certificate_file
  std::chrono::seconds timeout{30};
  std::string wrap_ttl;  // sent as X-Vault-Wrap-TTL; empty: not sent
};

struct HttpAnswer {
  int status = 0;
  PlaintextBuffer body;  // may hold a caller's plaintext, so it is wiped
};

// Thread rule: one thread at a time.
class HttpClient {
 public:
  // An empty token sends none. Certificates are always verified.
  HttpClient(HttpClientOptions options, PlaintextBuffer token);
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;

  // `path` starts with '/' and is percent-encoded. `body` is copied and the copy wiped.
  // Errors: kOutcomeUnknown when no answer came, the text saying what to do next;
  // kInvalidArgument when the CA file or the client certificate cannot be used.
  Result<HttpAnswer> Send(std::string_view method, std::string_view path, std::string_view body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Percent-encodes everything but unreserved characters, so that a name stays one path segment.
std::string EncodePathSegment(std::string_view segment);
// The same for a name of several segments: '/' stays.
std::string EncodePath(std::string_view path);

}  // namespace kms::tools
