// SPDX-License-Identifier: Apache-2.0
// The real kmsd with a store that came back from a backup: it is noticed, and accepted only by
// name.
#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/kmsd_process.h"

namespace kms::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

class RollbackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    token_ = MakeToken();
    ASSERT_EQ(StatusWith(token_), 200);
    ASSERT_EQ(kmsd_.Terminate(), 0);
    CopyStore(state_, backup_);
    // Revoked after the backup was made.
    ASSERT_TRUE(kmsd_.Start()) << kmsd_.Log();
    ASSERT_EQ(As(token_)->Post("/v1/auth/token/revoke-self", "{}").status, 204);
    ASSERT_EQ(kmsd_.Terminate(), 0);
    CopyStore(backup_, state_);
  }

  std::string MakeToken() {
    const HttpReply reply =
        kmsd_.NewClient()->Post("/v1/auth/token/create", R"({"policies":["default"]})");
    const json body = json::parse(reply.body, nullptr, false);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.status == 200 ? body["auth"]["client_token"].get<std::string>() : "";
  }
  std::unique_ptr<HttpClient> As(const std::string& token) {
    return std::make_unique<HttpClient>(kmsd_.port(), token);
  }
  int StatusWith(const std::string& token) {
    return As(token)->Get("/v1/auth/token/lookup-self").status;
  }
  static void CopyStore(const std::string& from, const std::string& to) {
    fs::create_directories(to);
    for (const char* name : {"store.db", "store.db-wal", "store.db-shm"}) {
      fs::remove(to + "/" + name);
      if (fs::exists(from + "/" + name)) {
        fs::copy_file(from + "/" + name, to + "/" + name);
      }
    }
  }

  TemporaryDirectory directory_;
  std::string state_ = directory_.path() + "/state";
  std::string backup_ = directory_.path() + "/backup";
  std::string token_;
  KmsdProcess kmsd_{KMS_BINARY_DIR, state_};
};

TEST_F(RollbackTest, D12_AnOlderStoreIsRefusedWithBothFigures) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    EXPECT_FALSE(kmsd_.Start());
    EXPECT_EQ(kmsd_.exit_status(), 1);
    EXPECT_THAT(kmsd_.Log(), AllOf(HasSubstr("the store is older than the audit log"),
                                   HasSubstr("revision"), HasSubstr("--accept-rollback")));
  }
}

TEST_F(RollbackTest, U8_ARevokedTokenStaysDeadAfterAnOlderStoreWasAccepted) {
  ASSERT_TRUE(kmsd_.Start({"--accept-rollback"})) << kmsd_.Log();
  EXPECT_EQ(StatusWith(token_), 403);
  EXPECT_EQ(StatusWith(kmsd_.token()), 200) << "the operator's way in";
  EXPECT_THAT(ReadFile(state_ + "/audit.log"), HasSubstr("store_rollback_accepted"));
  const std::string fresh = MakeToken();
  EXPECT_EQ(StatusWith(fresh), 200);
  ASSERT_EQ(kmsd_.Terminate(), 0);
  ASSERT_TRUE(kmsd_.Start()) << "accepted once is enough: " << kmsd_.Log();
  EXPECT_EQ(StatusWith(token_), 403);
  EXPECT_EQ(StatusWith(fresh), 200);
}

}  // namespace
}  // namespace kms::testing
