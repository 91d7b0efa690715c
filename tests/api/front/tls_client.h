// SPDX-License-Identifier: Apache-2.0
// TlsClient: the other end of a TLS connection, with every choice in the test's hands.
#pragma once

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "api/front/tls.h"
#include "tests/api/front/raw_client.h"
#include "tests/support/pki_builder.h"

namespace kms::testing {

using SessionPtr = std::shared_ptr<SSL_SESSION>;

struct TlsChoices {
  const IssuedCertificate* identity = nullptr;    // null: no client certificate
  std::vector<const IssuedCertificate*> issuers;  // sent along with it
  int max_version = 0;                            // 0: no limit
  SessionPtr session;                             // to resume
};

class TlsClient {
 public:
  explicit TlsClient(std::uint16_t port, const TlsChoices& choices = {})
      : socket_(port), context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_security_level(context_.get(), 0);
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_.get(), choices.max_version);
    if (choices.identity != nullptr) {
      SSL_CTX_use_certificate(context_.get(), choices.identity->native());
      SSL_CTX_use_PrivateKey(context_.get(), choices.identity->key());
    }
    for (const IssuedCertificate* issuer : choices.issuers) {
      SSL_CTX_add1_chain_cert(context_.get(), issuer->native());
    }
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), socket_.fd());
    if (choices.session != nullptr) {
      SSL_set_session(ssl_.get(), choices.session.get());
    }
    connected_ = SSL_connect(ssl_.get()) == 1;
  }

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  [[nodiscard]] SSL* native() const { return ssl_.get(); }
  [[nodiscard]] std::string version() const { return SSL_get_version(ssl_.get()); }
  [[nodiscard]] std::string peer_name() const {
    X509* certificate = SSL_get0_peer_certificate(ssl_.get());
    std::array<char, 64> name{};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                              static_cast<int>(name.size()));
    return name.data();
  }

  // The answer, of which `size` bytes are waited for; empty when the connection ended.
  std::string Exchange(const std::string& bytes, std::size_t size = 1) {
    SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    std::string answer;
    std::array<char, 16384> buffer{};
    while (answer.size() < size) {
      const int count = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
      if (count <= 0) {
        break;
      }
      answer.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return answer;
  }

  // Ends the connection properly; the session to resume it with.
  SessionPtr Close() {
    SSL_shutdown(ssl_.get());
    return {SSL_get1_session(ssl_.get()), SSL_SESSION_free};
  }

 private:
  RawClient socket_;
  api::SslContextPtr context_;
  api::SslPtr ssl_;
  bool connected_ = false;
};

}  // namespace kms::testing
