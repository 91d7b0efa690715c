// SPDX-License-Identifier: Apache-2.0
// ScriptedHttpServer: a small loopback HTTP server inside a test; a function answers each request
// and every request is recorded.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace kms::testing {

struct ScriptedRequest {
  std::string method;
  std::string target;
  std::string head;  // the whole head as it was received
  std::string body;

  // The value of a header, matched exactly as it was sent; empty when absent.
  [[nodiscard]] std::string Header(const std::string& name) const {
    const std::string line = "\r\n" + name + ": ";
    const std::size_t at = head.find(line);
    if (at == std::string::npos) {
      return {};
    }
    const std::size_t begin = at + line.size();
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

struct ScriptedReply {
  int status = 200;  // 0: close the connection without an answer
  std::string body = "{}";
};

// Thread rule: any thread may ask for the requests; the answering function runs on connection
// threads.
class ScriptedHttpServer {
 public:
  using Answer = std::function<ScriptedReply(const ScriptedRequest&)>;

  explicit ScriptedHttpServer(Answer answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, generic, &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { AcceptAll(); });
  }

  ~ScriptedHttpServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    {
      const std::lock_guard lock(mutex_);
      for (const int connection : connections_) {
        ::shutdown(connection, SHUT_RDWR);
      }
    }
    for (std::thread& worker : workers_) {
      worker.join();
    }
    for (const int connection : connections_) {
      ::close(connection);
    }
  }
  ScriptedHttpServer(const ScriptedHttpServer&) = delete;
  ScriptedHttpServer& operator=(const ScriptedHttpServer&) = delete;

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::uint16_t port() const { return port_; }

  [[nodiscard]] std::vector<ScriptedRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  // False when `count` requests did not come within `timeout`.
  bool WaitForRequests(std::size_t count, std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    return arrived_.wait_for(lock, timeout, [&] { return requests_.size() >= count; });
  }

 private:
  void AcceptAll() {
    while (true) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) {
        return;
      }
      const std::lock_guard lock(mutex_);
      connections_.push_back(connection);
      workers_.emplace_back([this, connection] { Serve(connection); });
    }
  }

  void Serve(int connection) {
    std::string received;
    ScriptedRequest request;
    while (ReadRequest(connection, received, request)) {
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      arrived_.notify_all();
      const ScriptedReply reply = answer_(request);
      if (reply.status == 0 || !SendReply(connection, reply)) {
        break;
      }
    }
    ::shutdown(connection, SHUT_RDWR);
  }

  static bool ReadRequest(int connection, std::string& received, ScriptedRequest& request) {
    std::size_t end = received.find("\r\n\r\n");
    std::size_t total = std::string::npos;
    char buffer[65536];
    while (end == std::string::npos || received.size() < total) {
      if (end == std::string::npos || total != std::string::npos) {
        const ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
        if (got <= 0) {
          return false;
        }
        received.append(buffer, static_cast<std::size_t>(got));
        end = received.find("\r\n\r\n");
      }
      if (end != std::string::npos && total == std::string::npos) {
        request.head = received.substr(0, end + 2);
        const std::string length = request.Header("Content-Length");
        total = end + 4 + (length.empty() ? 0 : std::strtoul(length.c_str(), nullptr, 10));
      }
    }
    const std::size_t space = request.head.find(' ');
    request.method = request.head.substr(0, space);
    request.target = request.head.substr(space + 1, request.head.find(' ', space + 1) - space - 1);
    request.body = received.substr(end + 4, total - end - 4);
    received.erase(0, total);
    return true;
  }

  static bool SendReply(int connection, const ScriptedReply& reply) {
    std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " X\r\n";
    if (reply.status != 204) {
      text +=
          "Content-Type: application/json\r\nContent-Length: " + std::to_string(reply.body.size()) +
          "\r\n";
    }
    text += "\r\n";
    if (reply.status != 204) {
      text += reply.body;
    }
    std::string_view rest = text;
    while (!rest.empty()) {
      const ssize_t sent = ::send(connection, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        return false;
      }
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  const Answer answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread acceptor_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<ScriptedRequest> requests_;  // guarded by mutex_
  std::vector<int> connections_;           // guarded by mutex_ until the acceptor has ended
  std::list<std::thread> workers_;         // guarded by mutex_ until the acceptor has ended
};

}  // namespace kms::testing
