// SPDX-License-Identifier: Apache-2.0
// TokenApi: auth/token/… over fakes, and what its tests say again and again.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/api_service.h"

namespace kms::testing {

class TokenApi : public ::testing::Test {
 protected:
  // May use everything below auth/token, but nothing there with sudo.
  static constexpr std::string_view kMaker =
      "path \"auth/token/*\" { capabilities = [\"create\",\"read\",\"update\",\"delete\",\"list\"] "
      "}";
  static constexpr std::string_view kAdmin =
      "path \"auth/token/*\" { capabilities = "
      "[\"create\",\"read\",\"update\",\"delete\",\"list\",\"sudo\"] }";

  TokenApi() {
    maker_ = api_.TokenWith("maker", kMaker);
    admin_ = api_.TokenWith("admin", kAdmin);
  }

  ApiAnswer Post(std::string_view token, std::string_view path, std::string body = "{}") {
    return api_.CallAs(
        token,
        {api::HttpMethod::kPost, "/v1/auth/token/" + std::string(path), std::move(body), {}});
  }
  ApiAnswer Get(std::string_view token, std::string_view path) {
    return api_.CallAs(token,
                       {api::HttpMethod::kGet, "/v1/auth/token/" + std::string(path), "", {}});
  }
  ApiAnswer List(std::string_view token, std::string_view path) {
    return api_.CallAs(token,
                       {api::HttpMethod::kList, "/v1/auth/token/" + std::string(path), "", {}});
  }
  ApiAnswer Root(std::string_view path, std::string body = "{}") {
    return Post(ApiService::kToken, path, std::move(body));
  }
  // The token made by root.
  std::string Made(std::string body) { return ClientToken(Root("create", std::move(body))); }

  static std::string ClientToken(const ApiAnswer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    return TextAfter(answer.body, R"("client_token":")");
  }
  static std::string Accessor(const ApiAnswer& answer) {
    return TextAfter(answer.body, R"("accessor":")");
  }
  // What the token may do at all is not asked: only whether it is one.
  bool IsGood(std::string_view token) { return api_.tokens().Lookup(token).has_value(); }
  PrincipalHandle Who(std::string_view token) { return api_.tokens().Lookup(token).value(); }

  ApiService api_;
  std::string maker_;
  std::string admin_;
};

}  // namespace kms::testing
