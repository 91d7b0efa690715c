// SPDX-License-Identifier: Apache-2.0
// sys/backup, sys/backup/check and sys/backups.
#include <gmock/gmock.h>

#include <set>

#include "kms/backup/backups.h"
#include "kms/base/base64.h"
#include "kms/crypto/backup_envelope.h"
#include "kms/store/sqlite_store.h"
#include "tests/support/api_service.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_directory.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class StoreBackupApi : public ::testing::Test {
 protected:
  StoreBackupApi()
      : backups_(api_.store, api_.environments(), api_.clock, Options()),
        pipeline_(api::RouteTable(),
                  api::Services{api_.environments(), api_.audit, api_.identity(), api_.limits,
                                api_.clock, api::PipelineOptions{}, nullptr, &backups_}) {}

  BackupsOptions Options() {
    BackupsOptions options;
    options.directory = directory_.path();
    options.copy_store = [this](const std::string& path) { return Copy(path); };
    return options;
  }
  // The store in memory as a file: every entry by a commit of its own, then as many empty ones as
  // bring it to the same revision.
  Status Copy(const std::string& path) {
    const std::unique_ptr<SqliteStore> copy = KMS_TRY(SqliteStore::Open(path));
    std::vector<Mutation> mutations;
    for (const auto& [name, entry] : api_.store.Contents()) {
      mutations.push_back({.path = name, .value = entry.value, .expected_revision = std::nullopt});
    }
    KMS_TRY(copy->Commit(mutations));
    return copy->SkipRevisionsTo(KMS_TRY(api_.store.CurrentRevision()));
  }

  ApiAnswer Call(api::HttpMethod method, const std::string& target, const std::string& body = "",
                 std::string_view token = ApiService::kToken) {
    api::HttpRequest request;
    request.method = method;
    request.target = target;
    const std::size_t mark = target.find('?');
    request.path = std::string_view(target).substr(0, mark);
    if (mark != std::string::npos) {
      request.query = std::string_view(target).substr(mark + 1);
    }
    request.headers.push_back({.name = "X-Vault-Token", .value = token});
    request.body = body;
    request.remote_address = "127.0.0.1";
    api::HttpResponse response;
    pipeline_.Handle(request, response);
    ApiAnswer answer;
    answer.status = response.status;
    answer.body = response.body;
    answer.content_type = std::string(response.content_type);
    return answer;
  }
  ApiAnswer Get(const std::string& target) { return Call(api::HttpMethod::kGet, target); }
  ApiAnswer List() { return Call(api::HttpMethod::kList, "/v1/sys/backups"); }
  ApiAnswer Check(ByteView head) {
    return Call(api::HttpMethod::kPost, "/v1/sys/backup/check",
                R"({"head":")" + Base64Encode(head) + "\"}");
  }
  static ByteView HeadOf(const std::string& backup) {
    const ByteView all = AsBytes(backup);
    return all.first(BackupHeadBytes(all.first(kBackupFixedBytes)).value());
  }

  TemporaryDirectory directory_;
  ApiService api_;
  Backups backups_;
  api::Pipeline pipeline_;
};

TEST_F(StoreBackupApi, ABackupIsAFileThatTheServiceKnowsAgain) {
  const ApiAnswer backup = Get("/v1/sys/backup?keep=1h");
  ASSERT_EQ(backup.status, 200) << backup.body.substr(0, 500);
  EXPECT_EQ(backup.content_type, "application/octet-stream");
  const ApiAnswer checked = Check(HeadOf(backup.body));
  EXPECT_EQ(checked.status, 200) << checked.body;
  EXPECT_THAT(checked.body,
              AllOf(HasSubstr(R"("environment":"prod","hsm":"default")"),
                    HasSubstr(R"("environment":"sys")"), HasSubstr(R"("expired":false)")));
}

TEST_F(StoreBackupApi, BackupsAreListedAndForgotten) {
  EXPECT_EQ(List().status, 404);
  ASSERT_EQ(Get("/v1/sys/backup").status, 200);
  const ApiAnswer listed = List();
  ASSERT_EQ(listed.status, 200) << listed.body;
  const std::string id = TextAfter(listed.body, R"("keys":[")");
  EXPECT_EQ(Call(api::HttpMethod::kDelete, "/v1/sys/backups/" + id).status, 204);
  EXPECT_EQ(List().status, 404);
  EXPECT_EQ(Call(api::HttpMethod::kDelete, "/v1/sys/backups/" + id).status, 404);
  EXPECT_EQ(Call(api::HttpMethod::kDelete, "/v1/sys/backups/no-id").status, 404);
}

TEST_F(StoreBackupApi, KeepHasBounds) {
  for (const char* keep : {"0", "11y", "900000h", "x"}) {
    EXPECT_EQ(Get("/v1/sys/backup?keep=" + std::string(keep)).status, 400) << keep;
  }
  EXPECT_EQ(List().status, 404) << "nothing was registered";
}

TEST_F(StoreBackupApi, D27_AForgedHeadIsRefused) {
  const ApiAnswer backup = Get("/v1/sys/backup");
  Bytes head = CopyOf(HeadOf(backup.body));
  head[head.size() - 1] ^= 1U;
  EXPECT_EQ(Check(head).status, 400);
  EXPECT_EQ(Check(ByteView(head).first(20)).status, 400);
  EXPECT_EQ(Call(api::HttpMethod::kPost, "/v1/sys/backup/check", R"({"head":"?"})").status, 400);
  EXPECT_EQ(Call(api::HttpMethod::kPost, "/v1/sys/backup/check", "{}").status, 400);
}

TEST_F(StoreBackupApi, ItTakesSudoAndIsRecordedBeforeItIsMade) {
  const std::string token =
      api_.TokenWith("reader", R"(path "sys/backup" { capabilities = ["read"] })");
  EXPECT_EQ(Call(api::HttpMethod::kGet, "/v1/sys/backup", "", token).status, 403);
  const std::string allowed =
      api_.TokenWith("keeper", R"(path "sys/backup" { capabilities = ["read", "sudo"] })");
  EXPECT_EQ(Call(api::HttpMethod::kGet, "/v1/sys/backup", "", allowed).status, 200);
}

TEST_F(StoreBackupApi, AServiceWithoutAStoreSaysSo) {
  EXPECT_EQ(api_.Get("/v1/sys/backup").status, 400);
  EXPECT_EQ(api_.List("/v1/sys/backups").status, 400);
}

}  // namespace
}  // namespace kms::testing
