// SPDX-License-Identifier: Apache-2.0
// RawClient: a blocking socket that sends any bytes and reads answers, for tests of the framing.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "kms/base/unique_fd.h"


namespace kms::testing {

struct RawAnswer {
  int status = 0;  // 0: none came
  std::string head;
  std::string body;
};

class RawClient {
 public:
  // Not connected yet; holds its descriptor already.
  RawClient() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }
  explicit RawClient(std::uint16_t port, int receive_buffer_bytes = 0) : RawClient() {
    if (receive_buffer_bytes > 0) {
      ::setsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof(int));
    }
    ConnectTo(port);
  }

  void ConnectTo(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }

  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] bool connected() const { return connected_; }

  // False when the server has gone before everything was sent.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        return false;
      }
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  // The next answer; status 0 when the connection ended or ten seconds passed.
  RawAnswer Read(bool head_request = false) {
    RawAnswer answer;
    std::size_t end = std::string::npos;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
      if (!Receive()) {
        return answer;
      }
    }
    answer.head = received_.substr(0, end + 4);
    received_.erase(0, end + 4);
    std::from_chars(answer.head.data() + 9, answer.head.data() + 12, answer.status);
    const std::size_t length = head_request ? 0 : ContentLength(answer.head);
    while (received_.size() < length) {
      if (!Receive()) {
        return answer;
      }
    }
    answer.body = received_.substr(0, length);
    received_.erase(0, length);
    return answer;
  }

  RawAnswer Exchange(std::string_view bytes) {
    Send(bytes);
    return Read();
  }

  // True when the server ends the connection and has sent nothing more.
  bool Ended() { return received_.empty() && !Receive() && end_seen_; }

  // Everything until the server ends the connection.
  std::string ReadAll() {
    while (Receive()) {
    }
    return std::exchange(received_, {});
  }

  void EndOutput() { ::shutdown(fd(), SHUT_WR); }
  void Reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    socket_.Close();
  }

 private:
  static std::size_t ContentLength(std::string_view head) {
    constexpr std::string_view kName = "Content-Length: ";
    const std::size_t at = head.find(kName);
    std::size_t length = 0;
    if (at != std::string_view::npos) {
      const std::string_view digits = head.substr(at + kName.size());
      std::from_chars(digits.data(), digits.data() + digits.size(), length);
    }
    return length;
  }

  bool Receive() {
    std::array<char, 65536> buffer;  // NOLINT: filled by recv
    const ssize_t bytes = ::recv(fd(), buffer.data(), buffer.size(), 0);
    if (bytes <= 0) {
      end_seen_ = bytes == 0 || errno == ECONNRESET;
      return false;
    }
    received_.append(buffer.data(), static_cast<std::size_t>(bytes));
    return true;
  }

  UniqueFd socket_;
  bool connected_ = false;
  bool end_seen_ = false;
  std::string received_;
};

}  // namespace kms::testing
