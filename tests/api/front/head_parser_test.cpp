// SPDX-License-Identifier: Apache-2.0
// HeadParser: every head is fed whole, byte by byte and cut at every position; the results agree.
#include "api/front/head_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kms::api {
namespace {

using ::testing::ElementsAre;
using Progress = HeadParser::Progress;

struct Outcome {
  Progress progress;
  int status;
  std::size_t head_bytes;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome OutcomeOf(const HeadParser& parser, Progress progress) {
  return {progress, parser.refusal().status,
          progress == Progress::kComplete ? parser.head_bytes() : 0};
}

Outcome ParseWhole(std::string_view bytes, const HeadLimits& limits) {
  HeadParser parser{limits};
  const Progress progress = parser.Advance(bytes);
  return OutcomeOf(parser, progress);
}

Outcome ParseCut(std::string_view bytes, std::size_t cut, const HeadLimits& limits) {
  HeadParser parser{limits};
  // A copy that dies shows use of the first call's memory under a sanitizer.
  const std::string first{bytes.substr(0, cut)};
  parser.Advance(first);
  const Progress progress = parser.Advance(bytes);
  return OutcomeOf(parser, progress);
}

Outcome ParseByteByByte(std::string_view bytes, const HeadLimits& limits) {
  HeadParser parser{limits};
  Progress progress = Progress::kNeedMore;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    progress = parser.Advance(bytes.substr(0, size));
  }
  return OutcomeOf(parser, progress);
}

Outcome Parse(std::string_view bytes, const HeadLimits& limits = {}) {
  const Outcome whole = ParseWhole(bytes, limits);
  EXPECT_EQ(ParseByteByByte(bytes, limits), whole) << bytes;
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    if (ParseCut(bytes, cut, limits) != whole) {
      ADD_FAILURE() << "cut at " << cut << " changes the result of " << bytes;
      break;
    }
  }
  return whole;
}

int StatusOf(std::string_view bytes, const HeadLimits& limits = {}) {
  const Outcome outcome = Parse(bytes, limits);
  EXPECT_NE(outcome.progress, Progress::kNeedMore) << bytes;
  return outcome.progress == Progress::kComplete ? 200 : outcome.status;
}

std::string Get(std::string_view fields) {
  return "GET /v1/x HTTP/1.1\r\nHost: a\r\n" + std::string{fields} + "\r\n";
}

TEST(HeadParser, ReadsAnOrdinaryHead) {
  const std::string head =
      "POST /v1/transit/encrypt/a?x=1&y=%20 HTTP/1.1\r\nHost: localhost:8200\r\n"
      "X-Vault-Token:  s.%41bc \t\r\nContent-Length: 12\r\nEmpty:\r\n\r\n";
  const HeadLimits limits;
  HeadParser parser{limits};
  ASSERT_EQ(parser.Advance(head + "{\"a\": \"body\"}"), Progress::kComplete);
  EXPECT_EQ(parser.head_bytes(), head.size());
  EXPECT_EQ(parser.facts().framing, BodyFraming::kLength);
  EXPECT_EQ(parser.facts().content_length, 12U);
  EXPECT_TRUE(parser.facts().keep_alive);
  HttpRequest request;
  parser.FillRequest(head, request);
  EXPECT_EQ(request.method, HttpMethod::kPost);
  EXPECT_EQ(request.path, "/v1/transit/encrypt/a");
  EXPECT_EQ(request.query, "x=1&y=%20");
  EXPECT_EQ(request.Header("x-vault-token"), "s.%41bc");
  EXPECT_EQ(request.Header("EMPTY"), "");
  EXPECT_EQ(request.Header("absent"), std::nullopt);
  EXPECT_EQ(request.headers.size(), 4U);
}

TEST(HeadParser, KnowsEveryMethodOfTheContract) {
  for (const char* method :
       {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "LIST", "SCAN", "OPTIONS"}) {
    EXPECT_EQ(StatusOf(std::string{method} + " /v1/x HTTP/1.1\r\nHost: a\r\n\r\n"), 200) << method;
  }
}

TEST(HeadParser, A15_UnknownMethodsAndLowerCaseAre405) {
  for (const char* method : {"TRACE", "CONNECT", "FOO", "get", "Post", "PROPFIND", "list"}) {
    EXPECT_EQ(StatusOf(std::string{method} + " /v1/x HTTP/1.1\r\nHost: a\r\n\r\n"), 405) << method;
  }
}

TEST(HeadParser, OtherVersionsAre505) {
  for (const char* line : {"GET / HTTP/0.9", "GET / HTTP/1.9", "GET / HTTP/2.0", "PRI * HTTP/2.0",
                           "GET / HTTP/3.0", "GET /"}) {
    EXPECT_EQ(StatusOf(std::string{line} + "\r\nHost: a\r\n\r\n"), 505) << line;
  }
}

TEST(HeadParser, MalformedRequestLinesAre400) {
  for (const char* line :
       {"", " GET / HTTP/1.1", "GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ",
        "GET / http/1.1", "GET / HTTP/1.10", "GET / HTTP/11", "GET\t/ HTTP/1.1", "G(T / HTTP/1.1",
        "SSH-2.0-OpenSSH_9.2", "SSH-2.0-OpenSSH_9.2p1 Debian-2", "/ HTTP/1.1"}) {
    EXPECT_EQ(StatusOf(std::string{line} + "\r\nHost: a\r\n\r\n"), 400) << line;
  }
}

TEST(HeadParser, RefusesBytesOfOtherProtocolsAtOnce) {
  const HeadLimits limits;
  for (const std::string_view bytes : {std::string_view{"\x16\x03\x01", 3},
                                       std::string_view{"\0", 1}, std::string_view{"\xff", 1}}) {
    EXPECT_EQ(ParseWhole(bytes, limits).status, 400);
  }
}

TEST(HeadParser, LineEndsAreCrLfOnly) {
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\nHost: a\n\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\rHost: a\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(Get("A: b\rc\r\n")), 400);
  EXPECT_EQ(StatusOf(Get("A: b\r\r\n")), 400);
}

TEST(HeadParser, RefusesEveryControlByteInNameAndValue) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text{static_cast<char>(byte)};
    const bool control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
    EXPECT_EQ(StatusOf(Get("A: x" + text + "y\r\n")), control ? 400 : 200) << byte;
    const bool token = std::isalnum(byte) != 0 ||
                       std::string_view{"!#$%&'*+-.^_`|~:"}.find(text) != std::string_view::npos;
    EXPECT_EQ(StatusOf(Get("A" + text + "B: y\r\n")), token ? 200 : 400) << byte;
  }
}

TEST(HeadParser, RefusesFoldedAndMisshapenHeaders) {
  for (const char* fields : {" A: b\r\n", "A: b\r\n c\r\n", "A: b\r\n\tc\r\n", "A : b\r\n",
                             "A\t: b\r\n", ": b\r\n", "A\r\n", "A b\r\n", "A(: b\r\n"}) {
    EXPECT_EQ(StatusOf(Get(fields)), 400) << fields;
  }
}

TEST(HeadParser, DemandsExactlyOneHost) {
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: [::1]:8200\r\n\r\n"), 200);
  EXPECT_EQ(StatusOf("GET / HTTP/1.0\r\n\r\n"), 200);
  EXPECT_EQ(StatusOf("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
}

TEST(HeadParser, A9_DuplicatesOfSensitiveHeadersAre400) {
  for (const char* name :
       {"Host", "Content-Length", "X-Vault-Token", "Authorization", "X-Vault-Namespace",
        "Content-Type", "X-Vault-Wrap-TTL", "Expect", "Transfer-Encoding", "Content-Encoding"}) {
    const std::string field = std::string{name} + ": 3\r\n";
    EXPECT_EQ(StatusOf(Get(field + "A: b\r\n" + field)), 400) << name;
  }
  EXPECT_EQ(StatusOf(Get("Accept: a\r\nAccept: b\r\n")), 200);
  EXPECT_EQ(StatusOf(Get("X-Vault-Token: a\r\nAuthorization: Bearer b\r\n")), 200);
}

TEST(HeadParser, ContentLengthIsDigitsOnly) {
  for (const char* value : {"", "3, 3", "+3", "-1", "0x3", "3 3", "03", "00", "3.0", "3;", "\xb2",
                            "9223372036854775808", "18446744073709551616", "12345678901"}) {
    EXPECT_EQ(StatusOf(Get("Content-Length: " + std::string{value} + "\r\n")), 400) << value;
  }
  EXPECT_EQ(StatusOf(Get("Content-Length: 0\r\n")), 200);
  EXPECT_EQ(StatusOf(Get("Content-Length: 33554432\r\n")), 200);
  EXPECT_EQ(StatusOf(Get("Content-Length: 33554433\r\n")), 413);
  EXPECT_EQ(StatusOf(Get("Content-Length: 9999999999\r\n")), 413);
}

TEST(HeadParser, TransferEncodingIsExactlyChunked) {
  EXPECT_EQ(StatusOf(Get("Transfer-Encoding: chunked\r\n")), 200);
  for (const char* value :
       {"", "Chunked", "CHUNKED", "chunked, chunked", "gzip, chunked", "identity", "chunked;a=b",
        "\"chunked\"", "xchunked", "chunked,", "chunked\x80"}) {
    EXPECT_EQ(StatusOf(Get("Transfer-Encoding: " + std::string{value} + "\r\n")), 400) << value;
  }
  EXPECT_EQ(StatusOf("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

// About 700 spellings that some server reads as `Transfer-Encoding: chunked`.
TEST(HeadParser, A8_AnyTransferEncodingBesideContentLengthIs400) {
  std::vector<std::string> variants;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one{static_cast<char>(byte)};
    if (byte == ':') {
      continue;  // ends the name: a header of another meaning
    }
    variants.push_back("Transfer-Encoding" + one + ": chunked");
    variants.push_back("Transfer" + one + "Encoding: chunked");
    if (byte != '\r' && byte != '\n') {
      variants.push_back("Transfer-Encoding:" + one + "chunked");
      variants.push_back("Transfer-Encoding: chunked" + one);
    }
  }
  for (const char* text :
       {" Transfer-Encoding: chunked", "\tTransfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked", "Transfer-Encoding\r\n : chunked",
        "transfer-encoding: chunked", "TRANSFER-ENCODING: CHUNKED", "Transfer_Encoding: chunked",
        "Content-Encoding: chunked", "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x"}) {
    variants.emplace_back(text);
  }
  EXPECT_GT(variants.size(), 667U);
  const HeadLimits limits;
  for (const std::string& variant : variants) {
    for (const std::string& head : {Get("Content-Length: 3\r\n" + variant + "\r\n"),
                                    Get(variant + "\r\nContent-Length: 3\r\n")}) {
      const Outcome outcome = ParseWhole(head, limits);
      // Letters and digits within the name make another header, which frames nothing.
      EXPECT_EQ(outcome.status, outcome.progress == Progress::kComplete ? 0 : 400) << head;
      if (outcome.progress == Progress::kComplete) {
        EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(variant[8])) != 0) << head;
      }
    }
  }
}

TEST(HeadParser, A18_EncodedAndMultipartBodiesAre415) {
  EXPECT_EQ(StatusOf(Get("Content-Encoding: gzip\r\n")), 415);
  EXPECT_EQ(StatusOf(Get("Content-Encoding: deflate\r\n")), 415);
  EXPECT_EQ(StatusOf(Get("Content-Encoding: identity\r\n")), 200);
  EXPECT_EQ(StatusOf(Get("Content-Type: Multipart/form-data; boundary=x\r\n")), 415);
  EXPECT_EQ(StatusOf(Get("Content-Type: application/json; charset=utf-8\r\n")), 200);
}

TEST(HeadParser, OnlyContinueMayBeExpected) {
  EXPECT_EQ(StatusOf(Get("Expect: foo\r\n")), 417);
  EXPECT_EQ(StatusOf(Get("Expect: 100-continue, foo\r\n")), 417);
  EXPECT_EQ(StatusOf(Get("Expect: 100-Continue\r\n")), 200);
}

TEST(HeadParser, A10_LimitsEndWhatHasNoEnd) {
  const HeadLimits limits;
  EXPECT_EQ(ParseWhole("GET /" + std::string(9U << 10U, 'a'), limits).status, 414);
  EXPECT_EQ(ParseWhole(std::string(1U << 20U, 'A'), limits).status, 414);
  EXPECT_EQ(ParseWhole(Get("A: " + std::string(9U << 10U, 'a')), limits).status, 431);
  std::string fields;
  for (int i = 0; i < 200; ++i) {
    fields += "A: b\r\n";
  }
  EXPECT_EQ(ParseWhole(Get(fields), limits).status, 431);
  fields.clear();
  for (int i = 0; i < 20; ++i) {
    fields += "A: " + std::string(1000, 'b') + "\r\n";
  }
  EXPECT_EQ(ParseWhole(Get(fields), limits).status, 431);
}

TEST(HeadParser, LimitsAreExact) {
  const HeadLimits limits{.max_head_bytes = 100,
                          .max_headers = 2,
                          .max_field_bytes = 40,
                          .max_target_bytes = 10,
                          .max_body_bytes = 5};
  EXPECT_EQ(StatusOf("GET /123456789 HTTP/1.1\r\nHost: a\r\n\r\n", limits), 200);
  EXPECT_EQ(StatusOf("GET /1234567890 HTTP/1.1\r\nHost: a\r\n\r\n", limits), 414);
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(StatusOf(start + "A: b\r\n\r\n", limits), 200);
  EXPECT_EQ(StatusOf(start + "A: b\r\nC: d\r\n\r\n", limits), 431);
  EXPECT_EQ(StatusOf(start + "A: " + std::string(37, 'a') + "\r\n\r\n", limits), 200);
  EXPECT_EQ(StatusOf(start + "A: " + std::string(38, 'a') + "\r\n\r\n", limits), 431);
  const HeadLimits small{.max_head_bytes = 40, .max_field_bytes = 400, .max_target_bytes = 10};
  EXPECT_EQ(StatusOf(start + "A: " + std::string(8, 'a') + "\r\n\r\n", small), 200);
  EXPECT_EQ(StatusOf(start + "A: " + std::string(9, 'a') + "\r\n\r\n", small), 431);
  EXPECT_EQ(StatusOf(Get("Content-Length: 5\r\n"), HeadLimits{.max_body_bytes = 5}), 200);
  EXPECT_EQ(StatusOf(Get("Content-Length: 6\r\n"), HeadLimits{.max_body_bytes = 5}), 413);
}

TEST(HeadParser, KeepsConnectionsAsTheirVersionSays) {
  const HeadLimits limits;
  const auto keeps = [&](std::string_view head) {
    HeadParser parser{limits};
    EXPECT_EQ(parser.Advance(head), Progress::kComplete) << head;
    return parser.facts().keep_alive;
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: x , close, keep-alive\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}

TEST(HeadParser, ServesOneRequestAfterAnother) {
  const HeadLimits limits;
  HeadParser parser{limits};
  ASSERT_EQ(parser.Advance("GET /%61?q HTTP/1.0\r\nHost: a\r\n\r\n"), Progress::kComplete);
  parser.Reset();
  const std::string second = "LIST /b HTTP/1.1\r\nHost: a\r\n\r\n";
  ASSERT_EQ(parser.Advance(second), Progress::kComplete);
  HttpRequest request;
  parser.FillRequest(second, request);
  EXPECT_EQ(request.path, "/b");
  EXPECT_EQ(request.query, "");
  EXPECT_EQ(request.method, HttpMethod::kList);
  EXPECT_TRUE(parser.facts().keep_alive);
}

}  // namespace
}  // namespace kms::api
