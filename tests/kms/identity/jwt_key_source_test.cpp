// SPDX-License-Identifier: Apache-2.0
// Keys that are fetched from their issuer and kept (failures U17).
#include "kms/identity/jwt_key_source.h"

#include <atomic>
#include <thread>
#include <vector>

#include "tests/fakes/manual_clock.h"
#include "tests/fakes/scripted_fetcher.h"
#include "tests/support/jwt_maker.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using ::testing::ElementsAre;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::JwkOf;
using testing::JwksOf;
using testing::TestKey;
using testing::WithKeyId;

constexpr const char* kUrl = "https://issuer.example/jwks";

std::string KeysNamed(std::string_view id) {
  return JwksOf({JwkOf(TestKey(AsymmetricAlgorithm::kEcdsaP256), WithKeyId(id))});
}

class JwtKeySourceTest : public ::testing::Test {
 protected:
  JwtKeySourceTest() { fetcher_.Serve(kUrl, KeysNamed("a")); }

  testing::ScriptedFetcher fetcher_;
  testing::ManualClock clock_;
  JwtKeySource source_{fetcher_, clock_, {.url = kUrl, .ca_pem = "PEM"}};
};

TEST_F(JwtKeySourceTest, FetchesOnceAndAgainWhenTheKeysAreOld) {
  KMS_ASSERT_OK_AND_ASSIGN(const JwtKeySetHandle first, source_.Current());
  KMS_ASSERT_OK_AND_ASSIGN(const JwtKeySetHandle again, source_.Current());
  EXPECT_EQ(first, again);
  EXPECT_EQ(fetcher_.ca_pem(), "PEM");
  clock_.Advance(kJwksRefreshAfter - std::chrono::seconds(1));
  EXPECT_THAT(source_.Current(), IsOk());
  EXPECT_EQ(fetcher_.fetches(), 1U);
  clock_.Advance(std::chrono::seconds(1));
  KMS_ASSERT_OK_AND_ASSIGN(const JwtKeySetHandle later, source_.Current());
  EXPECT_EQ(fetcher_.fetches(), 2U);
  EXPECT_NE(later, first);
}

TEST_F(JwtKeySourceTest, U17_KeptKeysServeUntilTheirBoundAndThenNobody) {
  KMS_ASSERT_OK_AND_ASSIGN(const JwtKeySetHandle first, source_.Current());
  fetcher_.GoDown();
  for (int hour = 0; hour < 23; ++hour) {
    clock_.Advance(std::chrono::hours(1));
    KMS_ASSERT_OK_AND_ASSIGN(const JwtKeySetHandle kept, source_.Current());
    EXPECT_EQ(kept, first);
  }
  clock_.Advance(std::chrono::hours(1));
  EXPECT_THAT(source_.Current(), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(source_.Current(), HasError(ErrorCode::kUnavailable));
  fetcher_.Heal();
  clock_.Advance(kJwksMinInterval);
  EXPECT_THAT(source_.Current(), IsOk());
}

TEST_F(JwtKeySourceTest, U17_WithoutKeysThereIsNoAnswer) {
  fetcher_.GoDown();
  EXPECT_THAT(source_.Current(), HasError(ErrorCode::kUnavailable));
  fetcher_.Heal();
  EXPECT_THAT(source_.Current(), HasError(ErrorCode::kUnavailable));  // too soon to ask again
  EXPECT_EQ(fetcher_.fetches(), 1U);
  clock_.Advance(kJwksMinInterval);
  EXPECT_THAT(source_.Current(), IsOk());
}

TEST_F(JwtKeySourceTest, U17_AnAnswerThatIsNoKeySetDoesNotReplaceGoodKeys) {
  KMS_ASSERT_OK_AND_ASSIGN(const JwtKeySetHandle first, source_.Current());
  for (const std::string& bad :
       {std::string(""), std::string("{}"), std::string(R"({"keys":[]})"), std::string("<html>"),
        JwksOf({JwkOf(TestKey(AsymmetricAlgorithm::kEcdsaP256), WithKeyId("a")),
                JwkOf(TestKey(AsymmetricAlgorithm::kEcdsaP256, 1), WithKeyId("a"))}),
        std::string(kMaxJwksBytes + 1, ' ')}) {
    fetcher_.Serve(kUrl, bad);
    clock_.Advance(kJwksRefreshAfter);
    KMS_ASSERT_OK_AND_ASSIGN(const JwtKeySetHandle kept, source_.Current());
    EXPECT_EQ(kept, first);
  }
}

TEST_F(JwtKeySourceTest, SettingTheWallClockMakesNoKeyFreshOrOld) {
  EXPECT_THAT(source_.Current(), IsOk());
  clock_.StepWall(std::chrono::hours(48));
  EXPECT_THAT(source_.Current(), IsOk());
  EXPECT_EQ(fetcher_.fetches(), 1U);
}

TEST_F(JwtKeySourceTest, AnUnknownKeyIsAskedForAtALimitedRate) {
  KMS_ASSERT_OK_AND_ASSIGN(const JwtKeySetHandle first, source_.Current());
  EXPECT_EQ(source_.NewerThan(first), first);  // fetched a moment ago
  clock_.Advance(kJwksMinInterval);
  fetcher_.Serve(kUrl, KeysNamed("b"));
  const JwtKeySetHandle second = source_.NewerThan(first);
  EXPECT_NE(second, first);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(source_.NewerThan(second), second);
  }
  EXPECT_EQ(fetcher_.fetches(), 2U);
  EXPECT_EQ(source_.NewerThan(first), second);  // what others have fetched is there for all
  EXPECT_EQ(fetcher_.fetches(), 2U);
}

TEST_F(JwtKeySourceTest, AFailedFetchLeavesAnUnknownKeyUnknown) {
  KMS_ASSERT_OK_AND_ASSIGN(const JwtKeySetHandle first, source_.Current());
  clock_.Advance(kJwksMinInterval);
  fetcher_.GoDown();
  EXPECT_EQ(source_.NewerThan(first), first);
}

TEST_F(JwtKeySourceTest, CallersShareOneFetch) {
  constexpr int kCallers = 8;
  fetcher_.Hold();
  std::atomic<int> good = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&] { good += source_.Current().has_value() ? 1 : 0; });
  }
  fetcher_.WaitForFetches(1);
  fetcher_.Release();
  for (std::thread& caller : callers) {
    caller.join();
  }
  EXPECT_EQ(good, kCallers);
  EXPECT_EQ(fetcher_.fetches(), 1U);
}

TEST_F(JwtKeySourceTest, OldKeysServeWhileOneCallerFetches) {
  KMS_ASSERT_OK_AND_ASSIGN(const JwtKeySetHandle first, source_.Current());
  clock_.Advance(kJwksRefreshAfter);
  fetcher_.Hold();
  std::thread caller([&] { EXPECT_THAT(source_.Current(), IsOk()); });
  fetcher_.WaitForFetches(2);
  KMS_ASSERT_OK_AND_ASSIGN(const JwtKeySetHandle meanwhile, source_.Current());
  EXPECT_EQ(meanwhile, first);
  fetcher_.Release();
  caller.join();
}

// ---- discovery ---------------------------------------------------------------------------------

constexpr const char* kIssuer = "https://issuer.example/realm";
constexpr const char* kDocumentUrl =
    "https://issuer.example/realm/.well-known/openid-configuration";

class JwtDiscoveryTest : public ::testing::Test {
 protected:
  JwtDiscoveryTest() { fetcher_.Serve(kUrl, KeysNamed("a")); }

  Result<JwtKeySetHandle> Discover(const std::string& document, const std::string& issuer = {},
                                   const std::string& url = kIssuer) {
    fetcher_.Serve(kDocumentUrl, document);
    return FetchJwtKeys(fetcher_, {.url = url, .is_discovery = true, .issuer = issuer}, Deadline{});
  }
  static std::string Document(const std::string& issuer, const std::string& keys) {
    return R"({"issuer":")" + issuer + R"(","jwks_uri":")" + keys + R"(","x":[1]})";
  }

  testing::ScriptedFetcher fetcher_;
};

TEST_F(JwtDiscoveryTest, ReadsTheKeysThatTheIssuerNames) {
  EXPECT_THAT(Discover(Document(kIssuer, kUrl)), IsOk());
  EXPECT_THAT(fetcher_.urls(), ElementsAre(kDocumentUrl, kUrl));
}

TEST_F(JwtDiscoveryTest, U16_TheDocumentMustNameExactlyTheIssuer) {
  for (const char* issuer :
       {"", "https://issuer.example", "https://issuer.example/realm/",
        "https://ISSUER.example/realm", "http://issuer.example/realm", "https://evil.example"}) {
    EXPECT_THAT(Discover(Document(issuer, kUrl)),
                HasError(ErrorCode::kInvalidArgument, HasSubstr("another issuer")))
        << issuer;
  }
  EXPECT_THAT(Discover(Document("https://tenant.example", kUrl), "https://tenant.example"), IsOk());
}

TEST_F(JwtDiscoveryTest, U17_TheDocumentNamesNoPlaceThatMustNotBeFetched) {
  for (const char* keys :
       {"", "http://issuer.example/jwks", "file:///etc/passwd", "https://localhost/jwks",
        "http://127.0.0.1:8200/v1/sys/health", "https://u:p@issuer.example/"}) {
    EXPECT_THAT(Discover(Document(kIssuer, keys)), HasError(ErrorCode::kInvalidArgument)) << keys;
  }
}

TEST_F(JwtDiscoveryTest, RefusesMalformedDocuments) {
  for (const std::string& document :
       {std::string(""), std::string("[]"), std::string("{}"), std::string(R"({"issuer":1})"),
        R"({"issuer":")" + std::string(kIssuer) + R"("})", Document(kIssuer, kUrl) + "x",
        R"({"issuer":"https://evil.example","issuer":")" + std::string(kIssuer) +
            R"(","jwks_uri":")" + kUrl + R"("})"}) {
    EXPECT_THAT(Discover(document), HasError(ErrorCode::kInvalidArgument)) << document;
  }
}

}  // namespace
}  // namespace kms
