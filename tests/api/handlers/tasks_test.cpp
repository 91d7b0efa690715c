// SPDX-License-Identifier: Apache-2.0
// sys/environments/…/rotate-… and retire-master, sys/tasks/…, sys/statements/….
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
using ::testing::Not;

class TasksApiTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(api_.Post("/v1/dev/keys/app").status, 200); }

  // Starts it and waits until it is over; returns the task as it ended.
  std::string Run(const std::string& verb, const std::string& body = "{}") {
    const ApiAnswer started = api_.Post("/v1/sys/environments/dev/" + verb, body);
    EXPECT_EQ(started.status, 200) << started.body;
    id_ = TextAfter(started.body, R"("task":")");
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::chrono::steady_clock::now() < until) {
      const ApiAnswer task = api_.Get("/v1/sys/tasks/" + id_);
      EXPECT_EQ(task.status, 200) << task.body;
      if (TextAfter(task.body, R"("state":")") != "running") {
        return task.body;
      }
      std::this_thread::yield();
    }
    ADD_FAILURE() << "the task does not end";
    return {};
  }

  ApiService api_;
  std::string id_;
};

TEST_F(TasksApiTest, RotateTheEnvironmentKey) {
  EXPECT_THAT(Run("rotate-key", R"({"rate":100000})"),
              AllOf(HasSubstr(R"("state":"done")"), HasSubstr(R"("percent":100)"),
                    HasSubstr(R"("kind":"rotate-key")"), HasSubstr(R"("version":"2")"),
                    HasSubstr(R"("rate":100000)"), HasSubstr(R"("error":"")")));
  EXPECT_THAT(api_.Get("/v1/sys/environments/status").body,
              HasSubstr(R"("environment_key_version":2)"));
  EXPECT_EQ(api_.Get("/v1/dev/keys/app").status, 200);
}

TEST_F(TasksApiTest, RotateAndRetireTheMasterKey) {
  EXPECT_THAT(Run("rotate-master"), HasSubstr(R"("state":"done")"));
  EXPECT_THAT(Run("retire-master", R"({"version":1})"), HasSubstr(R"("state":"done")"));
  const ApiAnswer statement = api_.Get("/v1/sys/statements/" + id_);
  EXPECT_EQ(statement.status, 200);
  EXPECT_THAT(statement.body,
              AllOf(HasSubstr("kms master key destruction v1"), HasSubstr(R"("signature":")"),
                    HasSubstr(R"("public_key":")"), HasSubstr(R"("master_key_version":1)")));
  EXPECT_THAT(api_.List("/v1/sys/statements").body, HasSubstr(id_));
  EXPECT_EQ(api_.Get("/v1/dev/keys/app").status, 200);
}

TEST_F(TasksApiTest, SayWhatTheyWouldDo) {
  const ApiAnswer plan = api_.Post("/v1/sys/environments/dev/rotate-key", R"({"dry_run":true})");
  EXPECT_EQ(plan.status, 200) << plan.body;
  EXPECT_THAT(plan.body, AllOf(HasSubstr(R"("dry_run":true)"), HasSubstr(R"("steps":["make)"),
                               HasSubstr(R"("refusals":[])")));
  const ApiAnswer refusing =
      api_.Post("/v1/sys/environments/dev/retire-master", R"({"version":1,"dry_run":true})");
  EXPECT_EQ(refusing.status, 200) << refusing.body;
  EXPECT_THAT(refusing.body, HasSubstr("it is the current version"));
  EXPECT_EQ(api_.List("/v1/sys/tasks").status, 404);
}

TEST_F(TasksApiTest, RefuseWhatCannotBeDone) {
  const struct {
    const char* path;
    const char* body;
    int status;
    const char* text;
  } cases[] = {
      {"dev/retire-master", R"({"version":1})", 400, "it is the current version"},
      {"dev/retire-master", R"({"version":0})", 400, "must be the number"},
      {"dev/retire-master", "{}", 400, "missing version"},
      {"dev/retire-master", R"({"version":9})", 404, "no master key version 9"},
      {"dev/rotate-master", R"({"to_hsm":"nobody"})", 400, "nobody"},
      {"dev/rotate-key", R"({"rate":-1})", 400, "rate must be"},
      {"none/rotate-key", "{}", 404, "no such environment"},
      {"none/rotate-master", "{}", 404, "no such environment"},
      {"none/retire-master", R"({"version":1})", 404, "no such environment"},
  };
  for (const auto& each : cases) {
    const ApiAnswer answer = api_.Post(std::string("/v1/sys/environments/") + each.path, each.body);
    EXPECT_EQ(answer.status, each.status) << each.path << each.body << answer.body;
    EXPECT_THAT(answer.body, HasSubstr(each.text)) << each.path << each.body;
  }
}

TEST_F(TasksApiTest, AreListedCancelledResumedAndForgotten) {
  for (int key = 0; key < 20; ++key) {
    ASSERT_EQ(api_.Post("/v1/dev/keys/k" + std::to_string(key)).status, 200);
  }
  const ApiAnswer started = api_.Post("/v1/sys/environments/dev/rotate-key", R"({"rate":1})");
  const std::string id = TextAfter(started.body, R"("task":")");
  const std::string path = "/v1/sys/tasks/" + id;
  EXPECT_THAT(api_.List("/v1/sys/tasks").body, HasSubstr(id));
  const ApiAnswer second = api_.Post("/v1/sys/environments/dev/rotate-master");
  EXPECT_EQ(second.status, 400);
  EXPECT_THAT(second.body, HasSubstr(id));
  EXPECT_EQ(api_.Delete(path).status, 400);
  EXPECT_THAT(api_.Post(path + "/cancel").body, HasSubstr(R"("state":"cancelled")"));
  EXPECT_THAT(api_.Post(path + "/throttle", R"({"rate":0})").body, HasSubstr(R"("rate":0)"));
  EXPECT_EQ(api_.Post(path + "/throttle", R"({"rate":-5})").status, 400);
  EXPECT_EQ(api_.Post(path + "/resume").status, 200);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (TextAfter(api_.Get(path).body, R"("state":")") == "running" &&
         std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  EXPECT_THAT(api_.Get(path).body, HasSubstr(R"("state":"done")"));
  EXPECT_EQ(api_.Post(path + "/resume").status, 400);
  EXPECT_EQ(api_.Delete(path).status, 204);
  EXPECT_EQ(api_.Get(path).status, 404);
  EXPECT_EQ(api_.Get("/v1/sys/tasks/none").status, 404);
  EXPECT_EQ(api_.Get("/v1/sys/statements/" + id).status, 404);
}

TEST_F(TasksApiTest, NeedSudo) {
  const std::string token = api_.TokenWith("operator", R"(
    path "sys/environments/*" { capabilities = ["update"] }
    path "sys/tasks*" { capabilities = ["read", "list", "update", "delete"] })");
  for (const char* verb : {"rotate-key", "rotate-master", "retire-master"}) {
    EXPECT_EQ(api_.CallAs(token, {api::HttpMethod::kPost,
                                  std::string("/v1/sys/environments/dev/") + verb,
                                  R"({"version":1})",
                                  {}})
                  .status,
              403)
        << verb;
  }
}

}  // namespace
}  // namespace kms::testing
