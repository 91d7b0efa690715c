// SPDX-License-Identifier: Apache-2.0
// RawServer: a loopback server that sends exactly the bytes a test wants, and if it wants so more
// of them than anybody should read.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace kms::testing {

// One connection at a time. `answer` goes out after the request's head, then `endless` again and
// again until the client hangs up; with neither the client waits.
class RawServer {
 public:
  explicit RawServer(std::string answer, std::string endless = {})
      : answer_(std::move(answer)), endless_(std::move(endless)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, generic, &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { ServeAll(); });
  }
  ~RawServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] int connections() const { return connections_; }
  [[nodiscard]] std::size_t sent_bytes() const { return sent_bytes_; }
  // The head of the last request.
  [[nodiscard]] std::string head() const {
    const std::lock_guard lock(mutex_);
    return head_;
  }

 private:
  void ServeAll() {
    while (true) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) {
        return;
      }
      ++connections_;
      ReadHead(connection);
      bool open = Send(connection, answer_);
      while (open && !endless_.empty()) {
        open = Send(connection, endless_);
      }
      if (answer_.empty() && endless_.empty()) {
        char byte = 0;
        static_cast<void>(::recv(connection, &byte, 1, 0));  // until the client gives up
      }
      ::close(connection);
    }
  }

  void ReadHead(int connection) {
    std::string head;
    char buffer[4096];
    constexpr char kTlsHandshake = 0x16;  // has no end that is known here
    while (head.find("\r\n\r\n") == std::string::npos && !head.starts_with(kTlsHandshake)) {
      const ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
      if (got <= 0) {
        break;
      }
      head.append(buffer, static_cast<std::size_t>(got));
    }
    const std::lock_guard lock(mutex_);
    head_ = head;
  }

  bool Send(int connection, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        return false;
      }
      sent_bytes_ += static_cast<std::size_t>(sent);
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  const std::string answer_;
  const std::string endless_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<std::size_t> sent_bytes_ = 0;
  mutable std::mutex mutex_;
  std::string head_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace kms::testing
