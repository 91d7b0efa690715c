// SPDX-License-Identifier: Apache-2.0
#include "tests/support/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace kms::testing {

namespace {

constexpr int kReceiveTimeoutSeconds = 60;

}  // namespace

HttpClient::~HttpClient() { Close(); }

void HttpClient::Close() {
  if (socket_ >= 0) {
    ::close(socket_);
    socket_ = -1;
  }
  pending_.clear();
}

bool HttpClient::Connect() {
  if (socket_ >= 0) {
    return true;
  }
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval timeout{kReceiveTimeoutSeconds, 0};
  const int one = 1;
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    Close();
    return false;
  }
  return true;
}

bool HttpClient::SendRaw(std::string_view bytes) {
  if (!Connect()) {
    return false;
  }
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

HttpReply HttpClient::Send(std::string_view method, std::string_view path, std::string_view body) {
  std::string request{method};
  request += ' ';
  request += path;
  request += " HTTP/1.1\r\nHost: localhost\r\n";
  if (!token_.empty()) {
    request += "X-Vault-Token: " + token_ + "\r\n";
  }
  if (!body.empty() || method == "POST" || method == "PUT") {
    request += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n";
  }
  request += "\r\n";
  request += body;
  const bool kept = socket_ >= 0;
  HttpReply reply;
  if (SendRaw(request)) {
    reply = ReadReply(method == "HEAD");
  }
  if (reply.status == 0 && kept && (method == "GET" || method == "LIST")) {
    Close();  // the server may have ended an idle connection: reads may be repeated
    if (SendRaw(request)) {
      reply = ReadReply(false);
    }
  }
  if (reply.status == 0) {
    Close();
  }
  return reply;
}

HttpReply HttpClient::ReadReply(bool head_only) {
  HttpReply reply;
  std::size_t head_end = 0;
  char chunk[65536];
  while ((head_end = pending_.find("\r\n\r\n")) == std::string::npos) {
    const ssize_t got = ::recv(socket_, chunk, sizeof chunk, 0);
    if (got <= 0) {
      return {};
    }
    pending_.append(chunk, static_cast<std::size_t>(got));
  }
  const std::string head = pending_.substr(0, head_end + 2);
  pending_.erase(0, head_end + 4);
  const int status = std::atoi(head.c_str() + std::min<std::size_t>(9, head.size()));
  for (std::size_t line = head.find("\r\n") + 2; line < head.size();) {
    const std::size_t end = head.find("\r\n", line);
    const std::size_t colon = head.find(':', line);
    std::string name = head.substr(line, colon - line);
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::size_t value = colon + 1;
    while (value < end && head[value] == ' ') {
      ++value;
    }
    reply.headers[name] = head.substr(value, end - value);
    line = end + 2;
  }
  const std::size_t length =
      head_only || !reply.headers.contains("content-length")
          ? 0
          : static_cast<std::size_t>(std::atoll(reply.headers["content-length"].c_str()));
  while (pending_.size() < length) {
    const ssize_t got = ::recv(socket_, chunk, sizeof chunk, 0);
    if (got <= 0) {
      return {};
    }
    pending_.append(chunk, static_cast<std::size_t>(got));
  }
  reply.body = pending_.substr(0, length);
  pending_.erase(0, length);
  reply.status = status;
  if (reply.headers["connection"] == "close") {
    Close();
  }
  return reply;
}

}  // namespace kms::testing
