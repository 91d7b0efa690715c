// SPDX-License-Identifier: Apache-2.0
// kmsctl policy and capabilities against a real server: what is written holds at once and after a
// restart.
#include <gmock/gmock.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

class PolicyCommandsTest : public ::testing::Test {
 protected:
  void SetUp() override { Start(); }
  void TearDown() override {
    ::unsetenv("KMS_ADDR");
    ::unsetenv("KMS_TOKEN");
  }

  void Start() {
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    ::setenv("KMS_ADDR", ("http://127.0.0.1:" + std::to_string(kmsd_.port())).c_str(), 1);
    ::setenv("KMS_TOKEN", kmsd_.token().c_str(), 1);
  }
  std::string Ctl(std::vector<std::string> arguments, int expected_status = 0) {
    arguments.insert(arguments.begin(), std::string(KMS_BINARY_DIR) + "/kmsctl");
    std::string output;
    EXPECT_EQ(RunProgram(arguments, &output), expected_status) << output;
    return output;
  }
  void Write(const std::string& name, const std::string& text) {
    const std::string file = directory_.path() + "/" + name + ".hcl";
    WriteFile(file, text);
    Ctl({"policy", "write", name, file});
  }

  TemporaryDirectory directory_;
  KmsdProcess kmsd_{KMS_BINARY_DIR, directory_.path() + "/state"};
};

TEST_F(PolicyCommandsTest, WhatIsWrittenHoldsAtOnceAndAfterARestart) {
  Write("app", "path \"dev/keys/+\" { capabilities = [\"read\"] }\n");
  const json made =
      json::parse(kmsd_.NewClient()->Post("/v1/auth/token/create", R"({"policies":["app"]})").body,
                  nullptr, false);
  const std::string accessor = made["auth"]["accessor"];

  EXPECT_THAT(Ctl({"policy", "explain", accessor, "GET", "dev/keys/x"}),
              AllOf(HasSubstr("allowed:           yes"), HasSubstr("path \"dev/keys/+\"")));
  Write("app", "path \"dev/keys/+\" { capabilities = [\"deny\"] }\n");
  EXPECT_THAT(Ctl({"policy", "explain", accessor, "GET", "dev/keys/x"}),
              AllOf(HasSubstr("allowed:           no"), HasSubstr("denies everything")));
  EXPECT_THAT(Ctl({"capabilities", "dev/keys/x", "--accessor", accessor}), HasSubstr("deny"));

  EXPECT_EQ(kmsd_.Terminate(), 0);
  Start();
  EXPECT_THAT(Ctl({"policy", "read", "app"}), HasSubstr("deny"));
  EXPECT_THAT(Ctl({"capabilities", "dev/keys/x", "--accessor", accessor}), HasSubstr("deny"));
}

TEST_F(PolicyCommandsTest, WhatDoesNotParseChangesNothing) {
  Write("app", "path \"a\" { capabilities = [\"read\"] }\n");
  const std::string file = directory_.path() + "/broken.hcl";
  WriteFile(file, "path \"a\" {\n  capabilities = [\"raed\"]\n}\n");
  EXPECT_THAT(Ctl({"policy", "write", "app", file}, 5), HasSubstr("line 2"));
  EXPECT_THAT(Ctl({"policy", "read", "app"}), HasSubstr("[\"read\"]"));
  EXPECT_THAT(Ctl({"policy", "delete", "default", "--yes"}, 5),
              HasSubstr("cannot delete default policy"));
}

}  // namespace
}  // namespace kms::testing
