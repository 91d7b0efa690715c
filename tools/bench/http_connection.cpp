// SPDX-License-Identifier: Apache-2.0
// A small HTTP/1.1 client side: enough to time answers and to read them.
#include "tools/bench/http_connection.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace kms::tools {

namespace {

constexpr std::size_t kReadBytes = std::size_t{64} << 10U;
constexpr std::size_t kMaxAnswerBytes = std::size_t{256} << 20U;
constexpr int kExchangeTimeoutMs = 30000;

struct AddressListDeleter {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

Result<int> ConnectSocket(const ServerAddress& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found) !=
      0) {
    return Unavailable("cannot resolve " + address.host);
  }
  const std::unique_ptr<addrinfo, AddressListDeleter> list(found);
  for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    const int descriptor = ::socket(entry->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
      continue;
    }
    if (::connect(descriptor, entry->ai_addr, entry->ai_addrlen) == 0) {
      const int on = 1;
      ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return descriptor;
    }
    ::close(descriptor);
  }
  return Unavailable("cannot connect to " + address.ToUrl() + ": " + std::strerror(errno));
}

// SSL_set_tlsext_host_name without the old-style cast that its macro expands to.
long SendHostName(SSL* ssl, const std::string& host) {
  std::string name = host;
  return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
}

// The value of header `name` (lower case) in `head`, or empty.
std::string_view HeaderValue(std::string_view head, std::string_view name) {
  std::size_t line = head.find("\r\n");
  while (line != std::string_view::npos && line + 2 < head.size()) {
    const std::size_t begin = line + 2;
    line = head.find("\r\n", begin);
    const std::string_view text = head.substr(begin, line - begin);
    if (text.size() <= name.size() || text[name.size()] != ':') {
      continue;
    }
    const bool same = std::ranges::equal(
        text.substr(0, name.size()), name, {}, [](char c) { return c | 0x20; },
        [](char c) { return c | 0x20; });
    if (same) {
      const std::size_t value = text.find_first_not_of(" \t", name.size() + 1);
      return value == std::string_view::npos ? std::string_view{} : text.substr(value);
    }
  }
  return {};
}

}  // namespace

Result<SslContext> MakeSslContext(const std::string& ca_file) {
  SslContext context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) {
    return Internal("SSL_CTX_new failed");
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const int loaded = ca_file.empty()
                         ? SSL_CTX_set_default_verify_paths(context.get())
                         : SSL_CTX_load_verify_locations(context.get(), ca_file.c_str(), nullptr);
  if (loaded != 1) {
    return InvalidArgument("cannot read the CA file " + ca_file);
  }
  return context;
}

Result<HttpConnection> HttpConnection::Connect(const ServerAddress& address, SSL_CTX* context) {
  HttpConnection connection;
  connection.descriptor_ = KMS_TRY(ConnectSocket(address));
  if (context != nullptr) {
    connection.ssl_.reset(SSL_new(context));
    SSL* ssl = connection.ssl_.get();
    if (ssl == nullptr || SendHostName(ssl, address.host) != 1 ||
        SSL_set1_host(ssl, address.host.c_str()) != 1 ||
        SSL_set_fd(ssl, connection.descriptor_) != 1 || SSL_connect(ssl) != 1) {
      return Unavailable("no TLS connection with " + address.ToUrl() +
                         ": is its certificate trusted? name its CA with --ca-file");
    }
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  }
  const int flags = ::fcntl(connection.descriptor_, F_GETFL);
  ::fcntl(connection.descriptor_, F_SETFL, flags | O_NONBLOCK);
  return connection;
}

HttpConnection::HttpConnection(HttpConnection&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      ssl_(std::move(other.ssl_)),
      unsent_(other.unsent_),
      received_(std::move(other.received_)),
      head_bytes_(other.head_bytes_),
      body_bytes_(other.body_bytes_),
      chunked_(other.chunked_),
      status_(other.status_) {}

HttpConnection& HttpConnection::operator=(HttpConnection&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  ssl_.swap(other.ssl_);
  std::swap(unsent_, other.unsent_);
  received_.swap(other.received_);
  std::swap(head_bytes_, other.head_bytes_);
  std::swap(body_bytes_, other.body_bytes_);
  std::swap(chunked_, other.chunked_);
  std::swap(status_, other.status_);
  return *this;
}

HttpConnection::~HttpConnection() {
  ssl_.reset();
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

HttpConnection::Progress HttpConnection::Start(std::string_view request) {
  unsent_ = request;
  received_.clear();
  head_bytes_ = 0;
  body_bytes_ = 0;
  chunked_ = false;
  status_ = 0;
  return SendRest();
}

HttpConnection::Progress HttpConnection::Continue() {
  if (!unsent_.empty()) {
    const Progress sent = SendRest();
    if (sent == Progress::kBroken || !unsent_.empty()) {
      return sent;
    }
  }
  return ReceiveSome();
}

Status HttpConnection::Exchange(std::string_view request) {
  Progress progress = Start(request);
  while (progress == Progress::kWaiting) {
    pollfd ready{descriptor_, static_cast<short>(wants_write() ? POLLIN | POLLOUT : POLLIN), 0};
    if (::poll(&ready, 1, kExchangeTimeoutMs) <= 0) {
      return Unavailable("the server does not answer");
    }
    progress = Continue();
  }
  if (progress == Progress::kBroken) {
    return Unavailable("the server closed the connection without an answer");
  }
  return Ok();
}

std::string_view HttpConnection::body() const {
  return std::string_view(received_).substr(head_bytes_);
}

HttpConnection::Progress HttpConnection::SendRest() {
  while (!unsent_.empty()) {
    std::size_t sent = 0;
    if (ssl_ != nullptr) {
      const int outcome = SSL_write_ex(ssl_.get(), unsent_.data(), unsent_.size(), &sent);
      if (outcome != 1) {
        const int reason = SSL_get_error(ssl_.get(), outcome);
        return reason == SSL_ERROR_WANT_WRITE || reason == SSL_ERROR_WANT_READ ? Progress::kWaiting
                                                                               : Progress::kBroken;
      }
    } else {
      const ssize_t wrote = ::send(descriptor_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
      if (wrote < 0) {
        return errno == EAGAIN || errno == EINTR ? Progress::kWaiting : Progress::kBroken;
      }
      sent = static_cast<std::size_t>(wrote);
    }
    unsent_.remove_prefix(sent);
  }
  return Progress::kWaiting;
}

HttpConnection::Progress HttpConnection::ReceiveSome() {
  while (true) {
    // Growing `received_` to read into it would fill it with zeros each time.
    static thread_local std::array<char, kReadBytes> room;
    std::size_t got = 0;
    bool would_block = false;
    if (ssl_ != nullptr) {
      const int outcome = SSL_read_ex(ssl_.get(), room.data(), room.size(), &got);
      would_block = outcome != 1 && SSL_get_error(ssl_.get(), outcome) == SSL_ERROR_WANT_READ;
    } else {
      const ssize_t read = ::recv(descriptor_, room.data(), room.size(), 0);
      would_block = read < 0 && (errno == EAGAIN || errno == EINTR);
      got = read > 0 ? static_cast<std::size_t>(read) : 0;
    }
    received_.append(room.data(), got);
    if (would_block) {
      return Progress::kWaiting;
    }
    if (got == 0 || received_.size() > kMaxAnswerBytes) {
      return Progress::kBroken;
    }
    const Progress progress = CheckComplete();
    if (progress != Progress::kWaiting) {
      return progress;
    }
  }
}

HttpConnection::Progress HttpConnection::CheckComplete() {
  if (head_bytes_ == 0 && ParseHead() == Progress::kBroken) {
    return Progress::kBroken;
  }
  if (head_bytes_ == 0) {
    return Progress::kWaiting;
  }
  if (chunked_) {
    return CheckChunks();
  }
  const std::size_t expected = head_bytes_ + body_bytes_;
  if (received_.size() > expected) {
    return Progress::kBroken;  // more than was asked for
  }
  return received_.size() == expected ? Progress::kAnswered : Progress::kWaiting;
}

HttpConnection::Progress HttpConnection::ParseHead() {
  const std::size_t end = received_.find("\r\n\r\n");
  if (end == std::string::npos) {
    return Progress::kWaiting;
  }
  const std::string_view head = std::string_view(received_).substr(0, end + 2);
  constexpr std::size_t kStatusAt = sizeof("HTTP/1.1 ") - 1;
  if (!head.starts_with("HTTP/1.") || head.size() < kStatusAt + 3) {
    return Progress::kBroken;
  }
  std::from_chars(head.data() + kStatusAt, head.data() + kStatusAt + 3, status_);
  chunked_ = HeaderValue(head, "transfer-encoding") == "chunked";
  const std::string_view length = HeaderValue(head, "content-length");
  std::from_chars(length.data(), length.data() + length.size(), body_bytes_);
  if (!chunked_ && length.empty() && status_ != 204) {
    return Progress::kBroken;
  }
  head_bytes_ = end + 4;
  return Progress::kWaiting;
}

// Walks the chunks; when the last one is there, joins them into one body.
HttpConnection::Progress HttpConnection::CheckChunks() {
  std::string joined;
  std::size_t at = head_bytes_;
  while (true) {
    const std::size_t line_end = received_.find("\r\n", at);
    if (line_end == std::string::npos) {
      return Progress::kWaiting;
    }
    std::size_t size = 0;
    const char* line = received_.data() + at;
    const auto [end, failure] = std::from_chars(line, received_.data() + line_end, size, 16);
    if (failure != std::errc{} || end == line || size > kMaxAnswerBytes) {
      return Progress::kBroken;
    }
    const std::size_t data = line_end + 2;
    if (received_.size() < data + size + 2) {
      return Progress::kWaiting;
    }
    if (size == 0) {
      received_.replace(head_bytes_, std::string::npos, joined);
      return Progress::kAnswered;
    }
    joined.append(received_, data, size);
    at = data + size + 2;
  }
}

}  // namespace kms::tools
