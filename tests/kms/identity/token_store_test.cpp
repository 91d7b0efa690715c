// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/token_store.h"

#include "tests/kms/identity/token_world.h"

namespace kms {
namespace {

using ::testing::ElementsAre;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::SizeIs;

class TokenStoreTest : public testing::TokenWorld {};

IdentityName Named(std::string_view text) { return IdentityName::Parse(text).value(); }

// ---- what is issued -----------------------------------------------------------------------------

TEST_F(TokenStoreTest, IssuesATokenThatIsKnownAndShownOnce) {
  const IssuedToken issued = tokens().Issue(Grant(Root())).value();
  const std::string token = TextOf(issued);

  EXPECT_THAT(token, ::testing::MatchesRegex("hvs\\.[A-Za-z0-9_-]{43}"));
  EXPECT_THAT(issued.principal->accessor, ::testing::MatchesRegex("[0-9a-f]{24}"));
  const PrincipalHandle found = Who(token);
  EXPECT_EQ(found->accessor, issued.principal->accessor);
  EXPECT_THAT(found->policies, ElementsAre("app"));
  EXPECT_FALSE(found->orphan);
  EXPECT_FALSE(found->is_root);
  EXPECT_NE(found->acl, nullptr);
  EXPECT_TRUE(IsGood(token));
}

TEST_F(TokenStoreTest, KeepsEverythingOfAGrantOverARestart) {
  TokenGrant grant = LoginGrantOf("auth_test_1", "alice", "web");
  grant.metadata = {{"team", "blue"}};
  grant.display_name = "test-alice";
  grant.ttl_seconds = 3600;
  grant.explicit_max_ttl_seconds = 7200;
  grant.bound_cidrs = {CidrBlock::Parse("10.0.0.0/8").value()};
  grant.bound_certificate = Sha256Digest{1, 2, 3};
  const std::string token = Issue(grant);
  Reopen();

  const Sha256Digest certificate{1, 2, 3};
  const TokenContext context{.address = "10.1.2.3", .certificate = &certificate};
  KMS_ASSERT_OK_AND_ASSIGN(const PrincipalHandle found, tokens().Authenticate(token, context));
  EXPECT_EQ(found->metadata, grant.metadata);
  EXPECT_EQ(found->display_name, "test-alice");
  EXPECT_EQ(found->path, "auth/test/login");
  EXPECT_EQ(found->role, "web");
  EXPECT_EQ(found->entity_id, "entity-of-alice");
  EXPECT_EQ(found->alias_mount, "auth_test_1");
  EXPECT_EQ(found->alias_name, "alice");
  EXPECT_EQ(found->actor, "entity-of-alice");
  EXPECT_EQ(found->creation_ttl_seconds, 3600);
  EXPECT_EQ(found->explicit_max_ttl_seconds, 7200);
  EXPECT_EQ(found->bound_cidrs, grant.bound_cidrs);
  EXPECT_EQ(found->bound_certificate, grant.bound_certificate);
  EXPECT_TRUE(found->orphan);
  EXPECT_TRUE(found->renewable);
}

TEST_F(TokenStoreTest, U7_StoresNeitherTokenNorPlainDigest) {
  const std::string token = Issue();
  for (const auto& [path, stored] : store_.Contents()) {
    EXPECT_EQ(AsText(stored.value).find(token), std::string_view::npos) << path;
    EXPECT_EQ(path.find(HexEncode(Sha256(AsBytes(token)))), std::string::npos) << path;
  }
  EXPECT_THAT(Paths("tokens/"), ElementsAre(HasSubstr(HexEncode(Who(token)->id)), "tokens/root"));
}

TEST_F(TokenStoreTest, U7_RefusesTruncatedExtendedAndGuessedTokensAlike) {
  const std::string token = Issue();
  for (std::size_t length = 0; length < token.size(); ++length) {
    EXPECT_FALSE(IsGood(token.substr(0, length))) << length;
  }
  for (std::size_t index = 0; index < token.size(); ++index) {
    std::string altered = token;
    altered[index] = altered[index] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(IsGood(altered)) << index;
  }
  EXPECT_FALSE(IsGood(token + "A"));
  EXPECT_FALSE(IsGood(token + std::string(1, '\0')));
  EXPECT_FALSE(IsGood(" " + token));
  EXPECT_FALSE(IsGood(std::string(100'000, 'a')));
  EXPECT_FALSE(IsGood(HexEncode(Who(token)->id)));
  EXPECT_FALSE(IsGood(Who(token)->accessor));
}

TEST_F(TokenStoreTest, TellsActorsApart) {
  const PrincipalHandle alice = Who(Issue());
  const PrincipalHandle bob = Who(Issue());
  EXPECT_NE(alice->actor, bob->actor);
  EXPECT_EQ(alice->actor, alice->accessor);
  EXPECT_EQ(Who(Issue(Grant(alice)))->actor, alice->actor);

  const PrincipalHandle login = Who(Issue(LoginGrantOf("m", "carol")));
  const PrincipalHandle again = Who(Issue(LoginGrantOf("m", "carol")));
  EXPECT_EQ(login->actor, again->actor);
  TokenGrant orphan = Grant(nullptr);
  orphan.actor = alice->actor;
  EXPECT_EQ(Who(Issue(orphan))->actor, alice->actor);
}

TEST_F(TokenStoreTest, EntityIdsAreStableAndDiffer) {
  const std::string id = tokens().EntityId("auth_a", "alice");
  Reopen();
  EXPECT_EQ(tokens().EntityId("auth_a", "alice"), id);
  EXPECT_THAT(id, ::testing::MatchesRegex(
                      "[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_NE(tokens().EntityId("auth_a", "bob"), id);
  EXPECT_NE(tokens().EntityId("auth_aa", "lice"), id);
}

// ---- what is refused ----------------------------------------------------------------------------

TEST_F(TokenStoreTest, U21_OnlyRootMakesRoot) {
  EXPECT_THAT(tokens().Issue(Grant(Who(Issue()), {"root"})),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("root tokens may not be created")));
  const PrincipalHandle root = Who(Issue(Grant(Root(), {"root"})));
  EXPECT_TRUE(root->is_root);
  EXPECT_EQ(root->acl, nullptr);
  EXPECT_NE(root->expires_unix_seconds, 0);
}

TEST_F(TokenStoreTest, U21_OnlyRootTokensLiveForEver) {
  TokenGrant grant = Grant(Root());
  grant.never_expires = true;
  EXPECT_THAT(tokens().Issue(grant), HasError(ErrorCode::kInvalidArgument));
  grant.policies = {"root"};
  const std::string token = Issue(grant);
  clock_.Advance(std::chrono::hours(24 * 365 * 50));
  EXPECT_TRUE(IsGood(token));
}

TEST_F(TokenStoreTest, RefusesParentsThatCannotHaveChildren) {
  TokenGrant limited = Grant(Root());
  limited.num_uses = 5;
  EXPECT_THAT(tokens().Issue(Grant(Who(Issue(limited)))),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("restricted use token")));
  EXPECT_THAT(tokens().Issue(Grant(Who(Issue(AsBatch(Grant(Root())))))),
              HasError(ErrorCode::kInvalidArgument, "batch tokens cannot create more tokens"));
  const PrincipalHandle gone = Who(Issue());
  ASSERT_THAT(tokens().Revoke(*gone), IsOk());
  EXPECT_THAT(tokens().Issue(Grant(gone)), HasError(ErrorCode::kPermissionDenied));
  EXPECT_THAT(tokens().Issue(AsBatch(Grant(gone))), HasError(ErrorCode::kPermissionDenied));
}

TEST_F(TokenStoreTest, BoundsTheGenerations) {
  PrincipalHandle youngest = Root();
  Result<IssuedToken> issued = tokens().Issue(Grant(youngest));
  int generations = 0;
  for (; issued.has_value() && generations < 100; ++generations) {
    youngest = issued->principal;
    issued = tokens().Issue(Grant(youngest));
  }
  EXPECT_EQ(generations, 32);
  EXPECT_THAT(issued, HasError(ErrorCode::kInvalidArgument, HasSubstr("too many ancestors")));
}

TEST_F(TokenStoreTest, ChosenIdsAreCheckedAndTakenOnce) {
  TokenGrant grant = Grant(Root());
  for (const std::string& bad :
       {std::string("hvs.mine"), std::string("hvb.mine"), std::string("with blank"),
        std::string("with\nbreak"), std::string(257, 'a'), std::string("\xc3\xa4")}) {
    grant.custom_id = bad;
    EXPECT_THAT(tokens().Issue(grant),
                HasError(ErrorCode::kInvalidArgument, HasSubstr("custom token ID")));
  }
  grant.custom_id = "mine";
  EXPECT_EQ(Issue(grant), "mine");
  EXPECT_TRUE(IsGood("mine"));
  EXPECT_THAT(tokens().Issue(grant),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("duplicate ID")));
  grant.custom_id = std::string(kRoot);
  EXPECT_THAT(tokens().Issue(grant),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("duplicate ID")));
}

TEST_F(TokenStoreTest, AChosenIdIsFreeAgainWithoutItsOldChildren) {
  TokenGrant grant = Grant(Root());
  grant.custom_id = "mine";
  grant.ttl_seconds = 60;
  const PrincipalHandle first = tokens().Issue(grant).value().principal;
  const std::string child = Issue(Grant(first));
  const std::string batch = Issue(AsBatch(Grant(first)));
  clock_.Advance(std::chrono::seconds(60));
  ASSERT_FALSE(IsGood("mine"));

  ASSERT_EQ(Issue(grant), "mine");
  EXPECT_TRUE(IsGood("mine"));
  EXPECT_FALSE(IsGood(child));
  EXPECT_FALSE(IsGood(batch));
  EXPECT_THAT(tokens().Issue(Grant(first)), HasError(ErrorCode::kPermissionDenied));
  EXPECT_THAT(tokens().Revoke(*first), IsOk());
  EXPECT_TRUE(IsGood("mine"));
}

TEST_F(TokenStoreTest, ALeftoverChildDoesNotComeAliveWithAReusedId) {
  TokenGrant grant = Grant(Root());
  grant.custom_id = "mine";
  const PrincipalHandle first = tokens().Issue(grant).value().principal;
  const std::string child = Issue(Grant(first));
  store_.FailCommit(2);  // the child's entries stay behind
  ASSERT_THAT(tokens().Revoke(*first), IsOk());
  ASSERT_THAT(Paths("tokens/"), SizeIs(2));

  ASSERT_EQ(Issue(grant), "mine");
  EXPECT_FALSE(IsGood(child));
  Reopen();
  EXPECT_FALSE(IsGood(child));
  EXPECT_TRUE(IsGood("mine"));
}

// ---- looking up ---------------------------------------------------------------------------------

TEST_F(TokenStoreTest, LooksUpByTokenAndByAccessor) {
  const std::string token = Issue();
  const std::string accessor = Who(token)->accessor;
  EXPECT_EQ(tokens().Lookup(token).value()->accessor, accessor);
  EXPECT_EQ(tokens().LookupAccessor(accessor).value()->id, Who(token)->id);
  EXPECT_TRUE(tokens().LookupAccessor(Root()->accessor).value()->is_root);
  EXPECT_THAT(tokens().Lookup("hvs.unknown"), HasError(ErrorCode::kNotFound));
  for (const std::string& bad : {std::string(), std::string("0123456789abcdef01234567"),
                                 std::string("../tokens/root"), std::string(200, 'a'), token}) {
    EXPECT_THAT(tokens().LookupAccessor(bad), HasError(ErrorCode::kNotFound, "invalid accessor"));
    EXPECT_THAT(tokens().RevokeAccessor(bad), HasError(ErrorCode::kNotFound, "invalid accessor"));
  }
}

TEST_F(TokenStoreTest, ListsAccessorsInOrderPageByPage) {
  std::vector<std::string> expected{Root()->accessor};
  for (int index = 0; index < 5; ++index) {
    expected.push_back(Who(Issue())->accessor);
  }
  Issue(AsBatch(Grant(Root())));  // has none
  std::ranges::sort(expected);
  std::vector<std::string> listed;
  for (std::string after;;) {
    const std::vector<std::string> page = tokens().ListAccessors(after, 2).value();
    if (page.empty()) {
      break;
    }
    EXPECT_LE(page.size(), 2U);
    listed.insert(listed.end(), page.begin(), page.end());
    after = listed.back();
  }
  EXPECT_EQ(listed, expected);
}

// ---- the warm ones ------------------------------------------------------------------------------

TEST_F(TokenStoreTest, AWarmTokenCostsNoRead) {
  const std::string token = Issue();
  ASSERT_TRUE(IsGood(token));
  const int calls = store_.calls();
  EXPECT_NE(tokens().FindWarm(token, {}), nullptr);
  EXPECT_THAT(tokens().Authenticate(token, {}), IsOk());
  EXPECT_EQ(store_.calls(), calls);
}

TEST_F(TokenStoreTest, APolicyChangeCoolsTokens) {
  const std::string token = Issue();
  ASSERT_TRUE(IsGood(token));
  ASSERT_FALSE(Who(token)->acl->Decide("dev/encrypt/k", Capability::kUpdate).allowed);
  ASSERT_THAT(
      policies_->Put(Named("app"), "path \"dev/encrypt/k\" { capabilities = [\"update\"] }"),
      IsOk());
  EXPECT_EQ(tokens().FindWarm(token, {}), nullptr);
  EXPECT_TRUE(Who(token)->acl->Decide("dev/encrypt/k", Capability::kUpdate).allowed);
  EXPECT_NE(tokens().FindWarm(token, {}), nullptr);
  EXPECT_NE(tokens().FindWarm(kRoot, {}), nullptr);
}

TEST_F(TokenStoreTest, U21_MetadataOfAChildFillsNoTemplate) {
  ASSERT_THAT(policies_->Put(Named("app"),
                             "path \"dev/encrypt/{{identity.entity.metadata.team}}\" { "
                             "capabilities = [\"update\"] }"),
              IsOk());
  TokenGrant login = LoginGrantOf("auth_test_1", "alice");
  login.metadata = {{"team", "blue"}};
  const PrincipalHandle alice = tokens().Issue(login).value().principal;
  EXPECT_TRUE(alice->acl->Decide("dev/encrypt/blue", Capability::kUpdate).allowed);

  TokenGrant child = Grant(alice);
  child.metadata = {{"team", "red"}};
  child.entity_id = alice->entity_id;
  child.alias_mount = alice->alias_mount;
  child.alias_name = alice->alias_name;
  for (const TokenGrant& grant : {child, AsBatch(child)}) {
    const PrincipalHandle made = Who(Issue(grant));
    EXPECT_FALSE(made->acl->Decide("dev/encrypt/red", Capability::kUpdate).allowed);
    EXPECT_TRUE(made->acl->Decide("dev/encrypt/blue", Capability::kUpdate).allowed);
  }
  child.entity_id = "another";
  EXPECT_FALSE(Who(Issue(child))->acl->Decide("dev/encrypt/blue", Capability::kUpdate).allowed);
}

TEST_F(TokenStoreTest, KeepsNoMoreThanItsLimitWarm) {
  options_.max_warm_tokens = 32;
  Reopen();
  std::vector<std::string> all;
  for (int index = 0; index < 200; ++index) {
    all.push_back(Issue());
    EXPECT_TRUE(IsGood(all.back()));
  }
  const auto warm = std::ranges::count_if(
      all, [&](const std::string& token) { return tokens().FindWarm(token, {}) != nullptr; });
  EXPECT_LE(warm, 32);
  EXPECT_GE(warm, 1);
  for (const std::string& token : all) {
    EXPECT_THAT(tokens().Authenticate(token, {}), IsOk());
  }
}

TEST_F(TokenStoreTest, AnEvictedParentStillTakesItsChildrenAlong) {
  options_.max_warm_tokens = 1;
  Reopen();
  const PrincipalHandle parent = Who(Issue());
  const std::string child = Issue(Grant(parent));
  ASSERT_THAT(tokens().Authenticate(child, {}), IsOk());
  for (int index = 0; index < 100; ++index) {
    ASSERT_THAT(tokens().Authenticate(Issue(), {}), IsOk());
  }
  ASSERT_THAT(tokens().Authenticate(child, {}), IsOk());
  ASSERT_THAT(tokens().Revoke(*parent), IsOk());
  EXPECT_EQ(tokens().FindWarm(child, {}), nullptr);
  EXPECT_THAT(tokens().Authenticate(child, {}), HasError(ErrorCode::kPermissionDenied));
}

}  // namespace
}  // namespace kms
