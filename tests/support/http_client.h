// SPDX-License-Identifier: Apache-2.0
// A blocking HTTP/1.1 client over one kept connection, for tests that drive a real server.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace kms::testing {

struct HttpReply {
  int status = 0;  // 0: the connection failed or ended before a whole answer
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// Not thread-safe: one per thread.
class HttpClient {
 public:
  HttpClient(std::uint16_t port, std::string token) : port_(port), token_(std::move(token)) {}
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  HttpReply Send(std::string_view method, std::string_view path, std::string_view body = {});
  HttpReply Get(std::string_view path) { return Send("GET", path); }
  HttpReply Post(std::string_view path, std::string_view body = "{}") {
    return Send("POST", path, body);
  }

  // Raw access: connects if needed, sends exactly these bytes.
  bool SendRaw(std::string_view bytes);
  // Reads one answer.
  HttpReply ReadReply(bool head_only = false);
  void Close();

 private:
  bool Connect();
  std::uint16_t port_;
  std::string token_;
  int socket_ = -1;
  std::string pending_;  // bytes read beyond the last answer
};

}  // namespace kms::testing
