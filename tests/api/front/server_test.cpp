// SPDX-License-Identifier: Apache-2.0
// HttpServer over sockets: answers, order, both lanes, the gate, draining.
#include "api/front/server.h"

#include "tests/api/front/server_fixture.h"

namespace kms::api {
namespace {

using ::kms::testing::GetRequest;
using ::kms::testing::HasError;
using ::kms::testing::PostRequest;
using ::kms::testing::RawAnswer;
using ::kms::testing::RawClient;
using ::testing::HasSubstr;
using ::testing::Not;

class HttpServerTest : public ::kms::testing::ServerTest {};

TEST_F(HttpServerTest, AnswersWithExactlyTheStandardHeaders) {
  StartServer();
  EXPECT_EQ(Connect().Exchange(PostRequest("/echo?a=b", "hello")).head,
            "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"
            "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
            "X-Content-Type-Options: nosniff\r\nContent-Type: application/json\r\n"
            "Content-Length: 17\r\n\r\n");
  EXPECT_EQ(Ask(PostRequest("/echo?a=b", "hello")).body, "2 /echo?a=b hello");
}

TEST_F(HttpServerTest, SendsNoBodyForHeadAnd204) {
  StartServer();
  RawClient client = Connect();
  client.Send("HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  const RawAnswer head = client.Read(/*head_request=*/true);
  EXPECT_THAT(head.head, HasSubstr("Content-Length: 9\r\n"));
  const RawAnswer none = client.Exchange(GetRequest("/empty"));
  EXPECT_EQ(none.status, 204);
  EXPECT_THAT(none.head, Not(HasSubstr("\r\nContent-")));
  EXPECT_EQ(client.Exchange(GetRequest("/echo")).body, "0 /echo? ");
}

TEST_F(HttpServerTest, A13_AnswersTenThousandPipelinedRequestsInOrder) {
  StartServer();
  RawClient client = Connect();
  constexpr int kRequests = 10'000;
  std::thread sender{[&] {
    for (int i = 0; i < kRequests; ++i) {
      client.Send(GetRequest((i % 100 == 7 ? "/defer/" : "/echo/") + std::to_string(i)));
    }
  }};
  for (int i = 0; i < kRequests; ++i) {
    const RawAnswer answer = client.Read();
    ASSERT_EQ(answer.status, 200);
    ASSERT_THAT(answer.body, HasSubstr("/" + std::to_string(i) + "? "));
  }
  sender.join();
}

TEST_F(HttpServerTest, APausedConnectionIsAnsweredAndThenNotReadForAWhile) {
  for (const char* lane : {"", "/defer"}) {
    StartServer();
    RawClient client = Connect();
    const std::string path = std::string(lane) + "/pause/";
    client.Send(GetRequest(path + "short") + GetRequest(path + "long") + GetRequest("/echo/late"));
    EXPECT_EQ(client.Read().status, 200);
    EXPECT_EQ(client.Read().status, 200);  // the short pause is over
    const int served = handler.on_loop;
    EXPECT_EQ(Ask(GetRequest("/echo/other")).status, 200);
    EXPECT_EQ(handler.on_loop, served + 1) << "the rest of the paused connection was read";
    EXPECT_EQ(server->Drain(std::chrono::steady_clock::now() + std::chrono::seconds(10))
                  .cut_connections,
              0U);
  }
}

TEST_F(HttpServerTest, A13_SurvivesAClientThatResetsInTheMiddle) {
  StartServer();
  RawClient client = Connect();
  for (int i = 0; i < 100; ++i) {
    client.Send(GetRequest("/big"));
  }
  client.Reset();
  EXPECT_TRUE(Eventually([&] { return server->connections() == 0; }));
  EXPECT_EQ(Ask(GetRequest("/echo")).status, 200);
}

TEST_F(HttpServerTest, AcceptsARequestInPiecesOfAnySize) {
  StartServer();
  RawClient client = Connect();
  for (const char byte : PostRequest("/echo", "0123456789")) {
    ASSERT_TRUE(client.Send({&byte, 1}));
  }
  EXPECT_EQ(client.Read().body, "2 /echo? 0123456789");
}

TEST_F(HttpServerTest, DecodesChunkedBodies) {
  StartServer();
  RawClient client = Connect();
  const std::string request =
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n8\r\ndefghijk\r\n0\r\n\r\n";
  client.Send(request + request + GetRequest("/echo"));
  EXPECT_EQ(client.Read().body, "2 /echo? abcdefghijk");
  EXPECT_EQ(client.Read().body, "2 /echo? abcdefghijk");
  EXPECT_EQ(client.Read().body, "0 /echo? ");
  for (const char byte : request) {
    ASSERT_TRUE(client.Send({&byte, 1}));
  }
  EXPECT_EQ(client.Read().body, "2 /echo? abcdefghijk");
}

TEST_F(HttpServerTest, TakesBodiesUpToTheLimitInBothFramings) {
  StartServer();
  const std::string body(32U << 20U, 'b');
  RawClient client = Connect();
  ASSERT_TRUE(client.Send(PostRequest("/defer", body)));
  EXPECT_EQ(client.Read().body.size(), body.size() + std::string{"2 /defer? "}.size());
  ASSERT_TRUE(client.Send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
  const std::string chunk = "8000\r\n" + std::string(32768, 'c') + "\r\n";
  for (int i = 0; i < 1024; ++i) {
    ASSERT_TRUE(client.Send(chunk));
  }
  ASSERT_TRUE(client.Send("0\r\n\r\n"));
  EXPECT_EQ(client.Read().body.size(), body.size() + std::string{"2 /echo? "}.size());
  EXPECT_TRUE(Eventually([&] { return server->buffered_bytes() < (4U << 20U); }));
}

TEST_F(HttpServerTest, SaysContinueOnlyToWhoWaitsForIt) {
  StartServer();
  RawClient client = Connect();
  client.Send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.Read().head, "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(client.Exchange("ok").body, "2 /echo? ok");
  EXPECT_EQ(client
                .Exchange("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                          "Content-Length: 2\r\n\r\nok")
                .status,
            200);
}

TEST_F(HttpServerTest, KeepsOrClosesAsAsked) {
  StartServer();
  RawClient closing = Connect();
  EXPECT_THAT(closing.Exchange(GetRequest("/echo", "Connection: close\r\n")).head,
              HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(closing.Ended());
  RawClient old = Connect();
  EXPECT_THAT(old.Exchange("GET /echo HTTP/1.0\r\n\r\n").head, HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(old.Ended());
  RawClient kept = Connect();
  EXPECT_THAT(kept.Exchange("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").head,
              HasSubstr("Connection: keep-alive\r\n"));
  EXPECT_EQ(kept.Exchange(GetRequest("/echo")).status, 200);
}

TEST_F(HttpServerTest, AnswersAClientThatEndedItsOutput) {
  StartServer();
  RawClient client = Connect();
  client.Send(GetRequest("/defer/a") + GetRequest("/echo"));
  client.EndOutput();
  EXPECT_EQ(client.Read().body, "0 /defer/a? ");
  EXPECT_EQ(client.Read().body, "0 /echo? ");
  EXPECT_TRUE(client.Ended());
}

TEST_F(HttpServerTest, RunsEveryMethodThroughThePool) {
  StartServer();
  RawClient client = Connect();
  for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE", "LIST", "SCAN", "OPTIONS"}) {
    EXPECT_EQ(client.Exchange(std::string{method} + " /defer/x HTTP/1.1\r\nHost: a\r\n\r\n").status,
              200)
        << method;
  }
  EXPECT_EQ(handler.in_pool, 8);
}

TEST_F(HttpServerTest, NeverDecodesHeaderValues) {
  StartServer();
  EXPECT_EQ(Ask(GetRequest("/header", "X-Test: a%41%0d%0ab\r\n")).body, "a%41%0d%0ab");
}

TEST_F(HttpServerTest, P12_StopsExceptionsInBothLanes) {
  StartServer();
  RawClient client = Connect();
  for (const char* path : {"/throw", "/defer/throw"}) {
    for (const char* method : {"POST ", "LIST "}) {
      const RawAnswer answer =
          client.Exchange(std::string{method} + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
      EXPECT_EQ(answer.status, 500) << path;
      EXPECT_EQ(answer.body, "{\"errors\":[\"internal error\"]}\n");
    }
  }
}

TEST_F(HttpServerTest, HoldsAnswersBackUntilTheGateOpens) {
  StartServer();
  RawClient client = Connect();
  client.Send(GetRequest("/echo") + GetRequest("/gated") + GetRequest("/echo/after"));
  EXPECT_EQ(client.Read().body, "0 /echo? ");
  ASSERT_TRUE(Eventually([&] { return handler.last_ticket == 1U && gate.batches > 0; }));
  EXPECT_EQ(handler.on_loop, 2) << "a later request must wait for the gated one";
  gate.OpenTo(1);
  EXPECT_EQ(client.Read().body, "0 /gated? ");
  EXPECT_EQ(client.Read().body, "0 /echo/after? ");
  client.Send(GetRequest("/defer/gated"));
  ASSERT_TRUE(Eventually([&] { return handler.last_ticket == 2U; }));
  gate.OpenTo(2);
  EXPECT_EQ(client.Read().body, "0 /defer/gated? ");
}

TEST_F(HttpServerTest, P4_ARefusalWithoutMemoryEndsItsConnectionOnly) {
  options.loops = 1;
  options.timeouts.handler = std::chrono::milliseconds{100};
  StartServer();
  handler.out_of_memory = true;
  RawClient gated = Connect();
  gated.Send(GetRequest("/gated"));
  ASSERT_TRUE(Eventually([&] { return handler.last_ticket == 1; }));
  gate.Fail(1);
  EXPECT_EQ(gated.Read().status, 0);
  RawClient late = Connect();  // its deadline passes in the pool
  late.Send(GetRequest("/block"));
  EXPECT_EQ(late.Read().status, 0);
  EXPECT_EQ(Ask(GetRequest("/echo")).status, 200);
}

TEST_F(HttpServerTest, L9_FailedGateDestroysTheAnswer) {
  StartServer();
  RawClient client = Connect();
  client.Send(GetRequest("/echo") + GetRequest("/gated"));
  EXPECT_EQ(client.Read().status, 200);
  ASSERT_TRUE(Eventually([&] { return handler.last_ticket == 1U; }));
  gate.Fail(1);
  const RawAnswer answer = client.Read();
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body, "{\"errors\":[\"internal error\"]}\n");
  EXPECT_EQ(client.Exchange(GetRequest("/echo")).status, 200);
}

TEST_F(HttpServerTest, RefusesWithRetryAfterWhenThePoolIsFull) {
  options.pool_threads = 1;
  options.pool_queue_limit = 1;
  StartServer();
  RawClient working = Connect();
  working.Send(GetRequest("/block"));
  ASSERT_TRUE(Eventually([&] { return handler.in_pool == 1; }));
  RawClient queued = Connect();
  queued.Send(GetRequest("/defer/queued"));
  ASSERT_TRUE(Eventually([&] { return handler.on_loop == 2; }));
  // The second deferral may still be on its way into the queue; the third loses either way.
  RawClient refused = Connect();
  const RawAnswer answer = refused.Exchange(GetRequest("/defer/refused"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.head, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_EQ(refused.Exchange(GetRequest("/echo")).status, 200);
  handler.Release();
  EXPECT_EQ(working.Read().status, 200);
  EXPECT_EQ(queued.Read().status, 200);
}

TEST_F(HttpServerTest, AnswersWith503WhenTheHandlerIsTooSlowAndDropsItsLateAnswer) {
  options.timeouts.handler = std::chrono::milliseconds{50};
  StartServer();
  RawClient client = Connect();
  EXPECT_EQ(client.Exchange(GetRequest("/block")).status, 503);
  EXPECT_TRUE(client.Ended());
  handler.Release();
  EXPECT_EQ(Ask(GetRequest("/defer/next")).body, "0 /defer/next? ");
}

TEST_F(HttpServerTest, TicksOnceAfterActivityAndThenSleeps) {
  StartServer();
  EXPECT_EQ(Ask(GetRequest("/echo")).status, 200);
  EXPECT_TRUE(Eventually([&] { return handler.ticks == 1; }));
  server->TickLoops();
  EXPECT_TRUE(Eventually([&] { return handler.ticks == 3; }));
}

TEST_F(HttpServerTest, P1_DrainEndsWhatWaitedForTheGateWhenItBegan) {
  options.loops = 1;
  StartServer();
  RawClient idle = Connect();
  EXPECT_EQ(idle.Exchange(GetRequest("/echo")).status, 200);
  RawClient gated = Connect();
  gated.Send(GetRequest("/gated"));
  ASSERT_TRUE(Eventually([&] { return handler.last_ticket == 1; }));
  DrainReport report;
  std::thread drain{
      [&] { report = server->Drain(std::chrono::steady_clock::now() + std::chrono::seconds{10}); }};
  EXPECT_TRUE(idle.Ended());  // so the drain has begun
  gate.OpenTo(1);
  EXPECT_EQ(gated.Read().status, 200);
  EXPECT_TRUE(gated.Ended());
  drain.join();
  EXPECT_EQ(report.cut_connections, 0U);
}

TEST_F(HttpServerTest, P1_DrainFinishesWhatIsUnderWay) {
  options.loops = 1;
  options.timeouts.linger = std::chrono::milliseconds{50};
  StartServer();
  RawClient idle = Connect();
  EXPECT_EQ(idle.Exchange(GetRequest("/echo")).status, 200);
  RawClient busy = Connect();
  busy.Send(GetRequest("/block") + GetRequest("/echo"));
  ASSERT_TRUE(Eventually([&] { return handler.in_pool == 1; }));
  DrainReport report;
  std::thread drain{
      [&] { report = server->Drain(std::chrono::steady_clock::now() + std::chrono::seconds{10}); }};
  EXPECT_TRUE(idle.Ended());
  handler.Release();
  const RawAnswer answer = busy.Read();
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.head, HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(busy.Ended());
  drain.join();
  EXPECT_EQ(report.cut_connections, 0U);
  EXPECT_EQ(report.busy_workers, 0U);
  EXPECT_FALSE(Connect().connected());
}

TEST_F(HttpServerTest, P2_DrainCutsWhatHangs) {
  StartServer();
  RawClient busy = Connect();
  busy.Send(GetRequest("/block"));
  ASSERT_TRUE(Eventually([&] { return handler.in_pool == 1; }));
  const DrainReport report =
      server->Drain(std::chrono::steady_clock::now() + std::chrono::milliseconds{50});
  EXPECT_EQ(report.cut_connections, 1U);
  EXPECT_EQ(report.busy_workers, 1U);
}

TEST_F(HttpServerTest, RefusesPlainHttpOutsideLoopbackUnlessAsked) {
  options.address = "0.0.0.0";
  EXPECT_THAT(HttpServer::Start(options, handler, gate),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("allow_plain_http")));
  options.allow_plain_http = true;
  StartServer();
  EXPECT_EQ(Ask(GetRequest("/echo")).status, 200);
}

TEST_F(HttpServerTest, RefusesAddressesItCannotListenOn) {
  options.address = "example";
  EXPECT_THAT(HttpServer::Start(options, handler, gate), HasError(ErrorCode::kInvalidArgument));
  options.address = "[::1]";
  StartServer();
  EXPECT_NE(server->port(), 0);
  options.port = server->port();
  EXPECT_THAT(HttpServer::Start(options, handler, gate), HasError(ErrorCode::kUnavailable));
}

}  // namespace
}  // namespace kms::api
