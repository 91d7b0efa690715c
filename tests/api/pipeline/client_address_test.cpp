// SPDX-License-Identifier: Apache-2.0
#include "api/pipeline/client_address.h"

#include <string>
#include <utility>
#include <vector>

#include "tests/support/matchers.h"

namespace kms::api {
namespace {

using kms::testing::HasError;

struct Sent {
  std::string from = "10.0.0.1";
  std::vector<std::pair<std::string, std::string>> headers;
};

Result<std::string> AddressOf(const Sent& sent, std::vector<std::string> proxies) {
  std::vector<CidrBlock> blocks;
  for (const std::string& proxy : proxies) {
    blocks.push_back(*CidrBlock::Parse(proxy));
  }
  HttpRequest request;
  request.remote_address = sent.from;
  for (const auto& [name, value] : sent.headers) {
    request.headers.push_back({.name = name, .value = value});
  }
  return std::string(KMS_TRY(ClientAddress(request, blocks)));
}

Result<std::string> Forwarded(std::string list) {
  return AddressOf({.headers = {{"X-Forwarded-For", std::move(list)}}}, {"10.0.0.0/8", "::1"});
}

MATCHER_P(Is, expected, "") { return arg.has_value() && *arg == expected; }

TEST(ClientAddress, IsTheSocketsWithoutProxies) {
  EXPECT_THAT(AddressOf({.headers = {{"X-Forwarded-For", "192.0.2.1"}}}, {}), Is("10.0.0.1"));
  EXPECT_THAT(AddressOf({.from = ""}, {}), Is(""));
}

TEST(ClientAddress, U20_HeadersOfAClientSayNothing) {
  for (const char* name : {"X-Forwarded-For", "X-Real-IP", "Forwarded", "REMOTE_ADDR",
                           "X-SSL-Client-Verify", "True-Client-IP", "CF-Connecting-IP"}) {
    EXPECT_THAT(AddressOf({.from = "203.0.113.9", .headers = {{name, "127.0.0.1"}}},
                          {"10.0.0.0/8", "127.0.0.1"}),
                Is("203.0.113.9"))
        << name;
  }
}

TEST(ClientAddress, U20_OnlyXForwardedForIsBelievedOfAProxy) {
  for (const char* name : {"X-Real-IP", "Forwarded", "REMOTE_ADDR", "X-Forwarded-Fo",
                           "X-Forwarded-For-2", "X_Forwarded_For"}) {
    EXPECT_THAT(AddressOf({.headers = {{name, "for=192.0.2.1"}}}, {"10.0.0.1"}), Is("10.0.0.1"))
        << name;
  }
  EXPECT_THAT(AddressOf({.headers = {{"x-forwarded-FOR", "192.0.2.1"}}}, {"10.0.0.1"}),
              Is("192.0.2.1"));
}

TEST(ClientAddress, U20_WhatStandsLeftOfTheClientIsTheClientsOwnClaim) {
  EXPECT_THAT(Forwarded("127.0.0.1, 10.9.9.9, 192.0.2.1"), Is("192.0.2.1"));
  EXPECT_THAT(Forwarded("10.9.9.9, 192.0.2.1, 10.0.0.7, 10.0.0.8"), Is("192.0.2.1"));
  EXPECT_THAT(Forwarded("\"><script>, %00, 192.0.2.1"), Is("192.0.2.1"));
  EXPECT_THAT(Forwarded(",,,192.0.2.1"), Is("192.0.2.1"));
}

TEST(ClientAddress, SeveralHeadersAreOneListInTheirOrder) {
  const auto address = [](std::vector<std::pair<std::string, std::string>> headers) {
    return AddressOf({.headers = std::move(headers)}, {"10.0.0.0/8"});
  };
  EXPECT_THAT(
      address(
          {{"X-Forwarded-For", "198.51.100.1"}, {"Host", "x"}, {"x-forwarded-for", "192.0.2.1"}}),
      Is("192.0.2.1"));
  EXPECT_THAT(address({{"X-Forwarded-For", "198.51.100.1, 192.0.2.1"},
                       {"X-Forwarded-For", "10.1.1.1 , 10.1.1.2"}}),
              Is("192.0.2.1"));
}

TEST(ClientAddress, TrustedAllAlongGivesTheFirst) {
  EXPECT_THAT(Forwarded("10.1.1.1, 10.1.1.2"), Is("10.1.1.1"));
  EXPECT_THAT(AddressOf({}, {"10.0.0.0/8"}), Is("10.0.0.1"));
}

TEST(ClientAddress, ReadsIpv6AndMappedProxies) {
  EXPECT_THAT(Forwarded(" 2001:db8::7 "), Is("2001:db8::7"));
  EXPECT_THAT(Forwarded("2001:db8::7, ::ffff:10.2.3.4, ::1"), Is("2001:db8::7"));
  EXPECT_THAT(AddressOf({.from = "::ffff:10.0.0.1", .headers = {{"X-Forwarded-For", "192.0.2.1"}}},
                        {"10.0.0.0/8"}),
              Is("192.0.2.1"));
}

TEST(ClientAddress, U20_AMalformedListOfAProxyIsRefused) {
  for (const std::string& list :
       {std::string(), std::string(" "), std::string(","), std::string("192.0.2.1,"),
        std::string("192.0.2.1, ,10.0.0.1"), std::string("192.0.2.1, unknown"),
        std::string("192.0.2.1:8080"), std::string("[2001:db8::1]"), std::string("192.0.2"),
        std::string("192.0.2.256"), std::string("192.0.2.1/32"), std::string("fe80::1%eth0"),
        std::string("192.0.2.1;10.0.0.1"), std::string("192.0.2.1\0", 10), std::string("010.0.0.1"),
        std::string("0x7f.1"), std::string(16'000, ','), std::string(16'000, '1'),
        std::string("192.0.2.1, _hidden, 10.0.0.2")}) {
    EXPECT_THAT(Forwarded(list),
                HasError(ErrorCode::kInvalidArgument, "malformed X-Forwarded-For header"))
        << list.substr(0, 40);
  }
}

TEST(ClientAddress, U20_TheViewIsPartOfTheRequest) {
  const std::string list = "x, 192.0.2.1 , 10.0.0.3";
  HttpRequest request;
  request.remote_address = "10.0.0.1";
  request.headers.push_back({.name = "X-Forwarded-For", .value = list});
  const std::vector<CidrBlock> proxies = {*CidrBlock::Parse("10.0.0.0/8")};
  KMS_ASSERT_OK_AND_ASSIGN(const std::string_view address, ClientAddress(request, proxies));
  EXPECT_EQ(address.data(), list.data() + 3);
}

}  // namespace
}  // namespace kms::api
