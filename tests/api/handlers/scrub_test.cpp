// SPDX-License-Identifier: Apache-2.0
// sys/scrub, sys/environments/…/rotate-everything, and their metrics.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ScrubApiTest : public ::testing::Test {
 protected:
  void RunPass() {
    ASSERT_EQ(api_.Post("/v1/sys/scrub").status, 204);
    const std::uint64_t passes = api_.scrub().State().passes;
    for (int step = 0; step < 1000 && api_.scrub().State().passes == passes; ++step) {
      api_.scrub().Step();
    }
    ASSERT_EQ(api_.scrub().State().passes, passes + 1);
  }

  ApiService api_;
};

TEST_F(ScrubApiTest, SaysWhatWasLookedAt) {
  EXPECT_THAT(api_.Get("/v1/sys/scrub").body,
              AllOf(HasSubstr(R"("under_way":false)"), HasSubstr(R"("finished":null)"),
                    HasSubstr(R"("passes":0)"), HasSubstr(R"("interval_seconds":86400)")));
  RunPass();
  const std::string after = api_.Get("/v1/sys/scrub").body;
  // sys, dev, prod and transit on one token.
  EXPECT_THAT(after, AllOf(HasSubstr(R"("passes":1)"), HasSubstr(R"("findings":[])"),
                           HasSubstr(R"("previous":{"wraps":4,)")));
}

TEST_F(ScrubApiTest, DamageIsShownWithWhatToDoAndCounted) {
  ASSERT_EQ(api_.Post("/v1/dev/keys/app").status, 200);
  const std::string path =
      "e/" + api_.environments().Find("dev")->identity().id.ToString() + "/keys/app";
  const auto stored = api_.store.Get(path);
  ASSERT_TRUE(stored.has_value() && stored->has_value());
  Bytes value = (*stored)->value;
  value.back() ^= 1U;
  ASSERT_TRUE(api_.store.Commit({{.path = path, .value = value}}).has_value());
  RunPass();
  EXPECT_THAT(api_.Get("/v1/sys/scrub").body,
              AllOf(HasSubstr(R"("target":"entry","environment":"dev","hsm":"","what":"keys/app")"),
                    HasSubstr("restore it from a backup")));
  EXPECT_THAT(
      api_.Get("/v1/sys/metrics?format=prometheus").body,
      AllOf(HasSubstr("kms_scrub_findings 1"), HasSubstr(R"(kms_tasks{state="running"} 0)")));
}

TEST_F(ScrubApiTest, StartingAPassNeedsSudo) {
  const std::string token = api_.TokenWith("reader", R"(path "sys/scrub" {
    capabilities = ["read", "update"] })");
  EXPECT_EQ(api_.CallAs(token, {api::HttpMethod::kGet, "/v1/sys/scrub"}).status, 200);
  EXPECT_EQ(api_.CallAs(token, {api::HttpMethod::kPost, "/v1/sys/scrub", "{}"}).status, 403);
}

TEST_F(ScrubApiTest, O11_RotateEverythingIsOneRequest) {
  ASSERT_EQ(api_.Post("/v1/dev/keys/app").status, 200);
  EXPECT_THAT(api_.Post("/v1/sys/environments/dev/rotate-everything", R"({"dry_run":true})").body,
              HasSubstr("give 1 keys a new version"));
  api_.clock.Advance(std::chrono::seconds(5));
  const ApiAnswer started = api_.Post("/v1/sys/environments/dev/rotate-everything");
  ASSERT_EQ(started.status, 200) << started.body;
  const std::string id = TextAfter(started.body, R"("task":")");
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  std::string task;
  do {
    std::this_thread::yield();
    task = api_.Get("/v1/sys/tasks/" + id).body;
  } while (TextAfter(task, R"("state":")") == "running" &&
           std::chrono::steady_clock::now() < until);
  EXPECT_THAT(task, AllOf(HasSubstr(R"("state":"done")"), HasSubstr("1 older versions of 1 keys")));
  EXPECT_THAT(api_.Get("/v1/dev/keys/app").body, HasSubstr(R"("latest_version":2)"));
}

}  // namespace
}  // namespace kms::testing
