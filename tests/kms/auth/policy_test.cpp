// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/policy.h"

#include <initializer_list>
#include <string>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using ::testing::ElementsAre;
using testing::HasError;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;
using enum Capability;

CapabilitySet SetOf(std::initializer_list<Capability> capabilities) {
  CapabilitySet set;
  for (const Capability capability : capabilities) {
    set.Add(capability);
  }
  return set;
}

Policy Parsed(std::string_view text) {
  const auto policy = ParsePolicy(text);
  EXPECT_TRUE(policy.has_value()) << Describe(policy.error()) << "\n" << text;
  return policy.has_value() ? **policy : Policy();
}

PolicyStanza OnlyStanza(std::string_view text) {
  Policy policy = Parsed(text);
  EXPECT_EQ(policy.stanzas.size(), 1U) << text;
  return policy.stanzas.empty() ? PolicyStanza() : policy.stanzas.front();
}

// The stanza of `path "a/b" { <inside> }`.
PolicyStanza Stanza(const std::string& inside) {
  return OnlyStanza("path \"a/b\" {\n" + inside + "\n}");
}

std::string ErrorOf(std::string_view text) {
  const auto policy = ParsePolicy(text);
  EXPECT_FALSE(policy.has_value()) << text;
  if (policy.has_value()) {
    return {};
  }
  EXPECT_EQ(policy.error().code, ErrorCode::kInvalidArgument);
  return policy.error().public_message;
}

std::string ErrorInside(const std::string& inside) {
  return ErrorOf("path \"a/b\" {\n" + inside + "\n}");
}

// ---- documents ----------------------------------------------------------------------------------

TEST(Policy, ReadsAStanzaOfHcl) {
  const PolicyStanza stanza =
      OnlyStanza(R"(path "transit/encrypt/app-*" { capabilities = ["update"] })");
  EXPECT_EQ(stanza.pattern, "transit/encrypt/app-*");
  EXPECT_EQ(stanza.capabilities, SetOf({kUpdate}));
  EXPECT_TRUE(stanza.parameters.empty());
}

TEST(Policy, ReadsAStanzaOfJson) {
  const PolicyStanza stanza =
      OnlyStanza(R"({"path": {"transit/encrypt/app-*": {"capabilities": ["update"]}}})");
  EXPECT_EQ(stanza.pattern, "transit/encrypt/app-*");
  EXPECT_EQ(stanza.capabilities, SetOf({kUpdate}));
}

TEST(Policy, ReadsEveryArrayWrappedFormOfJson) {
  for (const char* text : {
           R"({"path": [{"a/b": {"capabilities": ["read"]}}]})",
           R"({"path": {"a/b": [{"capabilities": ["read"]}]}})",
           R"({"path": [{"a/b": [{"capabilities": ["read"]}]}]})",
           R"({"name": "app", "path": [{"a/b": [{"capabilities": ["read"]}]}]})",
       }) {
    const PolicyStanza stanza = OnlyStanza(text);
    EXPECT_EQ(stanza.pattern, "a/b") << text;
    EXPECT_EQ(stanza.capabilities, SetOf({kRead})) << text;
  }
  const Policy two = Parsed(R"({"path": [{"a": {"capabilities": ["read"]}},
                                         {"b": {"capabilities": ["list"]}}]})");
  ASSERT_EQ(two.stanzas.size(), 2U);
  EXPECT_EQ(two.stanzas[1].pattern, "b");
  const PolicyStanza wrapped = OnlyStanza(
      R"({"path": {"a": [{"capabilities": ["read"], "denied_parameters": [{"x": []}, {"y": []}]}]}})");
  EXPECT_EQ(wrapped.parameters.denied.size(), 2U);
}

TEST(Policy, SkipsEveryKindOfComment) {
  const Policy policy = Parsed(
      "# one\n// two } \"\n/* three\n path \"x\" { */\nname = \"app\"\n"
      "path \"a\" { # here\n capabilities = [\"read\", // and there\n"
      " \"list\",] /* trailing comma */ }\n");
  ASSERT_EQ(policy.stanzas.size(), 1U);
  EXPECT_EQ(policy.stanzas[0].capabilities, SetOf({kRead, kList}));
}

TEST(Policy, AnEmptyDocumentAllowsNothing) {
  EXPECT_TRUE(Parsed("").stanzas.empty());
  EXPECT_TRUE(Parsed("# nothing yet\n").stanzas.empty());
  EXPECT_TRUE(Parsed("{}").stanzas.empty());
}

TEST(Policy, KeepsBlocksOfOnePathApart) {
  const Policy policy = Parsed(
      "path \"a\" { capabilities = [\"read\"] }\n"
      "path \"a\" { capabilities = [\"list\"] }\n");
  EXPECT_EQ(policy.stanzas.size(), 2U);
}

TEST(Policy, UndoesEscapes) {
  EXPECT_EQ(OnlyStanza(R"(path "a\"b\\c\u00e9\/d" { capabilities = ["read"] })").pattern,
            "a\"b\\c\xC3\xA9/d");
  EXPECT_EQ(OnlyStanza(R"({"path":{"\ud83d\ude00":{"capabilities":["read"]}}})").pattern,
            "\xF0\x9F\x98\x80");
}

TEST(Policy, RefusesWhatIsNoDocument) {
  const std::pair<std::string, const char*> kCases[] = {
      {"path \"a\" {", "line 1: the document ends where a key is expected"},
      {"path \"a\" capabilities", "line 1: "},
      {"path \"a\n\" {}", "line 1: this string has no end"},
      {"\n\npath \"a", "line 3: this string has no end"},
      {"/* never closed", "line 1: this comment has no end"},
      {"path \"a\" { capabilities = [\"read\" \"list\"] }", "line 1: \"list\" stands where \",\""},
      {"path \"a\" { capabilities = [\"read\",,] }", "line 1: "},
      {"path \"a\" { capabilities = read }", "\"read\" stands where a value is expected"},
      {"path \"a\" { capabilities = <<EOF\n[\"read\"]\nEOF\n}", "heredocs (<<) are not supported"},
      {"path 'a' {}", "double quotes"},
      {"path \"a\" { capabilities = [\"read\"] } }",
       "line 1: \"}\" stands where a key is expected"},
      {"path \"a\\x41\" {}", "unknown escape"},
      {"path \"a\\u12g4\" {}", "four hexadecimal digits"},
      {"path \"a\\ud800\" {}", "surrogate"},
      {"path \"a\\u0000\" {}", "\\u0000 is not allowed"},
      {"path \"a${env}\" {}", "interpolation"},
      {"path \"a\" { min_wrapping_ttl = 007 }", "is not a number"},
      {"path \"a\" { min_wrapping_ttl = 1e9 }", "is not a number"},
      {"path \"a\" { min_wrapping_ttl = 0x10 }", "is not a number"},
      {"@", "line 1: unexpected character \"@\""},
      {R"({"path": {"a": {"capabilities": ["read"]}})", "the document ends"},
      {R"({"path": {"a": {"capabilities": ["read"],}}})", "where a value is expected"},
      {R"({"path": {"a": {"capabilities": ["read"]}}} x)", "where the end of the document"},
      {R"({"path": {} "name": "x"})", "where \",\""},
      {R"({path: {}})", "a key in double quotes"},
      {R"({"path" {}})", "where \":\" is expected"},
      {"{\"path\": {} // no\n}", "JSON has no comments"},
      {R"({"path": null})", "where a value is expected"},
  };
  for (const auto& [text, wanted] : kCases) {
    EXPECT_THAT(ErrorOf(text), HasSubstr(wanted)) << text;
  }
}

TEST(Policy, AKeyGivenTwiceIsRefused) {
  EXPECT_THAT(ErrorOf(R"({"path":{"a":{"capabilities":["deny"]},"a":{"capabilities":["read"]}}})"),
              HasSubstr("\"a\" is given twice"));
  EXPECT_THAT(ErrorOf(R"({"path":{},"path":{}})"), HasSubstr("\"path\" is given twice"));
  EXPECT_THAT(ErrorInside("capabilities = [\"deny\"]\ncapabilities = [\"read\"]"),
              HasSubstr("line 3: \"capabilities\" is given twice"));
  EXPECT_THAT(ErrorInside("denied_parameters = { \"Type\" = [], \"type\" = [] }"),
              HasSubstr("is given twice"));
}

TEST(Policy, RefusesBytesThatNobodyCanSee) {
  EXPECT_THAT(ErrorOf(std::string("# a\0b", 5)), HasSubstr("control bytes"));
  EXPECT_THAT(ErrorOf("\n# \x1b[2J"), HasSubstr("line 2: control bytes"));
  EXPECT_THAT(ErrorOf("# \x7f"), HasSubstr("control bytes"));
  for (const char* text : {"# \xff", "# \xc0\xaf", "# \xe0\x80\x80", "# \xed\xa0\x80",
                           "# \xf4\x90\x80\x80", "# \xf0\x80\x80\x80", "# \xc3", "# \x80"}) {
    EXPECT_THAT(ErrorOf(text), HasSubstr("not UTF-8"));
  }
}

TEST(Policy, RefusesDeepNestingWithoutRecursingIntoIt) {
  std::string lists = "path \"a\" { capabilities = ";
  lists.append(100'000, '[');
  EXPECT_THAT(ErrorOf(lists), HasSubstr("nested too deeply"));
  std::string labels = "path ";
  for (int label = 0; label < 30'000; ++label) {
    labels += "\"a\" ";
  }
  EXPECT_THAT(ErrorOf(labels + "{}"), HasSubstr("nested too deeply"));
}

TEST(Policy, RefusesDocumentsThatAreTooLarge) {
  EXPECT_TRUE(ParsePolicy(std::string(kMaxPolicyBytes, ' ')).has_value());
  EXPECT_THAT(ErrorOf(std::string(kMaxPolicyBytes + 1, ' ')), HasSubstr("256 KiB"));
}

TEST(Policy, ErrorsShowNoMoreThanTheWord) {
  const std::string secret(500, 's');
  EXPECT_LT(ErrorOf("path \"a\" { capabilities = [\"" + secret + "\"] }").size(), 250U);
  EXPECT_THAT(ErrorOf("path \"a\" { capabilities = [\"caf\xC3\xA9\"] }"), HasSubstr("\"caf??\""));
}

TEST(Policy, EveryPrefixOfADocumentIsReadOrRefused) {
  const std::string text =
      "name = \"x\" /* c */ path \"a/{{identity.entity.id}}/*\" { capabilities = [\"read\"]\n"
      "allowed_parameters = { \"a\\n\" = [1, true, \"x*\"] } min_wrapping_ttl = \"1h30m\" }";
  EXPECT_TRUE(ParsePolicy(text).has_value());
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto policy = ParsePolicy(text.substr(0, size));
    if (!policy.has_value()) {
      EXPECT_THAT(policy.error().public_message, StartsWith("line ")) << text.substr(0, size);
    }
  }
}

// ---- stanzas ------------------------------------------------------------------------------------

TEST(Policy, KnowsEveryCapability) {
  const PolicyStanza stanza =
      Stanza(R"(capabilities = ["create","read","update","delete","list","patch","sudo","scan"])");
  EXPECT_EQ(stanza.capabilities,
            SetOf({kCreate, kRead, kUpdate, kDelete, kList, kPatch, kSudo, kScan}));
  EXPECT_TRUE(Stanza("capabilities = []").capabilities.empty());
  EXPECT_TRUE(Stanza("").capabilities.empty());
}

TEST(Policy, DenyErasesEverythingBesides) {
  EXPECT_EQ(Stanza(R"(capabilities = ["read", "deny", "update"])").capabilities, SetOf({kDeny}));
}

TEST(Policy, ReadsTheOlderPolicyWords) {
  EXPECT_EQ(Stanza(R"(policy = "read")").capabilities, SetOf({kRead, kList}));
  EXPECT_EQ(Stanza(R"(policy = "write")").capabilities,
            SetOf({kCreate, kRead, kUpdate, kDelete, kList}));
  EXPECT_EQ(Stanza(R"(policy = "sudo")").capabilities,
            SetOf({kCreate, kRead, kUpdate, kDelete, kList, kSudo}));
  EXPECT_EQ(Stanza(R"(policy = "deny")").capabilities, SetOf({kDeny}));
  EXPECT_THAT(ErrorInside(R"(policy = "all")"), HasSubstr("invalid policy \"all\""));
  EXPECT_THAT(ErrorInside("policy = \"read\"\ncapabilities = [\"update\"]"), HasSubstr("not both"));
}

TEST(Policy, RefusesUnknownWords) {
  EXPECT_THAT(ErrorInside(R"(capabilities = ["raed"])"),
              HasSubstr("line 2: path \"a/b\": invalid capability \"raed\""));
  EXPECT_THAT(ErrorInside(R"(capabilities = ["READ"])"), HasSubstr("invalid capability"));
  EXPECT_THAT(ErrorInside(R"(capabilities = [true])"), HasSubstr("invalid capability"));
  EXPECT_THAT(ErrorInside(R"(capabilities = "read")"), HasSubstr("must be a list"));
  EXPECT_THAT(ErrorInside(R"(capabilties = ["read"])"),
              HasSubstr("path \"a/b\": unknown key \"capabilties\""));
  EXPECT_THAT(ErrorOf("paths \"a\" {}"), HasSubstr("unknown key \"paths\""));
  EXPECT_THAT(ErrorOf("name = 3"), HasSubstr("name must be a text"));
  EXPECT_THAT(ErrorOf("path \"a\" \"b\" { }"), HasSubstr("unknown key \"b\""));
  EXPECT_THAT(ErrorOf("path = \"a\""), HasSubstr("path is written as"));
  EXPECT_THAT(ErrorOf("path \"a\" = 3"), HasSubstr("line 1: "));
}

TEST(Policy, ReadsParameterRules) {
  const PolicyStanza stanza = Stanza(R"(
    allowed_parameters = { "Type" = ["aes256-gcm96", "rsa-*"] "bits" = [256, 512.0] "x" = [] "*" = [] }
    denied_parameters { exportable = [true] }
    required_parameters = ["type", "Bits", "type"])");
  EXPECT_THAT(stanza.parameters.allowed,
              UnorderedElementsAre(Pair("type", ElementsAre("aes256-gcm96", "rsa-*")),
                                   Pair("bits", ElementsAre("256", "512")),
                                   Pair("x", ElementsAre()), Pair("*", ElementsAre())));
  EXPECT_THAT(stanza.parameters.denied,
              UnorderedElementsAre(Pair("exportable", ElementsAre("true"))));
  EXPECT_THAT(stanza.parameters.required, ElementsAre("bits", "type"));
}

// A request's values arrive in one spelling; a rule may use any.
TEST(Policy, A16_ValuesOfRulesAreKnownByEverySpelling) {
  EXPECT_THAT(Stanza(R"(denied_parameters = { "a" = ["30d", "TRUE", "1"] })").parameters.denied,
              ElementsAre(Pair("a", ElementsAre("30d", "2592000", "TRUE", "true", "1", "true"))));
  EXPECT_THAT(Stanza(R"(allowed_parameters = { "a" = ["1h30m", "f", "1"] })").parameters.allowed,
              ElementsAre(Pair("a", ElementsAre("1h30m", "5400", "f", "false", "1"))));
}

TEST(Policy, RefusesMalformedParameterRules) {
  EXPECT_THAT(ErrorInside(R"(allowed_parameters = { "a" = "b" })"), HasSubstr("must be a list"));
  EXPECT_THAT(ErrorInside(R"(allowed_parameters = { "a" = [["b"]] })"),
              HasSubstr("values are strings, numbers or booleans"));
  EXPECT_THAT(ErrorInside(R"(denied_parameters = ["a"])"), HasSubstr("parameters are written as"));
  EXPECT_THAT(ErrorInside(R"(denied_parameters = "a")"), HasSubstr("parameters are written as"));
  EXPECT_THAT(ErrorInside(R"(denied_parameters = { "a" = ["{{identity.entity.id}}"] })"),
              HasSubstr("templates stand in paths"));
  EXPECT_THAT(ErrorInside(R"(required_parameters = "a")"), HasSubstr("a list of names"));
  EXPECT_THAT(ErrorInside(R"(required_parameters = [3])"), HasSubstr("a list of names"));
}

TEST(Policy, ReadsWrappingBounds) {
  const PolicyStanza stanza = Stanza("min_wrapping_ttl = \"1m30s\"\nmax_wrapping_ttl = 3600");
  EXPECT_EQ(stanza.min_wrapping_ttl_seconds, 90);
  EXPECT_EQ(stanza.max_wrapping_ttl_seconds, 3600);
  for (const char* bad : {"-1", "1.5", "\"5x\"", "\"\"", "\"h\"", "\"1h5\"", "\"-5m\"", "true",
                          "\"99999999999999999999s\"", "\"400000d\"", "[1]"}) {
    EXPECT_THAT(ErrorInside(std::string("min_wrapping_ttl = ") + bad),
                HasSubstr("min_wrapping_ttl must be a number of seconds"))
        << bad;
  }
  EXPECT_THAT(ErrorInside("min_wrapping_ttl = 10\nmax_wrapping_ttl = 5"),
              HasSubstr("max_wrapping_ttl is smaller than min_wrapping_ttl"));
}

TEST(Policy, ReadsRequiredContext) {
  EXPECT_THAT(Stanza(R"(required_context = "tenant={{identity.entity.metadata.tenant}};*")")
                  .required_context,
              ElementsAre("tenant={{identity.entity.metadata.tenant}};*"));
  EXPECT_THAT(Stanza(R"(required_context = ["a", "b*"])").required_context, ElementsAre("a", "b*"));
  EXPECT_THAT(ErrorInside("required_context = []"), HasSubstr("required_context is empty"));
  EXPECT_THAT(ErrorInside("required_context = \"\""), HasSubstr("must be a text or a list"));
  EXPECT_THAT(ErrorInside("required_context = [1]"), HasSubstr("must be a text or a list"));
  EXPECT_THAT(ErrorInside(R"(required_context = "{{identity.entity.nme}}")"),
              HasSubstr("can never be filled in"));
}

TEST(Policy, AcceptsCommentsAndRefusesWhatItWouldNotHonour) {
  EXPECT_EQ(Stanza("comment = \"why\"\ncapabilities = [\"read\"]").capabilities, SetOf({kRead}));
  EXPECT_THAT(ErrorInside("comment = 1"), HasSubstr("comment must be a text"));
  EXPECT_THAT(ErrorInside(R"(expiration = "2026-01-01T00:00:00Z")"),
              HasSubstr("expiration is not supported"));
  EXPECT_THAT(ErrorInside("pagination_limit = 10"), HasSubstr("pagination_limit is not supported"));
  EXPECT_THAT(ErrorInside("list_scan_response_keys_filter_path = \"x\""),
              HasSubstr("list_scan_response_keys_filter_path is not supported"));
}

// ---- paths --------------------------------------------------------------------------------------

TEST(Policy, TakesOneSlashOffTheFront) {
  EXPECT_EQ(OnlyStanza("path \"/a/b\" { }").pattern, "a/b");
}

TEST(Policy, KeepsWildcardsWhereverTheyStand) {
  for (const char* pattern :
       {"*", "a*", "a/*", "+", "+/a", "a/+/b*", "a/b+c", "a/*/b", "a/+", "a/"}) {
    EXPECT_EQ(OnlyStanza(std::string("path \"") + pattern + "\" { }").pattern, pattern);
  }
}

TEST(Policy, U5_RefusesPlusStar) {
  for (const char* pattern : {"a/+*", "+*", "a/b+*", "a/+*/c"}) {
    EXPECT_THAT(ErrorOf(std::string("path \"") + pattern + "\" { }"),
                HasSubstr("+* is not allowed"));
  }
}

TEST(Policy, A7_RefusesPathsThatNoRequestHas) {
  for (const char* pattern :
       {"", "/", "//a", "a//b", "a/../b", "./a", "a/.", "..", "a/..", "a//"}) {
    EXPECT_THAT(ErrorOf(std::string("path \"") + pattern + "\" { capabilities = [\"deny\"] }"),
                HasSubstr("line 1: path \""))
        << pattern;
  }
  EXPECT_THAT(ErrorOf("path \"a\\nb\" { }"), HasSubstr("control bytes"));
}

TEST(Policy, AcceptsTemplatesThatCanBeFilledIn) {
  for (const char* name :
       {"identity.entity.id", " identity.entity.name ", "identity.entity.metadata.a-b.c",
        "identity.entity.aliases.auth_approle_1a2b.id",
        "identity.entity.aliases.auth_approle_1a2b.name",
        "identity.entity.aliases.auth_approle_1a2b.metadata.team"}) {
    const std::string pattern = "a/{{" + std::string(name) + "}}/*";
    EXPECT_EQ(OnlyStanza("path \"" + pattern + "\" { }").pattern, pattern);
  }
}

TEST(Policy, U5_RefusesTemplatesThatCanNeverBeFilledIn) {
  for (const char* text :
       {"{{identity.entity.policies}}", "{{identity.groups.ids.1.name}}",
        "{{identity.entity.aliases.x.custom_metadata.k}}", "{{identity.entity.metadata.}}",
        "{{identity.entity.metadata.a/b}}", "{{identity.entity.aliases.x}}",
        "{{identity.entity.aliases..id}}", "{{}}", "{{identity.entity.id", "identity.entity.id}}",
        "{{a{{identity.entity.id}}", "{{Identity.entity.id}}"}) {
    EXPECT_THAT(ErrorOf("path \"a/" + std::string(text) + "\" { capabilities = [\"deny\"] }"),
                HasSubstr("template"))
        << text;
  }
}

}  // namespace
}  // namespace kms
