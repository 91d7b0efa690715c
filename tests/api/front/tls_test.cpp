// SPDX-License-Identifier: Apache-2.0
// TLS on the loop: versions, keep-alive, client certificates, renewal, plain bytes to a TLS port.
#include "api/front/tls.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/api/front/server_fixture.h"

namespace kms::api {
namespace {

using ::kms::testing::GetRequest;
using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::RawClient;
using ::testing::HasSubstr;

struct Files {
  std::string certificate;
  std::string key;
};

// A self-signed P-256 certificate of a day, as two PEM files.
void WriteCertificate(const Files& files, const char* name) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86'400);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(certificate, subject);
  X509_sign(certificate, key, EVP_sha256());
  std::FILE* file = std::fopen(files.certificate.c_str(), "w");
  PEM_write_X509(file, certificate);
  std::fclose(file);
  file = std::fopen(files.key.c_str(), "w");
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

class TlsClient {
 public:
  // `identity` may be null: no client certificate. `max_version` 0: no limit.
  TlsClient(std::uint16_t port, const Files* identity = nullptr, int max_version = 0)
      : socket_(port), context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_security_level(context_.get(), 0);
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_.get(), max_version);
    if (identity != nullptr) {
      SSL_CTX_use_certificate_chain_file(context_.get(), identity->certificate.c_str());
      SSL_CTX_use_PrivateKey_file(context_.get(), identity->key.c_str(), SSL_FILETYPE_PEM);
    }
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), socket_.fd());
    connected_ = SSL_connect(ssl_.get()) == 1;
  }

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] std::string version() const { return SSL_get_version(ssl_.get()); }
  [[nodiscard]] std::string peer_name() const {
    X509* certificate = SSL_get1_peer_certificate(ssl_.get());
    std::array<char, 64> name{};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                              static_cast<int>(name.size()));
    X509_free(certificate);
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

 private:
  RawClient socket_;
  SslContextPtr context_;
  SslPtr ssl_;
  bool connected_ = false;
};

class TlsTest : public ::kms::testing::ServerTest {
 protected:
  TlsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kms-tls-XXXXXX").string();
    directory = ::mkdtemp(pattern.data());
    files = {.certificate = directory + "/certificate.pem", .key = directory + "/key.pem"};
    client = {.certificate = directory + "/client.pem", .key = directory + "/client-key.pem"};
    WriteCertificate(files, "first");
    WriteCertificate(client, "client");
    options.tls = TlsOptions{
        .certificate_file = files.certificate, .key_file = files.key, .client_ca_file = {}};
  }
  ~TlsTest() override { std::filesystem::remove_all(directory); }

  std::string directory;
  Files files;
  Files client;
};

TEST_F(TlsTest, ServesBothVersionsWithKeepAlive) {
  StartServer();
  for (const auto& [limit, version] :
       {std::pair{TLS1_3_VERSION, "TLSv1.3"}, std::pair{TLS1_2_VERSION, "TLSv1.2"}}) {
    TlsClient tls{server->port(), nullptr, limit};
    ASSERT_TRUE(tls.connected());
    EXPECT_EQ(tls.version(), version);
    for (int i = 0; i < 3; ++i) {
      EXPECT_THAT(tls.Exchange(GetRequest("/echo")), HasSubstr("200 OK"));
      EXPECT_THAT(tls.Exchange(GetRequest("/defer/x")), HasSubstr("200 OK"));
    }
    EXPECT_GE(tls.Exchange(GetRequest("/big"), 1U << 20U).size(), 1U << 20U);
  }
}

TEST_F(TlsTest, C21_OldVersionsAreRefused) {
  StartServer();
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    EXPECT_FALSE((TlsClient{server->port(), nullptr, version}.connected()));
  }
}

TEST_F(TlsTest, A21_PlainBytesOnATlsPortEndTheConnection) {
  StartServer();
  RawClient plain = Connect();
  plain.Send(GetRequest("/echo"));
  EXPECT_EQ(plain.ReadAll().find("HTTP/1.1 200"), std::string::npos);
  EXPECT_EQ(handler.on_loop, 0);
}

TEST_F(TlsTest, A11_UnfinishedHandshakesEndAtTheirDeadline) {
  options.timeouts.head = std::chrono::milliseconds{50};
  StartServer();
  EXPECT_TRUE(Connect().Ended());
}

TEST_F(TlsTest, DemandsAClientCertificateWhenConfigured) {
  options.tls->client_ca_file = client.certificate;
  StartServer();
  EXPECT_EQ(TlsClient{server->port()}.Exchange(GetRequest("/echo")), "");
  EXPECT_EQ((TlsClient{server->port(), &files}.Exchange(GetRequest("/echo"))), "");
  EXPECT_EQ(handler.on_loop, 0);
  EXPECT_THAT((TlsClient{server->port(), &client}.Exchange(GetRequest("/echo"))),
              HasSubstr("200 OK"));
}

TEST_F(TlsTest, P18_RenewedCertificateIsUsedWithoutRestart) {
  StartServer();
  TlsClient old{server->port()};
  EXPECT_EQ(old.peer_name(), "first");
  WriteCertificate(files, "second");
  EXPECT_THAT(server->ReloadTls(), IsOk());
  EXPECT_EQ(TlsClient{server->port()}.peer_name(), "second");
  EXPECT_THAT(old.Exchange(GetRequest("/echo")), HasSubstr("200 OK"));
}

TEST_F(TlsTest, P14_BadRenewalKeepsTheOldCertificate) {
  StartServer();
  std::ofstream{files.key} << "no key";
  EXPECT_THAT(server->ReloadTls(), HasError(ErrorCode::kInvalidArgument, HasSubstr(files.key)));
  EXPECT_EQ(TlsClient{server->port()}.peer_name(), "first");
}

TEST_F(TlsTest, RefusesToStartWithFilesThatDoNotFit) {
  options.tls->key_file = client.key;
  EXPECT_THAT(HttpServer::Start(options, handler, gate),
              HasError(ErrorCode::kInvalidArgument, HasSubstr(client.key)));
  options.tls->certificate_file = directory + "/absent.pem";
  EXPECT_THAT(HttpServer::Start(options, handler, gate),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("absent.pem")));
}

}  // namespace
}  // namespace kms::api
