// SPDX-License-Identifier: Apache-2.0
// The real kmsd under load while the generator of one of its HSMs is broken.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/support/hsm_fleet.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::string RandomOf(const HttpReply& reply) {
  const json body = json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  return reply.status == 200 ? body["data"]["random_bytes"].get<std::string>() : reply.body;
}

TEST(HsmRandomness, H18_ABrokenGeneratorIsReportedAndNothingIsMadeOfItAlone) {
  HsmFleet fleet;
  ASSERT_TRUE(fleet.Start());
  fleet.StartWriters();
  const auto client = fleet.kmsd().NewClient();
  // Random bytes come from the HSMs of sys: now from this one alone.
  ASSERT_EQ(client->Post("/v1/sys/environments/sys/hsms", R"({"hsm":"hsm-2"})").status, 200);
  ASSERT_TRUE(Eventually([&] {
    return client->Send("DELETE", "/v1/sys/environments/sys/hsms/default").status == 204;
  }));
  ASSERT_EQ(client->Post("/v1/prod/random/seal").status, 200);
  fleet.faults().SetRules("C_GenerateRandom constant");
  HttpReply broken;
  EXPECT_TRUE(Eventually([&] {
    broken = client->Post("/v1/prod/random/seal");
    return broken.status == 503;
  })) << broken.body;
  EXPECT_THAT(broken.body, HasSubstr("the HSM's random generator failed its repetition test"));
  EXPECT_EQ(client->Post("/v1/prod/random/all").status, 503);
  // Keys and nonces do not come from there: they go on, and differ.
  EXPECT_NE(RandomOf(client->Post("/v1/prod/random/platform")),
            RandomOf(client->Post("/v1/prod/random/platform")));
  EXPECT_EQ(client->Post("/v1/prod/keys/made-meanwhile").status, 200);
  fleet.faults().SetRules("");
  EXPECT_TRUE(Eventually([&] { return client->Post("/v1/prod/random/seal").status == 200; }));
  EXPECT_EQ(fleet.prod().Failed(), 0U);
  EXPECT_EQ(fleet.staging().Failed(), 0U);
  fleet.ExpectNothingLost();
}

}  // namespace
}  // namespace kms::testing
