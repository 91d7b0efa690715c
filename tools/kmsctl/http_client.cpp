// SPDX-License-Identifier: Apache-2.0
// HttpClient over cpp-httplib, with its failures turned into advice.
#include "tools/kmsctl/http_client.h"

#include <httplib.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <utility>

namespace kms::tools {

namespace {

constexpr std::chrono::seconds kConnectTimeout{5};

std::string Encode(std::string_view text, std::string_view also_kept) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved || also_kept.find(c) != std::string_view::npos) {
      encoded += c;
      continue;
    }
    encoded += {'%', kHex[byte >> 4U], kHex[byte & 15U]};
  }
  return encoded;
}

Error NoAnswer(const std::string& url, httplib::Error failure) {
  switch (failure) {
    case httplib::Error::Connection:
    case httplib::Error::ConnectionTimeout:
      return MakeError(ErrorCode::kOutcomeUnknown,
                       "cannot connect to " + url +
                           ": is kmsd running? start it with `kmsd dev` or set KMS_ADDR");
    case httplib::Error::SSLServerVerification:
      return MakeError(ErrorCode::kOutcomeUnknown,
                       "the certificate of " + url +
                           " is not trusted: name its CA with --ca-file or KMS_CACERT");
    case httplib::Error::SSLConnection:
      return MakeError(ErrorCode::kOutcomeUnknown,
                       "no TLS connection with " + url + ": does this port speak https?");
    case httplib::Error::SSLLoadingCerts:
      return InvalidArgument("the CA file cannot be read; check --ca-file or KMS_CACERT");
    default:
      return MakeError(ErrorCode::kOutcomeUnknown,
                       "no complete answer from " + url +
                           ": the request may or may not have been carried out; check with "
                           "`kmsctl status`, and the scheme (http or https) of the address",
                       httplib::to_string(failure));
  }
}

// With its chain, which the library's own option would leave out.
Status UseClientCertificate(SSL_CTX* context, const HttpClientOptions& options) {
  const std::string& certificate = options.client_certificate_file;
  const std::string& key = options.client_key_file.empty() ? certificate : options.client_key_file;
  if (certificate.empty()) {
    return key.empty() ? Ok() : InvalidArgument("--client-key needs --client-cert");
  }
  if (context == nullptr) {
    return Ok();  // no TLS, nobody asks for it
  }
  const bool read = SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) == 1;
  const bool fits =
      read && SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) == 1;
  ERR_clear_error();
  if (!read) {
    return InvalidArgument(
        "the client certificate cannot be read; check --client-cert or KMS_CLIENT_CERT");
  }
  return fits ? Ok()
              : InvalidArgument(
                    "the key of the client certificate cannot be read, or is another one's; check "
                    "--client-key or KMS_CLIENT_KEY");
}

}  // namespace

struct HttpClient::Impl {
  Impl(const HttpClientOptions& options, PlaintextBuffer secret_token)
      : url(options.address.ToUrl()),
        wrap_ttl(options.wrap_ttl),
        token(std::move(secret_token)),
        client(url) {
    client.set_keep_alive(true);
    client.set_tcp_nodelay(true);
    client.set_connection_timeout(kConnectTimeout);
    client.set_read_timeout(options.timeout);
    client.set_write_timeout(options.timeout);
    client.enable_server_certificate_verification(true);
    if (!options.ca_file.empty()) {
      client.set_ca_cert_path(options.ca_file.c_str());
    }
    identity =
        UseClientCertificate(options.address.https ? client.ssl_context() : nullptr, options);
  }

  std::string url;
  std::string wrap_ttl;
  PlaintextBuffer token;
  httplib::Client client;
  Status identity;  // an error: there is one to present and it cannot be used
};

HttpClient::HttpClient(HttpClientOptions options, PlaintextBuffer token)
    : impl_(std::make_unique<Impl>(options, std::move(token))) {}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

Result<HttpAnswer> HttpClient::Send(std::string_view method, std::string_view path,
                                    std::string_view body) {
  if (!impl_->identity.has_value()) {
    return impl_->identity.error();
  }
  httplib::Request request;
  request.method = method;
  request.path = path;
  request.body = body;
  request.headers.emplace("X-Vault-Request", "true");
  request.headers.emplace("Accept", "application/json");
  if (!body.empty()) {
    request.headers.emplace("Content-Type", "application/json");
  }
  if (!impl_->wrap_ttl.empty()) {
    request.headers.emplace("X-Vault-Wrap-TTL", impl_->wrap_ttl);
  }
  if (impl_->token.size() != 0) {
    request.headers.emplace("X-Vault-Token", std::string(AsText(impl_->token.View())));
  }
  httplib::Response response;
  httplib::Error failure = httplib::Error::Success;
  const bool answered = impl_->client.send(request, response, failure);

  OPENSSL_cleanse(request.body.data(), request.body.size());
  for (auto& [name, value] : request.headers) {
    if (name == "X-Vault-Token") {
      OPENSSL_cleanse(value.data(), value.size());
    }
  }
  if (!answered) {
    return NoAnswer(impl_->url, failure);
  }
  HttpAnswer answer;
  answer.status = response.status;
  std::ranges::copy(AsBytes(response.body), answer.body.Reset(response.body.size()).begin());
  OPENSSL_cleanse(response.body.data(), response.body.size());
  return answer;
}

std::string EncodePathSegment(std::string_view segment) { return Encode(segment, ""); }
std::string EncodePath(std::string_view path) { return Encode(path, "/"); }

}  // namespace kms::tools
