// SPDX-License-Identifier: Apache-2.0
// Configuration, roles and logins of jwt mounts (transit-api 10.4), and the attacks on them.
#include "kms/identity/jwt_auth.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "kms/crypto/key_export.h"
#include "tests/fakes/scripted_fetcher.h"
#include "tests/kms/identity/login_world.h"
#include "tests/support/jwt_maker.h"

namespace kms {
namespace {

using ::testing::ElementsAre;
using testing::GoodToken;
using testing::HasError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::JwkOf;
using testing::JwksOf;
using testing::Named;
using testing::TestKey;
using testing::WithKeyId;

constexpr const char* kUrl = "https://issuer.example/jwks";
constexpr const char* kIssuer = "https://issuer.example";

AsymmetricKey KeyOf(std::size_t which) { return TestKey(AsymmetricAlgorithm::kEcdsaP256, which); }

std::string PemOf(const AsymmetricKey& key) {
  return ExportPublicKey(key, KeyFormat::kPem).value();
}

class JwtAuthTest : public testing::LoginWorld {
 protected:
  JwtAuthTest() {
    mount_.path = "team/jwt";
    fetcher_.Serve(kUrl, JwksOf({JwkOf(KeyOf(0), WithKeyId("a"))}));
    Configure(mount_, {.jwks_url = kUrl, .bound_issuer = kIssuer});
    Make("app", [](JwtRole& role) { role.parameters.policies = {"app"}; });
  }

  void Configure(const AuthMount& mount, const JwtConfig& config) {
    EXPECT_THAT(jwt_.WriteConfig(mount, config), IsOk());
  }
  void Make(std::string_view name, const std::function<void(JwtRole&)>& change) {
    Make(mount_, name, change);
  }
  void Make(const AuthMount& mount, std::string_view name,
            const std::function<void(JwtRole&)>& change) {
    EXPECT_THAT(jwt_.WriteRole(mount, Named(name),
                               [&](JwtRole& role, bool is_new) {
                                 if (is_new) {
                                   role.conditions.user_claim = "sub";
                                   role.conditions.bound_audiences = {"kms"};
                                 }
                                 change(role);
                                 return Ok();
                               }),
                IsOk());
  }
  [[nodiscard]] std::string Claims(const std::string& more = {},
                                   const std::string& issuer = kIssuer) const {
    return R"({"iss":")" + issuer + R"(","aud":"kms","sub":"alice","exp":)" +
           std::to_string(ToUnixSeconds(clock_.Now()) + 60) + more + "}";
  }
  [[nodiscard]] std::string Token(const std::string& more = {}) const {
    return GoodToken(KeyOf(0), JwsAlgorithm::kEs256, Claims(more), "a");
  }
  Result<LoginGrant> Login(const std::string& token, std::string_view role = "app") {
    return jwt_.Login(mount_, Named(role), token, origin_);
  }

  testing::ScriptedFetcher fetcher_;
  JwtAuth jwt_{sys_, clock_, fetcher_};
};

// ---- logins ------------------------------------------------------------------------------------

TEST_F(JwtAuthTest, AGoodTokenEarnsTheRolesToken) {
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant grant, Login(Token()));
  EXPECT_EQ(grant.alias, "alice");
  EXPECT_EQ(grant.role, "app");
  EXPECT_EQ(grant.display_name, "team-jwt-alice");
  EXPECT_EQ(grant.metadata, (std::map<std::string, std::string>{{"role", "app"}}));
  EXPECT_THAT(grant.parameters.policies, ElementsAre("app"));
  EXPECT_FALSE(grant.bound_certificate.has_value());
}

TEST_F(JwtAuthTest, SaysWhatIsMissing) {
  EXPECT_THAT(Login(""), HasError(ErrorCode::kInvalidArgument, "missing token"));
  EXPECT_THAT(Login(Token(), "none"),
              HasError(ErrorCode::kUnauthenticated, "role \"none\" could not be found"));
  EXPECT_THAT(jwt_.Login(other_mount_, Named("app"), Token(), origin_),
              HasError(ErrorCode::kInvalidArgument, "could not load configuration"));
}

TEST_F(JwtAuthTest, ARoleThatIsDeletedLetsNobodyIn) {
  EXPECT_THAT(jwt_.DeleteRole(mount_, Named("app")), IsOk());
  EXPECT_THAT(Login(Token()), HasError(ErrorCode::kUnauthenticated));
  EXPECT_THAT(jwt_.DeleteRole(mount_, Named("app")), IsOk());
}

TEST_F(JwtAuthTest, U16_TheKeyOfOneIssuerSignsNothingForAnother) {
  Configure(other_mount_,
            {.jwt_validation_pubkeys = {PemOf(KeyOf(1))}, .bound_issuer = "https://other.example"});
  Make(other_mount_, "app", [](JwtRole&) {});
  const std::string forged =
      GoodToken(KeyOf(1), JwsAlgorithm::kEs256, Claims(), "a");  // claims to be the first issuer
  EXPECT_THAT(Login(forged), HasError(ErrorCode::kUnauthenticated));
  EXPECT_THAT(jwt_.Login(other_mount_, Named("app"), forged, origin_),
              HasError(ErrorCode::kUnauthenticated, HasSubstr("issuer")));
  EXPECT_THAT(jwt_.Login(other_mount_, Named("app"), Token(), origin_),
              HasError(ErrorCode::kUnauthenticated));
  const std::string own =
      GoodToken(KeyOf(1), JwsAlgorithm::kEs256, Claims({}, "https://other.example"));
  EXPECT_THAT(jwt_.Login(other_mount_, Named("app"), own, origin_), IsOk());
  EXPECT_THAT(Login(own), HasError(ErrorCode::kUnauthenticated));
}

TEST_F(JwtAuthTest, U16_DiscoveryBindsTheKeysToTheirIssuer) {
  fetcher_.Serve("https://issuer.example/.well-known/openid-configuration",
                 R"({"issuer":"https://issuer.example","jwks_uri":"https://issuer.example/jwks"})");
  Configure(mount_, {.oidc_discovery_url = kIssuer});
  EXPECT_THAT(Login(Token()), IsOk());
  const std::string other =
      GoodToken(KeyOf(0), JwsAlgorithm::kEs256, Claims({}, "https://issuer.example/"), "a");
  EXPECT_THAT(Login(other), HasError(ErrorCode::kUnauthenticated, HasSubstr("issuer")));
}

TEST_F(JwtAuthTest, FollowsTheRotationOfKeys) {
  EXPECT_THAT(Login(Token()), IsOk());
  fetcher_.Serve(kUrl, JwksOf({JwkOf(KeyOf(1), WithKeyId("b"))}));
  clock_.Advance(kJwksMinInterval);
  const std::string rotated = GoodToken(KeyOf(1), JwsAlgorithm::kEs256, Claims(), "b");
  EXPECT_THAT(Login(rotated), IsOk());
  // And what the issuer took back is good no longer.
  EXPECT_THAT(Login(Token()), HasError(ErrorCode::kUnauthenticated));
}

TEST_F(JwtAuthTest, U17_WithoutKeysNobodyGetsIn) {
  JwtAuth restarted{sys_, clock_, fetcher_};
  fetcher_.GoDown();
  EXPECT_THAT(restarted.Login(mount_, Named("app"), Token(), origin_),
              HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(restarted.Login(mount_, Named("app"), "x.y.z", origin_),
              HasError(ErrorCode::kUnauthenticated));
}

TEST_F(JwtAuthTest, U17_KeptKeysServeWhileTheIssuerIsDown) {
  EXPECT_THAT(Login(Token()), IsOk());
  fetcher_.GoDown();
  clock_.Advance(std::chrono::hours(1));
  EXPECT_THAT(Login(Token()), IsOk());
  EXPECT_THAT(Login(GoodToken(KeyOf(1), JwsAlgorithm::kEs256, Claims(), "a")),
              HasError(ErrorCode::kUnauthenticated));
  clock_.Advance(kJwksServeStale);
  EXPECT_THAT(Login(Token()), HasError(ErrorCode::kUnavailable));
}

TEST_F(JwtAuthTest, ANewConfigurationHoldsAtOnce) {
  EXPECT_THAT(Login(Token()), IsOk());
  Configure(mount_, {.jwt_validation_pubkeys = {PemOf(KeyOf(1))}});
  EXPECT_THAT(Login(Token()), HasError(ErrorCode::kUnauthenticated));
  Configure(mount_, {.jwks = JwksOf({JwkOf(KeyOf(0), WithKeyId("a"))})});
  EXPECT_THAT(Login(Token()), IsOk());
  Configure(mount_, {.jwks = JwksOf({JwkOf(KeyOf(0), WithKeyId("a"))}),
                     .jwt_supported_algs = {"RS256", "EdDSA"}});
  EXPECT_THAT(Login(Token()), HasError(ErrorCode::kUnauthenticated, HasSubstr("algorithm")));
}

TEST_F(JwtAuthTest, RolesMayBeBoundToAddresses) {
  Make("app", [](JwtRole& role) { role.parameters.bound_cidrs = {testing::Block("10.1.0.0/16")}; });
  EXPECT_THAT(Login(Token()),
              HasError(ErrorCode::kUnauthenticated, "request originated from invalid CIDR"));
  origin_.address = "10.1.2.3";
  EXPECT_THAT(Login(Token()), IsOk());
}

TEST_F(JwtAuthTest, BindsTheTokenToTheCertificateOfTheLogin) {
  Make("app", [](JwtRole& role) { role.bind_client_certificate = true; });
  EXPECT_THAT(Login(Token()), HasError(ErrorCode::kUnauthenticated, HasSubstr("certificate")));
  const std::vector<Bytes> chain = {{1, 2, 3}, {4}};
  origin_.certificates = &chain;
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant grant, Login(Token()));
  EXPECT_EQ(grant.bound_certificate, Sha256(chain[0]));
}

TEST_F(JwtAuthTest, AConfirmedTokenIsGoodForItsCertificateOnly) {
  const std::vector<Bytes> chain = {{1, 2, 3}};
  const std::vector<Bytes> stolen = {{9}};
  const std::string token =
      Token(R"(,"cnf":{"x5t#S256":")" + testing::Base64Url(Sha256(chain[0])) + R"("})");
  EXPECT_THAT(Login(token), HasError(ErrorCode::kUnauthenticated));
  origin_.certificates = &stolen;
  EXPECT_THAT(Login(token), HasError(ErrorCode::kUnauthenticated));
  origin_.certificates = &chain;
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant grant, Login(token));
  EXPECT_EQ(grant.bound_certificate, Sha256(chain[0]));
}

// ---- replay ------------------------------------------------------------------------------------

TEST_F(JwtAuthTest, ReplayIsRefusedWhereTheRoleForbidsIt) {
  Make("once", [](JwtRole& role) { role.forbid_replay = true; });
  const std::string token = Token(R"(,"jti":"1")");
  EXPECT_THAT(Login(token, "once"), IsOk());
  EXPECT_THAT(Login(token, "once"),
              HasError(ErrorCode::kUnauthenticated, HasSubstr("used before")));
  // The same id of the same issuer in another token is the same deed.
  EXPECT_THAT(Login(Token(R"(,"jti":"1","x":1)"), "once"), HasError(ErrorCode::kUnauthenticated));
  EXPECT_THAT(Login(Token(R"(,"jti":"2")"), "once"), IsOk());
  EXPECT_THAT(Login(Token(), "once"), HasError(ErrorCode::kUnauthenticated, HasSubstr("jti")));
  EXPECT_THAT(Login(token, "app"), IsOk());
}

TEST_F(JwtAuthTest, ABadTokenUsesUpNoId) {
  Make("once", [](JwtRole& role) {
    role.forbid_replay = true;
    role.conditions.bound_subject = "bob";
  });
  EXPECT_THAT(Login(Token(R"(,"jti":"1")"), "once"), HasError(ErrorCode::kUnauthenticated));
  Make("once", [](JwtRole& role) { role.conditions.bound_subject = "alice"; });
  EXPECT_THAT(Login(Token(R"(,"jti":"1")"), "once"), IsOk());
}

TEST_F(JwtAuthTest, OfManyLoginsWithOneTokenOneSucceeds) {
  Make("once", [](JwtRole& role) { role.forbid_replay = true; });
  const std::string token = Token(R"(,"jti":"1")");
  std::atomic<int> good = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 5; ++round) {
        good += Login(token, "once").has_value() ? 1 : 0;
      }
    });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
  EXPECT_EQ(good, 1);
}

TEST_F(JwtAuthTest, AnUnknownOutcomeLetsNobodyInAndNobodyElseLater) {
  Make("once", [](JwtRole& role) { role.forbid_replay = true; });
  const std::string token = Token(R"(,"jti":"1")");
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(Login(token, "once"), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(Login(token, "once"), HasError(ErrorCode::kUnauthenticated));
}

TEST_F(JwtAuthTest, TidyForgetsOnlyWhatNobodyWouldTake) {
  Make("once", [](JwtRole& role) { role.forbid_replay = true; });
  const std::string token = Token(R"(,"jti":"1")");
  EXPECT_THAT(Login(token, "once"), IsOk());
  const auto run = [&] { return jwt_.Tidy(mount_, [] { return false; }).value(); };
  EXPECT_EQ(run(), 0U);
  clock_.Advance(std::chrono::seconds(119 + 86'400));
  EXPECT_EQ(run(), 0U);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(jwt_.Tidy(mount_, [] { return true; }).value(), 0U);
  EXPECT_EQ(run(), 1U);
  EXPECT_THAT(Login(token, "once"), HasError(ErrorCode::kUnauthenticated, HasSubstr("expired")));
}

// ---- many at once ------------------------------------------------------------------------------

TEST_F(JwtAuthTest, U18_AThousandMixedTokensInParallelAreEachJudgedRightly) {
  struct Case {
    std::string token;
    bool good;
  };
  const auto make = [&](std::size_t i) -> Case {
    const std::string more = R"(,"n":)" + std::to_string(i);
    switch (i % 5) {
      case 0: return {Token(more), true};
      case 1: return {GoodToken(KeyOf(1), JwsAlgorithm::kEs256, Claims(more), "a"), false};
      case 2: return {GoodToken(KeyOf(0), JwsAlgorithm::kEs256, Claims(more), "unknown"), false};
      case 3: {
        std::string tampered = Token(more);
        tampered[tampered.size() / 2] = tampered[tampered.size() / 2] == 'A' ? 'B' : 'A';
        return {tampered, false};
      }
      default:
        return {GoodToken(KeyOf(0), JwsAlgorithm::kEs256,
                          R"({"iss":"https://issuer.example","aud":"kms","sub":"x","exp":1})", "a"),
                false};
    }
  };
  std::vector<Case> cases;
  for (std::size_t i = 0; i < 1000; ++i) {
    cases.push_back(make(i));
  }
  constexpr std::size_t kThreads = 8;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> callers;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    callers.emplace_back([&, thread] {
      for (std::size_t i = thread; i < cases.size(); i += kThreads) {
        wrong += Login(cases[i].token).has_value() == cases[i].good ? 0 : 1;
      }
    });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
  EXPECT_EQ(wrong, 0);
}

// ---- configuration -----------------------------------------------------------------------------

TEST_F(JwtAuthTest, ConfigurationIsReadAsItWasWritten) {
  const JwtConfig config = {.jwks_url = kUrl,
                            .jwks_ca_pem = "PEM",
                            .bound_issuer = kIssuer,
                            .default_role = "app",
                            .jwt_supported_algs = {"ES256"}};
  Configure(mount_, config);
  KMS_ASSERT_OK_AND_ASSIGN(const auto read, jwt_.ReadConfig(mount_));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->jwks_url, kUrl);
  EXPECT_EQ(read->jwks_ca_pem, "PEM");
  EXPECT_EQ(read->default_role, "app");
  EXPECT_THAT(read->jwt_supported_algs, ElementsAre("ES256"));
  EXPECT_EQ(jwt_.DefaultRole(mount_).value(), "app");
  EXPECT_FALSE(jwt_.ReadConfig(other_mount_).value().has_value());
  EXPECT_EQ(jwt_.DefaultRole(other_mount_).value(), "");
}

TEST_F(JwtAuthTest, ConfigurationNamesExactlyOneSourceOfGoodKeys) {
  const std::string pem = PemOf(KeyOf(0));
  const std::string jwks = JwksOf({JwkOf(KeyOf(0))});
  for (const JwtConfig& config : std::vector<JwtConfig>{
           {},
           {.jwks_url = kUrl, .jwks = jwks},
           {.oidc_discovery_url = kIssuer, .jwt_validation_pubkeys = {pem}},
           {.jwks = jwks, .jwt_validation_pubkeys = {pem}},
           {.jwks_ca_pem = "PEM", .jwks = jwks},
           {.oidc_discovery_ca_pem = "PEM", .jwks_url = kUrl},
           {.jwks = "{}"},
           {.jwt_validation_pubkeys = {"x"}},
           {.jwt_validation_pubkeys = {pem, "x"}},
           {.jwks = jwks, .jwt_supported_algs = {"HS256"}},
           {.jwks = jwks, .jwt_supported_algs = {"none"}},
           {.jwks_url = kUrl, .jwks_ca_pem = std::string(kMaxCaPemBytes + 1, 'x')},
           {.jwks_url = "http://issuer.example/jwks"},
           {.jwks_url = "file:///etc/passwd"},
           {.jwks = "/etc/passwd"}}) {
    EXPECT_THAT(jwt_.WriteConfig(mount_, config), HasError(ErrorCode::kInvalidArgument));
  }
  EXPECT_EQ(jwt_.ReadConfig(mount_).value()->jwks_url, kUrl);
}

TEST_F(JwtAuthTest, ConfigurationIsRefusedWhenTheIssuerDoesNotAnswer) {
  fetcher_.GoDown();
  EXPECT_THAT(jwt_.WriteConfig(mount_, {.jwks_url = kUrl}),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("error checking jwks URL")));
  EXPECT_THAT(
      jwt_.WriteConfig(mount_, {.oidc_discovery_url = kIssuer}),
      HasError(ErrorCode::kInvalidArgument, HasSubstr("error checking oidc discovery URL")));
}

// ---- roles -------------------------------------------------------------------------------------

TEST_F(JwtAuthTest, RolesAreListedReadAndDeleted) {
  Make("b", [](JwtRole&) {});
  EXPECT_THAT(jwt_.ListRoles(mount_, {}, 0).value(), ElementsAre("app", "b"));
  EXPECT_THAT(jwt_.ListRoles(mount_, "app", 1).value(), ElementsAre("b"));
  EXPECT_THAT(jwt_.ListRoles(other_mount_, {}, 0).value(), IsEmpty());
  EXPECT_TRUE(jwt_.ReadRole(mount_, Named("b")).value().has_value());
  EXPECT_FALSE(jwt_.ReadRole(mount_, Named("c")).value().has_value());
}

TEST_F(JwtAuthTest, ARoleNeedsABoundConstraintAndAUserClaim) {
  const auto write = [&](const std::function<void(JwtRole&)>& change) {
    return jwt_.WriteRole(mount_, Named("new"), [&](JwtRole& role, bool) {
      role.conditions.user_claim = "sub";
      change(role);
      return Ok();
    });
  };
  EXPECT_THAT(write([](JwtRole&) {}),
              HasError(ErrorCode::kInvalidArgument,
                       "must have at least one bound constraint when creating/updating a role"));
  EXPECT_THAT(write([](JwtRole& role) {
                role.conditions.bound_subject = "x";
                role.conditions.user_claim = "";
              }),
              HasError(ErrorCode::kInvalidArgument, "a user claim must be defined on the role"));
  EXPECT_THAT(write([](JwtRole& role) { role.conditions.bound_subject = "x"; }), IsOk());
}

TEST_F(JwtAuthTest, WritesInParallelLoseNoChange) {
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i) {
    writers.emplace_back([&, i] {
      EXPECT_THAT(jwt_.WriteRole(mount_, Named("app"),
                                 [&](JwtRole& role, bool) {
                                   role.conditions.bound_audiences.push_back(std::to_string(i));
                                   return Ok();
                                 }),
                  IsOk());
    });
  }
  for (std::thread& writer : writers) {
    writer.join();
  }
  EXPECT_EQ(jwt_.ReadRole(mount_, Named("app")).value()->conditions.bound_audiences.size(), 9U);
}

// ---- faults ------------------------------------------------------------------------------------

TEST_F(JwtAuthTest, EveryStoreFaultOfALoginRefusesIt) {
  Make("once", [](JwtRole& role) { role.forbid_replay = true; });
  int id = 0;
  const int faults = WithEveryFault(
      [&]() -> Status {
        const std::string token = Token(R"(,"jti":")" + std::to_string(++id) + "\"");
        KMS_TRY(Login(token, "once"));
        return Ok();
      },
      [](const Error& error) { EXPECT_EQ(error.code, ErrorCode::kUnavailable); });
  EXPECT_EQ(faults, 3);
}

TEST_F(JwtAuthTest, EveryStoreFaultOfAWriteLeavesTheOldOrTheNew) {
  WithEveryFault(
      [&] { return jwt_.WriteConfig(mount_, {.jwt_validation_pubkeys = {PemOf(KeyOf(1))}}); },
      [&](const Error&) { EXPECT_EQ(jwt_.ReadConfig(mount_).value()->jwks_url, kUrl); });
  WithEveryFault(
      [&] {
        return jwt_.WriteRole(mount_, Named("app"), [](JwtRole& role, bool) {
          role.conditions.bound_subject = "new";
          return Ok();
        });
      },
      [&](const Error&) {
        EXPECT_EQ(jwt_.ReadRole(mount_, Named("app")).value()->conditions.bound_subject, "");
      });
}

TEST_F(JwtAuthTest, ALostAnswerOfAWriteIsLookedUp) {
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(jwt_.WriteConfig(mount_, {.jwt_validation_pubkeys = {PemOf(KeyOf(1))}}), IsOk());
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(jwt_.DeleteRole(mount_, Named("app")), IsOk());
}

}  // namespace
}  // namespace kms
