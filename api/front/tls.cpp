// SPDX-License-Identifier: Apache-2.0
// TlsContext: OpenSSL's defaults minus everything old.
#include "api/front/tls.h"

#include <openssl/err.h>

#include <array>
#include <string>
#include <utility>

namespace kms::api {
namespace {

// Forward secrecy and authenticated encryption only; TLS 1.3 has nothing else.
constexpr const char* kTls12Ciphers =
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

constexpr long kMaxSessions = 1'024;  // with the chain of each
constexpr long kSessionSeconds = 600;
constexpr long kMaxChainBytes = 16'384;

constexpr std::array<unsigned char, 7> kSessionContext{'k', 'm', 's', 'd', 'a', 'p', 'i'};

Error TlsError(const std::string& message) {
  std::array<char, 256> reason{};
  ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
  ERR_clear_error();
  return InvalidArgument(message, reason.data());
}

void Restrict(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_num_tickets(context, 1);
  // Without it every resumption with a client certificate fails the handshake.
  SSL_CTX_set_session_id_context(context, kSessionContext.data(), kSessionContext.size());
}

Status TrustClients(SSL_CTX* context, const TlsOptions& options) {
  const char* file = options.client_ca_file.c_str();
  if (SSL_CTX_load_verify_locations(context, file, nullptr) != 1) {
    return TlsError("cannot read the client certificate authorities from " +
                    options.client_ca_file);
  }
  SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(file));
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return Ok();
}

// Takes whatever chain there is and says that nobody has verified it: the cert login does, against
// what its mount trusts. OpenSSL still checks that the client holds the key of the leaf.
int LeaveUnverified(X509_STORE_CTX* verification, void* /*unused*/) {
  X509_STORE_CTX_set_error(verification, X509_V_ERR_APPLICATION_VERIFICATION);
  return 1;
}

void AskClients(SSL_CTX* context, ClientCertificates demand) {
  SSL_CTX_set_cert_verify_callback(context, LeaveUnverified, nullptr);
  const int refuse = demand == ClientCertificates::kRequire ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | refuse, nullptr);
}

// A ticket carries the leaf alone, so a client that resumes would lose its intermediates: sessions
// stay here, with all of the chain.
void KeepSessionsWithTheirChain(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_sess_set_cache_size(context, kMaxSessions);
  SSL_CTX_set_timeout(context, kSessionSeconds);
  SSL_CTX_set_max_cert_list(context, kMaxChainBytes);
}

Status ConfigureClients(SSL_CTX* context, const TlsOptions& options) {
  if (!options.client_ca_file.empty()) {
    KMS_TRY(TrustClients(context, options));
  } else if (options.client_certificates != ClientCertificates::kNone) {
    AskClients(context, options.client_certificates);
  } else {
    return Ok();
  }
  KeepSessionsWithTheirChain(context);
  return Ok();
}

Result<SslContextPtr> MakeContext(const TlsOptions& options) {
  SslContextPtr context{SSL_CTX_new(TLS_server_method())};
  if (context == nullptr) {
    return Internal("SSL_CTX_new");
  }
  Restrict(context.get());
  if (SSL_CTX_set_cipher_list(context.get(), kTls12Ciphers) != 1) {
    return Internal("SSL_CTX_set_cipher_list");
  }
  if (SSL_CTX_use_certificate_chain_file(context.get(), options.certificate_file.c_str()) != 1) {
    return TlsError("cannot read a certificate chain from " + options.certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return TlsError("cannot read the private key of the certificate from " + options.key_file);
  }
  if (SSL_CTX_check_private_key(context.get()) != 1) {
    return TlsError(options.key_file + " does not hold the key of " + options.certificate_file);
  }
  KMS_TRY(ConfigureClients(context.get(), options));
  return context;
}

}  // namespace

Result<std::unique_ptr<TlsContext>> TlsContext::Load(const TlsOptions& options) {
  SslContextPtr context = KMS_TRY(MakeContext(options));
  return std::unique_ptr<TlsContext>{new TlsContext{options, std::move(context)}};
}

Status TlsContext::Reload() {
  SslContextPtr renewed = KMS_TRY(MakeContext(options_));
  const ScopedLock lock{mutex_};
  std::swap(context_, renewed);
  return Ok();
}

SslPtr TlsContext::NewSession(int fd) {
  SslPtr ssl;
  {
    const ScopedLock lock{mutex_};
    ssl.reset(SSL_new(context_.get()));
  }
  if (ssl == nullptr || SSL_set_fd(ssl.get(), fd) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  SSL_set_accept_state(ssl.get());
  return ssl;
}

}  // namespace kms::api
