// SPDX-License-Identifier: Apache-2.0
// Hostile bytes over sockets: each offence gets one answer with the right status, then the end.
#include <sys/resource.h>

#include <vector>

#include "tests/api/front/server_fixture.h"

namespace kms::api {
namespace {

using ::kms::testing::GetRequest;
using ::kms::testing::PostRequest;
using ::kms::testing::RawAnswer;
using ::kms::testing::RawClient;
using ::testing::HasSubstr;

class FramingTest : public ::kms::testing::ServerTest {
 protected:
  // One answer with `status`, then nothing: what follows `bytes` must never be served.
  void ExpectRefused(std::string_view bytes, int status) {
    RawClient client = Connect();
    client.Send(std::string{bytes});
    client.Send(GetRequest("/smuggled"));
    client.EndOutput();
    const std::string all = client.ReadAll();
    EXPECT_EQ(all.substr(0, 12), "HTTP/1.1 " + std::to_string(status)) << bytes;
    EXPECT_EQ(all.find("Cache-Control"), all.rfind("Cache-Control")) << "two answers: " << bytes;
    EXPECT_THAT(all, HasSubstr("Connection: close\r\n")) << bytes;
    EXPECT_THAT(all, HasSubstr("\r\n\r\n{\"errors\":[")) << bytes;
  }

  // Descriptors for a few thousand sockets on both sides.
  static void RaiseDescriptorLimit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
};

std::string Post(std::string_view fields, std::string_view rest = "") {
  return "POST /echo HTTP/1.1\r\nHost: a\r\n" + std::string{fields} + "\r\n" + std::string{rest};
}

TEST_F(FramingTest, A8_EveryRowOfTheFramingTableIsRefusedAndCloses) {
  StartServer();
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  for (const char* value : {"3\r\nContent-Length: 3", "3\r\nContent-Length: 4", "3, 3", "+3", "0x3",
                            "3 3", "03", "-1", "9223372036854775808", "18446744073709551616"}) {
    ExpectRefused(Post("Content-Length: " + std::string{value} + "\r\n", "abc"), 400);
  }
  ExpectRefused(Post("Content-Length: 3\r\n" + chunked, "0\r\n\r\n"), 400);
  ExpectRefused(Post(chunked + chunked, "0\r\n\r\n"), 400);
  ExpectRefused(Post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400);
  ExpectRefused(Post("Transfer_Encoding: chunked\r\nContent-Length: 3\r\n", "abc"), 400);
  ExpectRefused(Post("Content-Encoding: chunked\r\nContent-Length: 3\r\n", "abc"), 400);
  ExpectRefused(Post(chunked, "0x3\r\nabc\r\n0\r\n\r\n"), 400);
  ExpectRefused(Post(chunked, "3\r\nabc0\r\n\r\n"), 400);
  ExpectRefused(Post(chunked, "3;a\nb\r\nabc\r\n0\r\n\r\n"), 400);
  ExpectRefused(Post(chunked, "3;a=b\r\nabc\r\n0\r\n\r\n"), 400);
  ExpectRefused("GET /echo HTTP/1.1\r\n\r\n", 400);
  ExpectRefused("GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400);
  ExpectRefused("GET /echo HTTP/1.1\r\nHost : a\r\n\r\n", 400);
  ExpectRefused(GetRequest("/echo", "A: b\r\n c\r\n"), 400);
  ExpectRefused(GetRequest("/echo", "A: b\rc\r\n"), 400);
  ExpectRefused(GetRequest("/echo", std::string_view{"A: \0\r\n", 6}), 400);
  ExpectRefused("GET /echo HTTP/1.1\nHost: a\n\n", 400);
  for (const char* target : {"/%00", "/a/../b", "/%2e%2e/b", "//a", "http://evil/a", "/a%2fb"}) {
    ExpectRefused(GetRequest(target), 400);
  }
  std::string many;
  for (int i = 0; i < 200; ++i) {
    many += "A: b\r\n";
  }
  ExpectRefused(GetRequest("/echo", many), 431);
  ExpectRefused(GetRequest("/echo", "A: " + std::string(9U << 10U, 'a') + "\r\n"), 431);
  ExpectRefused(GetRequest("/" + std::string(9U << 10U, 'a')), 414);
  for (const char* version : {"HTTP/0.9", "HTTP/1.9", "HTTP/2.0"}) {
    ExpectRefused("GET /echo " + std::string{version} + "\r\nHost: a\r\n\r\n", 505);
  }
  ExpectRefused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
  for (const char* method : {"TRACE", "CONNECT", "FOO"}) {
    ExpectRefused(std::string{method} + " /echo HTTP/1.1\r\nHost: a\r\n\r\n", 405);
  }
  ExpectRefused(Post("Expect: foo\r\nContent-Length: 3\r\n", "abc"), 417);
  ExpectRefused(Post("Content-Encoding: gzip\r\nContent-Length: 3\r\n", "abc"), 415);
  ExpectRefused(Post("Content-Type: multipart/form-data\r\nContent-Length: 3\r\n", "abc"), 415);
  ExpectRefused(Post("Content-Length: 33554433\r\n", "abc"), 413);
  EXPECT_EQ(handler.on_loop, 0) << "a refused request reached the handler";
}

TEST_F(FramingTest, A9_DuplicatesOfCredentialsAreRefused) {
  StartServer();
  for (const char* name : {"X-Vault-Token", "Authorization", "X-Vault-Namespace"}) {
    const std::string field = std::string{name} + ": a\r\n";
    ExpectRefused(GetRequest("/echo", field + field), 400);
  }
}

TEST_F(FramingTest, BodyOfAGetIsConsumedAndNeverServed) {
  StartServer();
  RawClient client = Connect();
  const std::string smuggled = GetRequest("/smuggled");
  client.Send("GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " +
              std::to_string(smuggled.size()) + "\r\n\r\n" + smuggled + GetRequest("/echo/next"));
  EXPECT_EQ(client.Read().body, "0 /echo? " + smuggled);
  EXPECT_EQ(client.Read().body, "0 /echo/next? ");
  EXPECT_EQ(handler.on_loop, 2);
}

TEST_F(FramingTest, A10_EndlessInputIsCutAtTheLimit) {
  options.limits.max_body_bytes = 1U << 20U;
  options.timeouts.linger = std::chrono::milliseconds{100};
  StartServer();
  const std::string block = "10000\r\n" + std::string(65536, 'x') + "\r\n";
  RawClient client = Connect();
  client.Send(Post("Transfer-Encoding: chunked\r\n"));
  std::size_t sent = 0;
  while (sent < (300U << 20U) && client.Send(block)) {
    sent += block.size();
  }
  EXPECT_LT(sent, 300U << 20U);
  EXPECT_TRUE(Eventually([&] { return server->connections() == 0; }));
  EXPECT_LT(server->buffered_bytes(), 4U << 20U);
  EXPECT_EQ(handler.on_loop, 0);
}

TEST_F(FramingTest, A10_MemoryOfAllConnectionsIsBounded) {
  options.max_buffered_bytes = 1U << 20U;
  StartServer();
  RawClient greedy = Connect();
  ASSERT_TRUE(greedy.Send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n"));
  greedy.Send(std::string(4U << 20U, 'x'));
  EXPECT_EQ(greedy.Read().status, 503);
}

TEST_F(FramingTest, A11_HalfHeadsEndAtTheirDeadlineAndDisturbNobody) {
  RaiseDescriptorLimit();
  options.timeouts.head = std::chrono::milliseconds{1500};
  StartServer();
  constexpr std::size_t kHalfOpen = 2'000;
  std::vector<RawClient> half;
  half.reserve(kHalfOpen);
  for (std::size_t i = 0; i < kHalfOpen; ++i) {
    half.push_back(Connect());
    ASSERT_TRUE(half.back().Send("GET /echo HTTP/1.1\r\nHo"));
  }
  RawClient neighbour = Connect();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(neighbour.Exchange(GetRequest("/echo")).status, 200);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{2});
  for (RawClient& client : half) {
    ASSERT_EQ(client.Read().status, 408);
    ASSERT_TRUE(client.Ended());
  }
  EXPECT_EQ(neighbour.Exchange(GetRequest("/echo")).status, 200);
}

TEST_F(FramingTest, A11_DrippingDoesNotExtendADeadline) {
  options.timeouts.head = std::chrono::milliseconds{100};
  options.timeouts.body = std::chrono::milliseconds{100};
  options.timeouts.linger = std::chrono::milliseconds{1};
  StartServer();
  for (const std::string& start :
       {std::string{"GET /echo HTTP/1.1\r\nA: "}, Post("Content-Length: 30000000\r\n")}) {
    RawClient client = Connect();
    client.Send(start);
    EXPECT_TRUE(Eventually([&] { return !client.Send("x"); })) << start;
  }
}

TEST_F(FramingTest, A11_IdleConnectionsEndSilently) {
  options.timeouts.idle = std::chrono::milliseconds{50};
  StartServer();
  RawClient client = Connect();
  EXPECT_EQ(client.Exchange(GetRequest("/echo")).status, 200);
  EXPECT_TRUE(client.Ended());
  EXPECT_TRUE(Connect().Ended());
}

TEST_F(FramingTest, A12_AReaderThatStallsIsCutAndCostsBoundedMemory) {
  options.timeouts.write = std::chrono::milliseconds{200};
  StartServer();
  RawClient client{server->port(), /*receive_buffer_bytes=*/1024};
  for (int i = 0; i < 100; ++i) {
    client.Send(GetRequest("/big"));
  }
  ASSERT_TRUE(Eventually([&] { return handler.on_loop > 0; }));
  EXPECT_LT(server->buffered_bytes(), 8U << 20U);
  EXPECT_TRUE(Eventually([&] { return server->connections() == 0; }));
  EXPECT_LT(handler.on_loop, 100) << "requests were served although nobody read";
}

TEST_F(FramingTest, A21_OtherProtocolsAreEndedAtOnce) {
  StartServer();
  std::string noise(1U << 20U, '\0');
  for (std::size_t i = 0; i < noise.size(); ++i) {
    noise[i] = static_cast<char>((i * 2654435761U) >> 13U);
  }
  noise[0] = '\x80';
  for (const std::string& bytes : {std::string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11},
                                   std::string{"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"}, noise}) {
    RawClient client = Connect();
    client.Send(bytes);
    EXPECT_EQ(client.Read().status, 400);
    EXPECT_TRUE(client.Ended());
  }
}

TEST_F(FramingTest, ConnectionsBeyondTheLimitAreTurnedAway) {
  options.max_connections = 2;
  StartServer();
  RawClient first = Connect();
  RawClient second = Connect();
  EXPECT_EQ(first.Exchange(GetRequest("/echo")).status, 200);
  EXPECT_EQ(second.Exchange(GetRequest("/echo")).status, 200);
  RawClient third = Connect();
  const RawAnswer answer = third.Read();
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.head, HasSubstr("Retry-After: 1\r\n"));
  {
    const RawClient gone = std::move(first);
  }
  EXPECT_TRUE(Eventually([&] { return server->connections() == 1; }));
  EXPECT_EQ(Ask(GetRequest("/echo")).status, 200);
}

TEST_F(FramingTest, OneAddressGetsItsShareOnly) {
  options.max_connections_per_address = 1;
  StartServer();
  RawClient first = Connect();
  EXPECT_EQ(first.Exchange(GetRequest("/echo")).status, 200);
  EXPECT_EQ(Connect().Read().status, 503);
  EXPECT_EQ(first.Exchange(GetRequest("/echo")).status, 200);
}

TEST_F(FramingTest, P5_LackOfDescriptorsHealsWithoutRestart) {
  StartServer();
  RawClient established = Connect();
  EXPECT_EQ(established.Exchange(GetRequest("/echo")).status, 200);
  std::vector<RawClient> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.emplace_back();
  }
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const UniqueFd next{::dup(0)};
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next.get());
  ::setrlimit(RLIMIT_NOFILE, &none);
  for (RawClient& client : waiting) {
    client.ConnectTo(server->port());
    EXPECT_TRUE(client.Ended()) << "turned away, not left hanging";
  }
  EXPECT_EQ(established.Exchange(GetRequest("/echo")).status, 200);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(Ask(GetRequest("/echo")).status, 200);
}

}  // namespace
}  // namespace kms::api
