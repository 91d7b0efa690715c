// SPDX-License-Identifier: Apache-2.0
// Channel: a non-blocking socket, plain or under TLS, behind one pair of calls.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "api/front/peer_certificates.h"
#include "kms/base/unique_fd.h"

namespace kms::api {

struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using SslPtr = std::unique_ptr<SSL, SslDeleter>;

struct IoResult {
  enum class Kind : std::uint8_t { kBytes, kWait, kEnd, kError };
  Kind kind = Kind::kWait;
  std::size_t bytes = 0;
  // Nothing is left to read until the socket says so.
  bool drained = false;
};

// Thread rule: one thread.
class Channel {
 public:
  explicit Channel(UniqueFd socket, SslPtr ssl = nullptr);
  ~Channel();
  Channel(Channel&&) noexcept = default;
  Channel& operator=(Channel&&) = delete;

  // kBytes (with 0 bytes): ready for Read and Write.
  IoResult Handshake();
  // What the client presented in the handshake, which is over; null when nothing, or when memory is
  // short.
  [[nodiscard]] PeerCertificatesHandle Certificates() const;
  IoResult Read(char* to, std::size_t size);
  IoResult Write(const char* from, std::size_t size);
  // Reads and forgets up to `size` raw bytes.
  IoResult Discard(std::size_t size);
  // Tells the peer that nothing more will come; reading goes on.
  void EndOutput();

  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] bool tls() const { return ssl_ != nullptr; }

 private:
  IoResult FromSsl(int result);

  UniqueFd socket_;
  SslPtr ssl_;  // freed before the socket closes
  bool handshaken_ = false;
};

}  // namespace kms::api
