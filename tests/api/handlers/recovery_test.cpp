// SPDX-License-Identifier: Apache-2.0
// sys/environments/:name/recovery over the whole API.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kms/crypto/share_encryption.h"
#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class RecoveryRoutes : public ::testing::Test {
 protected:
  static json Recipients(const std::vector<std::string>& names) {
    json recipients = json::object();
    for (const std::string& name : names) {
      recipients[name] = HolderPublicKeyPem(HolderPrivateKey::Generate().value().public_key());
    }
    return recipients;
  }
  ApiAnswer Set(const std::string& environment, const json& body) {
    return service_.Post("/v1/sys/environments/" + environment + "/recovery", body.dump());
  }
  json Read(const std::string& environment) {
    const ApiAnswer answer = service_.Get("/v1/sys/environments/" + environment + "/recovery");
    EXPECT_EQ(answer.status, 200) << answer.body;
    const json body = json::parse(answer.body, nullptr, false);
    return body.is_object() ? body["data"] : json();
  }

  ApiService service_;
};

TEST_F(RecoveryRoutes, TellWhoCanRecoverAnEnvironment) {
  EXPECT_EQ(Read("dev")["recoverable"], false);
  EXPECT_EQ(Read("dev")["sys_recoverable"], false);
  const json recipients = Recipients({"alice", "bob"});
  const ApiAnswer set = Set("dev", {{"threshold", 2}, {"recipients", recipients}});
  ASSERT_EQ(set.status, 204) << set.body;
  const json data = Read("dev");
  EXPECT_EQ(data["recoverable"], true);
  EXPECT_EQ(data["threshold"], 2);
  ASSERT_EQ(data["recipients"].size(), 2U);
  EXPECT_EQ(data["recipients"][0]["name"], "alice");
  EXPECT_EQ(data["recipients"][0]["type"], "X25519");
  EXPECT_EQ(data["recipients"][0]["public_key"], recipients["alice"]);
  EXPECT_EQ(data["versions"], json::array({1}));
  EXPECT_EQ(data["split_versions"], json::array({1}));
}

TEST_F(RecoveryRoutes, ServeSysToo) {
  ASSERT_EQ(Set("sys", {{"threshold", 2}, {"recipients", Recipients({"alice", "bob"})}}).status,
            204);
  EXPECT_EQ(Read("dev")["sys_recoverable"], true);
}

TEST_F(RecoveryRoutes, AreTakenWhenAnEnvironmentIsMade) {
  const json body = {
      {"type", "transit"},
      {"recovery", {{"threshold", 2}, {"recipients", Recipients({"alice", "bob", "carol"})}}}};
  ASSERT_EQ(service_.Post("/v1/sys/mounts/team/eu", body.dump()).status, 204);
  EXPECT_EQ(Read("team/eu")["recoverable"], true);
}

TEST_F(RecoveryRoutes, MakeNoEnvironmentWithRecipientsThatCannotBe) {
  const json body = {{"type", "transit"},
                     {"recovery", {{"threshold", 4}, {"recipients", Recipients({"alice"})}}}};
  EXPECT_EQ(service_.Post("/v1/sys/mounts/team/eu", body.dump()).status, 400);
  EXPECT_EQ(
      service_.Post("/v1/sys/mounts/team/eu", R"({"type":"transit","recovery":{"threshold":1}})")
          .status,
      400);
}

TEST_F(RecoveryRoutes, Clear) {
  ASSERT_EQ(Set("dev", {{"threshold", 1}, {"recipients", Recipients({"alice"})}}).status, 204);
  EXPECT_EQ(service_.Delete("/v1/sys/environments/dev/recovery").status, 204);
  EXPECT_EQ(Read("dev")["recoverable"], false);
  EXPECT_FALSE(Read("dev").contains("recipients"));
}

TEST_F(RecoveryRoutes, RefuseWhatIsNoRecipient) {
  const json good = Recipients({"alice", "bob"});
  const auto refuses = [&](const json& body, const char* text) {
    const ApiAnswer answer = Set("dev", body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_THAT(answer.body, HasSubstr(text)) << body;
  };
  refuses({{"recipients", good}}, "threshold");
  refuses({{"threshold", 2}}, "recipients");
  refuses({{"threshold", 0}, {"recipients", good}}, "threshold");
  refuses({{"threshold", 3}, {"recipients", good}}, "threshold");
  refuses({{"threshold", 300}, {"recipients", good}}, "threshold");
  refuses({{"threshold", 2}, {"recipients", {{"alice", "no key"}, {"bob", good["bob"]}}}}, "alice");
  refuses({{"threshold", 2}, {"recipients", {{"alice", 7}, {"bob", good["bob"]}}}}, "alice");
  refuses({{"threshold", 2}, {"recipients", {{"a b", good["alice"]}, {"bob", good["bob"]}}}},
          "name");
  refuses({{"threshold", 2}, {"recipients", {{"alice", good["bob"]}, {"bob", good["bob"]}}}},
          "key of another");
}

TEST_F(RecoveryRoutes, KnowNoOtherEnvironment) {
  EXPECT_EQ(service_.Get("/v1/sys/environments/none/recovery").status, 404);
  EXPECT_EQ(Set("none", {{"threshold", 1}, {"recipients", Recipients({"alice"})}}).status, 404);
}

}  // namespace
}  // namespace kms::testing
