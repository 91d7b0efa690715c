// SPDX-License-Identifier: Apache-2.0
// kmsctl scrub …: requests, waiting and rendering.
#include <gmock/gmock.h>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ScrubCommands : public KmsctlTest {
 protected:
  static nlohmann::json State(int passes, bool under_way, nlohmann::json findings) {
    const nlohmann::json counts = {{"wraps", 3}, {"entries", 40}, {"skipped", 0}};
    return {{"under_way", under_way}, {"environment", ""},  {"started", nullptr},
            {"finished", nullptr},    {"passes", passes},   {"counts", counts},
            {"previous", counts},     {"more_findings", 2}, {"findings", std::move(findings)}};
  }
  static nlohmann::json Finding() {
    return {{"target", "entry"},
            {"environment", "prod"},
            {"hsm", ""},
            {"what", "keys/app"},
            {"problem", "damaged entry: restore it from a backup"},
            {"first_seen", "2026-01-01T00:00:00.000000000Z"}};
  }
};

TEST_F(ScrubCommands, StatusOfASoundServiceSucceeds) {
  ReplyData(State(1, false, nlohmann::json::array()));
  const ToolRun run = Run({"scrub", "status"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("findings:         0"), HasSubstr("3 wraps, 40 entries")));
}

TEST_F(ScrubCommands, DamageIsShownAndFails) {
  ReplyData(State(1, false, {Finding()}));
  const ToolRun run = Run({"scrub", "status"});
  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.out, AllOf(HasSubstr("keys/app"), HasSubstr("restore it from a backup")));
  EXPECT_THAT(run.err, AllOf(HasSubstr("2 further findings"), HasSubstr("found damage")));
}

TEST_F(ScrubCommands, RunWaitsForAPassThatBeganAfterwards) {
  ReplyData(State(4, true, nlohmann::json::array()));
  ReplyData(nlohmann::json::object());
  ReplyData(State(5, false, nlohmann::json::array()));
  ReplyData(State(6, false, nlohmann::json::array()));
  const ToolRun run = Run({"scrub", "run"});
  EXPECT_EQ(run.status, 0) << run.err;
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 4U);
  EXPECT_EQ(requests[1].method, "POST");
  EXPECT_EQ(requests[1].target, "/v1/sys/scrub");
}

TEST_F(ScrubCommands, DetachAnswersInJsonToo) {
  ReplyData(State(4, false, nlohmann::json::array()));
  ReplyData(nlohmann::json::object());
  const ToolRun run = Run({"scrub", "run", "--detach", "--json"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(Json(run.out), (nlohmann::json{{"asked", true}}));
}

}  // namespace
}  // namespace kms::testing
