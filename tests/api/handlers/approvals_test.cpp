// SPDX-License-Identifier: Apache-2.0
// Approval by two over the whole pipeline (failures U25, O1).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

using enum api::HttpMethod;

// Everything in the environment, and what administers it.
constexpr std::string_view kAdministrator = R"(
path "guarded/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "sys/mounts/guarded" { capabilities = ["read", "delete"] }
path "sys/mounts/guarded/tune" { capabilities = ["read", "update"] }
path "sys/environments/guarded/*" { capabilities = ["update", "delete", "sudo"] }
path "sys/approvals" { capabilities = ["list"] }
path "sys/approvals/*" { capabilities = ["read", "update", "delete"] }
)";

class ApprovalsApiTest : public ::testing::Test {
 protected:
  ApprovalsApiTest() {
    api_.AddEnvironment("guarded",
                        {.is_protected = true, .options = {{"require_approval", "all"}}});
    alice_ = api_.TokenWith("alice", kAdministrator);
    bob_ = api_.TokenWith("bob", kAdministrator);
    EXPECT_EQ(Send(alice_, kPost, "guarded/keys/app",
                   R"({"exportable":true,"allow_plaintext_backup":true})")
                  .status,
              200);
    EXPECT_EQ(Send(alice_, kPost, "guarded/keys/app/rotate").status, 200);
    EXPECT_EQ(Send(alice_, kPost, "guarded/keys/app/config",
                   R"({"deletion_allowed":true,"min_decryption_version":2,
                       "min_encryption_version":2})")
                  .status,
              200);
  }

  ApiAnswer Send(std::string_view token, api::HttpMethod method, std::string path,
                 std::string body = {}) {
    return api_.CallAs(token, {method, "/v1/" + path, std::move(body), {}});
  }
  static std::string IdIn(const ApiAnswer& answer) {
    return TextAfter(answer.body, R"("data":{"request_id":")");
  }
  // Asks for something that has to wait.
  std::string Ask(std::string_view token, api::HttpMethod method, std::string path,
                  std::string body = {}) {
    const ApiAnswer answer = Send(token, method, std::move(path), std::move(body));
    EXPECT_EQ(answer.status, 202) << answer.body;
    return IdIn(answer);
  }
  std::string AskForDeletion() { return Ask(alice_, kDelete, "guarded/keys/app"); }
  ApiAnswer Approve(std::string_view token, const std::string& id) {
    return Send(token, kPost, "sys/approvals/" + id + "/approve");
  }
  std::string StateOf(const std::string& id) {
    return TextAfter(Send(alice_, kGet, "sys/approvals/" + id).body, R"("state":")");
  }
  bool KeyExists() { return Send(alice_, kGet, "guarded/keys/app").status == 200; }

  ApiService api_;
  std::string alice_;
  std::string bob_;
};

TEST_F(ApprovalsApiTest, ARequestWaitsAndIsExecutedOnceApproved) {
  const ApiAnswer asked = Send(alice_, kDelete, "guarded/keys/app");
  EXPECT_EQ(asked.status, 202);
  EXPECT_THAT(asked.body,
              HasSubstr(R"("state":"pending","action":"delete","environment":"guarded",)"
                        R"("expires":"2026-01-02T00:00:00.000000000Z"})"));
  EXPECT_TRUE(KeyExists());

  const ApiAnswer approved = Approve(bob_, IdIn(asked));

  EXPECT_EQ(approved.status, 200);
  EXPECT_THAT(approved.body, HasSubstr(R"("state":"executed","status":204})"));
  EXPECT_FALSE(KeyExists());
  EXPECT_EQ(StateOf(IdIn(asked)), "executed");
}

struct GuardedCase {
  const char* action;
  api::HttpMethod method;
  const char* path;
  const char* body;
};

TEST_F(ApprovalsApiTest, O1_EveryGuardedActionWaitsForASecondPerson) {
  const std::vector<GuardedCase> cases = {
      {"delete", kDelete, "guarded/keys/app", ""},
      {"delete", kDelete, "guarded/keys/app/soft-delete", ""},
      {"delete", kDelete, "sys/mounts/guarded", ""},
      {"trim", kPost, "guarded/keys/app/trim", R"({"min_available_version":2})"},
      {"export", kGet, "guarded/export/encryption-key/app", ""},
      {"export", kGet, "guarded/export/encryption-key/app/2", ""},
      {"export", kGet, "guarded/byok-export/other/app", ""},
      {"backup", kGet, "guarded/backup/app", ""},
      {"min_decryption_version", kPost, "guarded/keys/app/config",
       R"({"min_decryption_version":1})"},
      {"min_decryption_version", kPost, "guarded/keys/app/config",
       R"({"min_decryption_version":"0"})"},
      {"unprotect", kPost, "sys/mounts/guarded/tune", R"({"options":{"protected":"false"}})"},
      {"unprotect", kPost, "sys/mounts/guarded/tune", R"({"options":{"protected":false}})"},
      {"unprotect", kPost, "sys/mounts/guarded/tune", R"({"options":{"protected":null}})"},
      {"unprotect", kPost, "sys/mounts/guarded/tune", R"({"options":{"require_approval":""}})"},
      {"unprotect", kPost, "sys/mounts/guarded/tune", R"({"options":{"require_approval":null}})"},
      {"unprotect", kPost, "sys/mounts/guarded/tune",
       R"({"options":{"require_approval":"delete"}})"},
      {"unprotect", kPost, "sys/mounts/guarded/tune",
       R"({"options":{"require_approval":"nonsense"}})"},
      {"unseal", kPost, "sys/environments/guarded/unseal", ""},
      {"retire_master", kPost, "sys/environments/guarded/retire-master", R"({"version":1})"},
      {"recovery", kDelete, "sys/environments/guarded/recovery", ""},
  };
  const auto before = Send(alice_, kGet, "guarded/keys/app").body;
  for (const GuardedCase& each : cases) {
    const ApiAnswer answer = Send(alice_, each.method, each.path, each.body);
    EXPECT_EQ(answer.status, 202) << each.path << each.body << answer.body;
    EXPECT_EQ(TextAfter(answer.body, R"("action":")"), each.action) << each.path << each.body;
  }
  EXPECT_EQ(WithoutRequestId(Send(alice_, kGet, "guarded/keys/app").body),
            WithoutRequestId(before));
  EXPECT_THAT(Send(alice_, kGet, "sys/mounts/guarded").body, HasSubstr(R"("protected":"true")"));
}

TEST_F(ApprovalsApiTest, WhatLowersNoGuardGoesOnAtOnce) {
  EXPECT_EQ(Send(alice_, kPost, "guarded/keys/app/rotate").status, 200);
  EXPECT_EQ(
      Send(alice_, kPost, "guarded/keys/app/config", R"({"min_decryption_version":2})").status,
      200);
  EXPECT_EQ(Send(alice_, kPost, "guarded/keys/app/config",
                 R"({"min_decryption_version":3,"min_encryption_version":3})")
                .status,
            200);
  EXPECT_EQ(Send(alice_, kPost, "sys/mounts/guarded/tune",
                 R"({"description":"d","options":{"protected":"true","require_approval":"all"}})")
                .status,
            204);
  EXPECT_EQ(Send(alice_, kPost, "guarded/keys/pair", R"({"type":"ed25519"})").status, 200);
  EXPECT_EQ(Send(alice_, kGet, "guarded/export/public-key/pair").status, 200);
  EXPECT_EQ(Send(alice_, kPost, "guarded/datakey/plaintext/app", "{}").status, 200);
  EXPECT_EQ(Send(alice_, kPost, "sys/environments/guarded/seal").status, 204);
}

TEST_F(ApprovalsApiTest, AnEnvironmentDemandsWhatItNames) {
  api_.AddEnvironment("some", {.options = {{"require_approval", "trim"}}});
  EXPECT_EQ(api_.Post("/v1/some/keys/app").status, 200);
  EXPECT_EQ(api_.Post("/v1/some/keys/app/config", R"({"deletion_allowed":true})").status, 200);
  EXPECT_EQ(api_.Post("/v1/some/keys/app/trim", R"({"min_available_version":1})").status, 202);
  EXPECT_EQ(api_.Delete("/v1/some/keys/app").status, 204);
  // Widening is free, narrowing is not, although "unprotect" is not among what is demanded.
  EXPECT_EQ(api_.Post("/v1/sys/mounts/some/tune", R"({"options":{"require_approval":""}})").status,
            202);
  EXPECT_EQ(
      api_.Post("/v1/sys/mounts/some/tune", R"({"options":{"require_approval":"trim,delete"}})")
          .status,
      204);
  EXPECT_THAT(api_.Get("/v1/sys/mounts/some").body,
              HasSubstr(R"("require_approval":"delete,trim")"));
  EXPECT_EQ(
      api_.Post("/v1/sys/mounts/x", R"({"type":"transit","options":{"require_approval":"no"}})")
          .status,
      400);
}

TEST_F(ApprovalsApiTest, U25_AKeyIsNotReplacedAroundTheApproval) {
  const ApiAnswer answer =
      Send(alice_, kPost, "guarded/restore/app", R"({"backup":"AAAA","force":true})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("delete it first"));
}

TEST_F(ApprovalsApiTest, NamespacesAreNoWayAround) {
  const std::string admin = api_.TokenWith("carol", R"(path "*" {
    capabilities = ["create", "read", "update", "delete", "list", "sudo"] })");
  for (const auto& [method, target, body] :
       {std::tuple{kPost, "/v1/sys/mounts/transit/tune", R"({"options":{"protected":"false"}})"},
        std::tuple{kDelete, "/v1/sys/mounts/transit", ""},
        std::tuple{kDelete, "/v1/transit/keys/app", ""},
        std::tuple{kPost, "/v1/sys/environments/transit/unseal", ""}}) {
    ApiRequest request{method, target, body, {}};
    request.headers.emplace_back("X-Vault-Namespace", "guarded");
    const ApiAnswer answer = api_.CallAs(admin, request);
    EXPECT_EQ(answer.status, 202) << target << answer.body;
    EXPECT_THAT(answer.body, HasSubstr(R"("environment":"guarded")")) << target;
    const ApiAnswer shown = api_.CallAs(admin, {kGet, "/v1/sys/approvals/" + IdIn(answer), "", {}});
    EXPECT_THAT(shown.body, HasSubstr("guarded")) << target;
    EXPECT_THAT(shown.body, Not(HasSubstr("transit"))) << target;
  }
}

TEST_F(ApprovalsApiTest, U4_TheRightToSealOneEnvironmentSealsNoOtherThroughItsNamespace) {
  const std::string token = api_.TokenWith(
      "sealer", R"(path "sys/environments/transit/*" { capabilities = ["update", "sudo"] })");
  for (const char* verb : {"seal", "unseal"}) {
    ApiRequest request{kPost, std::string("/v1/sys/environments/transit/") + verb, "", {}};
    request.headers.emplace_back("X-Vault-Namespace", "guarded");
    EXPECT_EQ(api_.CallAs(token, request).status, 403) << verb;
    EXPECT_EQ(Send(token, kPost, std::string("sys/environments/transit/") + verb).status, 204)
        << verb;
  }
  EXPECT_EQ(Send(alice_, kGet, "guarded/keys/app").status, 200);
}

// ---- who ----------------------------------------------------------------------------------------

TEST_F(ApprovalsApiTest, U25_TheRequesterCannotApproveNorCanTheirChild) {
  const std::string id = AskForDeletion();
  EXPECT_EQ(Approve(alice_, id).status, 403);
  TokenGrant grant;
  grant.policies = {"alice"};
  grant.parent = api_.tokens().Authenticate(alice_, {.address = "127.0.0.1"}).value();
  const IssuedToken child = api_.tokens().Issue(grant).value();
  EXPECT_EQ(Approve(AsText(child.token.View()), id).status, 403);
  EXPECT_TRUE(KeyExists());
  EXPECT_EQ(StateOf(id), "pending");
}

TEST_F(ApprovalsApiTest, U25_WhoMayNotDoItMayNotApproveIt) {
  const std::string id = AskForDeletion();
  const std::string approvals = R"(path "sys/approvals/*" { capabilities = ["read","update"] })";
  const std::vector<std::string> policies = {
      approvals,
      approvals + R"( path "dev/*" { capabilities = ["read","update","delete"] })",
      approvals + R"( path "guarded/*" { capabilities = ["read","update"] })",
      approvals + R"( path "guarded/*" { capabilities = ["delete"] }
                      path "guarded/keys/app" { capabilities = ["deny"] })",
  };
  for (std::size_t i = 0; i < policies.size(); ++i) {
    const std::string token = api_.TokenWith("p" + std::to_string(i), policies[i]);
    EXPECT_EQ(Approve(token, id).status, 404) << i;
    EXPECT_EQ(Send(token, kGet, "sys/approvals/" + id).status, 404) << i;
  }
  EXPECT_TRUE(KeyExists());
}

TEST_F(ApprovalsApiTest, U25_ParameterRulesOfTheApproverCount) {
  const std::string id =
      Ask(alice_, kPost, "guarded/keys/app/trim", R"({"min_available_version":"2"})");
  const std::string approver = R"(path "sys/approvals/*" { capabilities = ["read","update"] }
    path "guarded/keys/app/trim" { capabilities = ["update"] )";
  const std::string denied =
      api_.TokenWith("d", approver + R"(denied_parameters = { "min_available_version" = [2] } })");
  const std::string allowed =
      api_.TokenWith("a", approver + R"(allowed_parameters = { "min_available_version" = [2] } })");
  EXPECT_EQ(Approve(denied, id).status, 404);
  EXPECT_EQ(Approve(allowed, id).status, 200);
}

TEST_F(ApprovalsApiTest, U25_AnApproverWhoLostTheRightApprovesNothing) {
  const std::string id = AskForDeletion();
  ASSERT_TRUE(api_.identity().policies().Put(
      *IdentityName::Parse("bob"), R"(path "sys/approvals/*" { capabilities = ["update"] })"));
  EXPECT_EQ(Approve(bob_, id).status, 404);
  EXPECT_TRUE(KeyExists());
}

TEST_F(ApprovalsApiTest, U25_ARequesterWhoLostTheRightGetsNothingDone) {
  const std::string id = AskForDeletion();
  ASSERT_TRUE(api_.identity().policies().Put(
      *IdentityName::Parse("alice"), R"(path "sys/approvals/*" { capabilities = ["read"] })"));
  const ApiAnswer answer = Approve(bob_, id);
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("state":"failed","status":403)"));
  EXPECT_EQ(Send(bob_, kGet, "guarded/keys/app").status, 200);
}

TEST_F(ApprovalsApiTest, U25_ARequesterWhoseTokenIsGoneGetsNothingDone) {
  const std::string id = AskForDeletion();
  const PrincipalHandle alice =
      api_.tokens().Authenticate(alice_, {.address = "127.0.0.1"}).value();
  ASSERT_TRUE(api_.tokens().Revoke(*alice));
  EXPECT_EQ(Approve(bob_, id).status, 400);
  EXPECT_EQ(Send(bob_, kGet, "guarded/keys/app").status, 200);
}

TEST_F(ApprovalsApiTest, U4_AnIdIsWorthNothingElsewhere) {
  const std::string id = AskForDeletion();
  ApiRequest request{kPost, "/v1/sys/approvals/" + id + "/approve", "", {}};
  request.headers.emplace_back("X-Vault-Namespace", "dev");
  const std::string admin = api_.TokenWith("carol", R"(path "*" {
    capabilities = ["create", "read", "update", "delete", "list"] })");
  EXPECT_EQ(api_.CallAs(admin, request).status, 404);
  for (const char* wrong : {"x", "00000000-0000-4000-8000-000000000000", "..%2F"}) {
    EXPECT_GE(Approve(bob_, wrong).status, 400) << wrong;
  }
  EXPECT_TRUE(KeyExists());
}

TEST_F(ApprovalsApiTest, U4_AKeyMadeAnewIsNotTheOneThatWasMeant) {
  const std::string first = AskForDeletion();
  const std::string second =
      Ask(alice_, kPost, "guarded/keys/app/trim", R"({"min_available_version":2})");
  ASSERT_EQ(Approve(bob_, first).status, 200);
  ASSERT_EQ(Send(alice_, kPost, "guarded/keys/app").status, 200);
  EXPECT_EQ(Approve(bob_, second).status, 400);
  EXPECT_EQ(Approve(bob_, first).status, 400);
  EXPECT_TRUE(KeyExists());
}

// ---- once ---------------------------------------------------------------------------------------

TEST_F(ApprovalsApiTest, U25_OfManyApprovalsOneExecutes) {
  const std::string id = Ask(alice_, kGet, "guarded/backup/app");
  std::vector<std::string> tokens;
  for (int i = 0; i < 8; ++i) {
    tokens.push_back(api_.TokenWith("admin" + std::to_string(i), kAdministrator));
  }
  std::atomic<int> executed{0};
  std::vector<std::thread> threads;
  for (const std::string& token : tokens) {
    threads.emplace_back([&, token] { executed += Approve(token, id).status == 200 ? 1 : 0; });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(executed, 1);
}

TEST_F(ApprovalsApiTest, U25_AReplayExecutesNothing) {
  const std::string id = AskForDeletion();
  ASSERT_EQ(Approve(bob_, id).status, 200);
  ASSERT_EQ(Send(alice_, kPost, "guarded/keys/app").status, 200);
  EXPECT_EQ(Approve(bob_, id).status, 400);
  EXPECT_TRUE(KeyExists());
}

TEST_F(ApprovalsApiTest, ItExpiresUnused) {
  const std::string id = AskForDeletion();
  api_.clock.Advance(std::chrono::hours(24));
  EXPECT_EQ(Approve(bob_, id).status, 400);
  EXPECT_EQ(StateOf(id), "expired");
}

TEST_F(ApprovalsApiTest, ACancelledRequestIsOver) {
  const std::string id = AskForDeletion();
  EXPECT_EQ(Send(bob_, kDelete, "sys/approvals/" + id).status, 403);
  EXPECT_EQ(Send(alice_, kDelete, "sys/approvals/" + id).status, 204);
  EXPECT_EQ(Approve(bob_, id).status, 400);
  EXPECT_EQ(StateOf(id), "cancelled");
  const std::string other = AskForDeletion();
  EXPECT_EQ(api_.Delete("/v1/sys/approvals/" + other).status, 204);  // with sudo
}

TEST_F(ApprovalsApiTest, FailingAuditLogsExecuteNothing) {
  const std::string id = AskForDeletion();
  api_.audit.RefuseAppends();
  EXPECT_GE(Approve(bob_, id).status, 500);
  EXPECT_GE(Send(alice_, kDelete, "guarded/keys/app").status, 500);
  api_.audit.RefuseAppends(false);
  EXPECT_TRUE(KeyExists());
  EXPECT_EQ(StateOf(id), "pending");
}

TEST_F(ApprovalsApiTest, AFailingExecutionIsShownAndOver) {
  const std::string id =
      Ask(alice_, kPost, "guarded/keys/app/trim", R"({"min_available_version":99})");
  const ApiAnswer answer = Approve(bob_, id);
  EXPECT_THAT(answer.body, HasSubstr(R"("state":"failed","status":400)"));
  EXPECT_EQ(Approve(bob_, id).status, 400);
  EXPECT_EQ(StateOf(id), "failed");
}

// ---- results ------------------------------------------------------------------------------------

TEST_F(ApprovalsApiTest, TheResultIsForTheRequesterOnce) {
  const std::string id = Ask(alice_, kGet, "guarded/export/encryption-key/app");
  const std::string result = "sys/approvals/" + id + "/result";
  EXPECT_EQ(Send(alice_, kGet, result).status, 404);
  const ApiAnswer approved = Approve(bob_, id);
  EXPECT_EQ(approved.status, 200);
  EXPECT_THAT(approved.body, Not(HasSubstr("keys")));
  EXPECT_EQ(Send(bob_, kGet, result).status, 403);
  EXPECT_EQ(api_.Get("/v1/" + result).status, 403);  // root is somebody else too

  const ApiAnswer read = Send(alice_, kGet, result);

  EXPECT_EQ(read.status, 200);
  EXPECT_TRUE(read.holds_secret);
  EXPECT_THAT(read.body, HasSubstr(R"("name":"app")"));
  EXPECT_THAT(read.body, HasSubstr(R"("keys":{"2":")"));
  EXPECT_EQ(Send(alice_, kGet, result).status, 404);
}

TEST_F(ApprovalsApiTest, AResultThatWasToBeWrappedIsWrapped) {
  ApiRequest request{kGet, "/v1/guarded/backup/app", "", {}};
  request.headers.emplace_back("X-Vault-Wrap-TTL", "60s");
  const ApiAnswer asked = api_.CallAs(alice_, request);
  ASSERT_EQ(asked.status, 202);
  EXPECT_THAT(asked.body, HasSubstr(R"("wrap_info":null)"));
  ASSERT_EQ(Approve(bob_, IdIn(asked)).status, 200);
  const ApiAnswer read = Send(alice_, kGet, "sys/approvals/" + IdIn(asked) + "/result");
  const std::string token = TextAfter(read.body, R"("wrap_info":{"accessor":)");
  EXPECT_THAT(read.body, HasSubstr(R"("data":null)"));
  EXPECT_THAT(read.body, HasSubstr(R"("token":")"));
  const ApiAnswer opened = Send(TextAfter(read.body, R"("token":")"), kPost, "sys/wrapping/unwrap");
  EXPECT_THAT(opened.body, HasSubstr(R"("backup":")"));
}

TEST_F(ApprovalsApiTest, ASealedEnvironmentOpensAfterTwoAgree) {
  ASSERT_EQ(Send(alice_, kPost, "sys/environments/guarded/seal").status, 204);
  EXPECT_EQ(Send(alice_, kGet, "guarded/keys/app").status, 503);
  const std::string id = Ask(alice_, kPost, "sys/environments/guarded/unseal");
  EXPECT_EQ(Send(alice_, kGet, "guarded/keys/app").status, 503);
  ASSERT_EQ(Approve(bob_, id).status, 200);
  EXPECT_EQ(Send(alice_, kGet, "guarded/keys/app").status, 200);
}

// ---- looking ------------------------------------------------------------------------------------

TEST_F(ApprovalsApiTest, TheListHasWhatConcernsTheCaller) {
  EXPECT_EQ(Send(alice_, kList, "sys/approvals").status, 404);
  const std::string id = AskForDeletion();
  for (const std::string& token : {alice_, bob_}) {
    const ApiAnswer list = Send(token, kList, "sys/approvals");
    EXPECT_EQ(list.status, 200);
    EXPECT_THAT(list.body, HasSubstr(R"("keys":[")" + id + R"("])"));
    EXPECT_THAT(list.body, HasSubstr(R"("path":"guarded/keys/app")"));
  }
  const std::string stranger =
      api_.TokenWith("dave", R"(path "sys/approvals" { capabilities = ["list"] })");
  EXPECT_EQ(Send(stranger, kList, "sys/approvals").status, 404);
}

TEST_F(ApprovalsApiTest, TheDefaultPolicyIsEnoughToTakePart) {
  ASSERT_TRUE(
      api_.identity().policies().Put(*IdentityName::Parse("deleter"),
                                     R"(path "guarded/*" { capabilities = ["read", "delete"] })"));
  std::vector<std::string> tokens;
  for (int i = 0; i < 2; ++i) {
    TokenGrant grant;
    grant.policies = {"default", "deleter"};
    tokens.emplace_back(AsText(api_.tokens().Issue(grant).value().token.View()));
  }
  const std::string id = Ask(tokens[0], kDelete, "guarded/keys/app");
  EXPECT_EQ(Send(tokens[0], kGet, "sys/approvals/" + id).status, 200);
  EXPECT_EQ(Approve(tokens[0], id).status, 403);
  EXPECT_EQ(Send(tokens[1], kList, "sys/approvals").status, 200);
  EXPECT_EQ(Send(tokens[1], kDelete, "sys/approvals/" + id).status, 403);
  EXPECT_EQ(Approve(tokens[1], id).status, 200);
  EXPECT_FALSE(KeyExists());
}

TEST_F(ApprovalsApiTest, TheApproverSeesAllOfWhatIsAsked) {
  const std::string id =
      Ask(alice_, kPost, "guarded/keys/app/trim", R"({"min_available_version":2})");
  const ApiAnswer shown = Send(bob_, kGet, "sys/approvals/" + id);
  EXPECT_THAT(shown.body, HasSubstr(R"("method":"POST","path":"guarded/keys/app/trim")"));
  EXPECT_THAT(shown.body, HasSubstr(R"("body":"{\"min_available_version\":2}")"));
  EXPECT_THAT(shown.body, HasSubstr(R"("requester":{"display_name":"token","accessor":")"));
  EXPECT_THAT(shown.body, HasSubstr(R"("outcome":"none")"));
}

TEST_F(ApprovalsApiTest, TheAuditLogHasBothNames) {
  const std::string id = AskForDeletion();
  ASSERT_EQ(Approve(bob_, id).status, 200);
  const auto accessor = [&](const std::string& token) {
    return api_.tokens().Authenticate(token, {.address = "127.0.0.1"}).value()->accessor;
  };
  std::size_t both = 0;
  for (const std::string& record : api_.audit.records()) {
    const bool of_the_deletion = record.find(R"("path":"guarded/keys/app")") != std::string::npos;
    const bool named = record.find(id) != std::string::npos &&
                       record.find(accessor(alice_)) != std::string::npos &&
                       record.find(R"("approved_by":")" + accessor(bob_)) != std::string::npos;
    both += of_the_deletion && named ? 1U : 0U;
  }
  EXPECT_EQ(both, 2U);  // the attempt and the outcome
}

}  // namespace
}  // namespace kms::testing
