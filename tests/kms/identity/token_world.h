// SPDX-License-Identifier: Apache-2.0
// TokenWorld: a token store over fakes, and what its tests say again and again.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kms/identity/token_store.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/memory_store.h"
#include "tests/support/matchers.h"

namespace kms::testing {

class TokenWorld : public ::testing::Test {
 protected:
  static constexpr std::string_view kRoot = "root-token-of-the-test";

  TokenWorld() {
    EXPECT_THAT(keys_.Add(1, SecretBytes::CopyOf(Bytes(32, 0x11)).value()), IsOk());
    policies_ = PolicyStore::Open(sys_).value();
    Reopen();
  }

  // As a restart does it: whatever was only in memory is gone.
  void Reopen() {
    tokens_.reset();
    tokens_ = TokenStore::Open(sys_, *policies_, clock_, kRoot, options_).value();
  }
  TokenStore& tokens() { return *tokens_; }

  PrincipalHandle Root() { return tokens().Authenticate(kRoot, {}).value(); }

  static TokenGrant Grant(PrincipalHandle parent, std::vector<std::string> policies = {"app"}) {
    TokenGrant grant;
    grant.policies = std::move(policies);
    grant.parent = std::move(parent);
    return grant;
  }
  // What a login gives.
  static TokenGrant LoginGrantOf(std::string mount, std::string alias, std::string role = "") {
    TokenGrant grant;
    grant.policies = {"app"};
    grant.path = "auth/test/login";
    grant.entity_id = "entity-of-" + alias;
    grant.alias_mount = std::move(mount);
    grant.alias_name = std::move(alias);
    grant.role = std::move(role);
    return grant;
  }
  static TokenGrant AsBatch(TokenGrant grant) {
    grant.type = TokenType::kBatch;
    return grant;
  }

  // The token's text. Not wiped: these open nothing.
  static std::string TextOf(const IssuedToken& issued) {
    return std::string(AsText(issued.token.View()));
  }
  std::string Issue(const TokenGrant& grant) { return TextOf(tokens().Issue(grant).value()); }
  std::string Issue() { return Issue(Grant(Root())); }
  PrincipalHandle Who(std::string_view token) { return tokens().Authenticate(token, {}).value(); }

  bool IsGood(std::string_view token) {
    const Result<PrincipalHandle> found = tokens().Authenticate(token, {});
    if (!found.has_value()) {
      EXPECT_EQ(found.error().code, ErrorCode::kPermissionDenied) << Describe(found.error());
      EXPECT_EQ(found.error().public_message, "permission denied");
    }
    EXPECT_EQ(tokens().FindWarm(token, {}) != nullptr, found.has_value() && Unlimited(*found));
    return found.has_value();
  }
  static bool Unlimited(const PrincipalHandle& principal) { return principal->num_uses == 0; }

  // Paths of `sys` below a prefix.
  [[nodiscard]] std::vector<std::string> Paths(std::string_view prefix) const {
    std::vector<std::string> paths;
    for (const auto& [path, value] : store_.Contents()) {
      std::string own = path.substr(sys_.prefix().size());
      if (own.starts_with(prefix)) {
        paths.push_back(std::move(own));
      }
    }
    return paths;
  }

  // Nothing is left but the root's record and the key.
  void ExpectNoTokensLeft() const {
    EXPECT_THAT(Paths("tokens/"), ::testing::ElementsAre("tokens/root"));
    EXPECT_THAT(Paths("accessors/"), ::testing::IsEmpty());
    EXPECT_THAT(Paths("children/"), ::testing::IsEmpty());
  }

  MemoryStore store_;
  ManualClock clock_;
  EnvironmentKeyring keys_;
  SealedStore sys_{store_, keys_, Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11").value()};
  TokenStoreOptions options_;
  std::unique_ptr<PolicyStore> policies_;
  std::unique_ptr<TokenStore> tokens_;
};

}  // namespace kms::testing
