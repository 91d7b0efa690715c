// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/acl.h"

#include <string>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using ::testing::ElementsAre;
using testing::HasError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;
using enum Capability;

NamedPolicy Named(std::string name, std::string_view text) {
  const auto policy = ParsePolicy(text);
  EXPECT_TRUE(policy.has_value()) << Describe(policy.error());
  return {.name = std::move(name), .policy = policy.value_or(std::make_shared<Policy>())};
}

AclHandle Compiled(std::vector<NamedPolicy> policies, const TemplateValues& values = {}) {
  return Acl::Compile(policies, values);
}
AclHandle Compiled(std::string_view text, const TemplateValues& values = {}) {
  return Compiled({Named("app", text)}, values);
}

// "pattern: words", one rule a line, words as in capabilities.
AclHandle Rules(std::initializer_list<std::pair<std::string, std::string>> rules) {
  std::string text;
  for (const auto& [pattern, capability] : rules) {
    text += "path \"" + pattern + "\" { capabilities = [\"" + capability + "\"] }\n";
  }
  return Compiled(text);
}

// The pattern of the rule that decides; "" when none does.
std::string Deciding(const AclHandle& acl, std::string_view path, Capability capability = kRead) {
  const AclDecision decision = acl->Decide(path, capability);
  return decision.rule == nullptr ? "" : decision.rule->pattern;
}

bool Allows(const AclHandle& acl, std::string_view path, Capability capability = kRead) {
  return acl->Decide(path, capability).allowed;
}

// ---- transit-api 11.3, row by row ---------------------------------------------------------------

TEST(Acl, Rule1_AnExactRuleBeatsEveryWildcard) {
  const AclHandle acl =
      Rules({{"a/b/c", "read"}, {"a/b/*", "deny"}, {"a/b/+", "deny"}, {"*", "deny"}});
  EXPECT_EQ(Deciding(acl, "a/b/c"), "a/b/c");
  EXPECT_TRUE(Allows(acl, "a/b/c"));
  EXPECT_FALSE(Allows(acl, "a/b/d"));
}

TEST(Acl, Rule1_ForListsAlsoTheExactRuleWithoutTheSlash) {
  const AclHandle acl = Rules({{"a/keys", "list"}, {"a/*", "deny"}});
  EXPECT_TRUE(Allows(acl, "a/keys/", kList));
  EXPECT_TRUE(Allows(Rules({{"a/keys", "scan"}}), "a/keys/", kScan));
  const AclHandle both = Rules({{"a/keys", "deny"}, {"a/keys/", "list"}});
  EXPECT_EQ(Deciding(both, "a/keys/", kList), "a/keys/");
}

// A list that needs sudo asks twice: both times the same rule must answer.
TEST(Acl, SudoOfAListIsAskedOfTheRuleOfTheList) {
  const AclHandle acl = Compiled(R"(path "a/tokens" { capabilities = ["list", "sudo"] }
                                    path "*" { capabilities = ["list"] })");
  EXPECT_EQ(Deciding(acl, "a/tokens/", kSudo), Deciding(acl, "a/tokens/", kList));
  EXPECT_TRUE(Allows(acl, "a/tokens/", kSudo));
  EXPECT_FALSE(Allows(Rules({{"a/*", "sudo"}, {"a/tokens", "list"}}), "a/tokens/", kSudo));
}

TEST(Acl, U5_AListIsDeniedByTheMoreSpecificRuleWithoutTheSlash) {
  EXPECT_FALSE(Allows(Rules({{"a/*", "list"}, {"a/keys", "deny"}}), "a/keys/", kList));
  EXPECT_FALSE(Allows(Rules({{"a/*", "list"}, {"a/+", "deny"}}), "a/keys/", kList));
  EXPECT_FALSE(Allows(Rules({{"+/*", "list"}, {"a/k*", "deny"}}), "a/keys/", kList));
  // A weaker deny does not outrank what is allowed with the slash.
  EXPECT_TRUE(Allows(Rules({{"a/keys/*", "list"}, {"a/+", "deny"}}), "a/keys/", kList));
}

TEST(Acl, Rule2_TheLongestPrefixCounts) {
  const AclHandle acl = Rules(
      {{"*", "deny"}, {"a*", "deny"}, {"a/b*", "read"}, {"a/bc/d*", "deny"}, {"ax*", "deny"}});
  EXPECT_EQ(Deciding(acl, "a/bc"), "a/b*");
  EXPECT_EQ(Deciding(acl, "a/bc/e"), "a/b*");
  EXPECT_EQ(Deciding(acl, "a/bc/d"), "a/bc/d*");
  EXPECT_EQ(Deciding(acl, "a/"), "a*");
  EXPECT_EQ(Deciding(acl, "b"), "*");
  EXPECT_EQ(Deciding(acl, ""), "*");
}

TEST(Acl, Rule2a_ALaterFirstWildcardWins) {
  EXPECT_EQ(Deciding(Rules({{"a/+/c", "read"}, {"a/b*", "read"}}), "a/b/c"), "a/b*");
  EXPECT_EQ(Deciding(Rules({{"+/b/c", "read"}, {"a/+/c", "read"}}), "a/b/c"), "a/+/c");
  EXPECT_EQ(Deciding(Rules({{"a/+/c", "read"}, {"*", "read"}}), "a/b/c"), "a/+/c");
}

TEST(Acl, Rule2b_ARuleWithoutTrailingStarBeatsOneWith) {
  EXPECT_EQ(Deciding(Rules({{"a/+", "read"}, {"a/*", "read"}}), "a/b"), "a/+");
  EXPECT_EQ(Deciding(Rules({{"a/+/c*", "read"}, {"a/+/+", "read"}}), "a/b/c"), "a/+/+");
}

TEST(Acl, Rule2c_FewerPlusSegmentsWin) {
  EXPECT_EQ(
      Deciding(Rules({{"a/+/+/d", "read"}, {"a/+/c/+", "read"}, {"a/+/c/d", "read"}}), "a/b/c/d"),
      "a/+/c/d");
  EXPECT_EQ(Deciding(Rules({{"a/+/+/d*", "read"}, {"a/+/c*", "read"}}), "a/b/c/d"), "a/+/c*");
}

TEST(Acl, Rule2d_ALongerPatternWins) {
  EXPECT_EQ(Deciding(Rules({{"a/+/c*", "read"}, {"a/+/c/d*", "read"}}), "a/b/c/de"), "a/+/c/d*");
}

TEST(Acl, Rule2e_TheLexicographicallyLargerWins) {
  EXPECT_EQ(Deciding(Rules({{"a/+/+/d", "read"}, {"a/+/c/+", "read"}}), "a/b/c/d"), "a/+/c/+");
}

TEST(Acl, Rule3_AListIsTriedWithoutTheSlashWhenNothingMatchedWithIt) {
  const AclHandle acl = Rules({{"a/+", "list"}});
  EXPECT_EQ(Deciding(acl, "a/keys/", kList), "a/+");
  EXPECT_EQ(Deciding(acl, "a/keys/", kRead), "") << "only lists have two spellings";
  EXPECT_TRUE(Allows(Rules({{"a/key*", "list"}}), "a/keys/", kList));
}

TEST(Acl, Rule4_NoRuleNoAccess) {
  const AclHandle acl = Rules({{"a/b", "read"}});
  EXPECT_FALSE(Allows(acl, "a"));
  EXPECT_FALSE(Allows(acl, "a/b/"));
  EXPECT_FALSE(Allows(acl, "a/b/c"));
  EXPECT_FALSE(Allows(acl, "A/b"));
  EXPECT_FALSE(Allows(acl, "/a/b"));
  EXPECT_FALSE(Allows(acl, ""));
  EXPECT_FALSE(Allows(Compiled(std::vector<NamedPolicy>{}), "a/b"));
}

TEST(Acl, Rule4_OneRuleDecidesAndNothingIsMergedAcrossPatterns) {
  const AclHandle acl = Rules({{"a/*", "update"}, {"a/b*", "read"}});
  EXPECT_TRUE(Allows(acl, "a/b", kRead));
  EXPECT_FALSE(Allows(acl, "a/b", kUpdate));
  EXPECT_TRUE(Allows(acl, "a/c", kUpdate));
}

TEST(Acl, APlusIsOneWholeSegment) {
  const AclHandle acl = Rules({{"a/+/c", "read"}});
  EXPECT_TRUE(Allows(acl, "a/b/c"));
  EXPECT_TRUE(Allows(acl, "a/+/c"));
  EXPECT_FALSE(Allows(acl, "a/b/b/c"));
  EXPECT_FALSE(Allows(acl, "a//c"));
  EXPECT_FALSE(Allows(acl, "a/c"));
  EXPECT_FALSE(Allows(acl, "a/b/c/d"));
  EXPECT_FALSE(Allows(acl, "a/b/cd"));
  EXPECT_FALSE(Allows(Rules({{"a/b+", "read"}}), "a/bc")) << "within a segment it is itself";
  EXPECT_TRUE(Allows(Rules({{"a/b+", "read"}}), "a/b+"));
}

TEST(Acl, AStarIsAWildcardAtTheEndOnly) {
  EXPECT_FALSE(Allows(Rules({{"a/*/c", "read"}}), "a/b/c"));
  EXPECT_TRUE(Allows(Rules({{"a/*/c", "read"}}), "a/*/c"));
  EXPECT_TRUE(Allows(Rules({{"a/+/*", "read"}}), "a/b/c/d"));
  EXPECT_TRUE(Allows(Rules({{"a/+/*", "read"}}), "a/b/"));
  EXPECT_FALSE(Allows(Rules({{"a/+/*", "read"}}), "a/b"));
}

// ---- merging of one pattern in several policies -------------------------------------------------

TEST(Acl, UnitesCapabilitiesOfOnePattern) {
  const AclHandle acl = Compiled({Named("b", R"(path "a" { capabilities = ["read"] })"),
                                  Named("a", R"(path "/a" { capabilities = ["update"] })")});
  EXPECT_TRUE(Allows(acl, "a", kRead));
  EXPECT_TRUE(Allows(acl, "a", kUpdate));
  EXPECT_THAT(acl->Decide("a", kRead).rule->policies, ElementsAre("a", "b"));
}

TEST(Acl, U5_DenyWinsOverEveryOtherPolicyOfThatPattern) {
  const NamedPolicy allow = Named(
      "allow", R"(path "a/*" { capabilities = ["read", "sudo"] required_parameters = ["x"] })");
  const NamedPolicy deny = Named("deny", R"(path "a/*" { capabilities = ["deny"] })");
  for (const AclHandle& acl :
       {Compiled({allow, deny}), Compiled({deny, allow}), Compiled({allow, deny, allow})}) {
    EXPECT_FALSE(Allows(acl, "a/b", kRead));
    EXPECT_FALSE(Allows(acl, "a/b", kSudo));
    EXPECT_FALSE(Allows(acl, "a/b", kDeny));
    EXPECT_TRUE(acl->CapabilitiesOn("a/b").Has(kDeny));
    EXPECT_FALSE(acl->CapabilitiesOn("a/b").Has(kRead));
    EXPECT_TRUE(acl->Decide("a/b", kRead).rule->unconditional());
  }
}

TEST(Acl, UnitesParameterRulesAndBounds) {
  const AclHandle acl = Compiled({Named("one", R"(path "a" {
      capabilities = ["update"]
      allowed_parameters = { "type" = ["x"] "any" = ["q"] }
      denied_parameters = { "name" = ["n"] }
      required_parameters = ["type"]
      min_wrapping_ttl = 60
      max_wrapping_ttl = 600 })"),
                                  Named("two", R"(path "a" {
      allowed_parameters = { "type" = ["y", "x"] "any" = [] "more" = ["z"] }
      denied_parameters = { "name" = [] }
      required_parameters = ["bits", "type"]
      min_wrapping_ttl = 30
      max_wrapping_ttl = 900 })")});
  const AclRule& rule = *acl->Decide("a", kUpdate).rule;
  EXPECT_EQ(rule.parameters.allowed.at("type"), ParameterValues({"x", "y"}));
  EXPECT_THAT(rule.parameters.allowed.at("any"), IsEmpty());
  EXPECT_EQ(rule.parameters.allowed.at("more"), ParameterValues({"z"}));
  EXPECT_THAT(rule.parameters.denied.at("name"), IsEmpty());
  EXPECT_THAT(rule.parameters.required, ElementsAre("bits", "type"));
  EXPECT_EQ(rule.min_wrapping_ttl_seconds, 30);
  EXPECT_EQ(rule.max_wrapping_ttl_seconds, 600);
  EXPECT_FALSE(rule.unconditional());
}

TEST(Acl, AnUnconditionalPolicyDoesNotLiftTheDemandsOfAnother) {
  const AclHandle acl =
      Compiled({Named("one", R"(path "a" { capabilities = ["update"] required_context = "t=1" })"),
                Named("two", R"(path "a" { capabilities = ["update"] })"),
                Named("three", R"(path "a" { required_context = "t=2" })")});
  EXPECT_THAT(acl->Decide("a", kUpdate).rule->required_context, ElementsAre("t=1", "t=2"));
}

// ---- capabilities -------------------------------------------------------------------------------

TEST(Acl, DecidesEachCapabilityByItself) {
  constexpr Capability kAll[] = {kCreate, kRead, kUpdate, kDelete, kList, kPatch, kScan, kSudo};
  for (const Capability granted : kAll) {
    const AclHandle acl = Rules({{"a", std::string(CapabilityName(granted))}});
    for (const Capability asked : kAll) {
      EXPECT_EQ(Allows(acl, "a", asked), asked == granted);
    }
    EXPECT_FALSE(Allows(acl, "a", kDeny));
    EXPECT_FALSE(Allows(acl, "a", kNone));
    EXPECT_FALSE(Allows(acl, "a", kUnset));
  }
}

TEST(Acl, SaysWhatMayBeDoneOnAPath) {
  const AclHandle acl = Compiled(R"(path "a" { capabilities = ["read", "update"] }
                                    path "none" { capabilities = [] }
                                    path "keys" { capabilities = ["list"] })");
  CapabilitySet both;
  both.Add(kRead);
  both.Add(kUpdate);
  CapabilitySet deny;
  deny.Add(kDeny);
  EXPECT_EQ(acl->CapabilitiesOn("a"), both);
  EXPECT_EQ(acl->CapabilitiesOn("none"), deny);
  EXPECT_EQ(acl->CapabilitiesOn("elsewhere"), deny);
  EXPECT_TRUE(acl->CapabilitiesOn("keys/").Has(kList));
}

// ---- templates ----------------------------------------------------------------------------------

TemplateValues Someone() {
  return {.entity_id = "e-1",
          .entity_name = "alice",
          .metadata = {{"tenant", "t7"}},
          .aliases = {{"auth_jwt_1", {.id = "x-1", .name = "al", .metadata = {{"team", "blue"}}}}}};
}

TEST(Acl, FillsInTemplates) {
  const AclHandle acl = Compiled(R"(
      path "a/{{identity.entity.id}}/{{ identity.entity.name }}" { capabilities = ["read"] }
      path "b/{{identity.entity.metadata.tenant}}/*" { capabilities = ["read"] }
      path "c/{{identity.entity.aliases.auth_jwt_1.id}}/{{identity.entity.aliases.auth_jwt_1.name}}-{{identity.entity.aliases.auth_jwt_1.metadata.team}}" {
        capabilities = ["read"]
        required_context = "tenant={{identity.entity.metadata.tenant}};*"
      })",
                                 Someone());
  EXPECT_TRUE(Allows(acl, "a/e-1/alice"));
  EXPECT_TRUE(Allows(acl, "b/t7/x"));
  EXPECT_FALSE(Allows(acl, "b/t8/x"));
  EXPECT_TRUE(Allows(acl, "c/x-1/al-blue"));
  EXPECT_THAT(acl->Decide("c/x-1/al-blue", kRead).rule->required_context,
              ElementsAre("tenant=t7;*"));
}

TEST(Acl, AFilledInPatternMergesWithTheSamePatternWrittenOut) {
  const AclHandle acl = Compiled(R"(path "a/{{identity.entity.name}}" { capabilities = ["read"] }
                                    path "a/alice" { capabilities = ["deny"] })",
                                 Someone());
  EXPECT_FALSE(Allows(acl, "a/alice"));
}

TEST(Acl, U5_AValueWithMetacharactersGrantsNothing) {
  for (const std::string value : {"*", "+", "a/b", "t*", "*t", "a+b", "/", "a\nb", "a\x7f", ""}) {
    TemplateValues values = Someone();
    values.metadata["tenant"] = value;
    const AclHandle acl =
        Compiled(R"(path "a/{{identity.entity.metadata.tenant}}" { capabilities = ["read"] }
                    path "b/{{identity.entity.metadata.tenant}}/*" { capabilities = ["read"] })",
                 values);
    EXPECT_TRUE(acl->empty()) << value;
    EXPECT_FALSE(Allows(acl, "a/" + value));
    EXPECT_FALSE(Allows(acl, "a/x"));
  }
  TemplateValues values = Someone();
  values.metadata["tenant"] = "a,b";  // nothing is split at commas
  EXPECT_TRUE(
      Allows(Compiled(R"(path "a/{{identity.entity.metadata.tenant}}" { capabilities = ["read"] })",
                      values),
             "a/a,b"));
}

TEST(Acl, U5_AValueIsNotReadAsATemplateAgain) {
  TemplateValues values = Someone();
  values.metadata["tenant"] = "{{identity.entity.name}}";
  const AclHandle acl = Compiled(
      R"(path "a/{{identity.entity.metadata.tenant}}" { capabilities = ["read"] })", values);
  EXPECT_FALSE(Allows(acl, "a/alice"));
}

TEST(Acl, WithoutAnEntityNoTemplateIsFilledIn) {
  TemplateValues values = Someone();
  values.entity_id.clear();
  EXPECT_TRUE(Compiled(R"(path "a/{{identity.entity.name}}" { capabilities = ["read"] })", values)
                  ->empty());
}

TEST(Acl, ADenyThatCannotBeFilledInLeavesNothing) {
  const std::vector<NamedPolicy> policies = {
      Named("all", R"(path "*" { capabilities = ["read"] })"),
      Named("not", R"(path "a/{{identity.entity.metadata.missing}}" { capabilities = ["deny"] })")};
  const AclHandle acl = Compiled(policies, Someone());
  EXPECT_TRUE(acl->empty());
  EXPECT_FALSE(Allows(acl, "b"));
}

TEST(Acl, AContextThatCannotBeFilledInGrantsNothingAndShadowsWeakerRules) {
  const AclHandle acl = Compiled(R"(
      path "prod/*" { capabilities = ["update"] }
      path "prod/encrypt/app" { capabilities = ["update"]
                                required_context = "t={{identity.entity.metadata.missing}}" })",
                                 Someone());
  EXPECT_FALSE(Allows(acl, "prod/encrypt/app", kUpdate));
  EXPECT_TRUE(Allows(acl, "prod/encrypt/other", kUpdate));
  const AclHandle merged = Compiled({Named("one", R"(path "p" { capabilities = ["update"] })"),
                                     Named("two", R"(path "p" { capabilities = ["update"]
                                  required_context = "{{identity.entity.metadata.missing}}" })")},
                                    Someone());
  const AclRule& rule = *merged->Decide("p", kUpdate).rule;
  EXPECT_FALSE(rule.unconditional());
  const std::optional<std::string> data[] = {"anything"};
  EXPECT_THAT(CheckRequiredContext(rule, data), HasError(ErrorCode::kPermissionDenied));
}

// ---- parameters (transit-api 11.4) --------------------------------------------------------------

Status Check(const std::string& rules, std::vector<RequestParameter> parameters) {
  const AclHandle acl = Compiled("path \"a\" { capabilities = [\"update\"]\n" + rules + "\n}");
  return CheckParameters(*acl->Decide("a", kUpdate).rule, parameters);
}

TEST(CheckParameters, WithoutRulesEverythingPasses) {
  EXPECT_THAT(Check("", {{"a", "b"}, {"c", "", false}}), IsOk());
}

TEST(CheckParameters, RequiredOnesMustBeThere) {
  const std::string rules = R"(required_parameters = ["type", "Bits"])";
  EXPECT_THAT(Check(rules, {{"TYPE", "x"}, {"bits", "1"}}), IsOk());
  EXPECT_THAT(Check(rules, {{"type", "x"}}),
              HasError(ErrorCode::kPermissionDenied, "permission denied"));
  EXPECT_THAT(Check(rules, {}), HasError(ErrorCode::kPermissionDenied));
}

TEST(CheckParameters, ARequestWithoutParametersIsAllowed) {
  EXPECT_THAT(Check(R"(denied_parameters = { "*" = [] } allowed_parameters = { "x" = ["y"] })", {}),
              IsOk());
}

TEST(CheckParameters, DeniedOnes) {
  EXPECT_THAT(Check(R"(denied_parameters = { "*" = [] })", {{"any", ""}}),
              HasError(ErrorCode::kPermissionDenied));
  const std::string rules = R"(denied_parameters = { "key" = [] "type" = ["rsa-*", "x"] })";
  EXPECT_THAT(Check(rules, {{"Key", ""}}), HasError(ErrorCode::kPermissionDenied));
  EXPECT_THAT(Check(rules, {{"TYPE", "rsa-2048"}}), HasError(ErrorCode::kPermissionDenied));
  EXPECT_THAT(Check(rules, {{"type", "RSA-2048"}}), IsOk());
  EXPECT_THAT(Check(rules, {{"type", "xx"}, {"other", "x"}}), IsOk());
  EXPECT_THAT(Check(rules, {{"type", "y"}, {"Type", "x"}}), HasError(ErrorCode::kPermissionDenied));
}

TEST(CheckParameters, A16_AListCannotHideADeniedValue) {
  EXPECT_THAT(Check(R"(denied_parameters = { "policies" = ["root"] })", {{"policies", "", false}}),
              HasError(ErrorCode::kPermissionDenied));
  EXPECT_THAT(Check(R"(allowed_parameters = { "policies" = ["app"] })", {{"policies", "", false}}),
              HasError(ErrorCode::kPermissionDenied));
  EXPECT_THAT(Check(R"(allowed_parameters = { "policies" = [] })", {{"policies", "", false}}),
              IsOk());
}

TEST(CheckParameters, AllowedOnes) {
  const std::string rules =
      R"(allowed_parameters = { "type" = ["aes*", "*sa", "*mid*", "v*v"] "free" = [] })";
  for (const char* value : {"aes", "aes256-gcm96", "rsa", "sa", "a mid b", "v*v"}) {
    EXPECT_THAT(Check(rules, {{"type", value}, {"FREE", "x"}}), IsOk()) << value;
  }
  for (const char* value : {"", "ae", "rsa2", "vxv", "AES"}) {
    EXPECT_THAT(Check(rules, {{"type", value}}), HasError(ErrorCode::kPermissionDenied)) << value;
  }
  EXPECT_THAT(Check(rules, {{"other", "x"}}), HasError(ErrorCode::kPermissionDenied));
}

TEST(CheckParameters, AStarAllowsTheOthers) {
  const std::string any = R"(allowed_parameters = { "type" = ["x"] "*" = [] })";
  EXPECT_THAT(Check(any, {{"other", "1"}}), IsOk());
  EXPECT_THAT(Check(any, {{"type", "y"}}), HasError(ErrorCode::kPermissionDenied));
  EXPECT_THAT(Check(R"(allowed_parameters = { "*" = ["1"] })", {{"other", "2"}}),
              HasError(ErrorCode::kPermissionDenied));
}

TEST(CheckParameters, DenyIsStrongerThanAllow) {
  EXPECT_THAT(Check(R"(allowed_parameters = { "*" = [] } denied_parameters = { "a" = ["b"] })",
                    {{"a", "b"}}),
              HasError(ErrorCode::kPermissionDenied));
}

TEST(CheckParameters, A16_AnotherSpellingOfADeniedValueIsDeniedToo) {
  const std::string rules =
      R"(denied_parameters = { "exportable" = ["True"] "period" = ["30d"] "bits" = [512] "flag" = [1] })";
  for (const auto& [name, value] : {std::pair{"exportable", "true"},
                                    {"period", "2592000"},
                                    {"bits", "512"},
                                    {"flag", "true"},
                                    {"flag", "1"}}) {
    EXPECT_THAT(Check(rules, {{name, value}}), HasError(ErrorCode::kPermissionDenied)) << name;
  }
}

// ---- required context ---------------------------------------------------------------------------

Status CheckContext(const std::string& context, std::vector<std::optional<std::string>> data) {
  const AclHandle acl = Compiled(
      "path \"a\" { capabilities = [\"update\"] required_context = " + context + " }", Someone());
  return CheckRequiredContext(*acl->Decide("a", kUpdate).rule, data);
}

TEST(RequiredContext, EveryItemMustShowIt) {
  const std::string tenant = R"("tenant={{identity.entity.metadata.tenant}};*")";
  EXPECT_THAT(CheckContext(tenant, {"tenant=t7;row=1", "tenant=t7;"}), IsOk());
  EXPECT_THAT(CheckContext(tenant, {"tenant=t7;row=1", "tenant=t8;"}),
              HasError(ErrorCode::kPermissionDenied));
  EXPECT_THAT(CheckContext(tenant, {"tenant=t7;", std::nullopt}),
              HasError(ErrorCode::kPermissionDenied));
  EXPECT_THAT(CheckContext(tenant, {std::nullopt}), HasError(ErrorCode::kPermissionDenied));
  EXPECT_THAT(CheckContext(tenant, {}), HasError(ErrorCode::kPermissionDenied));
  EXPECT_THAT(CheckContext(R"(["a", "b"])", {"a", "b"}), IsOk());
}

TEST(RequiredContext, AStarDemandsAnyButNotNone) {
  EXPECT_THAT(CheckContext(R"("*")", {"x"}), IsOk());
  EXPECT_THAT(CheckContext(R"("*")", {""}), HasError(ErrorCode::kPermissionDenied));
}

TEST(RequiredContext, TheTextNeverSaysWhatWasExpected) {
  const Status refused = CheckContext(R"("secret-tenant")", {"given"});
  EXPECT_THAT(refused, HasError(ErrorCode::kPermissionDenied, HasSubstr("associated data")));
  EXPECT_THAT(refused.error().public_message, Not(HasSubstr("secret-tenant")));
  EXPECT_THAT(refused.error().public_message, Not(HasSubstr("given")));
}

TEST(RequiredContext, WithoutADemandNothingIsLookedAt) {
  EXPECT_THAT(CheckRequiredContext(AclRule(), {}), IsOk());
}

// ---- wrapping -----------------------------------------------------------------------------------

TEST(CheckWrapping, HoldsTheBounds) {
  const AclRule rule{.min_wrapping_ttl_seconds = 60, .max_wrapping_ttl_seconds = 600};
  EXPECT_THAT(CheckWrapping(rule, 60), IsOk());
  EXPECT_THAT(CheckWrapping(rule, 600), IsOk());
  for (const std::optional<std::int64_t> ttl :
       {std::optional<std::int64_t>(), std::optional<std::int64_t>(0),
        std::optional<std::int64_t>(59), std::optional<std::int64_t>(601),
        std::optional<std::int64_t>(-1)}) {
    EXPECT_THAT(CheckWrapping(rule, ttl), HasError(ErrorCode::kPermissionDenied));
  }
  EXPECT_THAT(CheckWrapping({.max_wrapping_ttl_seconds = 5}, 5), IsOk());
  EXPECT_THAT(CheckWrapping({.min_wrapping_ttl_seconds = 5}, 5'000'000), IsOk());
  EXPECT_THAT(CheckWrapping(AclRule(), std::nullopt), IsOk());
}

TEST(CheckWrapping, BoundsThatContradictEachOtherDeny) {
  const AclRule rule{.min_wrapping_ttl_seconds = 600, .max_wrapping_ttl_seconds = 60};
  for (const std::int64_t ttl : {60, 100, 600}) {
    EXPECT_THAT(CheckWrapping(rule, ttl), HasError(ErrorCode::kPermissionDenied));
  }
}

}  // namespace
}  // namespace kms
