// SPDX-License-Identifier: Apache-2.0
// Declaring a token lost over the API: what is judged, who may, what is recorded; and what the
// service says of environments without recovery holders.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class LostHsmRoutes : public ::testing::Test {
 protected:
  LostHsmRoutes() {
    EXPECT_TRUE(api.hsms
                    .Add("vault-2",
                         {.owner = nullptr,
                          .master_keys = &second,
                          .resident_keys = &second,
                          .epochs = &second},
                         {.call_timeout = std::chrono::milliseconds(30'000)})
                    .has_value());
    EXPECT_EQ(api.Post("/v1/sys/environments/dev/hsms", R"({"hsm":"vault-2"})").status, 200);
  }

  ApiAnswer Remove(std::string_view hsm, std::string_view query, std::string_view name = "dev") {
    return api.Delete("/v1/sys/environments/" + std::string(name) + "/hsms/" + std::string(hsm) +
                      std::string(query));
  }
  std::string Members(std::string_view name = "dev") {
    return api.Get("/v1/sys/environments/" + std::string(name) + "/hsms").body;
  }

  ManualClock second_clock;
  FakeMasterKeyDevice second{std::make_shared<FakeToken>(), &second_clock};
  ApiService api;
};

TEST_F(LostHsmRoutes, ALostTokenIsListedWithWhatStaysInIt) {
  EXPECT_THAT(Members(), AllOf(HasSubstr(R"("members":[{"hsm":"default")"),
                               HasSubstr(R"({"hsm":"vault-2")"), HasSubstr(R"("lost":[])")));
  second.SetPresent(false);
  const ApiAnswer answer = Remove("vault-2", "?lost=true&reason=fire%20in%20site%20B");
  ASSERT_EQ(answer.status, 204) << answer.body;
  EXPECT_THAT(
      Members(),
      AllOf(HasSubstr(R"("lost":[{"hsm":"vault-2","declared":")"),
            HasSubstr(R"("declared_by":"root","reason":"fire in site B","resident_keys":0)"),
            HasSubstr(R"("master_keys":[{"version":1,"token_label":"fake")"),
            Not(HasSubstr(R"({"hsm":"vault-2","order")"))));
  EXPECT_EQ(Remove("vault-2", "?lost=true").status, 404);
  EXPECT_EQ(api.Post("/v1/dev/encrypt/app", R"({"plaintext":""})").status, 200);
}

TEST_F(LostHsmRoutes, WhatMakesNoSenseIsRefused) {
  second.SetPresent(false);
  for (const std::string& query :
       {std::string("?lost=true&destroy=true"), std::string("?reason=fire"),
        "?lost=true&reason=" + std::string(513, 'x')}) {
    EXPECT_EQ(Remove("vault-2", query).status, 400) << query;
  }
  EXPECT_THAT(Remove("default", "?lost=true", "prod").body, HasSubstr("is the last that opens"));
  EXPECT_EQ(Remove("vault-9", "?lost=true").status, 404);
  EXPECT_EQ(Remove("vault-2", "?lost=true", "nowhere").status, 404);
  EXPECT_EQ(api.Get("/v1/sys/environments/nowhere/hsms").status, 404);
  EXPECT_THAT(Members(), HasSubstr(R"("lost":[])"));
}

TEST_F(LostHsmRoutes, OneThatAnswersIsNotLost) {
  const ApiAnswer answer = Remove("vault-2", "?lost=true");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("it is not lost"));
}

TEST_F(LostHsmRoutes, ItNeedsSudo) {
  const std::string token = api.TokenWith(
      "no-sudo", R"(path "sys/*" { capabilities = ["create", "read", "update", "delete"] })");
  second.SetPresent(false);
  EXPECT_EQ(
      api.CallAs(
             token,
             {api::HttpMethod::kDelete, "/v1/sys/environments/dev/hsms/vault-2?lost=true", "", {}})
          .status,
      403);
  EXPECT_EQ(
      api.CallAs(token, {api::HttpMethod::kGet, "/v1/sys/environments/dev/hsms", "", {}}).status,
      200);
}

// ---- what else an operator reads ----------------------------------------------------------------

TEST_F(LostHsmRoutes, TheListOfTokensTellsTheirCallTimeouts) {
  EXPECT_THAT(api.Get("/v1/sys/hsm/vault-2").body, HasSubstr(R"("call_timeout_ms":30000)"));
  EXPECT_THAT(api.Get("/v1/sys/hsm/default").body, HasSubstr(R"("call_timeout_ms":null)"));
}

TEST_F(LostHsmRoutes, EnvironmentsWithoutRecoveryHoldersAreSeen) {
  EXPECT_THAT(api.Get("/v1/sys/environments/status").body,
              HasSubstr(R"("name":"sys","sealed":false,)"));
  EXPECT_THAT(api.Get("/v1/sys/environments/status").body, HasSubstr(R"("recovery_holders":0)"));
  EXPECT_THAT(api.Get("/v1/sys/metrics?format=prometheus").body,
              HasSubstr(R"(kms_environment_recovery_holders{environment="dev"} 0)"));
}

}  // namespace
}  // namespace kms::testing
