// SPDX-License-Identifier: Apache-2.0
// sys/policies, sys/policy, sys/capabilities (transit-api 9.6, 9.7, 11) through the whole pipeline.
#include <gmock/gmock.h>

#include <string>

#include "api/pipeline/envelope.h"
#include "kms/base/base64.h"
#include "kms/identity/built_in_policies.h"
#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using api::HttpMethod;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kReads = R"(path \"dev/keys/app\" { capabilities = [\"read\"] })";

std::string PolicyBody(std::string_view escaped) {
  return R"({"policy":")" + std::string(escaped) + R"("})";
}

class Policies : public ::testing::Test {
 protected:
  ApiAnswer Put(std::string_view name, std::string_view escaped) {
    return api_.Call(ApiService::WithToken(
        {HttpMethod::kPut, "/v1/sys/policies/acl/" + std::string(name), PolicyBody(escaped), {}}));
  }
  static std::string System(std::string_view data) { return Envelope(data, "null", "system"); }

  ApiService api_;
};

TEST_F(Policies, AreListedWithTheBuiltInOnes) {
  ASSERT_EQ(Put("app", kReads).status, 204);
  const std::string wanted = System(R"({"keys":["app","default","root"]})");
  for (const ApiAnswer& answer :
       {api_.List("/v1/sys/policies/acl"), api_.List("/v1/sys/policies/acl/"),
        api_.Get("/v1/sys/policies/acl?list=true"), api_.Get("/v1/sys/policies/acl/?list=true")}) {
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(WithoutRequestId(answer.body), wanted);
  }
}

TEST_F(Policies, AreReadAsTheyWereWritten) {
  const ApiAnswer put = Put("app", kReads);
  EXPECT_EQ(put.status, 204);
  EXPECT_EQ(put.body, "");
  EXPECT_EQ(WithoutRequestId(api_.Get("/v1/sys/policies/acl/app").body),
            System(R"({"name":"app","policy":")" + std::string(kReads) + R"("})"));
  EXPECT_EQ(WithoutRequestId(api_.Get("/v1/sys/policies/acl/root").body),
            System(R"({"name":"root","policy":""})"));
}

TEST_F(Policies, OfNoNameAreAbsent) {
  EXPECT_EQ(api_.Get("/v1/sys/policies/acl/nope").status, 404);
  EXPECT_EQ(api_.Get("/v1/sys/policies/acl/nope").body, "{\"errors\":[]}\n");
  EXPECT_EQ(api_.Get("/v1/sys/policy/nope").status, 404);
  EXPECT_EQ(api_.Delete("/v1/sys/policies/acl/nope").status, 204);
}

TEST_F(Policies, MayComeInBase64) {
  const std::string text = R"(path "dev/keys/app" { capabilities = ["read"] })";
  ASSERT_EQ(Put("app", Base64Encode(AsBytes(text))).status, 204);
  EXPECT_THAT(api_.Get("/v1/sys/policies/acl/app").body, HasSubstr(kReads));
}

TEST_F(Policies, MayBeJson) {
  EXPECT_EQ(Put("app", R"({\"path\":{\"dev/keys/app\":{\"capabilities\":[\"read\"]}}})").status,
            204);
}

TEST_F(Policies, WithoutTextAreRefused) {
  for (const char* body : {"{}", "", "null", R"({"policy":""})", R"({"policy":null})"}) {
    const ApiAnswer answer = api_.Post("/v1/sys/policies/acl/app", body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_EQ(answer.body, Errors("'policy' parameter not supplied or empty")) << body;
  }
}

TEST_F(Policies, ThatDoNotParseSayWhere) {
  const ApiAnswer answer = Put("app", R"(path \"a\" {\n capabilities = [\"raed\"]\n})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("failed to parse policy: line 2: path \\\"a\\\": invalid "
                                     "capability \\\"raed\\\""));
  EXPECT_EQ(api_.Get("/v1/sys/policies/acl/app").status, 404);
}

TEST_F(Policies, U6_HaveOneNameInLowerCase) {
  const ApiAnswer answer = Put("App", kReads);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(WithoutRequestId(answer.body),
            Envelope("null", R"(["policy name was converted to app"])", "system"));
  EXPECT_EQ(api_.Get("/v1/sys/policies/acl/APP").status, 200);
  EXPECT_THAT(api_.List("/v1/sys/policies/acl").body, HasSubstr(R"(["app","default","root"])"));
  EXPECT_EQ(api_.Delete("/v1/sys/policies/acl/aPP").status, 204);
  EXPECT_EQ(api_.Get("/v1/sys/policies/acl/app").status, 404);
}

TEST_F(Policies, U6_NamesOutsideTheAlphabetAreRefused) {
  for (const char* name : {" app", "app ", "-app", "app.", "a pp", "a,b", "r\xC3\xB6ot", "a*",
                           "a+b", "root\t", "\xEF\xBC\xB2oot"}) {
    const ApiAnswer answer = Put(name, kReads);
    EXPECT_EQ(answer.status, 400) << name;
    EXPECT_THAT(answer.body, HasSubstr("invalid name")) << name;
  }
  EXPECT_THAT(api_.List("/v1/sys/policies/acl").body, HasSubstr(R"(["default","root"])"));
}

TEST_F(Policies, U6_ProtectedOnesAreProtectedInEveryCase) {
  for (const char* name : {"root", "Root", "ROOT"}) {
    EXPECT_EQ(Put(name, kReads).body, Errors("cannot update \"root\" policy")) << name;
    EXPECT_EQ(api_.Delete("/v1/sys/policies/acl/" + std::string(name)).body,
              Errors("cannot delete \"root\" policy"));
    EXPECT_EQ(api_.Delete("/v1/sys/policy/" + std::string(name)).status, 400);
  }
  EXPECT_EQ(Put("response-wrapping", kReads).status, 400);
  EXPECT_EQ(Put("control-group", kReads).status, 400);
  EXPECT_EQ(api_.Delete("/v1/sys/policies/acl/default").body,
            Errors("cannot delete default policy"));
  EXPECT_EQ(Put("default", kReads).status, 204);
}

TEST_F(Policies, HaveTheirOlderForms) {
  EXPECT_EQ(api_.Call(ApiService::WithToken({HttpMethod::kPut,
                                             "/v1/sys/policy/app",
                                             R"({"rules":")" + std::string(kReads) + R"("})",
                                             {}}))
                .status,
            204);
  EXPECT_THAT(api_.Get("/v1/sys/policy/app").body,
              AllOf(HasSubstr(R"("data":{"name":"app","rules":")" + std::string(kReads) + "\"}"),
                    HasSubstr(R"("rules":)")));
  for (const ApiAnswer& answer : {api_.Get("/v1/sys/policy"), api_.List("/v1/sys/policy")}) {
    EXPECT_THAT(answer.body, AllOf(HasSubstr(R"("data":{"keys":["app","default","root"],)"
                                             R"("policies":["app","default","root"]})"),
                                   HasSubstr(R"(,"policies":["app","default","root"])")));
  }
  EXPECT_EQ(api_.Post("/v1/sys/policy/app", PolicyBody(kReads)).status, 204);
  EXPECT_EQ(api_.Delete("/v1/sys/policy/app").status, 204);
}

// ---- what they do -------------------------------------------------------------------------------

class PolicyRights : public Policies {
 protected:
  int StatusAs(std::string_view token, HttpMethod method, std::string target,
               std::string body = "") {
    return api_.CallAs(token, {method, std::move(target), std::move(body), {}}).status;
  }
};

TEST_F(PolicyRights, ATokenFollowsItsPolicyAtOnce) {
  ASSERT_EQ(api_.Post("/v1/dev/keys/app").status, 200);
  const std::string token =
      api_.TokenWith("app", R"(path "dev/keys/app" { capabilities = ["read"] })");
  EXPECT_EQ(StatusAs(token, HttpMethod::kGet, "/v1/dev/keys/app"), 200);
  ASSERT_EQ(Put("app", R"(path \"dev/keys/app\" { capabilities = [\"deny\"] })").status, 204);
  EXPECT_EQ(StatusAs(token, HttpMethod::kGet, "/v1/dev/keys/app"), 403);
  ASSERT_EQ(Put("app", kReads).status, 204);
  EXPECT_EQ(StatusAs(token, HttpMethod::kGet, "/v1/dev/keys/app"), 200);
  ASSERT_EQ(api_.Delete("/v1/sys/policies/acl/app").status, 204);
  EXPECT_EQ(StatusAs(token, HttpMethod::kGet, "/v1/dev/keys/app"), 403);
}

TEST_F(PolicyRights, A7_AnotherSpellingOfAPathIsTheSamePathOrNone) {
  ASSERT_EQ(api_.Post("/v1/dev/keys/app").status, 200);
  const std::string token =
      api_.TokenWith("app", R"(path "*" { capabilities = ["read", "list", "update"] }
                                                     path "dev/keys/app" { capabilities = ["deny"] }
                                                     path "sys/policies/acl/admin" { capabilities = ["deny"] }
                                                     path "sys/policies/acl" { capabilities = ["deny"] })");
  for (const char* target : {"/v1/dev/keys/app", "/v1/dev/keys/app/", "/v1/dev/transit/keys/app",
                             "/v1/sys/policies/acl/admin", "/v1/sys/policies/acl/Admin",
                             "/v1/sys/policies/acl/ADMIN", "/v1/sys/policies/acl/admin/"}) {
    EXPECT_EQ(StatusAs(token, HttpMethod::kGet, target), 403) << target;
  }
  EXPECT_EQ(StatusAs(token, HttpMethod::kList, "/v1/sys/policies/acl"), 403);
  EXPECT_EQ(StatusAs(token, HttpMethod::kList, "/v1/sys/policies/acl/"), 403);
  EXPECT_EQ(StatusAs(token, HttpMethod::kGet, "/v1/sys/policies/acl?list=true"), 403);
  ApiRequest in_namespace{HttpMethod::kGet, "/v1/transit/keys/app", "", {}};
  in_namespace.headers.emplace_back("X-Vault-Namespace", "dev");
  EXPECT_EQ(api_.CallAs(token, in_namespace).status, 403);
  EXPECT_NE(StatusAs(token, HttpMethod::kGet, "/v1/DEV/keys/app"), 200);
  EXPECT_NE(StatusAs(token, HttpMethod::kGet, "/v1/dev/KEYS/app"), 200);
}

TEST_F(PolicyRights, U21_WhoMayEditPoliciesCannotEditTheirOwn) {
  const std::string editor = api_.TokenWith(
      "editor", R"(path "sys/policies/acl/*" { capabilities = ["create", "update", "delete"] }
                   path "sys/policy/*" { capabilities = ["create", "update", "delete"] })");
  const std::string everything = PolicyBody(R"(path \"*\" { capabilities = [\"sudo\"] })");
  for (const char* target : {"/v1/sys/policies/acl/editor", "/v1/sys/policies/acl/EDITOR",
                             "/v1/sys/policy/editor", "/v1/sys/policy/Editor"}) {
    EXPECT_EQ(StatusAs(editor, HttpMethod::kPut, target, everything), 403) << target;
    EXPECT_EQ(StatusAs(editor, HttpMethod::kDelete, target), 403) << target;
  }
  EXPECT_EQ(StatusAs(editor, HttpMethod::kPut, "/v1/sys/policies/acl/other", everything), 204);
  EXPECT_THAT(api_.Get("/v1/sys/policies/acl/editor").body, Not(HasSubstr("sudo")));

  const std::string admin =
      api_.TokenWith("admin", R"(path "sys/policies/acl/*" { capabilities = ["update", "sudo"] })");
  EXPECT_EQ(StatusAs(admin, HttpMethod::kPut, "/v1/sys/policies/acl/admin", everything), 204);
}

TEST_F(PolicyRights, A16_ADeniedValueIsDeniedInEverySpellingAndPlace) {
  const std::string token = api_.TokenWith("app", R"(
      path "dev/keys/+" { capabilities = ["update"]
                          denied_parameters = { "exportable" = [true] "type" = ["rsa-*"] "auto_rotate_period" = ["30d"] } })");
  for (const char* body :
       {R"({"exportable":true})", R"({"exportable":"true"})", R"({"exportable":1})",
        R"({"exportable":"t"})", R"({"EXPORTABLE":true})", R"({"type":"rsa-2048"})",
        R"({"auto_rotate_period":"720h"})", R"({"auto_rotate_period":2592000})",
        R"({"auto_rotate_period":"2592000"})"}) {
    EXPECT_EQ(StatusAs(token, HttpMethod::kPost, "/v1/dev/keys/app", body), 403) << body;
  }
  EXPECT_EQ(StatusAs(token, HttpMethod::kPost, "/v1/dev/keys/app", R"({"type":["rsa-2048"]})"),
            400);
  // In the query it does nothing, so there is nothing to deny.
  EXPECT_EQ(StatusAs(token, HttpMethod::kPost, "/v1/dev/keys/app?exportable=true", "{}"), 200);
  EXPECT_THAT(api_.Get("/v1/dev/keys/app").body, HasSubstr(R"("exportable":false)"));
}

TEST_F(PolicyRights, A16_AListInOneTextIsStillAList) {
  const std::string token = api_.TokenWith("app", R"(
      path "sys/capabilities-self" { capabilities = ["update"] denied_parameters = { "paths" = ["secret"] } })");
  for (const char* body :
       {R"({"paths":"secret"})", R"({"paths":"a,secret"})", R"({"paths":["secret"]})"}) {
    EXPECT_EQ(StatusAs(token, HttpMethod::kPost, "/v1/sys/capabilities-self", body), 403) << body;
  }
  EXPECT_EQ(StatusAs(token, HttpMethod::kPost, "/v1/sys/capabilities-self", R"({"paths":"a"})"),
            200);
}

TEST_F(PolicyRights, AContextThatCannotBeFilledInIsNeverMet) {
  ASSERT_EQ(api_.Post("/v1/dev/keys/app").status, 200);
  const std::string token = api_.TokenWith("app", R"(
      path "dev/encrypt/app" { capabilities = ["update"] })");
  api_.TokenWith("context", R"(
      path "dev/encrypt/app" { required_context = "tenant={{identity.entity.metadata.tenant}}" })");
  TokenGrant grant;
  grant.policies = {"app", "context"};
  const auto issued = api_.tokens().Issue(grant);
  ASSERT_TRUE(issued.has_value());
  const std::string both(AsText(issued->token.View()));
  const std::string body = R"({"plaintext":"aGk=","associated_data":"dGVuYW50PQ=="})";
  EXPECT_EQ(StatusAs(token, HttpMethod::kPost, "/v1/dev/encrypt/app", body), 200);
  EXPECT_EQ(StatusAs(both, HttpMethod::kPost, "/v1/dev/encrypt/app", body), 403);
}

// ---- capabilities -------------------------------------------------------------------------------

class Capabilities : public PolicyRights {
 protected:
  Capabilities() {
    token_ = api_.TokenWith("app", R"(
        path "dev/keys/app" { capabilities = ["update", "read"] }
        path "dev/keys" { capabilities = ["list"] }
        path "dev/keys/no" { capabilities = ["deny"] }
        path "sys/policies/acl/x" { capabilities = ["read"] }
        path "sys/capabilities-self" { capabilities = ["update"] })");
  }
  std::string Self(std::string body) {
    const ApiAnswer answer =
        api_.CallAs(token_, {HttpMethod::kPost, "/v1/sys/capabilities-self", std::move(body), {}});
    EXPECT_EQ(answer.status, 200);
    return answer.body;
  }
  std::string token_;
};

TEST_F(Capabilities, OfOnePathAreSaidTwiceAndAtTheTop) {
  const std::string both = R"("dev/keys/app":["read","update"],"capabilities":["read","update"])";
  for (const char* body :
       {R"({"paths":["dev/keys/app"]})", R"({"path":"dev/keys/app"})",
        R"({"paths":"dev/keys/app"})", R"({"paths":["dev/keys/app","dev/keys/app"]})"}) {
    EXPECT_THAT(Self(body), AllOf(HasSubstr("\"data\":{" + both + "}"), HasSubstr("," + both)));
  }
}

TEST_F(Capabilities, OfSeveralPaths) {
  EXPECT_THAT(
      Self(R"({"paths":["dev/keys/no","dev/keys/other","/dev/keys/","dev/transit/keys/app"]})"),
      HasSubstr(R"("data":{"dev/keys/no":["deny"],"dev/keys/other":["deny"],)"
                R"("/dev/keys/":["list"],"dev/transit/keys/app":["read","update"]})"));
}

TEST_F(Capabilities, U6_AreOfTheCanonicalPath) {
  EXPECT_THAT(Self(R"({"path":"sys/policies/acl/X"})"), HasSubstr(R"("capabilities":["read"])"));
  ApiRequest request{
      HttpMethod::kPost, "/v1/sys/capabilities-self", R"({"path":"transit/keys/app"})", {}};
  request.headers.emplace_back("X-Vault-Namespace", "dev");
  EXPECT_THAT(api_.CallAs(token_, request).body, HasSubstr(R"("capabilities":["read","update"])"));
}

TEST_F(Capabilities, OfRootAreRoot) {
  EXPECT_THAT(api_.Post("/v1/sys/capabilities-self", R"({"paths":["a","b"]})").body,
              HasSubstr(R"("data":{"a":["root"],"b":["root"]})"));
}

TEST_F(Capabilities, WithoutPathsAreRefused) {
  for (const char* body : {"{}", R"({"paths":[]})", R"({"paths":""})", R"({"path":null})"}) {
    const ApiAnswer answer = api_.Post("/v1/sys/capabilities-self", body);
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(answer.body, Errors("paths must be supplied")) << body;
  }
  EXPECT_EQ(api_.Post("/v1/sys/capabilities-self", R"({"paths":[1]})").status, 400);
}

TEST_F(Capabilities, OfAnotherTokenByItselfOrItsAccessor) {
  const std::string accessor = (*api_.tokens().Lookup(token_))->accessor;
  const std::string wanted = R"("capabilities":["read","update"])";
  EXPECT_THAT(
      api_.Post("/v1/sys/capabilities", R"({"path":"dev/keys/app","token":")" + token_ + "\"}")
          .body,
      HasSubstr(wanted));
  EXPECT_THAT(api_.Post("/v1/sys/capabilities-accessor",
                        R"({"path":"dev/keys/app","accessor":")" + accessor + "\"}")
                  .body,
              HasSubstr(wanted));
  EXPECT_EQ(StatusAs(token_, HttpMethod::kPost, "/v1/sys/capabilities",
                     R"({"path":"a","token":")" + token_ + "\"}"),
            403);
}

TEST_F(Capabilities, OfNobodyAreRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"capabilities", "missing token"}, {"capabilities-accessor", "missing accessor"}};
  for (const auto& [path, text] : cases) {
    EXPECT_EQ(api_.Post("/v1/sys/" + std::string(path), R"({"path":"a"})").body, Errors(text));
  }
  const std::string unknown = "hvs.CAESIJ0000000000000000000000000000000000000000";
  const ApiAnswer answer =
      api_.Post("/v1/sys/capabilities", R"({"path":"a","token":")" + unknown + "\"}");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body, Errors("invalid token"));
  EXPECT_EQ(api_.Post("/v1/sys/capabilities-accessor", R"({"path":"a","accessor":"x"})").body,
            Errors("invalid accessor"));
}

// ---- explanations -------------------------------------------------------------------------------

class Explain : public PolicyRights {
 protected:
  std::string Ask(std::string_view token, std::string_view method, std::string_view path) {
    std::string body =
        R"({"token":")" + std::string(token) + R"(","method":")" + std::string(method);
    body += R"(","path":")" + std::string(path) + "\"}";
    const ApiAnswer answer = api_.Post("/v1/sys/policies/explain", body);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.body;
  }
};

TEST_F(Explain, NamesTheRuleThatDecidedAndThoseThatLost) {
  const std::string token = api_.TokenWith("app", R"(
      path "dev/*" { capabilities = ["read"] }
      path "dev/keys/+" { capabilities = ["read"] }
      path "dev/keys/app" { capabilities = ["deny"] })");
  const std::string body = Ask(token, "GET", "/dev/keys/app");
  EXPECT_THAT(
      body,
      AllOf(HasSubstr(R"("allowed":false,"capability":"read","needs_sudo":false,)"
                      R"("path":"dev/keys/app")"),
            HasSubstr(
                R"("rule":{"pattern":"dev/keys/app","capabilities":["deny"],"policies":["app"]})"),
            HasSubstr(R"("also_matched":[{"pattern":"dev/keys/+")"),
            HasSubstr(R"("why_not":"a rule without wildcard comes first"},{"pattern":"dev/*")"),
            HasSubstr(R"(path \"dev/keys/app\" (policy app) denies everything)")));
}

TEST_F(Explain, SaysWhenNothingMatchesOrTheCapabilityIsMissing) {
  const std::string token =
      api_.TokenWith("app", R"(path "dev/keys/app" { capabilities = ["read"] })");
  EXPECT_THAT(Ask(token, "GET", "dev/keys/other"),
              AllOf(HasSubstr(R"("allowed":false)"), HasSubstr(R"("rule":null)"),
                    HasSubstr("no rule matches this path, in policies app")));
  EXPECT_THAT(
      Ask(token, "POST", "dev/keys/app"),
      AllOf(HasSubstr(R"("capability":"update")"), HasSubstr("decides and does not grant update")));
  EXPECT_THAT(Ask(token, "GET", "nowhere/at/all"), HasSubstr("no rule matches"));
}

TEST_F(Explain, SaysWhatIsDemandedBesides) {
  const std::string token = api_.TokenWith("app", R"(
      path "dev/encrypt/app" { capabilities = ["update", "create"] required_context = "t=1*"
                               denied_parameters = { "type" = ["x"] } max_wrapping_ttl = 60 })");
  EXPECT_THAT(
      Ask(token, "PUT", "dev/encrypt/app"),
      AllOf(HasSubstr(R"("allowed":true)"), HasSubstr(R"("denied_parameters":{"type":["x"]})"),
            HasSubstr(R"("required_context":["t=1*"],"max_wrapping_ttl":60)"),
            HasSubstr("if the request also meets its parameter rules and its required context "
                      "and its bounds for response wrapping")));
}

TEST_F(Explain, KnowsListsAndSudo) {
  const std::string token = api_.TokenWith("app", R"(
      path "dev/keys" { capabilities = ["list"] }
      path "sys/environments/*" { capabilities = ["update"] })");
  EXPECT_THAT(Ask(token, "LIST", "dev/keys"),
              AllOf(HasSubstr(R"("allowed":true,"capability":"list")"),
                    HasSubstr(R"("path":"dev/keys/")")));
  EXPECT_THAT(Ask(token, "POST", "sys/environments/dev/seal"),
              AllOf(HasSubstr(R"("allowed":false)"), HasSubstr(R"("needs_sudo":true)"),
                    HasSubstr("needs sudo besides")));
}

TEST_F(Explain, AgreesWithWhatThePipelineDoes) {
  ASSERT_EQ(api_.Post("/v1/dev/keys/app").status, 200);
  const std::string token = api_.TokenWith("app", R"(
      path "dev/keys/*" { capabilities = ["read", "list"] }
      path "dev/keys/secret" { capabilities = ["deny"] }
      path "dev/random" { capabilities = ["update"] })");
  const std::pair<std::string, HttpMethod> methods[] = {{"GET", HttpMethod::kGet},
                                                        {"LIST", HttpMethod::kList},
                                                        {"POST", HttpMethod::kPost},
                                                        {"DELETE", HttpMethod::kDelete}};
  for (const char* path : {"dev/keys/app", "dev/keys/secret", "dev/keys", "dev/random",
                           "sys/mounts", "dev/nonsense", "prod/keys/app"}) {
    for (const auto& [name, method] : methods) {
      const bool refused = StatusAs(token, method, "/v1/" + std::string(path)) == 403;
      EXPECT_THAT(Ask(token, name, path),
                  HasSubstr(refused ? R"("allowed":false)" : R"("allowed":true)"))
          << name << " " << path;
    }
  }
}

TEST_F(Explain, OfRootAndOfPathsThatTakeNoToken) {
  EXPECT_THAT(
      api_.Post("/v1/sys/policies/explain", R"({"method":"GET","path":"dev/keys/app"})").body,
      AllOf(HasSubstr(R"("allowed":true)"), HasSubstr("the policy root may do everything")));
  EXPECT_THAT(api_.Post("/v1/sys/policies/explain", R"({"method":"GET","path":"sys/health"})").body,
              HasSubstr("takes no token"));
}

TEST_F(Explain, RefusesWhatItCannotAnswer) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"method":"GET"})", "missing path"},
      {R"({"path":"a"})", "missing method"},
      {R"({"path":"a","method":"FETCH"})", "method must be GET, HEAD, LIST, POST, PUT or DELETE"},
      {R"({"path":"a","method":"GET","token":"hvs.nobody"})", "invalid token"},
      {R"({"path":"a","method":"GET","accessor":"nobody"})", "invalid accessor"}};
  for (const auto& [body, text] : cases) {
    const ApiAnswer answer = api_.Post("/v1/sys/policies/explain", body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_EQ(answer.body, Errors(text)) << body;
  }
}

}  // namespace
}  // namespace kms::testing
