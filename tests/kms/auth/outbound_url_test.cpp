// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/outbound_url.h"

#include <string>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;

bool May(const char* address, bool loopback_only = false) {
  return MayConnectTo(IpAddress::Parse(address).value(), loopback_only);
}

TEST(OutboundUrl, TakesHttpsAndPlainHttpToLoopback) {
  for (const char* url :
       {"https://issuer.example", "https://issuer.example:8443/a/b?c=d", "https://10.0.0.1/",
        "https://[2001:db8::1]:443/x", "https://a_b-c.d?x"}) {
    EXPECT_FALSE(ParseOutboundUrl(url).value().names_loopback) << url;
  }
  for (const char* url : {"http://127.0.0.1:8080/jwks", "http://localhost/", "http://[::1]:1/",
                          "http://127.9.9.9", "https://localhost:1"}) {
    EXPECT_TRUE(ParseOutboundUrl(url).value().names_loopback) << url;
  }
}

TEST(OutboundUrl, U17_RefusesEverythingElse) {
  using namespace std::string_literals;
  for (const std::string& url : {""s,
                                 "x"s,
                                 "http://issuer.example/"s,
                                 "http://127.0.0.1.evil.example/"s,
                                 "http://localhost.evil.example/"s,
                                 "http://127.0.0.1@evil.example/"s,
                                 "https://user@issuer.example/"s,
                                 "https://issuer.example#@evil"s,
                                 "ftp://x/"s,
                                 "file:///etc/passwd"s,
                                 "https:/x"s,
                                 "https:///x"s,
                                 "https://:443/"s,
                                 "https://a:/"s,
                                 "https://a:0/"s,
                                 "https://a:65536/"s,
                                 "https://a:1:2/"s,
                                 "https://a b/"s,
                                 "https://a/\r\nHost: b"s,
                                 "https://a/\0"s,
                                 "https://\xc3\xa9/"s,
                                 "https://a\\b/"s,
                                 "https://[::1"s,
                                 "https://[::1]x/"s,
                                 "https://[1.2.3]/"s,
                                 "https://a,b/"s,
                                 " https://a"s,
                                 "https://" + std::string(2048, 'a')}) {
    EXPECT_THAT(ParseOutboundUrl(url), HasError(ErrorCode::kInvalidArgument)) << url;
  }
}

TEST(OutboundUrl, DoesNotRepeatTheUrl) {
  const Result<OutboundUrl> refused = ParseOutboundUrl("http://planted.example/secret");
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(Describe(refused.error()), Not(HasSubstr("planted")));
}

TEST(OutboundUrl, U17_KnowsAddressesThatNoIssuerHas) {
  for (const char* address : {"169.254.169.254", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.1.1",
                              "255.255.255.255", "240.0.0.1", "fe80::1", "febf::1", "ff02::1",
                              "::", "::ffff:169.254.1.1", "::ffff:0.0.0.0"}) {
    EXPECT_FALSE(May(address)) << address;
  }
  for (const char* address :
       {"127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "8.8.8.8", "2001:db8::1", "fc00::1"}) {
    EXPECT_TRUE(May(address)) << address;
    EXPECT_EQ(May(address, /*loopback_only=*/true), IpAddress::Parse(address)->is_loopback())
        << address;
  }
}

}  // namespace
}  // namespace kms
