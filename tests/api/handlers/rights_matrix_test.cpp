// SPDX-License-Identifier: Apache-2.0
// U1 to U3: who is let through, as a matrix made from the route table: every row, every kind of
// credential, every capability, every environment and every way to address it. A new row is part of
// it by being in the table.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/pipeline/envelope.h"
#include "tests/support/route_requests.h"

namespace kms::testing {
namespace {

using api::Route;

constexpr std::string_view kBody = R"({"plaintext":"aGk=","type":"transit"})";
constexpr std::array kCapabilities = {Capability::kCreate, Capability::kRead, Capability::kUpdate,
                                      Capability::kDelete, Capability::kList, Capability::kPatch,
                                      Capability::kScan,   Capability::kSudo};

bool TakesToken(const Route& route) { return !route.unauthenticated && !route.login; }

// What a policy says for this row's request; lists are judged with and without the last '/'.
std::string PolicyPathOf(const Route& route, std::string_view environment = "dev") {
  return TargetOf(route, "app", environment).substr(4);
}

std::string Stanza(std::string_view path, const std::vector<Capability>& capabilities) {
  std::string out = "path \"" + std::string(path) + "\" { capabilities = [";
  for (const Capability capability : capabilities) {
    out += (out.ends_with('[') ? "\"" : ", \"") + std::string(CapabilityName(capability)) + "\"";
  }
  return out + "] }\n";
}

// What the row needs, nothing more.
std::vector<Capability> NeedsOf(const Route& route) {
  std::vector<Capability> needs = {route.capability};
  if (route.exists != nullptr) {
    needs = {Capability::kCreate, Capability::kUpdate};
  }
  if (route.sudo) {
    needs.push_back(Capability::kSudo);
  }
  return needs;
}

bool IsDenied(const ApiAnswer& answer) {
  return answer.status == 403 && (answer.body == Errors("permission denied") ||
                                  answer.body == Errors(api::Wrapped("permission denied")));
}

// One service for everything that must be refused: whoever gets through changes it, which shows.
class RightsMatrix : public ::testing::Test {
 protected:
  void SetUp() override { api_.EnableEveryAuthMethod(); }

  void ExpectDenied(const Route& route, std::string_view token, const std::string& why,
                    ApiRequest request) {
    const auto before = api_.store.Contents();
    const ApiAnswer answer = api_.CallAs(token, std::move(request));
    EXPECT_TRUE(IsDenied(answer)) << Name(route) << " by " << why << ": " << answer.status << " "
                                  << answer.body;
    EXPECT_EQ(api_.store.Contents().size(), before.size()) << Name(route) << " by " << why;
    EXPECT_FALSE(answer.holds_secret) << Name(route);
    ++cells_;
  }

  void ExpectLetThrough(const Route& route, std::string_view policy, const std::string& who,
                        ApiRequest request) {
    ApiService fresh;
    fresh.EnableEveryAuthMethod();
    const std::string token = fresh.TokenWith("right", policy);
    const ApiAnswer answer = fresh.CallAs(token, std::move(request));
    EXPECT_FALSE(IsDenied(answer)) << Name(route) << " by " << who << ": " << answer.body;
    ++cells_;
  }

  static std::string Name(const Route& route) {
    return std::string(api::OperationName(route.operation)) + " " + PolicyPathOf(route);
  }

  ApiService api_;
  std::size_t cells_ = 0;
};

// Tokens that are good for nothing whatever their policies say.
std::map<std::string, std::string> BadTokens(ApiService& api) {
  std::map<std::string, std::string> tokens = {
      {"nobody", ""}, {"garbage", "hvs.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}};
  const auto issue = [&](TokenGrant grant) {
    grant.policies = {"everything"};
    auto issued = api.tokens().Issue(grant);
    EXPECT_TRUE(issued.has_value()) << (issued ? "" : Describe(issued.error()));
    return std::pair(std::string(AsText(issued->token.View())), issued->principal);
  };
  const std::string good = issue({}).first;
  tokens["a truncated one"] = good.substr(0, good.size() - 1);
  tokens["one with a changed end"] =
      good.substr(0, good.size() - 1) + (good.ends_with('A') ? "E" : "A");
  const auto revoked = issue({});
  EXPECT_TRUE(api.tokens().Revoke(*revoked.second).has_value());
  tokens["a revoked one"] = revoked.first;
  TokenGrant bound;
  bound.bound_cidrs = {*CidrBlock::Parse("10.1.2.0/24")};
  tokens["one bound elsewhere"] = issue(bound).first;
  TokenGrant certificate;
  certificate.bound_certificate = Sha256(AsBytes("a certificate"));
  tokens["one bound to a certificate"] = issue(certificate).first;
  TokenGrant short_lived;
  short_lived.ttl_seconds = 60;
  tokens["an expired one"] = issue(short_lived).first;
  api.clock.Advance(std::chrono::seconds{61});
  return tokens;
}

constexpr std::string_view kEverything =
    R"(path "*" { capabilities = ["create","read","update","delete","list","patch","scan","sudo"] })";

TEST_F(RightsMatrix, U1_NoBadTokenPassesAnyRow) {
  api_.TokenWith("everything", kEverything);
  const auto tokens = BadTokens(api_);
  for (const Route& route : api::RouteTable()) {
    if (!TakesToken(route)) {
      continue;
    }
    for (const auto& [what, token] : tokens) {
      ExpectDenied(route, token, what, RequestOf(route, std::string(kBody)));
    }
  }
  EXPECT_GT(cells_, 400U);
}

TEST_F(RightsMatrix, U2_EveryRowNeedsItsOwnCapability) {
  std::map<std::string, std::string> tokens;
  for (const Route& route : api::RouteTable()) {
    if (!TakesToken(route)) {
      continue;
    }
    const std::vector<Capability> needs = NeedsOf(route);
    for (const Capability capability : kCapabilities) {
      if (std::ranges::find(needs, capability) != needs.end() && !route.sudo) {
        continue;
      }
      const std::string policy = Stanza(PolicyPathOf(route), {capability});
      std::string& token = tokens[policy];
      if (token.empty()) {
        token = api_.TokenWith("one-" + std::to_string(tokens.size()), policy);
      }
      ExpectDenied(route, token, "only " + std::string(CapabilityName(capability)),
                   RequestOf(route, std::string(kBody)));
    }
  }
  EXPECT_GT(cells_, 400U);
}

TEST_F(RightsMatrix, U2_ATokenForAnotherRowPassesNone) {
  // A token that may do everything but what this row is about.
  for (const Route& route : api::RouteTable()) {
    if (!TakesToken(route)) {
      continue;
    }
    const std::string path = PolicyPathOf(route);
    const std::string policy = std::string(kEverything) + Stanza(path, {Capability::kDeny});
    const std::string token = api_.TokenWith("but-this", policy);
    ExpectDenied(route, token, "everything but this", RequestOf(route, std::string(kBody)));
    ExpectDenied(route, token, "everything but this, slash at the end", [&] {
      ApiRequest request = RequestOf(route, std::string(kBody));
      request.target += route.operation == api::Operation::kList ? "/" : "";
      return request;
    }());
  }
}

TEST_F(RightsMatrix, U3_ATokenOfOneEnvironmentPassesInNoOther) {
  const std::string token = api_.TokenWith(
      "dev-only",
      R"(path "dev/*" { capabilities = ["create","read","update","delete","list","sudo"] })");
  for (const Route& route : api::RouteTable()) {
    if (!TakesToken(route)) {
      continue;
    }
    ApiRequest elsewhere = RequestOf(route, std::string(kBody));
    elsewhere.target = TargetOf(route, "app", "prod");
    ExpectDenied(route, token, "a token of dev", elsewhere);
    if (route.absolute || !route.auth_type.empty()) {
      continue;
    }
    // The same environment by header and by its fixed mount; dev as a way around.
    for (const auto& [target, name_space] :
         {std::pair{"/v1/transit/", "prod"}, std::pair{"/v1/prod/transit/", ""}}) {
      ApiRequest request = elsewhere;
      request.target = target + PolicyPathOf(route, "prod").substr(5);
      if (*name_space != '\0') {
        request.headers.emplace_back("X-Vault-Namespace", name_space);
      }
      ExpectDenied(route, token, "a token of dev, addressed as " + std::string(target), request);
    }
  }
}

TEST_F(RightsMatrix, U1_TheRightTokenPassesHoweverTheEnvironmentIsAddressed) {
  for (const Route& route : api::RouteTable()) {
    if (!TakesToken(route)) {
      continue;
    }
    const std::string policy = Stanza(PolicyPathOf(route), NeedsOf(route));
    const ApiRequest request = RequestOf(route, std::string(kBody));
    ExpectLetThrough(route, policy, "the right token", request);
    if (route.absolute || !route.auth_type.empty()) {
      continue;
    }
    ApiRequest by_header = request;
    by_header.target = "/v1/transit/" + PolicyPathOf(route).substr(4);
    by_header.headers.emplace_back("X-Vault-Namespace", "dev");
    ExpectLetThrough(route, policy, "the right token, by header", by_header);
  }
}

TEST_F(RightsMatrix, U1_EveryOtherVerbIsRefusedOrUnknown) {
  const std::string token =
      api_.TokenWith("nothing", R"(path "nowhere" { capabilities = ["read"] })");
  for (const Route& route : api::RouteTable()) {
    if (!TakesToken(route)) {
      continue;
    }
    for (const api::HttpMethod method :
         {api::HttpMethod::kGet, api::HttpMethod::kHead, api::HttpMethod::kPost,
          api::HttpMethod::kPut, api::HttpMethod::kDelete, api::HttpMethod::kList,
          api::HttpMethod::kPatch}) {
      ApiRequest request = RequestOf(route, std::string(kBody));
      request.method = method;
      const ApiAnswer answer = api_.CallAs(token, request);
      EXPECT_EQ(answer.status, 403) << Name(route);
      ++cells_;
    }
  }
  EXPECT_GT(cells_, 400U);
}

}  // namespace
}  // namespace kms::testing
