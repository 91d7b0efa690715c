// SPDX-License-Identifier: Apache-2.0
// Fetching documents of identity providers (failures U17): what comes back is bounded in size and
// time, and nothing but a verified answer of the server that was named is an answer.
#include "api/outbound/https_fetcher.h"

#include <openssl/pem.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>

#include "tests/api/outbound/raw_server.h"
#include "tests/support/matchers.h"
#include "tests/support/scripted_http_server.h"
#include "tests/tools/tls_fixture.h"

namespace kms {
namespace {

using ::testing::AllOf;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOkAndHolds;
using ::testing::Not;
using testing::RawServer;
using testing::TlsServer;

constexpr std::size_t kMax = 4096;

std::string Answer(const std::string& head, const std::string& body = {}) {
  return "HTTP/1.1 " + head + "\r\n\r\n" + body;
}

std::string PemOf(const testing::Certificate& certificate) {
  std::unique_ptr<BIO, testing::OpenSslDeleter<BIO_free_all>> memory(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(memory.get(), certificate.x509.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

class HttpsFetcherTest : public ::testing::Test {
 protected:
  // As kmsd does: OpenSSL writes to connections that the other side has closed.
  static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_IGN); }

  Result<std::string> Fetch(const std::string& url, std::string_view ca_pem = {},
                            std::chrono::milliseconds time = std::chrono::seconds(20)) {
    return fetcher_.Fetch(url, ca_pem, kMax, std::chrono::steady_clock::now() + time);
  }

  HttpsFetcher fetcher_;
};

TEST_F(HttpsFetcherTest, ReadsADocument) {
  const RawServer server(Answer("200 OK\r\nContent-Length: 11", "{\"keys\":[]}"));
  EXPECT_THAT(Fetch(server.url() + "/jwks?a=b"), IsOkAndHolds("{\"keys\":[]}"));
  EXPECT_THAT(server.head(), HasSubstr("GET /jwks?a=b HTTP/1.1\r\n"));
  EXPECT_THAT(server.head(), AllOf(Not(HasSubstr("Cookie")), Not(HasSubstr("Authorization")),
                                   Not(HasSubstr("Accept-Encoding"))));
}

TEST_F(HttpsFetcherTest, ReadsADocumentOverTlsWithTheGivenAuthority) {
  const testing::Certificate certificate = testing::MakeCertificate("IP:127.0.0.1");
  const TlsServer server(certificate, "{}");
  EXPECT_THAT(Fetch(server.Url("127.0.0.1"), PemOf(certificate)), IsOkAndHolds("{}"));
}

TEST_F(HttpsFetcherTest, U17_RefusesAServerThatNoAuthorityVouchesFor) {
  const TlsServer server(testing::MakeCertificate("IP:127.0.0.1"), "{}");
  EXPECT_THAT(Fetch(server.Url("127.0.0.1")), HasError(ErrorCode::kUnavailable));
  const std::string other = PemOf(testing::MakeCertificate("IP:127.0.0.1"));
  EXPECT_THAT(Fetch(server.Url("127.0.0.1"), other), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(Fetch(server.Url("127.0.0.1"), "not a certificate"),
              HasError(ErrorCode::kUnavailable));
  EXPECT_EQ(server.requests(), 0);
}

TEST_F(HttpsFetcherTest, U17_RefusesAServerOfAnotherName) {
  const testing::Certificate certificate = testing::MakeCertificate("DNS:issuer.example");
  const TlsServer server(certificate, "{}");
  EXPECT_THAT(Fetch(server.Url("127.0.0.1"), PemOf(certificate)),
              HasError(ErrorCode::kUnavailable));
  EXPECT_EQ(server.requests(), 0);
}

TEST_F(HttpsFetcherTest, U17_RefusesAPlainServerBehindHttps) {
  const RawServer server(Answer("200 OK\r\nContent-Length: 2", "{}"));
  std::string url = server.url();
  url.replace(0, 4, "https");
  EXPECT_THAT(Fetch(url), HasError(ErrorCode::kUnavailable));
}

TEST_F(HttpsFetcherTest, U17_FollowsNoRedirect) {
  const RawServer target(Answer("200 OK\r\nContent-Length: 2", "{}"));
  for (const char* status :
       {"301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"}) {
    const RawServer server(
        Answer(std::string(status) + "\r\nLocation: " + target.url() + "/\r\nContent-Length: 0"));
    EXPECT_THAT(Fetch(server.url()), HasError(ErrorCode::kUnavailable, HasSubstr("status 30")));
  }
  EXPECT_EQ(target.connections(), 0);
}

TEST_F(HttpsFetcherTest, U17_RefusesEveryStatusButOk) {
  for (const char* status : {"201 Created", "204 No Content", "206 Partial", "400 Bad", "401 No",
                             "404 Not Found", "500 Oops", "503 Busy"}) {
    const RawServer server(Answer(std::string(status) + "\r\nContent-Length: 0"));
    EXPECT_THAT(Fetch(server.url()), HasError(ErrorCode::kUnavailable, HasSubstr("status")))
        << status;
  }
}

TEST_F(HttpsFetcherTest, U17_CutsOffAnAnswerOfTenGigabytes) {
  const std::string chunk(65'536, 'x');
  const RawServer announced(Answer("200 OK\r\nContent-Length: 10737418240"), chunk);
  EXPECT_THAT(Fetch(announced.url()), HasError(ErrorCode::kUnavailable, HasSubstr("too large")));
  const RawServer until_closed(Answer("200 OK\r\nConnection: close"), chunk);
  EXPECT_THAT(Fetch(until_closed.url()), HasError(ErrorCode::kUnavailable, HasSubstr("too large")));
  const RawServer chunked(Answer("200 OK\r\nTransfer-Encoding: chunked"),
                          "10000\r\n" + chunk + "\r\n");
  EXPECT_THAT(Fetch(chunked.url()), HasError(ErrorCode::kUnavailable, HasSubstr("too large")));
  EXPECT_LT(announced.sent_bytes() + until_closed.sent_bytes() + chunked.sent_bytes(),
            std::size_t{64} << 20U);
}

TEST_F(HttpsFetcherTest, U17_TakesExactlyTheSizeAllowed) {
  const RawServer most(Answer("200 OK\r\nConnection: close", std::string(kMax, 'x')));
  EXPECT_THAT(Fetch(most.url()), IsOkAndHolds(std::string(kMax, 'x')));
  const RawServer more(Answer("200 OK\r\nConnection: close", std::string(kMax + 1, 'x')));
  EXPECT_THAT(Fetch(more.url()), HasError(ErrorCode::kUnavailable, HasSubstr("too large")));
}

TEST_F(HttpsFetcherTest, U17_CutsOffAnEndlessHead) {
  const RawServer server("HTTP/1.1 200 OK\r\n", "X-Padding: " + std::string(1000, 'x') + "\r\n");
  EXPECT_THAT(Fetch(server.url()), HasError(ErrorCode::kUnavailable, HasSubstr("too large")));
}

TEST_F(HttpsFetcherTest, U17_GivesUpAtTheDeadline) {
  const RawServer silent("");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(Fetch(silent.url(), {}, std::chrono::milliseconds(200)),
              HasError(ErrorCode::kUnavailable));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_THAT(Fetch(silent.url(), {}, std::chrono::milliseconds(0)),
              HasError(ErrorCode::kUnavailable, HasSubstr("no time")));
}

TEST_F(HttpsFetcherTest, U17_RefusesATruncatedAnswer) {
  const RawServer server(Answer("200 OK\r\nContent-Length: 100", "{\"keys\":["));
  EXPECT_THAT(Fetch(server.url()), HasError(ErrorCode::kUnavailable));
}

TEST_F(HttpsFetcherTest, U17_RefusesWhatIsNoUrlToFetch) {
  for (const char* url :
       {"", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/",
        "http://issuer.example/", "http://10.0.0.1/", "https://user:pw@issuer.example/", "https://",
        "//issuer.example", "HTTPS://issuer.example", "https://issuer.example/#x",
        "https://issuer.example:0/", "https://issuer.example:99999/", "https://a b/",
        "https://[::1/", "https://[zz]/"}) {
    EXPECT_THAT(Fetch(url), HasError(ErrorCode::kInvalidArgument, HasSubstr("invalid URL"))) << url;
  }
}

TEST_F(HttpsFetcherTest, U17_RefusesAddressesThatNoIssuerHas) {
  for (const char* url : {"https://169.254.169.254/", "https://0.0.0.0/", "https://224.0.0.1/",
                          "https://255.255.255.255/", "https://[fe80::1]/", "https://[ff02::1]/",
                          "https://[::]/", "https://[::ffff:169.254.169.254]/",
                          "https://2852039166/", "https://0xa9.0xfe.0xa9.0xfe/"}) {
    EXPECT_THAT(Fetch(url, {}, std::chrono::seconds(5)),
                HasError(ErrorCode::kUnavailable, HasSubstr("not allowed")))
        << url;
  }
}

TEST_F(HttpsFetcherTest, UsesNoProxyFromTheEnvironment) {
  const RawServer proxy(Answer("200 OK\r\nContent-Length: 5", "proxy"));
  const RawServer server(Answer("200 OK\r\nContent-Length: 2", "{}"));
  for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"}) {
    ::setenv(name, proxy.url().c_str(), 1);
  }
  EXPECT_THAT(Fetch(server.url()), IsOkAndHolds("{}"));
  for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"}) {
    ::unsetenv(name);
  }
  EXPECT_EQ(proxy.connections(), 0);
}

}  // namespace
}  // namespace kms
