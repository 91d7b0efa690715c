// SPDX-License-Identifier: Apache-2.0
// TLS on the loop: versions, keep-alive, client certificates, renewal, plain bytes to a TLS port.
#include "api/front/tls.h"

#include <array>
#include <filesystem>
#include <fstream>

#include "tests/api/front/server_fixture.h"
#include "tests/api/front/tls_client.h"
#include "tests/support/asymmetric_keys.h"
#include "tests/support/pki_builder.h"

namespace kms::api {
namespace {

using ::kms::testing::AuthoritySpec;
using ::kms::testing::CertificateSpec;
using ::kms::testing::ClientSpec;
using ::kms::testing::GetRequest;
using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::Issue;
using ::kms::testing::IssuedCertificate;
using ::kms::testing::RawClient;
using ::kms::testing::SessionPtr;
using ::kms::testing::TlsChoices;
using ::kms::testing::TlsClient;
using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr std::array kVersions = {TLS1_2_VERSION, TLS1_3_VERSION};

struct Files {
  std::string certificate;
  std::string key;
};

void Write(const std::string& path, const std::string& text) { std::ofstream{path} << text; }

// OpenSSL takes the time from the machine, so these are good for a day around now.
CertificateSpec Today(CertificateSpec spec) {
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  spec.not_before = now - 60;
  spec.not_after = now + 86'400;
  return spec;
}

void WriteCertificate(const Files& files, const IssuedCertificate& certificate) {
  Write(files.certificate, certificate.Pem());
  Write(files.key, certificate.KeyPem());
}
void WriteCertificate(const Files& files, const char* name) {
  WriteCertificate(files, Issue(Today({.common_name = name}), nullptr));
}

class TlsTest : public ::kms::testing::ServerTest {
 protected:
  TlsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kms-tls-XXXXXX").string();
    directory = ::mkdtemp(pattern.data());
    files = {.certificate = directory + "/certificate.pem", .key = directory + "/key.pem"};
    authority_file = directory + "/authority.pem";
    WriteCertificate(files, "first");
    Write(authority_file, authority.Pem());
    options.tls = TlsOptions{
        .certificate_file = files.certificate, .key_file = files.key, .client_ca_file = {}};
  }
  ~TlsTest() override { std::filesystem::remove_all(directory); }

  // What /certificates answers to this client, on the loop and from the pool.
  std::string Seen(TlsClient& tls, const std::string& fields = "") {
    const std::string on_loop = tls.Exchange(GetRequest("/certificates", fields));
    const std::string in_pool = tls.Exchange(GetRequest("/defer/certificates", fields));
    const std::string body = on_loop.substr(on_loop.rfind('\n') + 1);
    EXPECT_THAT(in_pool, EndsWith(body));
    return body;
  }
  std::string Seen(const TlsChoices& choices) {
    TlsClient tls{server->port(), choices};
    return Seen(tls);
  }

  std::string directory;
  Files files;
  std::string authority_file;
  const IssuedCertificate authority = Issue(Today(AuthoritySpec("clients")), nullptr);
  const IssuedCertificate issuing = Issue(Today(AuthoritySpec("issuing")), &authority);
  const IssuedCertificate client = Issue(Today(ClientSpec("client")), &issuing);
  const IssuedCertificate stranger = Issue(Today(ClientSpec("client")), nullptr);
};

// What TestHandler answers for a chain of `count` certificates.
std::string Chain(std::size_t count, const IssuedCertificate& leaf) {
  return std::to_string(count) + " " + HexEncode(Sha256(leaf.Der()));
}

TEST_F(TlsTest, ServesBothVersionsWithKeepAlive) {
  StartServer();
  for (const auto& [limit, version] :
       {std::pair{TLS1_3_VERSION, "TLSv1.3"}, std::pair{TLS1_2_VERSION, "TLSv1.2"}}) {
    TlsClient tls{server->port(), {.max_version = limit}};
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
    EXPECT_FALSE((TlsClient{server->port(), {.max_version = version}}.connected()));
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

// A ClientHello of TLS 1.2 that offers `suites` and DEFLATE before no compression.
std::string ClientHello(const std::vector<std::uint16_t>& suites) {
  const auto number = [](std::size_t value, int bytes) {
    std::string text;
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
      text.push_back(static_cast<char>(value >> static_cast<unsigned>(shift)));
    }
    return text;
  };
  std::string offered;
  for (const std::uint16_t suite : suites) {
    offered += number(suite, 2);
  }
  using namespace std::string_literals;
  const std::string extensions =
      "\0\x0a\0\x04\0\x02\0\x17"s                     // groups: P-256
      "\0\x0b\0\x02\x01\0"s                           // points: uncompressed
      "\0\x0d\0\x08\0\x06\x04\x03\x08\x04\x04\x01"s;  // ECDSA, PSS and PKCS#1 with SHA-256
  std::string hello = "\x03\x03"s + std::string(32, 'r') + "\0"s + number(offered.size(), 2) +
                      offered + "\x02\x01\0"s + number(extensions.size(), 2) + extensions;
  hello = "\x01"s + number(hello.size(), 3) + hello;
  return "\x16\x03\x01"s + number(hello.size(), 2) + hello;
}

constexpr std::uint16_t kEcdheRsaAes128Gcm = 0xc02f;
constexpr char kAlertRecord = 0x15;
constexpr char kHandshakeRecord = 0x16;

class WeakTlsTest : public TlsTest {
 protected:
  // An RSA certificate, so that suites are not refused for want of one.
  void SetUp() override {
    const Bytes& pkcs8 = ::kms::testing::TestKeyPkcs8(AsymmetricAlgorithm::kRsa2048);
    const unsigned char* at = pkcs8.data();
    const std::shared_ptr<EVP_PKEY> key(
        d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(pkcs8.size())), EVP_PKEY_free);
    WriteCertificate(files, Issue(Today({.common_name = "rsa"}), nullptr, key));
    StartServer();
  }
  // The server's answer to a hello; enough of it to judge.
  std::string AnswerTo(const std::string& hello) {
    RawClient client_socket = Connect();
    client_socket.Send(hello);
    client_socket.EndOutput();
    return client_socket.ReadAll();
  }
};

TEST_F(WeakTlsTest, C21_WeakSuitesAreRefused) {
  const std::vector<std::pair<const char*, std::uint16_t>> weak = {
      {"RSA_WITH_AES_128_GCM_SHA256", 0x009c},
      {"RSA_WITH_AES_256_CBC_SHA", 0x0035},
      {"RSA_WITH_3DES_EDE_CBC_SHA", 0x000a},
      {"RSA_WITH_RC4_128_SHA", 0x0005},
      {"RSA_WITH_NULL_SHA256", 0x003b},
      {"RSA_EXPORT_WITH_DES40_CBC_SHA", 0x0008},
      {"DHE_RSA_WITH_AES_128_GCM_SHA256", 0x009e},
      {"DHE_RSA_WITH_AES_256_CBC_SHA", 0x0039},
      {"ECDHE_RSA_WITH_AES_128_CBC_SHA", 0xc013},
      {"ECDHE_RSA_WITH_AES_256_CBC_SHA384", 0xc028},
      {"ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", 0xc012},
      {"ECDHE_RSA_WITH_RC4_128_SHA", 0xc011},
      {"ECDH_anon_WITH_AES_128_CBC_SHA", 0xc018},
      {"DH_anon_WITH_AES_128_GCM_SHA256", 0x00a6},
      {"ECDHE_RSA_WITH_NULL_SHA", 0xc010},
      {"PSK_WITH_AES_128_GCM_SHA256", 0x00a8}};
  for (const auto& [name, suite] : weak) {
    const std::string answer = AnswerTo(ClientHello({suite}));
    ASSERT_GE(answer.size(), 7U) << name;
    EXPECT_EQ(answer[0], kAlertRecord) << name;
    EXPECT_EQ(answer[6], 40) << name;  // handshake_failure
  }
  EXPECT_EQ(handler.on_loop, 0);
}

TEST_F(WeakTlsTest, C21_TheStrongestOfferedSuiteIsTakenAndNoCompression) {
  const std::string answer = AnswerTo(ClientHello({0x009c, 0xc013, kEcdheRsaAes128Gcm}));
  ASSERT_GE(answer.size(), 50U);
  EXPECT_EQ(answer[0], kHandshakeRecord);
  // Record (5), handshake (4), version (2), random (32), session id with its length.
  const auto session_id_bytes = static_cast<std::size_t>(static_cast<unsigned char>(answer[43]));
  const std::size_t suite_at = 44 + session_id_bytes;
  ASSERT_GT(answer.size(), suite_at + 2);
  EXPECT_EQ(answer.substr(suite_at, 2), "\xc0\x2f");
  EXPECT_EQ(answer[suite_at + 2], '\0');
}

TEST_F(WeakTlsTest, C21_RenegotiationIsRefused) {
  TlsClient tls{server->port(), {.max_version = TLS1_2_VERSION}};
  ASSERT_TRUE(tls.connected());
  EXPECT_THAT(tls.Exchange(GetRequest("/echo")), HasSubstr("200 OK"));
  ASSERT_EQ(SSL_renegotiate(tls.native()), 1);
  EXPECT_NE(SSL_do_handshake(tls.native()), 1);
}

TEST_F(TlsTest, C21_DemandsACertificateOfItsAuthorityWhenConfigured) {
  options.tls->client_ca_file = authority_file;
  StartServer();
  for (const int version : kVersions) {
    EXPECT_EQ(Seen({.max_version = version}), "");
    EXPECT_EQ(Seen({.identity = &stranger, .max_version = version}), "");
    EXPECT_EQ(Seen({.identity = &client, .max_version = version}), "");  // its issuer is missing
    EXPECT_EQ(handler.on_loop, 0);
    EXPECT_EQ(Seen({.identity = &client, .issuers = {&issuing}, .max_version = version}),
              Chain(2, client));
    handler.on_loop = 0;
  }
}

TEST_F(TlsTest, U19_ExpiredAndServerCertificatesAreNotTakenFromTheAuthority) {
  options.tls->client_ca_file = authority_file;
  StartServer();
  CertificateSpec expired = Today(ClientSpec("expired"));
  expired.not_after = expired.not_before + 30;
  const IssuedCertificate late = Issue(expired, &authority);
  CertificateSpec for_servers = Today(ClientSpec("server"));
  for_servers.extensions[2].second = "serverAuth";
  const IssuedCertificate of_server = Issue(for_servers, &authority);
  EXPECT_EQ(Seen({.identity = &late}), "");
  EXPECT_EQ(Seen({.identity = &of_server}), "");
}

TEST_F(TlsTest, DoesNotAskForACertificateUnlessConfigured) {
  StartServer();
  EXPECT_EQ(Seen({.identity = &client, .issuers = {&issuing}}), "none");
}

TEST_F(TlsTest, TakesAnyCertificateAndNoneWhenItOnlyRequestsOne) {
  options.tls->client_certificates = ClientCertificates::kRequest;
  StartServer();
  for (const int version : kVersions) {
    EXPECT_EQ(Seen({.max_version = version}), "none");
    EXPECT_EQ(Seen({.identity = &stranger, .max_version = version}), Chain(1, stranger));
    EXPECT_EQ(
        Seen({.identity = &client, .issuers = {&issuing, &authority}, .max_version = version}),
        Chain(3, client));
  }
}

TEST_F(TlsTest, C21_WithoutAnyCertificateThereIsNoConnectionWhenOneIsRequired) {
  options.tls->client_certificates = ClientCertificates::kRequire;
  StartServer();
  for (const int version : kVersions) {
    EXPECT_EQ(Seen({.max_version = version}), "");
    EXPECT_EQ(Seen({.identity = &stranger, .max_version = version}), Chain(1, stranger));
  }
}

TEST_F(TlsTest, U20_HeaderFieldsNeverSayWhoTheClientIs) {
  options.tls->client_certificates = ClientCertificates::kRequest;
  StartServer();
  TlsClient tls{server->port()};
  EXPECT_EQ(Seen(tls, "X-SSL-Client-Cert: " + HexEncode(client.Der()) +
                          "\r\nX-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-S-DN: CN=client\r\n"
                          "X-Forwarded-Client-Cert: Hash=00\r\n"),
            "none");
}

TEST_F(TlsTest, OneConnectionsCertificateIsNeverSeenOnAnother) {
  options.loops = 1;  // its request object is reused
  options.tls->client_certificates = ClientCertificates::kRequest;
  StartServer();
  TlsClient with{server->port(), {.identity = &client}};
  TlsClient without{server->port()};
  TlsClient with_another{server->port(), {.identity = &stranger}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Seen(with), Chain(1, client));
    EXPECT_EQ(Seen(without), "none");
    EXPECT_EQ(Seen(with_another), Chain(1, stranger));
  }
}

TEST_F(TlsTest, AResumedSessionHasTheWholeChainOfItsFirstHandshake) {
  for (const bool verified : {true, false}) {
    options.tls->client_ca_file = verified ? authority_file : "";
    options.tls->client_certificates = ClientCertificates::kRequire;
    StartServer();
    for (const int version : kVersions) {
      const TlsChoices choices{.identity = &client, .issuers = {&issuing}, .max_version = version};
      TlsClient first{server->port(), choices};
      EXPECT_EQ(Seen(first), Chain(2, client));
      SessionPtr session = first.Close();
      for (int i = 0; i < 3; ++i) {
        TlsClient again{server->port(), {.max_version = version, .session = session}};
        EXPECT_EQ(Seen(again), Chain(2, client));
        EXPECT_TRUE(again.resumed()) << verified << " " << version << " " << i;
        session = again.Close();
      }
    }
  }
}

TEST_F(TlsTest, ASessionOfNobodyStaysOneOfNobody) {
  options.tls->client_certificates = ClientCertificates::kRequest;
  StartServer();
  TlsClient first{server->port()};
  EXPECT_EQ(Seen(first), "none");
  TlsClient again{server->port(), {.identity = &client, .session = first.Close()}};
  EXPECT_EQ(Seen(again), again.resumed() ? "none" : Chain(1, client));
}

TEST_F(TlsTest, AVerifiedSessionDoesNotOutliveItsCertificate) {
  options.tls->client_ca_file = authority_file;
  StartServer();
  CertificateSpec spec = Today(ClientSpec("short"));
  spec.not_after = static_cast<std::int64_t>(std::time(nullptr)) + 2;
  const IssuedCertificate brief = Issue(spec, &authority);
  TlsClient first{server->port(), {.identity = &brief}};
  ASSERT_EQ(Seen(first), Chain(1, brief));
  SessionPtr session = first.Close();
  EXPECT_TRUE(Eventually([&] {
    TlsClient again{server->port(), {.session = session}};
    const bool refused = Seen(again).empty();
    if (!refused) {
      session = again.Close();
    }
    return refused;
  }));
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
  const std::string other_key = directory + "/other-key.pem";
  Write(other_key, client.KeyPem());
  options.tls->key_file = other_key;
  EXPECT_THAT(HttpServer::Start(options, handler, gate),
              HasError(ErrorCode::kInvalidArgument, HasSubstr(other_key)));
  options.tls->certificate_file = directory + "/absent.pem";
  EXPECT_THAT(HttpServer::Start(options, handler, gate),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("absent.pem")));
}

}  // namespace
}  // namespace kms::api
