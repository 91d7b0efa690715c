// SPDX-License-Identifier: Apache-2.0
// Channel: translates errno and OpenSSL's verdicts into what a readiness loop asks.
#include "api/front/channel.h"

#include <openssl/err.h>
#include <openssl/x509.h>
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

std::vector<std::uint8_t> Der(X509* certificate) {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate, &bytes);
  if (size <= 0) {
    return {};
  }
  std::vector<std::uint8_t> der(bytes, bytes + size);
  OPENSSL_free(bytes);
  return der;
}

// A session is resumed without looking at its certificate again: what this listener has verified
// must not outlive its own end.
bool OutlivedItsCertificate(const SSL* ssl) {
  const X509* leaf = SSL_get0_peer_certificate(ssl);
  return leaf != nullptr && SSL_session_reused(ssl) == 1 &&
         SSL_get_verify_result(ssl) == X509_V_OK &&
         X509_cmp_current_time(X509_get0_notAfter(leaf)) <= 0;
}

}  // namespace

Channel::Channel(UniqueFd socket, SslPtr ssl) : socket_(std::move(socket)), ssl_(std::move(ssl)) {}

Channel::~Channel() {
  if (ssl_ != nullptr && handshaken_) {
    // OpenSSL forgets the session of a connection that ends without our close alert, a rule that
    // TLS 1.1 has dropped. After an error it shall.
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN);
  }
}

IoResult Channel::Handshake() {
  ERR_clear_error();
  const int result = SSL_accept(ssl_.get());
  if (result != 1) {
    return FromSsl(result);
  }
  if (OutlivedItsCertificate(ssl_.get())) {
    return {.kind = Kind::kError};
  }
  handshaken_ = true;
  return {.kind = Kind::kBytes};
}

PeerCertificatesHandle Channel::Certificates() const {
  X509* leaf = ssl_ == nullptr ? nullptr : SSL_get0_peer_certificate(ssl_.get());
  if (leaf == nullptr) {
    return nullptr;
  }
  auto certificates = std::make_shared<PeerCertificates>();
  certificates->chain.push_back(Der(leaf));
  if (certificates->chain.front().empty()) {
    ERR_clear_error();
    return nullptr;
  }
  // On the server's side it has what came with the leaf, without the leaf.
  const STACK_OF(X509)* issuers = SSL_get_peer_cert_chain(ssl_.get());
  for (int i = 0; i < sk_X509_num(issuers); ++i) {
    certificates->chain.push_back(Der(sk_X509_value(issuers, i)));
  }
  certificates->leaf_digest = Sha256(certificates->chain.front());
  return certificates;
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
