// SPDX-License-Identifier: Apache-2.0
// Channel: translates errno and OpenSSL's verdicts into what a readiness loop asks.
#include "api/front/channel.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace kms::api {
namespace {

using Kind = IoResult::Kind;

IoResult FromErrno() {
  if (errno == EAGAIN || errno == EINTR) {
    return {.kind = Kind::kWait, .drained = errno != EINTR};
  }
  return {.kind = Kind::kError};
}

IoResult FromReceive(ssize_t received, std::size_t asked) {
  if (received < 0) {
    return FromErrno();
  }
  if (received == 0) {
    return {.kind = Kind::kEnd, .drained = true};
  }
  const auto bytes = static_cast<std::size_t>(received);
  return {.kind = Kind::kBytes, .bytes = bytes, .drained = bytes < asked};
}

}  // namespace

Channel::Channel(UniqueFd socket, SslPtr ssl) : socket_(std::move(socket)), ssl_(std::move(ssl)) {}

IoResult Channel::Handshake() {
  ERR_clear_error();
  const int result = SSL_accept(ssl_.get());
  if (result == 1) {
    handshaken_ = true;
    return {.kind = Kind::kBytes};
  }
  return FromSsl(result);
}

IoResult Channel::Read(char* to, std::size_t size) {
  if (ssl_ == nullptr) {
    return FromReceive(::recv(fd(), to, size, 0), size);
  }
  ERR_clear_error();
  std::size_t bytes = 0;
  const int result = SSL_read_ex(ssl_.get(), to, size, &bytes);
  return result == 1 ? IoResult{.kind = Kind::kBytes, .bytes = bytes} : FromSsl(result);
}

IoResult Channel::Write(const char* from, std::size_t size) {
  if (ssl_ == nullptr) {
    const ssize_t sent = ::send(fd(), from, size, MSG_NOSIGNAL);
    return sent < 0 ? FromErrno()
                    : IoResult{.kind = Kind::kBytes, .bytes = static_cast<std::size_t>(sent)};
  }
  ERR_clear_error();
  std::size_t bytes = 0;
  const int result = SSL_write_ex(ssl_.get(), from, size, &bytes);
  return result == 1 ? IoResult{.kind = Kind::kBytes, .bytes = bytes} : FromSsl(result);
}

IoResult Channel::Discard(std::size_t size) {
  // For TCP, MSG_TRUNC drops bytes without copying them.
  return FromReceive(::recv(fd(), nullptr, size, MSG_TRUNC), size);
}

void Channel::EndOutput() {
  if (handshaken_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
  }
  ::shutdown(fd(), SHUT_WR);
}

IoResult Channel::FromSsl(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return {.kind = Kind::kWait, .drained = true};
    case SSL_ERROR_ZERO_RETURN: return {.kind = Kind::kEnd, .drained = true};
    default:
      // A failed connection must not send a close alert any more.
      handshaken_ = false;
      return {.kind = Kind::kError};
  }
}

}  // namespace kms::api
