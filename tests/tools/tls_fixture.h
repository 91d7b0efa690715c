// SPDX-License-Identifier: Apache-2.0
// TlsServer: answers every request over TLS with one fixed body, under a certificate made on the
// spot.
#pragma once

#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace kms::testing {

template <auto kFree>
struct OpenSslDeleter {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

struct Certificate {
  std::unique_ptr<EVP_PKEY, OpenSslDeleter<EVP_PKEY_free>> key;
  std::unique_ptr<X509, OpenSslDeleter<X509_free>> x509;
};

// Self-signed, for one subject alternative name such as "IP:127.0.0.1".
inline Certificate MakeCertificate(const std::string& alternative_name) {
  Certificate certificate;
  certificate.key.reset(EVP_EC_gen("P-256"));
  certificate.x509.reset(X509_new());
  X509* x509 = certificate.x509.get();
  X509_set_version(x509, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
  X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
  X509_NAME* name = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  X509_set_issuer_name(x509, name);
  X509_set_pubkey(x509, certificate.key.get());
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, alternative_name.c_str());
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
  X509_sign(x509, certificate.key.get(), EVP_sha256());
  return certificate;
}

inline void WriteCertificate(const Certificate& certificate, const std::string& path) {
  std::unique_ptr<BIO, OpenSslDeleter<BIO_free_all>> file(BIO_new_file(path.c_str(), "w"));
  PEM_write_bio_X509(file.get(), certificate.x509.get());
}

// One connection at a time, one answer each.
class TlsServer {
 public:
  TlsServer(const Certificate& certificate, std::string body)
      : body_(std::move(body)), context_(SSL_CTX_new(TLS_server_method())) {
    SSL_CTX_use_certificate(context_.get(), certificate.x509.get());
    SSL_CTX_use_PrivateKey(context_.get(), certificate.key.get());
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
  ~TlsServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  [[nodiscard]] std::string Url(const std::string& host) const {
    return "https://" + host + ":" + std::to_string(port_);
  }
  [[nodiscard]] int requests() const { return requests_; }

 private:
  void ServeAll() {
    while (true) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) {
        return;
      }
      std::unique_ptr<SSL, OpenSslDeleter<SSL_free>> ssl(SSL_new(context_.get()));
      SSL_set_fd(ssl.get(), connection);
      char buffer[8192];
      if (SSL_accept(ssl.get()) == 1 && SSL_read(ssl.get(), buffer, sizeof buffer) > 0) {
        ++requests_;
        const std::string reply = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " +
                                  std::to_string(body_.size()) + "\r\n\r\n" + body_;
        SSL_write(ssl.get(), reply.data(), static_cast<int>(reply.size()));
        SSL_shutdown(ssl.get());
      }
      ::close(connection);
    }
  }

  const std::string body_;
  std::unique_ptr<SSL_CTX, OpenSslDeleter<SSL_CTX_free>> context_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> requests_ = 0;
  std::thread thread_;
};

}  // namespace kms::testing
