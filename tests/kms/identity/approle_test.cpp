// SPDX-License-Identifier: Apache-2.0
// Roles, their secret ids and logins by them (transit-api 10.3).
#include "kms/identity/approle.h"

#include <atomic>
#include <set>
#include <thread>

#include "tests/kms/identity/login_world.h"

namespace kms {
namespace {

using ::testing::AllOf;
using testing::Block;
using ::testing::ElementsAre;
using ::testing::Eq;
using testing::HasError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::IsOkAndHolds;
using ::testing::MatchesRegex;
using testing::Named;
using ::testing::Not;
using ::testing::SizeIs;

constexpr const char* kWrong = "invalid role or secret ID";
constexpr const char* kNoAccessor = "failed to find accessor entry for secret_id_accessor";

Status NoChange(AppRoleSettings& /*settings*/, std::string& /*role_id*/) { return Ok(); }

AppRoles::Change Set(std::function<void(AppRoleSettings&)> change) {
  return [change = std::move(change)](AppRoleSettings& settings, std::string& /*role_id*/) {
    change(settings);
    return Ok();
  };
}

AppRoles::Change SetRoleId(std::string wanted) {
  return [wanted = std::move(wanted)](AppRoleSettings& /*settings*/, std::string& role_id) {
    role_id = wanted;
    return Ok();
  };
}

class AppRoleTest : public testing::LoginWorld {
 protected:
  AppRoleTest() {
    Make("app", Set([](AppRoleSettings& settings) { settings.parameters.policies = {"app"}; }));
    Make("other", NoChange);
  }

  void Make(std::string_view name, const AppRoles::Change& change) {
    EXPECT_THAT(roles_.Write(mount_, Named(name), change), IsOk());
  }
  std::string RoleId(std::string_view name = "app") {
    return roles_.Read(mount_, Named(name)).value().value().role_id;
  }
  // A secret id of the role; its text is what the caller got.
  std::string SecretId(const SecretIdRequest& request = {}, std::string_view name = "app") {
    const Result<NewSecretId> made = roles_.CreateSecretId(mount_, Named(name), request);
    EXPECT_THAT(made, IsOk());
    accessor_ = made->accessor;
    return std::string(AsText(made->secret_id.View()));
  }
  Result<LoginGrant> Login(std::string_view role_id, std::string_view secret_id) {
    return roles_.Login(mount_, role_id, secret_id, origin_);
  }

  AppRoles roles_{sys_, clock_};
  std::string accessor_;  // of the last secret id
};

// ---- roles
// ---------------------------------------------------------------------------------------

TEST_F(AppRoleTest, ANewRoleHasTheReferencesDefaults) {
  KMS_ASSERT_OK_AND_ASSIGN(const auto role, roles_.Read(mount_, Named("other")));
  ASSERT_TRUE(role.has_value());
  EXPECT_TRUE(role->settings.bind_secret_id);
  EXPECT_EQ(role->settings.secret_id_num_uses, 0);
  EXPECT_EQ(role->settings.secret_id_ttl_seconds, 0);
  EXPECT_THAT(role->role_id, MatchesRegex("[0-9a-f-]{36}"));
}

TEST_F(AppRoleTest, AWriteChangesWhatItGivesAndKeepsTheRoleId) {
  const std::string role_id = RoleId();
  Make("app", Set([](AppRoleSettings& settings) { settings.secret_id_ttl_seconds = 60; }));
  KMS_ASSERT_OK_AND_ASSIGN(const auto role, roles_.Read(mount_, Named("app")));
  EXPECT_EQ(role->settings.secret_id_ttl_seconds, 60);
  EXPECT_THAT(role->settings.parameters.policies, ElementsAre("app"));
  EXPECT_EQ(role->role_id, role_id);
}

TEST_F(AppRoleTest, RefusesRolesThatNothingHolds) {
  const auto unbound = Set([](AppRoleSettings& settings) { settings.bind_secret_id = false; });
  EXPECT_THAT(roles_.Write(mount_, Named("open"), unbound),
              HasError(ErrorCode::kInvalidArgument,
                       "at least one constraint should be enabled on the role"));
  EXPECT_THAT(roles_.Write(mount_, Named("app"), unbound), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(roles_.Write(mount_, Named("open"), Set([](AppRoleSettings& settings) {
                             settings.secret_id_num_uses = -1;
                           })),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(roles_.List(mount_, {}, 0), IsOkAndHolds(ElementsAre("app", "other")));
}

TEST_F(AppRoleTest, ARoleIdBelongsToOneRole) {
  Make("app", SetRoleId("orders-service"));
  EXPECT_THAT(roles_.Write(mount_, Named("other"), SetRoleId("orders-service")),
              HasError(ErrorCode::kInvalidArgument, "role_id already in use"));
  EXPECT_THAT(Login("orders-service", SecretId()), IsOk());
}

TEST_F(AppRoleTest, AReplacedRoleIdLogsNobodyInAndIsFreeAgain) {
  const std::string old = RoleId();
  const std::string secret_id = SecretId();
  Make("app", SetRoleId("orders-service"));
  EXPECT_THAT(Login(old, secret_id), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(Login("orders-service", secret_id), IsOk());
  Make("other", SetRoleId(old));
}

TEST_F(AppRoleTest, A20_RefusesRoleIdsThatWouldNeedEscaping) {
  for (const std::string& bad : {std::string("a b"), std::string("a/b"), std::string("a*"),
                                 std::string("a+"), std::string("{{x}}"), std::string("a\0b", 3),
                                 std::string("\u00e4"), std::string(257, 'a')}) {
    EXPECT_THAT(roles_.Write(mount_, Named("app"), SetRoleId(bad)),
                HasError(ErrorCode::kInvalidArgument))
        << bad;
  }
}

TEST_F(AppRoleTest, LocalSecretIdsAreSetAtCreationOnly) {
  const auto local = Set([](AppRoleSettings& settings) { settings.local_secret_ids = true; });
  Make("site", local);
  Make("site", local);
  EXPECT_THAT(roles_.Write(mount_, Named("app"), local), HasError(ErrorCode::kInvalidArgument));
}

TEST_F(AppRoleTest, ChangingARoleThatIsMissingIsRefused) {
  EXPECT_THAT(roles_.ChangeExisting(mount_, Named("nobody"), NoChange),
              HasError(ErrorCode::kNotFound, "role \"nobody\" does not exist"));
}

TEST_F(AppRoleTest, ADeletedRoleLeavesNothing) {
  const std::string role_id = RoleId();
  const std::string secret_id = SecretId();
  SecretId();
  ASSERT_THAT(roles_.Delete(mount_, Named("app")), IsOk());
  ASSERT_THAT(roles_.Delete(mount_, Named("other")), IsOk());
  EXPECT_THAT(roles_.Delete(mount_, Named("app")), IsOk());
  EXPECT_THAT(Login(role_id, secret_id), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(Paths(), IsEmpty());
}

TEST_F(AppRoleTest, ARoleMadeAgainDoesNotKnowTheOldSecretIds) {
  const std::string role_id = RoleId();
  const std::string secret_id = SecretId();
  ASSERT_THAT(roles_.Delete(mount_, Named("app")), IsOk());
  Make("app", SetRoleId(role_id));
  EXPECT_THAT(Login(role_id, secret_id), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(roles_.ListSecretIds(mount_, Named("app"), {}, 0), IsOkAndHolds(IsEmpty()));
}

// ---- login
// ---------------------------------------------------------------------------------------

TEST_F(AppRoleTest, LogsInWithRoleIdAndSecretId) {
  const std::string secret_id = SecretId({.metadata = {{"team", "blue"}, {"role_name", "root"}}});
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant grant, Login(RoleId(), secret_id));
  EXPECT_THAT(grant.parameters.policies, ElementsAre("app"));
  EXPECT_EQ(grant.alias, RoleId());
  EXPECT_EQ(grant.role, "app");
  EXPECT_EQ(grant.display_name, "approle");
  EXPECT_EQ(grant.metadata,
            (std::map<std::string, std::string>{{"role_name", "app"}, {"team", "blue"}}));
}

TEST_F(AppRoleTest, AnswersEveryMismatchWithOneText) {
  const std::string secret_id = SecretId();
  const std::string of_other = SecretId({}, "other");
  EXPECT_THAT(Login("nobody", secret_id), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(Login(RoleId(), "nothing"), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(Login(RoleId(), of_other), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(Login(RoleId("other"), secret_id), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(roles_.Login(other_mount_, RoleId(), secret_id, origin_),
              HasError(ErrorCode::kUnauthenticated, kWrong));
}

TEST_F(AppRoleTest, SaysWhatIsMissingWithoutTellingWhichRolesExist) {
  EXPECT_THAT(Login("", "x"), HasError(ErrorCode::kInvalidArgument, "missing role_id"));
  EXPECT_THAT(Login(RoleId(), ""), HasError(ErrorCode::kInvalidArgument, "missing secret_id"));
  EXPECT_THAT(Login("nobody", ""), HasError(ErrorCode::kInvalidArgument, "missing secret_id"));
}

// U7: shortened, lengthened, its case changed.
TEST_F(AppRoleTest, U7_NothingButTheWholeSecretIdLogsIn) {
  const std::string secret_id = SecretId();
  EXPECT_THAT(secret_id, MatchesRegex("[0-9a-f]{64}"));
  std::string upper = secret_id;
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return c >= 'a' ? static_cast<char>(c - 32) : c; });
  std::vector<std::string> wrong = {secret_id + "0", " " + secret_id, secret_id + " ",
                                    secret_id + std::string(1, '\0'), std::string(2000, 'a')};
  if (upper != secret_id) {
    wrong.push_back(upper);
  }
  for (std::size_t size = 1; size < secret_id.size(); ++size) {
    wrong.push_back(secret_id.substr(0, size));
  }
  for (const std::string& guess : wrong) {
    EXPECT_THAT(Login(RoleId(), guess), HasError(ErrorCode::kUnauthenticated, kWrong));
  }
  EXPECT_THAT(Login(RoleId(), secret_id), IsOk());
}

TEST_F(AppRoleTest, U7_NothingStoredHoldsTheSecretId) {
  const std::string secret_id = SecretId();
  for (const std::string& path : Paths()) {
    KMS_ASSERT_OK_AND_ASSIGN(const auto entry, sys_.Get(path));
    EXPECT_THAT(std::string(AsText(entry->value.View())), Not(HasSubstr(secret_id))) << path;
    EXPECT_THAT(path, Not(HasSubstr(secret_id)));
  }
}

TEST_F(AppRoleTest, ARoleWithoutSecretIdsIsHeldByItsAddresses) {
  Make("batch", Set([](AppRoleSettings& settings) {
         settings.bind_secret_id = false;
         settings.parameters.bound_cidrs = {Block("10.0.0.0/24")};
       }));
  EXPECT_THAT(Login(RoleId("batch"), ""), IsOk());
  EXPECT_THAT(roles_.CreateSecretId(mount_, Named("batch"), {}),
              HasError(ErrorCode::kInvalidArgument, "bind_secret_id is not set on the role"));
  origin_.address = "10.0.1.1";
  EXPECT_THAT(Login(RoleId("batch"), ""),
              HasError(ErrorCode::kUnauthenticated,
                       HasSubstr("source address \"10.0.1.1\" unauthorized by CIDR")));
}

TEST_F(AppRoleTest, ASecretIdCountsOnlyFromItsBlocks) {
  const std::string secret_id =
      SecretId({.cidr_list = {Block("10.0.0.7")}, .token_bound_cidrs = {Block("10.0.0.0/28")}});
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant grant, Login(RoleId(), secret_id));
  EXPECT_THAT(grant.parameters.bound_cidrs, ElementsAre(Block("10.0.0.0/28")));
  origin_.address = "10.0.0.8";
  EXPECT_THAT(Login(RoleId(), secret_id),
              HasError(ErrorCode::kUnauthenticated,
                       HasSubstr("unauthorized by CIDR restrictions on the secret ID")));
  EXPECT_THAT(Login(RoleId(), "nothing"), HasError(ErrorCode::kUnauthenticated, kWrong));
}

TEST_F(AppRoleTest, ALoginFromOutsideOfTheRolesBlocksUsesNothingUp) {
  const std::string secret_id = SecretId({.num_uses = 1});
  Make("app", Set([](AppRoleSettings& settings) {
         settings.secret_id_bound_cidrs = {Block("192.168.0.0/16")};
       }));
  EXPECT_THAT(Login(RoleId(), secret_id),
              HasError(ErrorCode::kUnauthenticated, HasSubstr("CIDR restrictions on the role")));
  EXPECT_THAT(Login(RoleId(), "nothing"), HasError(ErrorCode::kUnauthenticated, kWrong));
  origin_.address = "192.168.1.1";
  EXPECT_THAT(Login(RoleId(), secret_id), IsOk());
}

TEST_F(AppRoleTest, ALoginThatItsTokenCouldNotBeUsedFromUsesNothingUp) {
  const std::string secret_id =
      SecretId({.token_bound_cidrs = {Block("192.168.0.0/16")}, .num_uses = 1});
  EXPECT_THAT(Login(RoleId(), secret_id), HasError(ErrorCode::kUnauthenticated));
  origin_.address = "192.168.1.1";
  EXPECT_THAT(Login(RoleId(), secret_id), IsOk());
}

TEST_F(AppRoleTest, ASecretIdEndsWithItsTime) {
  const std::string secret_id = SecretId({.ttl_seconds = 60});
  clock_.Advance(std::chrono::seconds(59));
  EXPECT_THAT(Login(RoleId(), secret_id), IsOk());
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_THAT(Login(RoleId(), secret_id), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(roles_.LookupSecretId(mount_, Named("app"), secret_id),
              IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(roles_.LookupAccessor(mount_, Named("app"), accessor_),
              HasError(ErrorCode::kNotFound));
}

TEST_F(AppRoleTest, ASecretIdEndsWithItsLastUse) {
  const std::string secret_id = SecretId({.num_uses = 2});
  EXPECT_THAT(Login(RoleId(), secret_id), IsOk());
  EXPECT_EQ(roles_.LookupSecretId(mount_, Named("app"), secret_id)->value().uses_left, 1);
  EXPECT_THAT(Login(RoleId(), secret_id), IsOk());
  EXPECT_THAT(Login(RoleId(), secret_id), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(roles_.ListSecretIds(mount_, Named("app"), {}, 0), IsOkAndHolds(IsEmpty()));
}

// U9: exact, whatever runs at the same time.
TEST_F(AppRoleTest, U9_OfFiftyLoginsWithTheLastUseOnePasses) {
  const std::string secret_id = SecretId({.num_uses = 1});
  const std::string role_id = RoleId();
  std::atomic<int> passed{0};
  std::atomic<int> refused{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 50; ++i) {
      threads.emplace_back([&] {
        const Result<LoginGrant> login = Login(role_id, secret_id);
        ++(login.has_value() ? passed : refused);
        if (!login.has_value()) {
          EXPECT_THAT(login, HasError(ErrorCode::kUnauthenticated, kWrong));
        }
      });
    }
  }
  EXPECT_EQ(passed, 1);
  EXPECT_EQ(refused, 49);
}

TEST_F(AppRoleTest, U9_OfFiftyLoginsWithTwentyUsesTwentyPass) {
  const std::string secret_id = SecretId({.num_uses = 20});
  const std::string role_id = RoleId();
  std::atomic<int> passed{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 50; ++i) {
      threads.emplace_back([&] { passed += Login(role_id, secret_id).has_value() ? 1 : 0; });
    }
  }
  EXPECT_EQ(passed, 20);
}

// ---- secret ids
// ----------------------------------------------------------------------------------

TEST_F(AppRoleTest, ASecretIdIsNeverWorthMoreThanItsRoleSays) {
  Make("tight", Set([](AppRoleSettings& settings) {
         settings.secret_id_num_uses = 5;
         settings.secret_id_ttl_seconds = 60;
         settings.secret_id_bound_cidrs = {Block("10.0.0.0/8")};
         settings.parameters.bound_cidrs = {Block("10.1.0.0/16")};
       }));
  const auto create = [&](const SecretIdRequest& request) {
    return roles_.CreateSecretId(mount_, Named("tight"), request);
  };
  KMS_ASSERT_OK_AND_ASSIGN(const NewSecretId made, create({}));
  EXPECT_EQ(made.num_uses, 5);
  EXPECT_EQ(made.ttl_seconds, 60);
  EXPECT_THAT(create({.num_uses = 6}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(create({.num_uses = 0}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(create({.num_uses = -1}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(create({.ttl_seconds = 61}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(create({.ttl_seconds = 0}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(create({.cidr_list = {Block("11.0.0.0/8")}}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(create({.cidr_list = {Block("0.0.0.0/0")}}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(create({.token_bound_cidrs = {Block("10.2.0.0/16")}}),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(create({.cidr_list = {Block("10.3.0.0/16")},
                      .token_bound_cidrs = {Block("10.1.2.0/24")},
                      .num_uses = 4,
                      .ttl_seconds = 59}),
              IsOk());
}

TEST_F(AppRoleTest, ASecretIdOfTheCallersChoiceIsRegisteredOnce) {
  KMS_ASSERT_OK_AND_ASSIGN(const NewSecretId made,
                           roles_.CreateSecretId(mount_, Named("app"), {.secret_id = "my secret"}));
  EXPECT_TRUE(made.secret_id.empty());
  EXPECT_THAT(Login(RoleId(), "my secret"), IsOk());
  EXPECT_THAT(roles_.CreateSecretId(mount_, Named("app"), {.secret_id = "my secret"}),
              HasError(ErrorCode::kInvalidArgument, "SecretID is already registered"));
  EXPECT_THAT(roles_.CreateSecretId(mount_, Named("other"), {.secret_id = "my secret"}), IsOk());
  EXPECT_THAT(roles_.CreateSecretId(mount_, Named("app"), {.secret_id = std::string(1025, 'x')}),
              HasError(ErrorCode::kInvalidArgument));
}

TEST_F(AppRoleTest, A20_MetadataHoldsNoControlByteAndIsBounded) {
  const auto create = [&](std::map<std::string, std::string> metadata) {
    return roles_.CreateSecretId(mount_, Named("app"), {.metadata = std::move(metadata)});
  };
  EXPECT_THAT(create({{"k", "a\nb"}}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(create({{"k\x1b[31m", "v"}}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(create({{"", "v"}}), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(create({{"k", std::string(513, 'v')}}), HasError(ErrorCode::kInvalidArgument));
  std::map<std::string, std::string> many;
  for (int i = 0; i < 65; ++i) {
    many[std::to_string(i)] = "v";
  }
  EXPECT_THAT(create(many), HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(create({{"k", "gr\u00fcn \u202e"}}), IsOk());
}

TEST_F(AppRoleTest, SecretIdsOfAMissingRoleAreRefused) {
  EXPECT_THAT(roles_.CreateSecretId(mount_, Named("nobody"), {}),
              HasError(ErrorCode::kInvalidArgument, "role \"nobody\" does not exist"));
  EXPECT_THAT(roles_.ListSecretIds(mount_, Named("nobody"), {}, 0), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(roles_.LookupSecretId(mount_, Named("nobody"), "x"), HasError(ErrorCode::kNotFound));
  EXPECT_THAT(roles_.DestroySecretId(mount_, Named("nobody"), "x"), HasError(ErrorCode::kNotFound));
}

TEST_F(AppRoleTest, LooksUpBySecretAndByAccessor) {
  const std::string secret_id =
      SecretId({.metadata = {{"a", "b"}}, .num_uses = 3, .ttl_seconds = 60});
  KMS_ASSERT_OK_AND_ASSIGN(const auto by_secret,
                           roles_.LookupSecretId(mount_, Named("app"), secret_id));
  ASSERT_TRUE(by_secret.has_value());
  EXPECT_EQ(by_secret->accessor, accessor_);
  EXPECT_EQ(by_secret->uses_left, 3);
  EXPECT_EQ(by_secret->expires_unix_seconds, by_secret->created_unix_seconds + 60);
  KMS_ASSERT_OK_AND_ASSIGN(const auto by_accessor,
                           roles_.LookupAccessor(mount_, Named("app"), accessor_));
  EXPECT_EQ(by_accessor.metadata, by_secret->metadata);
  EXPECT_THAT(roles_.ListSecretIds(mount_, Named("app"), {}, 0),
              IsOkAndHolds(ElementsAre(accessor_)));
}

// CVE-2023-24999: an accessor of one role given to another.
TEST_F(AppRoleTest, AnAccessorOfAnotherRoleIsUnknownHere) {
  const std::string secret_id = SecretId({}, "other");
  EXPECT_THAT(roles_.LookupAccessor(mount_, Named("app"), accessor_),
              HasError(ErrorCode::kNotFound, kNoAccessor));
  EXPECT_THAT(roles_.DestroyAccessor(mount_, Named("app"), accessor_),
              HasError(ErrorCode::kNotFound, kNoAccessor));
  EXPECT_THAT(roles_.DestroySecretId(mount_, Named("app"), secret_id), IsOk());
  EXPECT_THAT(roles_.LookupSecretId(mount_, Named("app"), secret_id),
              IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(Login(RoleId("other"), secret_id), IsOk());
}

TEST_F(AppRoleTest, AccessorsThatAreNoneAreNotLookedFor) {
  for (const std::string_view bad : {"", "../role/app", "x", "/", "*"}) {
    EXPECT_THAT(roles_.LookupAccessor(mount_, Named("app"), bad),
                HasError(ErrorCode::kNotFound, kNoAccessor));
    EXPECT_THAT(roles_.DestroyAccessor(mount_, Named("app"), bad),
                HasError(ErrorCode::kNotFound, kNoAccessor));
  }
}

TEST_F(AppRoleTest, ADestroyedSecretIdLogsNobodyIn) {
  const std::string first = SecretId();
  const std::string first_accessor = accessor_;
  const std::string second = SecretId();
  EXPECT_THAT(roles_.DestroySecretId(mount_, Named("app"), second), IsOk());
  EXPECT_THAT(roles_.DestroySecretId(mount_, Named("app"), second), IsOk());
  EXPECT_THAT(Login(RoleId(), second), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(Login(RoleId(), first), IsOk());
  EXPECT_THAT(roles_.DestroyAccessor(mount_, Named("app"), first_accessor), IsOk());
  EXPECT_THAT(Login(RoleId(), first), HasError(ErrorCode::kUnauthenticated, kWrong));
  EXPECT_THAT(roles_.ListSecretIds(mount_, Named("app"), {}, 0), IsOkAndHolds(IsEmpty()));
}

// ---- tidy
// ----------------------------------------------------------------------------------------

TEST_F(AppRoleTest, TidyDeletesWhatExpiredAndNothingElse) {
  const std::string alive = SecretId();
  SecretId({.ttl_seconds = 60});
  SecretId({.ttl_seconds = 60});
  const std::string later = SecretId({.ttl_seconds = 600});
  clock_.Advance(std::chrono::seconds(60));
  EXPECT_THAT(roles_.Tidy(mount_, [] { return false; }), IsOkAndHolds(2U));
  EXPECT_THAT(roles_.Tidy(mount_, [] { return false; }), IsOkAndHolds(0U));
  EXPECT_THAT(roles_.ListSecretIds(mount_, Named("app"), {}, 0), IsOkAndHolds(SizeIs(2)));
  EXPECT_THAT(Login(RoleId(), alive), IsOk());
  EXPECT_THAT(Login(RoleId(), later), IsOk());
}

TEST_F(AppRoleTest, TidyDeletesWhatACrashInADeleteLeft) {
  SecretId();
  SecretId();
  store_.FailCommit(2);  // the role is gone, its secret ids are not
  EXPECT_THAT(roles_.Delete(mount_, Named("app")), HasError(ErrorCode::kUnavailable));
  ASSERT_THAT(roles_.Delete(mount_, Named("other")), IsOk());
  EXPECT_THAT(Paths(), SizeIs(4));
  EXPECT_THAT(roles_.Tidy(mount_, [] { return false; }), IsOkAndHolds(2U));
  EXPECT_THAT(Paths(), IsEmpty());
}

TEST_F(AppRoleTest, TidyStopsWhenItIsTold) {
  SecretId({.ttl_seconds = 1});
  clock_.Advance(std::chrono::seconds(2));
  EXPECT_THAT(roles_.Tidy(mount_, [] { return true; }), IsOkAndHolds(0U));
}

// ---- faults
// --------------------------------------------------------------------------------------

TEST_F(AppRoleTest, AFaultInAWriteChangesNothing) {
  const auto before = Paths();
  EXPECT_GE(WithEveryFault([&] { return roles_.Write(mount_, Named("new"), NoChange); },
                           [&](const Error& error) {
                             EXPECT_EQ(error.code, ErrorCode::kUnavailable);
                             EXPECT_EQ(Paths(), before);
                           }),
            3);
}

TEST_F(AppRoleTest, AFaultInACreateLeavesNoSecretId) {
  const auto before = Paths();
  const auto create = [&]() -> Status {
    KMS_TRY(roles_.CreateSecretId(mount_, Named("app"), {}));
    return Ok();
  };
  EXPECT_EQ(WithEveryFault(create,
                           [&](const Error& error) {
                             EXPECT_EQ(error.code, ErrorCode::kUnavailable);
                             EXPECT_EQ(Paths(), before);
                           }),
            2);
}

TEST_F(AppRoleTest, AFaultInALoginLetsNobodyInAndUsesNothingUp) {
  const std::string secret_id = SecretId({.num_uses = 1});
  const std::string role_id = RoleId();
  const auto login = [&]() -> Status {
    KMS_TRY(Login(role_id, secret_id));
    return Ok();
  };
  EXPECT_EQ(WithEveryFault(
                login, [](const Error& error) { EXPECT_EQ(error.code, ErrorCode::kUnavailable); }),
            4);
}

TEST_F(AppRoleTest, AFaultInADestroyCanBeRepeated) {
  const std::string secret_id = SecretId();
  EXPECT_EQ(
      WithEveryFault([&] { return roles_.DestroySecretId(mount_, Named("app"), secret_id); },
                     [](const Error& error) { EXPECT_EQ(error.code, ErrorCode::kUnavailable); }),
      3);
  EXPECT_THAT(Login(RoleId(), secret_id), HasError(ErrorCode::kUnauthenticated, kWrong));
}

TEST_F(AppRoleTest, AFaultInADeleteCanBeRepeatedAndNobodyLogsInAfterwards) {
  const std::string secret_id = SecretId();
  const std::string role_id = RoleId();
  for (int n = 1; n <= 8; ++n) {
    store_.FailCall(n);
    IgnoreError(roles_.Delete(mount_, Named("app")), "some succeed, some do not");
    store_.Heal();
    const bool role_is_there = roles_.Read(mount_, Named("app")).value().has_value();
    EXPECT_EQ(Login(role_id, secret_id).has_value(), role_is_there);
  }
}

TEST_F(AppRoleTest, AUseWhoseCommitIsUnknownIsWastedNotRepeated) {
  const std::string secret_id = SecretId({.num_uses = 1});
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(Login(RoleId(), secret_id), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(Login(RoleId(), secret_id), HasError(ErrorCode::kUnauthenticated, kWrong));
}

TEST_F(AppRoleTest, ACreateWhoseCommitIsUnknownIsLookedAt) {
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(Login(RoleId(), SecretId()), IsOk());
  store_.FailCommit(1, ErrorCode::kOutcomeUnknown);
  EXPECT_THAT(roles_.CreateSecretId(mount_, Named("app"), {}), HasError(ErrorCode::kUnavailable));
}

TEST_F(AppRoleTest, AStoreThatIsAwayIsNotAWrongSecretId) {
  const std::string secret_id = SecretId();
  const std::string role_id = RoleId();
  store_.FailEverything();
  EXPECT_THAT(Login(role_id, secret_id), HasError(ErrorCode::kUnavailable));
}

}  // namespace
}  // namespace kms
